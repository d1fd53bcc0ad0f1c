"""Delimited text with a header, read column by column in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from types import MappingProxyType

import numpy as np

from abi_cli.data.cells import labels_of, numbers_of
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.files import Source
from abi_cli.data.label_like import Column
from abi_cli.data.meanings import PLAIN, Meaning
from abi_cli.data.text_rows import EXPECTED, rows_of
from abi_cli.errors import DataError

_ROWS_AT_ONCE = 512  # small enough to stay in the cache: half as fast with 16,384
_CELLS_AT_ONCE = 2_000_000

MOST_COLUMNS = 100_000
"""Of a table; what has more is no table that somebody meant."""


@dataclass(frozen=True)
class Table:
    """Columns of numbers, with the data set that each row belongs to.

    Arguments:
        source: Where it was read.
        labels: The labels of the data sets, first seen first; None without a label column.
        codes: `(row,)`, the index in `labels` of each row's; zeros without a label column.
        columns: Column name → `(row,)` float64, finite.
        unused: The columns that were not chosen.
        numbers: `(row,)`, which row of the file it is; the header is row 1.
        originals: What the file calls its columns.
        label_like: Where there is no label column, those not chosen that repeat as one does.
    """

    source: Source
    labels: tuple[str, ...] | None
    codes: np.ndarray
    columns: dict[str, np.ndarray]
    unused: tuple[str, ...]
    numbers: np.ndarray
    originals: Mapping[str, str]
    label_like: tuple[str, ...] = ()

    def place(self, row: int, column: str | None = None) -> str:
        """Where a row, or a cell of it, stands in the file."""
        where = f"{self.source}, row {self.numbers[row]}"
        return where if column is None else f"{where}, column {self.originals[column]}"


def read_table(
    source: Source,
    choose: Callable[[Sequence[str]], Sequence[str]],
    *,
    delimiter: str,
    translate: Callable[[Sequence[str]], list[str]] = list,
    meanings: Mapping[str, Meaning] = MappingProxyType({}),
) -> Table:
    """Read the columns that `choose` picks from the header; all of them hold numbers.

    Arguments:
        translate: The header in our words.
        meanings: Column → what its cells may say beside numbers.

    Rows without any text are skipped: spreadsheets leave them at the end.

    Errors:
        DataError: No text, no header or rows, rows of another length, cells that are no numbers.
    """
    with rows_of(source, delimiter) as rows:
        header_number, originals = _header(rows, source, delimiter)
        header = translate(originals)
        chosen = tuple(choose(header))
        comma = rows.separator == ";"
        columns = Columns(source, header, originals, chosen, meanings, decimal_comma=comma)
        blocks = _blocks(rows, header_number + 1, len(header), source)
        return columns.table([columns.read(texts, number) for texts, number in blocks])


def read_groups(
    source: Source,
    choose: Callable[[Sequence[str]], Sequence[str]],
    *,
    datasets: int,
    delimiter: str,
    translate: Callable[[Sequence[str]], list[str]] = list,
    meanings: Mapping[str, Meaning] = MappingProxyType({}),
) -> Iterator[Table]:
    """As `read_table`, `datasets` data sets at a time, of which the rows follow each other.

    A data set is whole when the next one begins, so no more than these are ever in memory.

    Errors:
        DataError: As `read_table`; there are no labels.
    """
    with rows_of(source, delimiter) as rows:
        header_number, originals = _header(rows, source, delimiter)
        header = translate(originals)
        chosen = tuple(choose(header))
        comma = rows.separator == ";"
        columns = Columns(source, header, originals, chosen, meanings, decimal_comma=comma)
        if columns.label_at is None:
            raise DataError(
                f"expected a column {LABEL} for --grouped; got {', '.join(originals)}",
                place=f"{source}, row {header_number}",
            )
        whole = _whole_groups(rows, columns.label_at, datasets)
        start, tables = header_number + 1, 0
        for group in whole:
            blocks = _blocks(iter(group), start, len(header), source)
            table = columns.table([columns.read(texts, number) for texts, number in blocks])
            _refuse_scattered(table)
            yield table
            start, tables = start + len(group), tables + 1
        if not tables:
            columns.table([])


def _refuse_scattered(table: Table) -> None:
    """Refuse rows of a data set that come after those of another; codes count up as they appear."""
    back = np.flatnonzero(np.diff(table.codes) < 0)
    if len(back):
        row = int(back[0]) + 1
        label = (table.labels or ())[table.codes[row]]
        raise DataError(
            f"expected each data set once; got {label} here again",
            place=table.place(row),
            hint="With --grouped the rows of a data set follow each other: leave it out to have "
            "them put together.",
        )


def _whole_groups(
    rows: Iterator[list[str]], label_at: int, datasets: int
) -> Iterator[list[list[str]]]:
    """Rows of some data sets at a time, empty ones included."""
    held: list[list[str]] = []
    seen: set[str] = set()
    for row in rows:
        name = row[label_at].strip() if len(row) > label_at else ""
        if name and name not in seen and len(seen) == datasets:
            yield held
            held, seen = [], set()
        if name:
            seen.add(name)
        held.append(row)
    if any(map(any, held)):
        yield held


Cells = tuple[dict[str, np.ndarray], list[str] | None, np.ndarray]
"""Of some rows: column → numbers, labels, numbers of the rows."""


@dataclass(frozen=True)
class Columns:
    """What is read of each row.

    Arguments:
        header: In our words.
        originals: In those of the file.
        names: Of the columns that are read.
        meanings: As in `read_table`.
        decimal_comma: Whether 1,5 is a number.
    """

    source: Source
    header: list[str]
    originals: list[str]
    names: tuple[str, ...]
    meanings: Mapping[str, Meaning]
    decimal_comma: bool = False

    @property
    def label_at(self) -> int | None:
        """Which column names the data sets."""
        return self.header.index(LABEL) if LABEL in self.header else None

    @cached_property
    def _others(self) -> dict[int, Column]:
        """Place → columns among which the label may be, where none is called so."""
        if self.label_at is not None:
            return {}
        return {
            at: Column(original)
            for at, original in enumerate(self.originals)
            if self.header[at] not in self.names and original not in ROW_NAMES
        }

    def read(self, texts: list[tuple[str, ...]], number: np.ndarray) -> Cells:
        """Cells, column by column, as numbers and labels."""
        for at, column in self._others.items():
            column.add(texts[at])
        numbers = {}
        for name in self.names:
            at = self.header.index(name)
            meaning = self.meanings.get(name, PLAIN)
            cells: Sequence[str] = texts[at]
            if self.decimal_comma:
                cells = [text if "." in text else text.replace(",", ".") for text in cells]
            numbers[name] = numbers_of(cells, number, self.originals[at], self.source, meaning)
        label_at = self.label_at
        labels = None if label_at is None else labels_of(texts[label_at], number, self.source)
        return numbers, labels, number

    def table(self, parts: list[Cells]) -> Table:
        """All parts, one below the other.

        Errors:
            DataError: There are none.
        """
        if not parts:
            raise _no_rows(self.source)
        code_of: defaultdict[str, int] = defaultdict(lambda: len(code_of))
        codes = [
            np.zeros(len(number), np.int64)
            if labels is None
            else np.fromiter(map(code_of.__getitem__, labels), np.int64, len(labels))
            for _, labels, number in parts
        ]
        spelled = dict(zip(self.header, self.originals, strict=True))
        return Table(
            source=self.source,
            labels=None if self.label_at is None else tuple(code_of),
            codes=np.concatenate(codes),
            columns={
                name: np.concatenate([cells[name] for cells, _, _ in parts]) for name in self.names
            },
            unused=tuple(
                spelled[name] for name in self.header if name not in self.names and name != LABEL
            ),
            numbers=np.concatenate([number for _, _, number in parts]),
            originals=spelled,
            label_like=tuple(self.originals[at] for at, c in self._others.items() if c.is_label),
        )


def read_texts(
    source: Source, *, delimiter: str
) -> tuple[list[str], list[tuple[str, ...]], np.ndarray]:
    """The names of the columns, the rows as they are, and the numbers `(row,)` of these.

    Errors:
        DataError: No text, no header or rows, rows of another length.
    """
    with rows_of(source, delimiter) as rows:
        start, header = _header(rows, source, delimiter)
        blocks = list(_blocks(rows, start + 1, len(header), source))
    if not blocks:
        raise _no_rows(source)
    cells = [row for texts, _ in blocks for row in zip(*texts, strict=True)]
    return header, cells, np.concatenate([number for _, number in blocks])


def _no_rows(source: Source) -> DataError:
    return DataError("there are no rows below the header", place=str(source), hint=EXPECTED)


def read_header(source: Source, *, delimiter: str) -> list[str]:
    """The names of the columns.

    Errors:
        DataError: No text, or no header.
    """
    with rows_of(source, delimiter) as rows:
        return _header(rows, source, delimiter)[1]


def _header(rows: Iterator[list[str]], source: Source, delimiter: str) -> tuple[int, list[str]]:
    """The first row with any text, and its number."""
    number, row = next(((n, row) for n, row in enumerate(rows, start=1) if any(row)), (0, []))
    if not row:
        raise DataError("the file is empty", place=str(source), hint=EXPECTED)
    header = [name.strip() for name in row]
    check_header(header, source)
    _check_delimiter(header, source, delimiter)
    return number, header


def _blocks(
    rows: Iterator[list[str]], start: int, width: int, source: Source
) -> Iterator[tuple[list[tuple[str, ...]], np.ndarray]]:
    """Texts column by column, and the numbers `(row,)` of their rows, some rows at a time."""
    at_once = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // width))
    while block := list(islice(rows, at_once)):
        number = start + np.flatnonzero(np.fromiter(map(any, block), bool, len(block)))
        start += len(block)
        cells = block if len(number) == len(block) else list(filter(any, block))
        widths = list(map(len, cells))
        if widths.count(width) < len(widths):
            row = next(i for i, found in enumerate(widths) if found != width)
            raise DataError(
                f"expected {width} cells, as in the header; got {widths[row]}",
                place=f"{source}, row {number[row]}",
                hint="R's write.table leaves row names without a header: use write.csv."
                if widths.count(width + 1) == len(widths)
                else "Put text that holds the separator in double quotes.",
            )
        if cells:
            yield list(zip(*cells, strict=True)), number


def check_header(header: list[str], source: Source) -> None:
    """Refuse columns of the same name, and more of them than any table has.

    Errors:
        DataError: There are some.
    """
    if len(header) > MOST_COLUMNS:
        raise DataError(
            f"expected up to {MOST_COLUMNS:,} columns; got {len(header):,}",
            place=f"{source}, row 1",
        )
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise DataError(
            f"expected each column once; got {twice[0]!r} {header.count(twice[0])} times",
            place=f"{source}, row 1",
            hint="Rename or remove the columns that are not meant.",
        )


def _check_delimiter(header: list[str], source: Source, delimiter: str) -> None:
    other = next((mark for mark in ",\t" if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and other is not None:
        name = "csv" if other == "," else "tsv"
        raise DataError(
            f"expected columns separated by {delimiter!r}; got {other!r}",
            place=f"{source}, row 1",
            hint=f"Give the file the extension .{name}.",
        )
