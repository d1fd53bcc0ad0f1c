"""A look at a table without a model: the kind that each of its columns seems to have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import delimited
from abi_cli.data.cells import numbers_of
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.files import Source
from abi_cli.data.label_like import Column
from abi_cli.data.meanings import Meaning, Missing, as_date
from abi_cli.errors import DataError
from abi_cli.spec import refuse_variable_name

_MOST_WORDS = 20
"""Most different words of a column of categories."""

_COMES_WITH_DATA = re.compile(
    r"(.*_)?(se|sem|stderr|std_err|standard_error|exposure|days?|weeks?|months?|years?|hours?|"
    r"minutes?|seconds?|times?|ages?|doses?|t)",
    re.IGNORECASE,
)
"""Names of columns that are known beside the data, not drawn by the model."""


@dataclass(frozen=True)
class Shown:
    """A column, and the scale of its values in numbers that a person would write.

    Arguments:
        low, high: The range of its values, likewise.
        words: What its cells say, where they are categories: they stand for 0, 1, ….
    """

    name: str
    centre: float
    spread: float
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()

    @property
    def half(self) -> float:
        """Half of the spread."""
        return self.spread / 2


@dataclass(frozen=True)
class Look:
    """Observations on a table.

    Arguments:
        label: The column that names the data sets; None where all rows are one.
        time: A column of dates, by which the rows of a data set are steps of a series.
        drawn: What a model is to draw.
        given: What comes with the data: standard errors, days, conditions.
        sizes: The fewest and the most rows of a data set, and some more either way.
        datasets: How many there are.
        gaps: Columns in which some values are missing.
        names: Columns of names, which no model has a use for.
    """

    label: str | None
    time: str | None
    drawn: tuple[Shown, ...]
    given: tuple[Shown, ...]
    sizes: tuple[int, int]
    datasets: int
    gaps: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def looked_at(path: Path) -> Look:
    """Look at a CSV or TSV table.

    Errors:
        DataError: It can't be read, holds nothing that a model could draw, or a column is called
            what no variable can be.
    """
    source = Source(path)
    with delimited.read(source, delimiter="\t" if path.suffix.lower() == ".tsv" else ",") as table:
        header, (rows, number) = table.sheet.header, table.sheet.rows()
    texts: dict[str, Sequence[str]] = {
        name: column
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
        if name not in ROW_NAMES
    }
    label = _label(texts)
    sizes = Counter(texts.pop(label)) if label is not None else Counter({"": len(rows)})
    time = next((name for name, cells in texts.items() if _are_dates(cells)), None)
    names = tuple(name for name, cells in texts.items() if name != time and _are_names(cells))
    drawn: list[Shown] = []
    given: list[Shown] = []
    gaps: list[str] = []
    for name, cells in texts.items():
        if name == time or name in names:
            continue
        if reason := refuse_variable_name(name):
            raise DataError(reason, place=f"{source}, row 1", hint="Rename the column.")
        shown, lacks = _shown(name, cells, number, source)
        (given if shown.words or _COMES_WITH_DATA.fullmatch(name) else drawn).append(shown)
        gaps += [name] if lacks else []
    if not drawn:
        raise DataError(
            "expected columns of numbers for a model to draw; got none beside "
            f"{', '.join([*([label] if label else []), *texts]) or 'the labels of the data sets'}",
            place=str(path),
            hint="Words, and columns called like se or day, come with the data; what a model draws "
            "is beside them.",
        )
    fewest, most = min(sizes.values()), max(sizes.values())
    if fewest == most:  # the next data set will have another size
        fewest, most = (most + 1) // 2, 2 * most
    return Look(
        label, time, tuple(drawn), tuple(given), (fewest, most), len(sizes), tuple(gaps), names
    )


def _label(texts: dict[str, Sequence[str]]) -> str | None:
    if LABEL in texts:
        return LABEL
    for name, cells in texts.items():
        column = Column(name)
        column.add(cells)
        if column.is_label and not _are_dates(cells):
            return name
    return None


def _are_dates(cells: Sequence[str]) -> bool:
    return all(as_date(cell.strip()) is not None for cell in cells)


def _are_names(cells: Sequence[str]) -> bool:
    """True of words, for the most part, that are too many for categories."""
    missing = Missing()
    words = {cell.strip() for cell in cells if not missing.says(cell)}
    numbers = sum(map(_is_number, words))
    return len(words) > _MOST_WORDS and numbers < len(words) / 2


def _shown(
    name: str, cells: Sequence[str], number: np.ndarray, source: Source
) -> tuple[Shown, bool]:
    """A column, and whether it lacks some values.

    Errors:
        DataError: It holds neither numbers nor a few words.
    """
    missing = Missing()
    there = [cell.strip() for cell in cells if not missing.says(cell)]
    words = tuple(sorted(set(there)))
    if there and not any(_is_number(cell) for cell in words) and len(words) <= _MOST_WORDS:
        return Shown(name, 0.0, 1.0, 0.0, len(words), words), len(there) < len(cells)
    meaning = Meaning(gaps=True, variable=name)
    values = numbers_of(cells, number, name, source, meaning)
    values = values[~np.isnan(values)]
    if not len(values):
        raise DataError(
            "expected values; all are missing",
            place=f"{source}, column {name}",
            hint="Leave the column out.",
        )
    mean = values.mean()
    sd = 0.0 if values.min() == values.max() else values.std()  # which rounding may leave off zero
    centre = 0.0 if abs(mean) < 0.01 * sd else _short(mean)
    low, high = _short(values.min()), _short(values.max())
    shown = Shown(name, centre, _short(sd) or 1.0, low, high if high > low else low + 1.0)
    return shown, len(there) < len(cells)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text.replace(",", "."))))
    except ValueError:
        return False


def _short(value: float) -> float:
    """A number with two digits, as a person would write it."""
    return float(f"{value:.2g}")
