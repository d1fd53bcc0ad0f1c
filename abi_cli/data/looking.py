"""A look at a table without a model: the kind that each of its columns seems to have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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
from abi_cli.spec.problems import suggestion

_MOST_WORDS = 20
"""Most different words of a column of categories."""

_ERRORS = re.compile(r"(.*_)?(sei?|sem|se_?te|std_?err(or)?|standard_error)|se_.+", re.IGNORECASE)
"""Names of columns of standard errors."""
_TIMES = re.compile(
    r"(.*_)?(days?|weeks?|months?|years?|hours?|minutes?|seconds?|times?|t)", re.IGNORECASE
)
_COMES_WITH_DATA = re.compile(r"(.*_)?(exposure|ages?|doses?)", re.IGNORECASE)
"""Names of columns that are known beside the data, not drawn by the model; so are those above."""
_SKEWED = 1.0
"""Skewness from which positive numbers are taken for log-normal."""
_SMALL_COUNT = 10.0
"""Largest median of whole numbers that are taken for counts."""
_USUALLY_MISSING = 0.3
"""Share of values that may be missing where fewer are."""

_SERIES = 8
"""Fewest steps of what is taken for a series by its times."""


class Kind(StrEnum):
    """The distribution that a column's values suggest."""

    NORMAL = "normal"
    LOG_NORMAL = "log-normal"
    COUNT = "negative binomial"
    SHARE = "beta"
    CHOICE = "Bernoulli"


@dataclass(frozen=True)
class Shown:
    """A column, and the scale of its values in numbers that a person would write.

    Arguments:
        low, high: The range of its values, likewise.
        words: What its cells say, where they are categories: they stand for 0, 1, ….
        whole: Its values are whole numbers.
        log_centre, log_spread: Of the logarithms, where they are positive.
    """

    name: str
    centre: float
    spread: float
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()
    kind: Kind = Kind.NORMAL
    whole: bool = False
    log_centre: float = 0.0
    log_spread: float = 1.0


@dataclass(frozen=True)
class Look:
    """Observations on a table.

    Arguments:
        label: The column that names the data sets; None where all rows are one.
        time: A column of dates or of regular times, by which the rows of a data set are steps of a
            series.
        drawn: What a model is to draw.
        given: What comes with the data: standard errors, days, conditions.
        sizes: The fewest and the most rows of a data set, and some more either way.
        datasets: How many there are.
        gaps: Column in which some values are missing → the largest share that a data set may lack,
            and some more.
        names: Columns of names, which no model has a use for.
        lacking: Columns that would explain an outcome, but lack values; they were left out.
        error: A column of standard errors among those given.
    """

    label: str | None
    time: str | None
    drawn: tuple[Shown, ...]
    given: tuple[Shown, ...]
    sizes: tuple[int, int]
    datasets: int
    gaps: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    error: str | None = None


def looked_at(path: Path, *, outcome: str | None = None) -> Look:
    """Look at a CSV or TSV table.

    Arguments:
        outcome: The only column that a model is to draw; the others come with the data.

    Errors:
        DataError: It can't be read, holds nothing that a model could draw, has no such outcome, or
            a column is called what no variable can be.
    """
    source = Source(path)
    with delimited.read(source, delimiter="\t" if path.suffix.lower() == ".tsv" else ",") as table:
        header, (rows, number) = table.sheet.header, table.sheet.rows()
    texts: dict[str, Sequence[str]] = {
        name: column
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
        if name not in ROW_NAMES
    }
    if outcome is not None and outcome not in texts:
        raise DataError(
            f"expected a column {outcome}; got {', '.join(texts)}",
            place=str(path),
            hint=suggestion(outcome, list(texts), title="Columns"),
        )
    label = _label({name: cells for name, cells in texts.items() if name != outcome})
    labels = texts.pop(label) if label is not None else [""] * len(rows)
    sizes = Counter(labels)
    dates = (name for name, cells in texts.items() if _are_dates(cells))
    time = next(dates, None if outcome else _times(texts, labels))
    names = tuple(
        name for name, cells in texts.items() if name not in (time, outcome) and _are_names(cells)
    )
    shown: list[Shown] = []
    gaps: dict[str, float] = {}
    for name, cells in texts.items():
        if name == time or name in names:
            continue
        if reason := refuse_variable_name(name):
            raise DataError(reason, place=f"{source}, row 1", hint="Rename the column.")
        column, lacks = _shown(name, cells, number, source)
        shown.append(column)
        if lacks:
            gaps[name] = _most_missing(cells, labels)
    drawn = tuple(column for column in shown if _is_drawn(column, outcome))
    if not drawn:
        raise DataError(
            "expected columns of numbers for a model to draw; got none beside "
            f"{', '.join([*([label] if label else []), *texts]) or 'the labels of the data sets'}",
            place=str(path),
            hint="Words, and columns called like se or day, come with the data; what a model draws "
            "is beside them, or named by --outcome.",
        )
    given = tuple(column for column in shown if column not in drawn)
    lacking = tuple(one.name for one in given if outcome is not None and one.name in gaps)
    given = tuple(column for column in given if column.name not in lacking)
    errors = (column.name for column in given if _ERRORS.fullmatch(column.name))
    fewest, most = min(sizes.values()), max(sizes.values())
    if fewest == most:  # the next data set will have another size
        fewest, most = (most + 1) // 2, 2 * most
    return Look(
        label=label,
        time=time,
        drawn=drawn,
        given=given,
        sizes=(fewest, most),
        datasets=len(sizes),
        gaps={name: most for name, most in gaps.items() if name not in lacking},
        names=names,
        lacking=lacking,
        error=next(errors, None),
    )


