"""Distributions written as Stan, PyMC and R have them, `normal(0, 5)`: told how specs say it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from abi_cli import registry
from abi_cli.spec.problems import Code, Path, Position, Problem, suggestion

_CALL = re.compile(r"(?<![\w.:])([A-Za-z]\w*)\(([^()]*)\)")
_KIND = "distribution"

_CODES = (Code.PART, Code.NAME, Code.VALUE, Code.FIELD, Code.KEY)
"""Problems that a call makes, whole or cut at its commas."""

SYNONYMS = {
    **dict.fromkeys(("mu", "mean", "location", "m"), "loc"),
    **dict.fromkeys(("sd", "std", "sigma", "stddev", "s"), "scale"),
    **dict.fromkeys(("nu", "dof"), "df"),
    **dict.fromkeys(("lower", "min", "minimum"), "low"),
    **dict.fromkeys(("upper", "max", "maximum"), "high"),
    **dict.fromkeys(("rate", "lambda", "lam"), "lam"),
    **dict.fromkeys(("alpha", "shape1"), "a"),
    **dict.fromkeys(("beta", "shape2"), "b"),
}
"""What others call an option, where a distribution has no option of that name."""

_BY_RATE = ("gamma", "exponential")
"""Distributions that Stan, PyMC and R write with a rate, and NumPy with a scale, 1 / rate."""


def without_calls(problems: Iterable[Problem]) -> list[Problem]:
    """The same problems; those within what is written as a call are one, with what to write."""
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
            kept.append(_told(problem.path, call, place))
    return kept


def _call_at(place: Position) -> re.Match[str] | None:
    """The call that a place is in, if it is in one."""
    for call in _CALL.finditer(place.source.line(place.line)):
        if call.start() <= place.column - 1 < call.end() and place.width:
            return call
    return None


def _told(path: Path, call: re.Match[str], place: Position) -> Problem:
    name = _ours(call[1])
    at = replace(place, column=call.start() + 1, width=call.end() - call.start())
    known = registry.names(_KIND)
    message = f"Expected a mapping of options, not a call; got {call[0]}"
    if name not in known:
        return Problem(path, message, suggestion(name, known, title="Distributions"), Code.PART, at)
    hint = f"Write {name}: {{{_options(name, call[2])}}}"
    if name in _BY_RATE:
        hint += "; a rate of r is a scale of 1/r. What is a scale already, as in NumPy, stays"
    return Problem(path, message, hint, Code.PART, at)


def _ours(name: str) -> str:
    """HalfNormal, halfnormal or half_normal as half_normal; the name itself where it is none."""
    plain = name.replace("_", "").lower()
    alike = {known.replace("_", ""): known for known in registry.names(_KIND)}
    return alike.get(plain, name)


def _options(name: str, arguments: str) -> str:
    """Arguments of a call as options: `loc: 0, scale: 5`."""
    from abi_cli.spec.shorthand import option_names

    options = [o for o in option_names(registry.get(_KIND, name)) if o != "size"]
    written = []
    free = list(options)
    for argument in filter(None, map(str.strip, arguments.split(","))):
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not equals:
            key, value = (free[0] if free else "…"), argument
        rate = name in _BY_RATE and (key in ("scale", "rate", "lam", "beta", "lambda"))
        if rate and key != "scale":
            key = "scale"
        elif rate and equals:
            rate = False
        key = key if key in options else SYNONYMS.get(key, key)
        if key == "loc" and "loc" not in options and "mean" in options:
            key = "mean"
        if key == "scale" and "scale" not in options and "sigma" in options:
            key = "sigma"
        if key in free:
            free.remove(key)
        written.append(f"{key}: {_inverse(value) if rate else value}")
    return ", ".join(written)


def _inverse(rate: str) -> str:
    """One divided by a rate, as a number where it is one."""
    try:
        return f"{1 / float(rate):.6g}"
    except (ValueError, ZeroDivisionError):
        return f"1/{rate}"
