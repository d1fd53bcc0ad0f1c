"""Explanations of words: parts and fields of a spec, codes of problems, topics of the manual."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from abi_cli import registry
from abi_cli.errors import UsageError
from abi_cli.model.distribution import Distribution
from abi_cli.registry import Part
from abi_cli.spec import Section, Spec
from abi_cli.spec.explanations import EXPLANATIONS, Explanation
from abi_cli.spec.problems import Code
from abi_cli.workflow.manual import Page, page, topics

_PLACES = {
    "step": "adapter:\n  - {}",
    "summary network": "networks:\n  summary: {}",
    "inference network": "networks:\n  inference: {}",
    "optimizer": "training:\n  optimizer: {}",
    "schedule": "training:\n  learning_rate: {}",
    "callback": "training:\n  callbacks:\n    - {}",
    "distribution": "model:\n  prior:\n    theta: {}",
}
"""Kind of part → its place in a spec."""

_DISCRETE = "model:\n  meta:\n    N: {}"
"""Place of a discrete distribution, which parameters can't have."""


@dataclass(frozen=True)
class OptionDescription:
    """One option of a part; `default` is None where it must be given."""

    name: str
    default: str | None
    help: str


@dataclass(frozen=True)
class PartDescription:
    """A part that a spec can name, or (of kind `field`) a field that it has.

    Arguments:
        help: What it is, from its docstring.
        options: Of a field: those below it, if it is a section.
        example: Lines of a spec in which it stands; none for a field.
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


def spec_fields() -> dict[str, str]:
    """All fields of a spec: path → help."""
    return {path: _help(field) for path, field in _fields(Spec, "")}


def explain(word: str) -> list[PartDescription] | CodeDescription | Page:
    """Explain a word: `E103`, `constrain`, `step.constrain`, `missing`, `data.missing`, `guard`.

    Returns:
        The page on a topic, or all parts and fields that have this name: parts of several kinds
        may. No topic is the name of a part or field.

    Errors:
        UsageError: It means nothing.
    """
    if word.upper() in tuple(Code):
        code = Code(word.upper())
        return CodeDescription(code.value, EXPLANATIONS[code])
    if word in topics():
        return page(word)
    kind, _, name = word.partition(".")
    found = [_described(k, word) for k in registry.HOMES if word in registry.names(k)]
    found = found or [_described(k, name) for k in _kinds(kind) if name in registry.names(k)]
    fields = dict(_fields(Spec, ""))
    found += [
        PartDescription("field", path, _help(field), _options(_section(field.annotation)), "")
        for path, field in fields.items()
        if f".{path}".endswith(f".{word}")
    ]
    if found:
        return found
    names = (n for k in registry.HOMES for n in registry.names(k))
    known = [*names, *Code, *fields, *topics()]
    near = difflib.get_close_matches(word, known, n=1)
    near = near or difflib.get_close_matches(name or word, known, n=1)
    raise UsageError(
        f"Expected the name of a part or field, the code of a problem, or a topic; got {word!r}",
        hint=f"Did you mean {near[0]}?"
        if near
        else "abi list has all names, abi explain all topics.",
    )


def _kinds(words: str) -> tuple[str, ...]:
    """Kinds of part by a name of theirs: `step`, `steps`, `summary_network`, `networks`."""
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
    """The part's example where it stands in a spec."""
    discrete = issubclass(part, Distribution) and part.discrete
    place = _DISCRETE if discrete else _PLACES[part.kind]
    in_braces = ": " in part.example and "- {}" not in place
    return place.format(f"{{{part.example}}}" if in_braces else part.example)


def _options(model: type[BaseModel] | None) -> tuple[OptionDescription, ...]:
    """The options of a part or fields of a section; none where there is neither."""
    if model is None:
        return ()
    return tuple(
        OptionDescription(
            field.alias or name,
            _default(field),
            (model.help_of(name) if issubclass(model, Part) else field.description) or "",
        )
        for name, field in model.model_fields.items()
    )


def _default(field: FieldInfo) -> str | None:
    """The default of a field, as it would be written; None where it must be given."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Part):
        return value.name
    return json.dumps({} if isinstance(value, Section) else value, default=str)


def _fields(section: type[BaseModel], above: str) -> Iterator[tuple[str, FieldInfo]]:
    """Every field from a section of the spec on, by its path: `training`, `training.epochs`."""
    for name, field in section.model_fields.items():
        path = f"{above}{field.alias or name}"
        yield path, field
        if below := _section(field.annotation):
            forms = (field.annotation, *get_args(field.annotation))
            one_each = any(get_origin(form) is dict for form in forms)
            yield from _fields(below, f"{path}.NAME." if one_each else f"{path}.")


def _section(annotation: Any) -> type[Section] | None:
    """The section that a field holds, or holds one of for each variable."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((s for a in get_args(annotation) if (s := _section(a))), None)


def _help(field: FieldInfo) -> str:
    default = _default(field)
    if default and _section(field.annotation) is field.annotation:
        return str(field.description)  # its fields have defaults of their own
    usual = "It must be given." if default is None else f"By default: {default}"
    return f"{field.description}\n\n{usual}"
