"""What a word of the language means: a part, or the code of a problem."""

from __future__ import annotations

import difflib
import inspect
import json
from dataclasses import dataclass

from abi_cli import registry
from abi_cli.errors import UsageError
from abi_cli.model.distribution import Distribution
from abi_cli.registry import Part
from abi_cli.spec.explanations import EXPLANATIONS, Explanation
from abi_cli.spec.problems import Code

_PLACES = {
    "step": "adapter:\n  - {}",
    "summary network": "networks:\n  summary: {}",
    "inference network": "networks:\n  inference: {}",
    "optimizer": "training:\n  optimizer: {}",
    "schedule": "training:\n  learning_rate: {}",
    "callback": "training:\n  callbacks:\n    - {}",
    "distribution": "model:\n  prior:\n    theta: {}",
}
"""Kind of part → where it stands in a spec."""

_DISCRETE = "model:\n  meta:\n    N: {}"
"""Where a distribution does that parameters can't have."""


@dataclass(frozen=True)
class OptionDescription:
    """One option of a part; `default` is None where it must be given."""

    name: str
    default: str | None
    help: str


@dataclass(frozen=True)
class PartDescription:
    """A part that a spec can name.

    Arguments:
        help: What it is, from its docstring.
        example: Lines of a spec in which it stands.
    """

    kind: str
    name: str
    help: str
    options: tuple[OptionDescription, ...]
    example: str


@dataclass(frozen=True)
class CodeDescription:
    """A kind of problem."""

    code: str
    explanation: Explanation


def parts(kind: str | None = None) -> list[PartDescription]:
    """The parts of one kind, or all.

    Errors:
        UsageError: There is no such kind.
    """
    kinds = tuple(registry.HOMES) if kind is None else _kinds(kind)
    if not kinds:
        known = "s, ".join(registry.HOMES)
        raise UsageError(f"Expected a kind of part ({known}s); got {kind!r}")
    return [_described(k, name) for k in kinds for name in registry.names(k)]


def explain(word: str) -> list[PartDescription] | CodeDescription:
    """What a word means: `E103`, `constrain`, `step.constrain`.

    Returns:
        All parts that have this name: parts of several kinds may.

    Errors:
        UsageError: It means nothing.
    """
    if word.upper() in tuple(Code):
        code = Code(word.upper())
        return CodeDescription(code.value, EXPLANATIONS[code])
    kind, _, name = word.partition(".")
    found = [_described(k, word) for k in registry.HOMES if word in registry.names(k)]
    found = found or [_described(k, name) for k in _kinds(kind) if name in registry.names(k)]
    if found:
        return found
    known = [*(n for k in registry.HOMES for n in registry.names(k)), *Code]
    near = difflib.get_close_matches(name or word, known, n=1)
    raise UsageError(
        f"Expected the name of a part, or the code of a problem; got {word!r}",
        hint=f"Did you mean {near[0]}?" if near else "abi list has all names.",
    )


def _kinds(words: str) -> tuple[str, ...]:
    """The kinds of part that are called so: `step`, `steps`, `summary_network`, `networks`."""
    singular = words.replace("_", " ").removesuffix("s")
    return tuple(k for k in registry.HOMES if k == singular or k.endswith(f" {singular}"))


def _described(kind: str, name: str) -> PartDescription:
    part = registry.get(kind, name)
    return PartDescription(
        kind,
        name,
        inspect.getdoc(part) or "",
        _options(part),
        _placed(part) if part.example else "",
    )


def _placed(part: type[Part]) -> str:
    """Its example where it stands in a spec."""
    discrete = issubclass(part, Distribution) and part.discrete
    place = _DISCRETE if discrete else _PLACES[part.kind]
    in_braces = ": " in part.example and "- {}" not in place
    return place.format(f"{{{part.example}}}" if in_braces else part.example)


def _options(part: type[Part]) -> tuple[OptionDescription, ...]:
    return tuple(
        OptionDescription(
            field.alias or name,
            None if field.is_required() else json.dumps(field.get_default(), default=str),
            field.description or "",
        )
        for name, field in part.model_fields.items()
    )
