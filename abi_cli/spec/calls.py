"""Distributions written as in Stan, PyMC and R, `normal(0, 5)`: the refusal shows a spec's form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from abi_cli import registry
from abi_cli.spec import elsewhere
from abi_cli.spec.problems import Code, Path, Position, Problem
from abi_cli.spec.section import option_names

_CALL = re.compile(r"(?<![\w.:])([A-Za-z]\w*)\(([^()]*)\)")
_STATEMENT = re.compile(r"([A-Za-z]\w*)\s*~\s*([A-Za-z]\w*)\(([^()]*)\)")
_KIND = "distribution"

_CODES = (Code.PART, Code.NAME, Code.VALUE, Code.FIELD, Code.KEY)
"""Codes of problems that a call causes, whole or cut at its commas."""

_BY_RATE = ("gamma", "exponential")
"""Distributions that Stan, PyMC and R write with a rate, and NumPy with a scale, 1 / rate."""

_RATES = ("rate", "lam", "beta", "lambda")
"""Names of a rate in other programs."""


def without_calls(problems: Iterable[Problem]) -> list[Problem]:
    """Problems, in which those within a call are replaced by one that shows what to write."""
    kept: list[Problem] = []
    told: set[tuple[str, int, int]] = set()
    for problem in problems:
        call = _call_at(problem.position)
        if call is None or problem.code not in _CODES:
            kept.append(problem)
            continue
        place = problem.position
        key = (place.source.name, place.line, call.start())
        if key not in told:
            told.add(key)
            kept.append(_problem_of(problem.path, call, place))
    return kept


def _call_at(place: Position) -> re.Match[str] | None:
    """The call that a place is in, if it is in one."""
    for call in _CALL.finditer(place.source.line(place.line)):
        if call.start() <= place.column - 1 < call.end() and place.width:
            return call
    return None


def _problem_of(path: Path, call: re.Match[str], place: Position) -> Problem:
    name = _ours(call[1])
    at = replace(place, column=call.start() + 1, width=call.end() - call.start())
    known = registry.names(_KIND)
    message = f"Expected a mapping of options, not a call; got {call[0]}"
    if name not in known:
        hint = elsewhere.part(name, _KIND, tuple(known), title="Distributions")
        return Problem(path, message, hint, Code.PART, at)
    hint = f"Write {as_options(name, _arguments(call[2]))}"
    if name in _BY_RATE:
        hint += "; a rate of r is a scale of 1/r. What is a scale already, as in NumPy, stays"
    return Problem(path, message, hint, Code.PART, at)


def sampling_statements(text: str) -> str:
    """Statements like `mu ~ normal(0, 5)` as a spec says them; empty where there are none."""
    written = []
    for variable, called, arguments in _STATEMENT.findall(text):
        if (name := _ours(called)) in registry.names(_KIND):
            pairs = _arguments(arguments)
            written.append(f"{variable}: {{{as_options(name, pairs)}}}")
    return ", ".join(written)


def _arguments(text: str) -> list[tuple[str | None, str]]:
    """Name, where it has one, and value of each argument of a call."""
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return [(key.strip() if eq else None, (value if eq else key)) for key, eq, value in parts]


def _ours(name: str) -> str:
    """The name half_normal for HalfNormal or halfnormal; else the name itself."""
    plain = name.replace("_", "").lower()
    alike = {known.replace("_", ""): known for known in registry.names(_KIND)}
    return alike.get(plain, name)


def as_options(name: str, arguments: Sequence[tuple[str | None, Any]]) -> str:
    """A distribution with its arguments as specs say it: `normal: {loc: 0, scale: 5}`.

    Arguments:
        arguments: What others call each, None where it is told by its place, and its value.
    """
    options = [o for o in option_names(registry.get(_KIND, name)) if o != "size"]
    free, written = list(options), []
    for key, value in arguments:
        word = key or (free[0] if free else "…")
        option = elsewhere.option(word, options) or word
        by_rate = name in _BY_RATE and (word in _RATES if key else option == "scale")
        option = "scale" if by_rate else option
        if option in free:
            free.remove(option)
        text = str(value).strip()
        written.append(f"{option}: {_inverse(text) if by_rate else text}")
    return f"{name}: {{{', '.join(written)}}}"


def _inverse(rate: str) -> str:
    """One divided by a rate, as a number where it is one."""
    try:
        return f"{1 / float(rate):.6g}"
    except (ValueError, ZeroDivisionError):
        return f"1/{rate}"
