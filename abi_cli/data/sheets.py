"""Tables as files have them, and their columns of numbers, read in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from abi_cli.data.cells import labels_of, numbers_of
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.files import Source
from abi_cli.data.label_like import Column
from abi_cli.data.meanings import PLAIN, Meaning
from abi_cli.errors import DataError

MOST_COLUMNS = 100_000
"""Number of columns of a table, at most; more are no table that somebody meant."""

Block = tuple[list[Sequence[Any]], np.ndarray]
"""The cells of some rows, column by column, and the numbers of these rows in the file, `(row,)`."""


def in_text(cells: Sequence[Any]) -> Sequence[str]:
    """The cells, which are texts already."""
    return cells


@dataclass(frozen=True)
class Sheet:
    """A table as its file has it, whose rows are read once.

    Arguments:
        source: Where it is read.
        header: Names of the columns.
        cells: Names of columns → their cells, some rows at a time; at least one block.
        groups: Name of the column of labels, a number → sheets of so many data sets, of which the
            rows follow each other; None where rows don't come one after the other.
        numbers, labels, texts: What cells stand for; see `numbers_of`, `labels_of`.

    Errors:
        DataError: Columns have the same name, or are more than any table has.
    """

    source: Source
    header: list[str]
    cells: Callable[[Sequence[str]], Iterator[Block]]
    groups: Callable[[str, int], Iterator[Sheet]] | None = None
    numbers: Callable[[Sequence[Any], np.ndarray, str, Source, Meaning], np.ndarray] = numbers_of
    labels: Callable[[Sequence[Any], np.ndarray, str, Source], list[str]] = labels_of
    texts: Callable[[Sequence[Any]], Sequence[str]] = in_text

    def __post_init__(self) -> None:
        if len(self.header) > MOST_COLUMNS:
            raise DataError(
                f"expected up to {MOST_COLUMNS:,} columns; got {len(self.header):,}",
                place=f"{self.source}, row 1",
            )
        twice = [name for name, times in Counter(self.header).items() if times > 1]
        if twice:
            raise DataError(
                f"expected each column once; got {twice[0]!r} {self.header.count(twice[0])} times",
                place=f"{self.source}, row 1",
                hint="Rename or remove the columns that are not meant.",
            )

    def rows(self) -> tuple[list[tuple[str, ...]], np.ndarray]:
        """The rows as texts, all of them, and their numbers `(row,)`.

        Errors:
            DataError: There are none, or rows of another length.
        """
        found: list[tuple[str, ...]] = []
        numbers = []
        for cells, number in self.cells(self.header):
            found += zip(*map(self.texts, cells), strict=True)
            numbers.append(number)
        return found, np.concatenate(numbers)


@dataclass(frozen=True)
class Columns:
    """Columns of numbers, with the data set that each row belongs to.

    Arguments:
        source: Where they were read.
        labels: The labels of the data sets, first seen first; None without a label column.
        codes: `(row,)`, the index in `labels` of each row's; zeros without a label column.
        values: Column name → `(row,)` float64, finite.
        unused: The columns that were not chosen.
        numbers: `(row,)`, which row of the file it is; the header is row 1.
        originals: What the file calls its columns.
        label_like: Where there is no label column, those not chosen that repeat as one does.
    """

    source: Source
    labels: tuple[str, ...] | None
    codes: np.ndarray
    values: dict[str, np.ndarray]
    unused: tuple[str, ...]
    numbers: np.ndarray
    originals: Mapping[str, str]
    label_like: tuple[str, ...]

    def place(self, row: int, column: str | None = None) -> str:
        """The place of a row, or of a cell of it, in the file."""
        where = f"{self.source}, row {self.numbers[row]}"
        return where if column is None else f"{where}, column {self.originals[column]}"


def read_columns(
    sheet: Sheet,
    names: Sequence[str],
    *,
    header: Sequence[str] | None = None,
    meanings: Mapping[str, Meaning] = MappingProxyType({}),
) -> Columns:
    """Read columns, all of which hold numbers.

    Arguments:
        names: Names of the columns, in our words.
        header: In our words; that of the sheet by default.
        meanings: Column → what its cells may say beside numbers.

    Errors:
        DataError: No rows, rows of another length, cells that are no numbers.
    """
    originals = dict(zip(header or sheet.header, sheet.header, strict=True))
    labelled = LABEL in originals
    others = {} if labelled else _candidates(originals, names)
    asked = (*names, *others, *([LABEL] if labelled else ()))
    parts: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    codes, numbers = [], []
    code_of: defaultdict[str, int] = defaultdict(lambda: len(code_of))
    for block, number in sheet.cells([originals[name] for name in asked]):
        cells = dict(zip(asked, block, strict=True))
        for name, column in others.items():
            column.add(sheet.texts(cells[name]))
        for name in names:
            meaning = meanings.get(name, PLAIN)
            found = sheet.numbers(cells[name], number, originals[name], sheet.source, meaning)
            parts[name].append(found)
        labels = (
            sheet.labels(cells[LABEL], number, originals[LABEL], sheet.source)
            if labelled
            else [""] * len(number)
        )
        codes.append(np.fromiter(map(code_of.__getitem__, labels), np.int64, len(number)))
        numbers.append(number)
    return Columns(
        source=sheet.source,
        labels=tuple(code_of) if labelled else None,
        codes=np.concatenate(codes),
        values={name: np.concatenate(parts[name]) for name in names},
        unused=tuple(originals[n] for n in originals if n not in parts and n != LABEL),
        numbers=np.concatenate(numbers),
        originals=originals,
        label_like=tuple(originals[name] for name, column in others.items() if column.is_label),
    )


def _candidates(originals: Mapping[str, str], names: Sequence[str]) -> dict[str, Column]:
    """Columns among which the label may be, where none is called so."""
    return {
        name: Column(original)
        for name, original in originals.items()
        if name not in names and original not in ROW_NAMES
    }
