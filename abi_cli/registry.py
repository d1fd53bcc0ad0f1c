"""The one mechanism by which a word in a spec becomes an object.

A *part* is a frozen pydantic model: its fields are its options, its docstring is its help. To add
one, write such a class in the home package of its kind and decorate it:

    @part("step", "sqrt", example="sqrt: N")
    class Sqrt(Step):
        \"\"\"Take the square root.\"\"\"

        keys: Keys

Nothing else has to know. The home package of a kind is imported when its first part is asked for.

Others' parts are written alike. Those of a file that a spec names under `use:` keep their names, as
far as ours don't have them; those of installed packages, entry points of the group `abi_cli.parts`,
get the entry point's name before theirs: `psych.reaction_time`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, ClassVar, SupportsIndex, TypeVar

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

GROUP = "abi_cli.parts"
"""The entry points of installed packages that define parts."""


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
    """The part as it may stand in a spec, on one line of YAML; empty if nobody has said."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        loader = _loaders.get(type(self))
        if loader is None:
            return super().__reduce_ex__(protocol)
        return _restored, (loader, self.kind, self.to_config())

    @classmethod
    def shorthand(cls) -> str | None:
        """The option that a bare value stands for: the only required one, if it is only one."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return _spelling(cls, required[0]) if len(required) == 1 else None

    @classmethod
    def help_of(cls, option: str) -> str:
        """The help text of one of its fields."""
        return cls.model_fields[option].description or ""

    def to_config(self) -> dict[str, Any]:
        """The part as plain JSON values: `{name: {option: value}}`, every option spelled out."""
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
_loaders: dict[type[Part], Callable[[], object]] = {}
"""Functions that define a part again in another process, where an import doesn't."""
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
        if not cls.__doc__:
            raise ValueError(f"{cls.__name__} needs a docstring: it is the part's help")
        cls.kind, cls.name, cls.example = kind, name, example
        return enlist(cls)

    return register


def enlist(cls: type[P], loader: Callable[[], object] | None = None) -> type[P]:
    """Let a part be found under its kind and name.

    Arguments:
        loader: What defines it again in another process, if an import doesn't.

    Errors:
        ValueError: The name is that of one of ours.
    """
    package = _entry_point_of(cls.__module__)
    if package and not cls.name.startswith(f"{package}."):
        cls.name = f"{package}.{cls.name}"
    _load(cls.kind)
    taken = _parts.get((cls.kind, cls.name))
    ours = taken is not None and taken.__module__.startswith("abi_cli.")
    if taken is not None and ours and taken.__qualname__ != cls.__qualname__:
        raise ValueError(f"{cls.kind} {cls.name!r} is already defined by {taken.__module__}")
    if loader is not None:
        _loaders[cls] = loader
    _parts[cls.kind, cls.name] = cls
    return cls


def _restored(loader: Callable[[], object], kind: str, config: dict[str, Any]) -> Part:
    """A part out of another process, whose class `loader` defines in this one."""
    loader()
    return from_config(kind, config)


def _load(kind: str) -> None:
    home = HOMES[kind]
    if home in _loaded:
        return
    _loaded.add(home)
    package = importlib.import_module(home)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("parts") or module.name.endswith("_parts"):
            importlib.import_module(f"{home}.{module.name}")


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _entry_point_of(module: str) -> str | None:
    """The name of the entry point that a module belongs to, if it belongs to one."""
    if module.startswith(("abi_cli.", "_user_")):
        return None
    found = (e.name for e in _entry_points() if f"{module}.".startswith(f"{e.module}."))
    return next(found, None)


def _load_installed(package: str | None = None) -> None:
    """Import the parts of installed packages.

    Arguments:
        package: The name of one entry point; None for all.

    Errors:
        ImportError: One of them can't be imported.
    """
    for entry in _entry_points():
        if package in (None, entry.name):
            try:
                entry.load()
            except Exception as error:
                raise ImportError(
                    f"the parts {entry.name} of an installed package can't be imported "
                    f"({entry.value}): {type(error).__name__}: {error}"
                ) from error


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind, sorted."""
    _load(kind)
    _load_installed()
    return tuple(sorted(name for k, name in _parts if k == kind))


def get(kind: str, name: str) -> type[Part]:
    """The class registered under a name.

    Errors:
        UnknownPart: With the nearest known names.
    """
    _load(kind)
    if "." in name and (kind, name) not in _parts:
        _load_installed(name.partition(".")[0])
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
    """The part that `Part.to_config` described."""
    ((name, options),) = config.items()
    return get(kind, name).model_validate(_with_tuples(options))


def _with_tuples(value: Any) -> Any:
    """The value with tuples for JSON's lists, as parts within parts are validated strictly."""
    if isinstance(value, dict):
        return {key: _with_tuples(inner) for key, inner in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