def _is_drawn(column: Shown, outcome: str | None) -> bool:
    """True of what a model is to draw.

    Errors:
        DataError: It is the outcome, and holds more than two words.
    """
    if outcome is None:
        known = any(names.fullmatch(column.name) for names in (_ERRORS, _TIMES, _COMES_WITH_DATA))
        return not (column.words or known)
    if column.name == outcome and len(column.words) > 2:
        raise DataError(
            f"expected numbers or two words as the outcome {outcome}; got {len(column.words)}: "
            f"{', '.join(column.words)}",
            hint="Choices among several need a model of your own: begin without --outcome.",
        )
    return column.name == outcome


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


def _times(texts: dict[str, Sequence[str]], labels: Sequence[str]) -> str | None:
    """The column by whose numbers the rows of each data set are regular steps."""
    steps = np.unique(np.asarray(labels), return_inverse=True)[1]
    if np.bincount(steps).min() < _SERIES:
        return None
    within = steps[1:] == steps[:-1]
    for name, cells in texts.items():
        if _TIMES.fullmatch(name) and all(map(_is_number, cells)):
            gaps = np.diff([float(cell.replace(",", ".")) for cell in cells])[within]
            if gaps.min() > 0 and np.allclose(gaps, gaps[0]):
                return name
    return None


def _most_missing(cells: Sequence[str], labels: Sequence[str]) -> float:
    """A share, in tenths, above what any data set lacks."""
    missing = Missing()
    lacks: Counter[str] = Counter()
    sizes = Counter(labels)
    for cell, label in zip(cells, labels, strict=True):
        lacks[label] += missing.says(cell)
    most = max(lacks[label] / size for label, size in sizes.items())
    return float(np.clip(np.ceil(10 * most + 1 - 1e-9) / 10, _USUALLY_MISSING, 0.9))


def _are_names(cells: Sequence[str]) -> bool:
    """True of words, for the most part, that are too many for categories or all different."""
    missing = Missing()
    there = [cell.strip() for cell in cells if not missing.says(cell)]
    words = set(there)
    numbers = sum(map(_is_number, words))
    different = len(words) == len(there) > 2
    return (len(words) > _MOST_WORDS or different) and numbers < len(words) / 2


def _shown(
    name: str, cells: Sequence[str], number: np.ndarray, source: Source
) -> tuple[Shown, bool]:
    """A column, and whether it lacks some values.

    Errors:
        DataError: It holds neither numbers nor a few words.
    """
    missing = Missing()
    there = [cell.strip() for cell in cells if not missing.says(cell)]
    lacks = len(there) < len(cells)
    words = tuple(sorted(set(there)))
    if there and not any(_is_number(cell) for cell in words) and len(words) <= _MOST_WORDS:
        return Shown(name, 0.5, 0.5, 0.0, len(words), words, Kind.CHOICE, whole=True), lacks
    meaning = Meaning(gaps=True, variable=name)
    values = numbers_of(cells, number, name, source, meaning)
    values = values[~np.isnan(values)]
    if not len(values):
        raise DataError(
            "expected values; all are missing",
            place=f"{source}, column {name}",
            hint="Leave the column out.",
        )
    mean, sd = values.mean(), _sd(values)
    low, high = short(values.min()), short(values.max())
    logs = np.log(values) if values.min() > 0 else np.zeros(1)
    return Shown(
        name,
        0.0 if abs(mean) < 0.01 * sd else short(mean),
        short(sd) or 1.0,
        low,
        high if high > low else low + 1.0,
        kind=_kind(values),
        whole=bool((values == np.round(values)).all()),
        log_centre=short(logs.mean()),
        log_spread=short(_sd(logs)) or 1.0,
    ), lacks


def _kind(values: np.ndarray) -> Kind:
    """The distribution that the values `(row,)` suggest, at a glance."""
    different = np.unique(values)
    whole, least = bool((values == np.round(values)).all()), values.min()
    if np.array_equal(different, [0, 1]):
        return Kind.CHOICE
    if whole and least >= 0 and len(different) > 2 and np.median(values) < _SMALL_COUNT:
        return Kind.COUNT
    if least > 0 and values.max() < 1 and len(different) > 4:
        return Kind.SHARE
    sd = _sd(values)
    skewness = np.mean(((values - values.mean()) / sd) ** 3) if sd > 0 else 0.0
    return Kind.LOG_NORMAL if least > 0 and skewness > _SKEWED else Kind.NORMAL


def _sd(values: np.ndarray) -> float:
    """The standard deviation; 0 of equal values, where rounding may leave it off zero."""
    return 0.0 if values.min() == values.max() else float(values.std())


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text.replace(",", "."))))
    except ValueError:
        return False


def short(value: float) -> float:
    """A number with two digits, as a person would write it."""
    return float(f"{value:.2g}")
