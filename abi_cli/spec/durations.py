"""Lengths of time as people write them: 5 min, 30 s, 1h30m, or a number of seconds."""

from __future__ import annotations

import re

_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
_PART = rf"({_NUMBER})\s*(d|h|min|m|sec|s)"

EXPECTED = "a length of time such as 30 s, 5 min, 2 h or 1h30m"


def seconds(text: str) -> float:
    """The number of seconds that a text means.

    Errors:
        ValueError: None, or not more than 0.
    """
    plain = text.strip().lower()
    if re.fullmatch(_NUMBER, plain):
        total = float(plain)
    elif re.fullmatch(rf"({_PART}\s*)+", plain):
        total = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, plain))
    else:
        total = 0.0
    if total <= 0:
        raise ValueError(f"Expected {EXPECTED}; got {text!r}")
    return total
