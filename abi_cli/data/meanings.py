"""Meanings of cells that are not numbers: words for numbers, missing values, dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from abi_cli.spec.dump import one_line

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
"""Words for a missing value, in lower case."""

_DAY = 86_400.0
_FEW = 6
"""Words that a message shows."""


NO_PLACE = (
    "This model has no place for missing values: fill it in, leave the row out, or train with "
    "missing: in the spec."
)
"""Advice on a value that is missing, where none may be."""


@dataclass(frozen=True)
class Missing:
    """Words for a missing value in the files of a model, whatever their format.

    Arguments:
        words: In lower case.
        numbers: A value that is one of them is missing, however it is written: -999, -9.99e2.
    """

    words: frozenset[str] = MISSING
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, said: Iterable[str | float]) -> Missing:
        """The usual words, and those of a spec beside them."""
        texts = [str(item).strip() for item in said]
        numbers = {float(text) for text in texts if _is_number(text)}
        words = MISSING.union(text.lower() for text in texts if not _is_number(text))
        return cls(words, tuple(sorted(numbers)))

    def says(self, text: str) -> bool:
        """True if a text stands for a missing value."""
        text = text.strip()
        if text.lower() in self.words:
            return True
        return bool(self.numbers) and _is_number(text) and float(text) in self.numbers

    def among(self, values: np.ndarray) -> np.ndarray:
        """True where numbers stand for a missing value, in the precision they are stored in."""
        if not self.numbers or values.dtype.kind not in "iuf":
            return np.zeros(values.shape, dtype=bool)
        single = values.dtype.kind == "f" and values.dtype.itemsize < np.dtype(float).itemsize
        numbers = np.array(self.numbers)
        return np.isin(values, numbers.astype(values.dtype) if single else numbers)


@dataclass(frozen=True)
class Meaning:
    """The meaning of the cells of one column, key or array.

    Arguments:
        words: The number that a word stands for.
        missing: What stands for a missing value.
        gaps: Whether values may be missing; else what stands for that is a mistake.
        dates: Whether dates and times stand for days since 1970.
        variable: Whose values they are, for messages.
    """

    words: Mapping[str, int] = field(default_factory=dict)
    missing: Missing = field(default_factory=Missing)
    gaps: bool = False
    dates: bool = False
    variable: str = ""

    @property
    def is_plain(self) -> bool:
        """True if cells hold nothing but numbers."""
        return not (self.words or self.gaps or self.dates)

    def number(self, cell: Any) -> Any:
        """The number that a cell stands for; the cell as it is where it stands for none.

        Arguments:
            cell: Text, or None for nothing. Numbers stay what they are.
        """
        if cell is None:
            return np.nan if self.gaps else None
        if isinstance(cell, date) and self.dates:
            return _days(cell)
        if not isinstance(cell, str):
            return cell
        text = cell.strip()
        if text in self.words:
            return self.words[text]
        if self.gaps and self.missing.says(text):
            return np.nan
        day = as_date(text) if self.dates else None
        return cell if day is None else _days(day)

    def numbers(self, cells: Sequence[Any]) -> list[Any]:
        """The numbers that several cells stand for; dates stay dates beside other cells."""
        found = [self.number(cell) for cell in cells]
        if not self.dates:
            return found
        days = [isinstance(c, str) and as_date(c.strip()) is not None for c in cells]
        return list(cells) if any(days) and not all(days) else found

    def texts(self, cells: Sequence[str]) -> Sequence[str]:
        """The numbers that a column of texts stand for, as texts."""
        if self.is_plain:
            return cells
        found = self.numbers(cells)
        return [c if n is c else repr(float(n)) for c, n in zip(cells, found, strict=True)]

    def remedy(self, cell: str, others: Sequence[str]) -> str:
        """The advice on a cell that is no number.

        Arguments:
            others: Cells of the same column, in which words may come again.
        """
        text, name = cell.strip(), self.variable
        if self.missing.says(text):
            return NO_PLACE
        if _is_number(text.replace(",", ".")):
            return "Write decimals with a point."
        if _IN_GROUPS.fullmatch(text):
            return "Write decimals with a point, and thousands without anything between digits."
        if self.words:
            return f"The words of this column are {', '.join(self.words)}."
        if _WITH_UNIT.fullmatch(text):
            return "Write the number without its unit, or leave the row out."
        if not name:
            return "Correct the cell, or leave the row out."
        if as_date(text) is not None:
            return (
                f"A date is no number. Give days since the first; or, where {name} puts the steps "
                f"of a series in order, say `observables: {{y: {{kind: series, time: {name}}}}}`."
            )
        words = [word for word in dict.fromkeys(map(str.strip, others)) if not _is_number(word)]
        if 2 * sum(not _is_number(word) for word in others) >= len(others):
            truths = {word.lower() for word in words} <= {"true", "false", "t", "f"}
            shown = sorted(words, key=str.lower) if truths else words[:_FEW]
            listed = one_line(shown)  # in quotes where YAML reads something else: TRUE
            if len(words) > _FEW:
                listed = f"{listed[:-1]}, …]"
            return (
                "Words are no numbers. Say which stand for 0, 1, …: "
                f"`data: {{categories: {{{name}: {listed}}}}}`."
            )
        return "Correct the cell, or leave the row out."


PLAIN = Meaning()

_IN_GROUPS = re.compile(r"[+-]?[0-9]{1,3}([.,' _\u2009\u202f][0-9]{3})+([.,][0-9]+)?")
"""A number with something between its thousands."""

_WITH_UNIT = re.compile(r"[+-]?[0-9][0-9.]*(e[+-]?[0-9]+)? ?(%|°C|(?!st|nd|rd|th)[a-zA-Zµ]{1,3})")
"""A number with a unit: 0.3 cm, 5%; 1st has none."""


def as_date(text: str) -> date | None:
    """The date, or date and time, of a text in ISO 8601; None where it is something else."""
    if not text[:4].isdecimal() or text[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _days(day: date) -> float:
    """Days since 1970; what has no time zone counts as UTC."""
    moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() / _DAY


def _is_number(text: str) -> bool:
    try:
        return not np.isnan(float(text)) and "_" not in text
    except ValueError:
        return False
