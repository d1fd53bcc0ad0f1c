"""The types of a spec's fields: what a name may be, how a function is named, what is declared."""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from abi_cli.registry import Part
from abi_cli.spec.calls import sampling_statements
from abi_cli.spec.durations import EXPECTED, seconds
from abi_cli.spec.problems import Code
from abi_cli.spec.shorthand import OneOf, PartOf, describe, refusal

RESERVED_NAMES = ("rng", "batch_size", "dataset", "draw", "chain", "row_size", "log_prob")
"""Names that no variable may have: arguments that user functions get, columns that files have."""


def refuse_variable_name(name: str) -> str | None:
    """The reason why a variable can't be called this, with a remedy; None where it can."""
    if name in RESERVED_NAMES:
        return f"{name!r} is reserved ({', '.join(RESERVED_NAMES)}): choose another name"
    if keyword.iskeyword(name):
        return f"{name!r} is a Python keyword, so no function can take it: call it '{name}_'"
    if not name.isidentifier():
        return f"{name!r} can't be an argument of a Python function: use letters, digits and _"
    return None


def _variable_name(name: str) -> str:
    reason = refuse_variable_name(name)
    if reason:
        raise refusal(Code.NAME, reason)
    return name


def _run_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise refusal(
            Code.NAME,
            f"Expected a name that can be a folder's; got {name!r}",
            hint="Use letters, digits, _, - and dots; begin with a letter or digit",
        )
    return name


def _function_reference(reference: str) -> str:
    where, colon, name = reference.rpartition(":")
    module = all(part.isidentifier() for part in where.split("."))
    if colon and name.isidentifier() and (where.endswith(".py") or module):
        return reference
    raise refusal(
        Code.NAME,
        f"Expected a function as FILE.py:NAME or PACKAGE.MODULE:NAME; got {reference.strip()!r}",
        hint=_function_meant(reference.strip()),
    )


def _function_meant(text: str) -> str:
    """A remedy for text that is no function reference: statements of Stan, and near misses."""
    if statements := sampling_statements(text):
        return f"Write {statements}"
    if re.fullmatch(r"[\w./-]+\.py", text):
        return f"Name the function in it, as {text}:NAME"
    if dotted := re.fullmatch(r"([\w./-]+\.py)[./]([A-Za-z_]\w*)", text):
        return f"Write {dotted[1]}:{dotted[2]}"
    if re.fullmatch(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", text):
        module, _, name = text.partition(".")
        return f"Write {module}.py:{name} if {module}.py is beside the spec"
    return "Functions are in Python files beside the spec: write, for example, model.py:likelihood"


def is_module_reference(reference: str) -> bool:
    """True if text is `file.py` or `package.module`."""
    return reference.endswith(".py") or all(part.isidentifier() for part in reference.split("."))


def _module_reference(reference: str) -> str:
    if is_module_reference(reference):
        return reference
    raise refusal(
        Code.NAME,
        f"Expected a module as FILE.py or PACKAGE.MODULE; got {reference!r}",
        hint="For example my_parts.py; files are looked for beside the spec",
    )


def _label(label: str) -> str:
    if not label.strip():
        raise refusal(Code.VALUE, "Expected a label; got empty text")
    return label


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _duration(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:g} s" if number else value if isinstance(value, str) else ""
    try:
        seconds(text)
    except ValueError:
        raise refusal(Code.VALUE, f"Expected {EXPECTED}; got {describe(value)}") from None
    return text


Duration = Annotated[
    str,
    BeforeValidator(_duration),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}),
]
"""A length of time, as text that `durations.seconds` reads."""


def _count_or_share(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip()) if isinstance(value, str) else None
    if found and float(found[1]) < 100:
        return f"{float(found[1]):g} %"
    raise refusal(
        Code.VALUE, f"Expected a whole number, or a share such as 1 %; got {describe(value)}"
    )


CountOrShare = Annotated[
    int | str,
    BeforeValidator(_count_or_share),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
]
"""A number of simulations, or a share of all of them."""

ModuleReference = Annotated[str, AfterValidator(_module_reference)]
VariableName = Annotated[str, AfterValidator(_variable_name)]
RunName = Annotated[str, AfterValidator(_run_name)]
FunctionReference = Annotated[str, AfterValidator(_function_reference)]
Labels = Annotated[
    tuple[Annotated[str, AfterValidator(_label)], ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Count = Annotated[int, Field(ge=1)]
Distributed = Annotated[Part, PartOf("distribution", number="choice", listed=True)]
"""A distribution; a number is one that has no other value."""


def _is_function(value: Any) -> bool:
    return isinstance(value, str) and ":" in value


def _drawn_by(value: Any) -> Any:
    return FunctionReference if _is_function(value) else Distributed


Declarations = dict[VariableName, Annotated[FunctionReference | Distributed, OneOf(_drawn_by)]]


def function_or_declarations(value: Any) -> Any:
    """The form, of two, that a value is meant to have: its problems are reported by that form."""
    if isinstance(value, str):
        return FunctionReference
    if isinstance(value, dict) and value:
        return Declarations
    raise refusal(
        Code.VALUE,
        f"Expected a function, or a distribution for each variable; got {describe(value)}",
        hint="For example model.py:prior, or {sigma: {gamma: {shape: 1}}}",
    )


FunctionOrDeclarations = Annotated[
    FunctionReference | Declarations, OneOf(function_or_declarations)
]
"""`file.py:name`, or a mapping from variables to distributions and functions that draw them."""
