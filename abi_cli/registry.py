"""The one mechanism by which a word in a spec becomes an object.

A *part* is a frozen pydantic model: its fields are its options, its docstring is its help. To add
one, write such a class in the home package of its kind and decorate it:

    @part("step", "sqrt", example="sqrt: N")
    class Sqrt(Step):
        \"\"\"Take the square root.\"\"\"

        keys: Keys

Nothing else has to know. The home package of a kind is imported when its first part is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

HOMES = {
    "step": "abi_cli.adapter",
    "summary network": "abi_cli.networks",
    "inference network": "abi_cli.networks",
    "optimizer": "abi_cli.training",
    "schedule": "abi_cli.training",
    "callback": "abi_cli.training",
    "distribution": "abi_cli.model",
}
"""Kind of part → the package whose modules `parts*` or `*_parts` define its built-in parts."""


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"Expected each variable once; got {twice[0]} twice")
    return names


Keys = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple),
    AfterValidator(_distinct),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            ]
        }
    ),
]
"""One variable name or a list of them, each once."""


class Part(BaseModel):
    """A named part of a spec: its fields are its options."""

    # No infinite numbers: JSON has none, so configs would silently turn them into null.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ClassVar[str]
    name: ClassVar[str]
    example: ClassVar[str]
    """How it may stand in a spec, on one line of YAML; empty if nobody has said."""

    @classmethod
    def shorthand(cls) -> str | None:
        """The option that a bare value stands for: the only required one, if it is only one."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return _spelling(cls, required[0]) if len(required) == 1 else None

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values: `{name: {option: value}}`, every option spelled out."""
        return {self.name: self.model_dump(mode="json", by_alias=True)}


def _spelling(cls: type[Part], field: str) -> str:
    return cls.model_fields[field].alias or field


class UnknownPart(LookupError):
    """No part of this kind has this name.

    Attributes:
        kind, name: What was asked for.
        nearest: Known names that look like it, best first.
        known: All known names.
    """

    def __init__(self, kind: str, name: str, known: tuple[str, ...]):
        self.kind, self.name, self.known = kind, name, known
        self.nearest = tuple(difflib.get_close_matches(name, known, n=3))
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(known)}")


_parts: dict[tuple[str, str], type[Part]] = {}
_loaded: set[str] = set()
P = TypeVar("P", bound=Part)


def part(kind: str, name: str, *, example: str = "") -> Callable[[type[P]], type[P]]:
    """Register a part under a name. A name can be taken once: built-ins can't be shadowed.

    Arguments:
        example: How it may stand in a spec, on one line of YAML.
    """
    if kind not in HOMES:
        raise ValueError(f"Expected one of {sorted(HOMES)}; got kind {kind!r}")

    def register(cls: type[P]) -> type[P]:
        taken = _parts.get((kind, name))
        if taken is not None and taken.__qualname__ != cls.__qualname__:
            raise ValueError(f"{kind} {name!r} is already defined by {taken.__module__}")
        if not cls.__doc__:
            raise ValueError(f"{cls.__name__} needs a docstring: it is the part's help")
        cls.kind, cls.name, cls.example = kind, name, example
        _parts[kind, name] = cls
        return cls

    return register


def _load(kind: str) -> None:
    home = HOMES[kind]
    if home in _loaded:
        return
    _loaded.add(home)
    package = importlib.import_module(home)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("parts") or module.name.endswith("_parts"):
            importlib.import_module(f"{home}.{module.name}")


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind, sorted."""
    _load(kind)
    return tuple(sorted(name for k, name in _parts if k == kind))


def get(kind: str, name: str) -> type[Part]:
    """The class registered under a name.

    Errors:
        UnknownPart: With the nearest known names.
    """
    _load(kind)
    try:
        return _parts[kind, name]
    except KeyError:
        raise UnknownPart(kind, name, names(kind)) from None


def expected(part: Part, contract: type[P]) -> P:
    """The part, known to keep a contract such as `Step`.

    Errors:
        TypeError: It was registered under that kind but doesn't.
    """
    if not isinstance(part, contract):
        raise TypeError(f"Expected {part.name} to be a {contract.__name__}; got {type(part)}")
    return part


def from_config(kind: str, config: dict[str, Any]) -> Part:
    """Back from `Part.to_config`."""
    ((name, options),) = config.items()
    return get(kind, name).model_validate(options)
