"""The dialect of YAML that specs are written in: the core schema of YAML 1.2.

PyYAML knows YAML 1.1, in which `5e-4` is text, `NO` is false and `010` is eight. Its loaders and
dumpers look plain text up in `RESOLVERS`; with these it is what a person takes it for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Scalar = str | int | float | bool | None

PREFIX = "tag:yaml.org,2002:"
"""Prefix of the tags of YAML's own types."""

_BASES = {"0o": 8, "0x": 16}


def _integer(text: str) -> int:
    return int(text, _BASES.get(text[:2], 10))


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_FLOAT = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)

# Tag, what its plain text looks like, with which characters that begins, what it means.
_TYPES: tuple[tuple[str, str, str, Callable[[str], Scalar]], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN", lambda _: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer),
    ("float", _FLOAT, "-+.0123456789", _float),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    resolvers = {"": [(PREFIX + "null", re.compile(""))]}
    for tag, pattern, beginnings, _ in _TYPES:
        for character in beginnings:
            whole = re.compile(rf"(?:{pattern})\Z")
            resolvers.setdefault(character, []).append((PREFIX + tag, whole))
    return resolvers


RESOLVERS = _resolvers()
"""For PyYAML: first character of plain text → tags with the patterns of their text, in order."""


def is_scalar(tag: str, text: str) -> bool:
    """True if text with this tag is a scalar of the dialect."""
    if tag == PREFIX + "str":
        return True
    return any(tag == PREFIX + name and re.fullmatch(form, text) for name, form, _, _ in _TYPES)


def scalar(tag: str, text: str) -> Scalar:
    """The value of text with this tag, for which `is_scalar` holds.

    Errors:
        ValueError: An integer of more digits than Python converts.
    """
    value = {PREFIX + name: value for name, _, _, value in _TYPES}.get(tag)
    return value(text) if value else text
