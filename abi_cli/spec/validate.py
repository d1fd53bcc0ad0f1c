"""Validation of a document, with pydantic's findings in the words and places of the file.

pydantic checks in strict mode: `"30"` is no number and `true` is not 1. It names a value by its
location in the model; here that becomes the line it was written on, and the error becomes a
sentence that says what was expected, what was found and what to write instead.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from abi_cli.registry import Part
from abi_cli.spec import dialect, elsewhere
from abi_cli.spec.calls import as_options, without_calls
from abi_cli.spec.problems import Code, InvalidSpecError, Path, Problem, nearest, suggestion
from abi_cli.spec.reader import Document
from abi_cli.spec.schema import Spec
from abi_cli.spec.section import option_names
from abi_cli.spec.shorthand import REFUSAL, Models, canonical, describe

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
    "string_too_short": "text of {min_length} characters or more",
    "string_too_long": "text of {max_length} characters or fewer",
}
"""Error type of pydantic → words for what was expected, with the figures of its context."""


def validate(document: Document) -> tuple[Spec, Document]:
    """Make a spec of a document.

    Returns:
        The spec, and the document with nothing abbreviated: the paths in it are those of `-s`.

    Errors:
        InvalidSpecError: With all problems of the document, those of its reading included.
    """
    models: Models = {}
    document = Document(
        document.source, canonical(document.root, Spec, (), models), document.problems
    )
    if document.root.value == {}:
        fields = ", ".join(option_names(Spec))
        problem = Problem(
            (),
            "Expected a spec; got nothing",
            f"A spec is a mapping of the fields {fields}",
            Code.MISSING,
            document.value_position(()),
        )
        raise InvalidSpecError([*document.problems, problem], name=document.source.name)
    try:
        spec = Spec.model_validate(document.tree, strict=True)
    except ValidationError as error:
        findings = [_Finding(detail, document) for detail in error.errors(include_url=False)]
        # What can't be read at all was told once, and is not also missing.
        spoilt = {problem.path for problem in document.problems if problem.code is not Code.KEY}
        problems = [
            _problem(finding, document, models)
            for finding in _merged(findings)
            if finding.path not in spoilt and not finding.is_renamed(findings, models)
        ]
        problems = without_calls([*document.problems, *problems])
        raise InvalidSpecError(problems, name=document.source.name) from None
    if document.problems:
        raise InvalidSpecError(document.problems, name=document.source.name)
    return spec, document


class _Finding:
    """One of pydantic's errors, at a path of the document.

    Attributes:
        path: Where it is.
        on_key: Whether it is about the key there, not the value.
        missing: The last name of its location, where nothing was written under that.
        choice: Path of the value that fits none of several types, this finding being about one
            of them; None where there is one type.
        expected: What was expected, in words; several are joined where there are several types.
    """

    def __init__(self, detail: ErrorDetails, document: Document):
        self.detail = detail
        self.context: dict[str, Any] = detail.get("ctx", {})
        self.on_key = "[key]" in detail["loc"]
        self.missing: str | None = None
        self.choice: Path | None = None
        self.path: Path = ()
        node = document.root
        location = list(detail["loc"])
        if detail["type"] == "missing":
            self.missing = str(location.pop())
        for step in location:
            below = node.child(step)
            if below is not None:
                self.path, node = (*self.path, step), below
            elif step != "[key]":  # not a key: pydantic's name for one of several types
                self.choice = self.path if self.choice is None else self.choice
        template = _EXPECTED.get(detail["type"])
        self.expected = template and template.format_map(self.context)

    def is_echo(self, findings: list[_Finding]) -> bool:
        """True if a list is only called too short because its items are wrong."""
        depth = len(self.path)
        return self.detail["type"] == "too_short" and any(
            len(other.path) > depth and other.path[:depth] == self.path for other in findings
        )

    def is_renamed(self, findings: list[_Finding], models: Models) -> bool:
        """True if an option is only missing because it was written under another name."""
        model = models.get(self.path)
        if self.missing is None or model is None or not issubclass(model, Part):
            return False
        options = option_names(model)
        return any(
            other.detail["type"] == "extra_forbidden"
            and other.path[:-1] == self.path
            and elsewhere.option(str(other.path[-1]), options) == self.missing
            for other in findings
        )


def _merged(findings: list[_Finding]) -> list[_Finding]:
    """One finding for a value that fits none of several types: the one that got furthest in it."""
    merged: list[_Finding] = []
    findings = [finding for finding in findings if not finding.is_echo(findings)]
    by_choice: dict[Path, _Finding] = {}
    for finding in findings:
        other = by_choice.get(finding.choice) if finding.choice is not None else None
        if finding.choice is None or other is None:
            merged.append(finding)
            if finding.choice is not None:
                by_choice[finding.choice] = finding
        elif len(finding.path) > len(other.path):
            merged[merged.index(other)] = by_choice[finding.choice] = finding
        elif finding.path == other.path and finding.expected not in (None, other.expected):
            other.expected = f"{other.expected} or {finding.expected}"
    return merged


def _problem(finding: _Finding, document: Document, models: Models) -> Problem:
    code, message, hint, at = _retell(finding, models)
    path = (*finding.path, *at)
    of_mapping = bool(at) and code in (Code.PART, Code.NAME)
    on_key = finding.on_key or of_mapping or code in (Code.FIELD, Code.MISSING)
    position = document.key_position(path) if on_key else document.value_position(path)
    return Problem(path, message, hint, code, position)


def _retell(finding: _Finding, models: Models) -> tuple[Code, str, str | None, Path]:
    """Code, message and hint for a finding, and the path from its place to the mistake."""
    kind, context, value = finding.detail["type"], finding.context, finding.detail["input"]
    if kind == REFUSAL:
        return context["code"], context["message"], context["hint"], tuple(context["at"])
    if kind == "extra_forbidden":
        return Code.FIELD, *_unknown(finding.path, models), ()
    if finding.missing is not None:
        return Code.MISSING, *_missing(finding, models), ()
    if finding.expected:
        message = f"Expected {finding.expected}; got {describe(value)}"
        return Code.VALUE, message, _remedy(finding, value, models), ()
    if kind in ("value_error", "assertion_error"):
        return Code.VALUE, str(context["error"]), None, ()
    return Code.VALUE, f"{finding.detail['msg']}; got {describe(value)}", None, ()


def _whose(path: Path, models: Models) -> tuple[str, str]:
    """The word for a name in the mapping at a path, and the name of that mapping."""
    model = models.get(path)
    if model is not None and issubclass(model, Part):
        return "option", model.name
    return "field", ".".join(map(str, path)) or "the spec"


def _unknown(path: Path, models: Models) -> tuple[str, str]:
    *above, word = map(str, path)
    what, whose = _whose(path[:-1], models)
    known = option_names(models[path[:-1]])
    preposition = "of" if what == "option" or not above else "in"
    hint = suggestion(word, known, title=f"{what.capitalize()}s")
    places = [section for section, names in _sections(models).items() if word in names]
    if not nearest(word, known) and places:
        hint = f"It belongs {places[0]}"
    other = (elsewhere.option if what == "option" else elsewhere.field)(word, known)
    by_rate = word in ("rate", "beta", "lam") and "scale" in known
    if other is not None and not by_rate and "Did you mean" not in hint:
        hint = f"Did you mean {other!r}? {hint}"
    if what == "option" and (bounded := elsewhere.bounded(word, whose)):
        hint = f"Write {bounded}"
    if by_rate:
        hint = f"The scale is 1 / rate. {hint}"
    said = None if "Did you mean" in hint or places else elsewhere.spoken(".".join(above), word)
    if said is not None:
        hint = f"{said}. {hint}"
    return f"unknown {what} {word!r} {preposition} {whose}", hint


def _sections(models: Models) -> dict[str, tuple[str, ...]]:
    """Places of fields, in words: the top level and each section → names of its fields."""
    sections = {"at the top level": option_names(Spec)}
    for path, model in models.items():
        if path and not issubclass(model, Part):
            sections[f"under {'.'.join(map(str, path))}"] = option_names(model)
    return sections


def _missing(finding: _Finding, models: Models) -> tuple[str, str | None]:
    what, whose = _whose(finding.path, models)
    model = models.get(finding.path)
    hint = _description(model, finding.missing) if model else None
    return f"{what} {finding.missing!r} of {whose} is missing", hint


def _description(model: type[BaseModel], spelling: str | None) -> str | None:
    for name, field in model.model_fields.items():
        if spelling in (name, field.alias):
            return field.description and field.description.rstrip(".")
    return None


def _remedy(finding: _Finding, value: Any, models: Models) -> str | None:
    """A remedy for a value of the wrong type, where there is one."""
    expected = finding.expected or ""
    model = models.get(finding.path)
    if model is not None:
        what = "options" if issubclass(model, Part) else "fields"
        if issubclass(model, Part) and model.kind == "distribution" and _scalars(value):
            return f"Write {as_options(model.name, [(None, one) for one in value])}"
        if isinstance(value, str) and (field := _field_of_choice(model, value)):
            return f"Write {{{field}: {value}}}"
        return f"Name its {what}: {', '.join(option_names(model))}"
    if expected == "a mapping" and isinstance(value, str) and value.isidentifier():
        return f"Write {{{value}: {{…}}}}, or {value}: and what it is below"
    if expected == "a mapping" and _scalars(value) and value:
        return f"Write a mapping of names: {{{', '.join(f'{one}: {{…}}' for one in value)}}}"
    if "number" in expected and isinstance(value, str):
        return _number_in(value)
    if expected == "a whole number" and isinstance(value, float) and value.is_integer():
        return f"Write {int(value)}"
    if expected == "text" and isinstance(value, int | float):
        return "Put it in quotes if it is meant as text"
    if expected == "true or false" and str(value).lower() in ("yes", "no", "on", "off", "y", "n"):
        return f"Write {'true' if str(value).lower() in ('yes', 'on', 'y') else 'false'}"
    choices = re.findall(r"'([^']*)'", expected)
    if choices and isinstance(value, str):
        found = nearest(value, choices) or elsewhere.value(value, choices)
        return f"Did you mean {found!r}?" if found else None
    return None


def _field_of_choice(model: type[BaseModel], value: str) -> str | None:
    """The field of a section of which a word is one of the values; None where there is none."""
    fields = model.model_fields.items()
    return next((name for name, f in fields if value in get_args(f.annotation)), None)


def _scalars(value: Any) -> bool:
    """True if a value is a list of numbers or words."""
    return isinstance(value, list | tuple) and all(
        isinstance(one, int | float | str) for one in value
    )


def _number_in(text: str) -> str | None:
    """A remedy for a number that is there as text: in quotes, or with separators."""
    stripped = text.replace("_", "").replace(",", "").strip()
    if any(dialect.is_scalar(dialect.PREFIX + tag, stripped) for tag in ("int", "float")):
        return f"Write {stripped}, without quotes or separators"
    return None
