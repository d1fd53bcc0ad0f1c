"""Text from strangers, such as labels of data sets and errors, on its way to where it is shown."""

from __future__ import annotations

import re
import shlex

_FORMULA = re.compile(r"'*\s*[=+\-@\t\r＝＋－＠]")  # spreadsheets take wide ones, too
"""Beginnings of cells that a spreadsheet would run, or that were kept from that."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing, and those that turn text around."""


def to_type(*words: object) -> str:
    """A command to be typed: its words, in quotes where a shell would take them for something else.

    Every command in a hint is written by it: paths have spaces, and names have brackets.
    """
    return shlex.join(map(str, words))


def cell(text: str) -> str:
    """The text as a cell of a table: one that begins like a formula gets a quote before it.

    Numbers stay what they are, whatever their sign. `label` gives the text back.
    """
    return f"'{text}" if _would_run(text) else text


def label(cell: str) -> str:
    """The text of a cell that `cell` has made."""
    return cell[1:] if cell.startswith("'") and _would_run(cell) else cell


def _would_run(text: str) -> bool:
    return _FORMULA.match(text) is not None and not _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def described(error: BaseException) -> str:
    """The text for an error: `ValueError: scale < 0`."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return f"{name} (its text can't be shown: its __str__ raises)"
    return f"{name}: {text}" if text else name


def shown(text: str) -> str:
    """The text for a terminal: Python's escapes for control characters but line breaks and tabs."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
