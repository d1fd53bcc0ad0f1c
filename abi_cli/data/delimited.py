"""CSV and TSV: tables in text, read from the top and written row after row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from abi_cli.data.cells import comma_numbers_of, numbers_of, unmarked_labels_of
from abi_cli.data.contents import Append, Content
from abi_cli.data.files import Source
from abi_cli.data.sheets import Block, Sheet
from abi_cli.data.table_rows import Column, rows_of
from abi_cli.data.tables import Table
from abi_cli.data.text_rows import EXPECTED, Rows, text_rows
from abi_cli.errors import DataError
from abi_cli.harmless import cell

_ROWS_AT_ONCE = 512  # small enough to stay in the cache: half as fast with 16,384
_CELLS_AT_ONCE = 2_000_000
_WRITTEN_AT_ONCE = 4_096


@contextmanager
def read(source: Source, *, delimiter: str) -> Iterator[Table]:
    """The table in a file of delimited text.

    Errors:
        DataError: No text, or no header.
    """
    with text_rows(source, delimiter) as rows:
        yield Table(_sheet(rows, source, delimiter))


def table_of_rows(rows: Rows, source: Source) -> Table:
    """The table of rows from elsewhere than a file, so that no text in it is marked.

    Errors:
        DataError: No header.
    """
    return Table(replace(_sheet(rows, source, rows.separator), labels=unmarked_labels_of))


def _sheet(rows: Rows, source: Source, delimiter: str) -> Sheet:
    """The sheet whose header is the first row with any text."""
    number, row = next(((n, row) for n, row in enumerate(rows, start=1) if any(row)), (0, []))
    if not row:
        raise DataError("the file is empty", place=str(source), hint=EXPECTED)
    header = [name.strip() for name in row]
    sheet = Sheet(
        source,
        header,
        cells=partial(_cells, rows, number + 1, header, source),
        numbers=comma_numbers_of if rows.separator == ";" else numbers_of,
    )
    _check_delimiter(header, source, delimiter)
    return replace(sheet, groups=partial(_groups, rows, number + 1, sheet))


def _check_delimiter(header: list[str], source: Source, delimiter: str) -> None:
    other = next((mark for mark in ",\t" if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and other is not None:
        name = "csv" if other == "," else "tsv"
        raise DataError(
            f"expected columns separated by {delimiter!r}; got {other!r}",
            place=f"{source}, row 1",
            hint=f"Give the file the extension .{name}.",
        )


def _cells(
    rows: Iterable[list[str]],
    start: int,
    header: Sequence[str],
    source: Source,
    names: Sequence[str],
) -> Iterator[Block]:
    """The cells of some columns; rows without any text are passed over.

    Spreadsheets leave such rows at the end.

    Errors:
        DataError: No rows, or rows of another length than the header.
    """
    rows, width = iter(rows), len(header)
    place = {name: at for at, name in enumerate(header)}
    chosen = [place[name] for name in names]
    at_once = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // width))
    empty = True
    while block := list(islice(rows, at_once)):
        number = start + np.flatnonzero(np.fromiter(map(any, block), bool, len(block)))
        start += len(block)
        found = block if len(number) == len(block) else list(filter(any, block))
        widths = list(map(len, found))
        if widths.count(width) < len(widths):
            row = next(i for i, other in enumerate(widths) if other != width)
            raise DataError(
                f"expected {width} cells, as in the header; got {widths[row]}",
                place=f"{source}, row {number[row]}",
                hint="R's write.table leaves row names without a header: use write.csv."
                if widths.count(width + 1) == len(widths)
                else "Put text that holds the separator in double quotes.",
            )
        if found:
            columns = list(zip(*found, strict=True))
            yield [columns[at] for at in chosen], number
            empty = False
    if empty:
        raise DataError("there are no rows below the header", place=str(source), hint=EXPECTED)


def _groups(
    rows: Iterator[list[str]], start: int, sheet: Sheet, label: str, datasets: int
) -> Iterator[Sheet]:
    """The sheets of some data sets each, in a table in which the rows of each follow each other.

    A data set is whole when the next one begins, so no more than these are ever in memory.
    """
    at = sheet.header.index(label)
    held: list[list[str]] = []
    seen: set[str] = set()

    def of_held() -> Sheet:
        return replace(sheet, cells=partial(_cells, held, start, sheet.header, sheet.source))

    for row in rows:
        name = row[at].strip() if len(row) > at else ""
        if name and name not in seen and len(seen) == datasets:
            yield of_held()
            start, held, seen = start + len(held), [], set()
        if name:
            seen.add(name)
        held.append(row)
    if any(map(any, held)) or not seen:
        yield of_held()


@contextmanager
def write(
    stream: BinaryIO, content: Content, _scratch: Path | None, *, delimiter: str
) -> Iterator[Append]:
    """Write a header and rows; mark text that a spreadsheet would run, which `read` unmarks."""
    rows = rows_of(content)
    line = _line_formatter(delimiter)
    stream.write(line(list(rows.types)).encode())

    def append(part: Any) -> None:
        columns = [_texts(column, line) for column in rows.columns(part)]
        lines = map(delimiter.join, zip(*columns, strict=True))
        while some := list(islice(lines, _WRITTEN_AT_ONCE)):
            stream.write(("\n".join(some) + "\n").encode())

    yield append


def _line_formatter(delimiter: str) -> Callable[[Sequence[str]], str]:
    """A function from cells to a line, with quotes where they are needed."""

    def line(cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(map(cell, cells))
        return text.getvalue()

    return line


def _texts(column: Column, line: Callable[[Sequence[str]], str]) -> Iterator[str]:
    """The cells of a column, made as they are asked for."""
    some = range(0, len(column.values), _WRITTEN_AT_ONCE)
    parts = (column.values[at : at + _WRITTEN_AT_ONCE] for at in some)
    if column.values.dtype == object:
        quoted = lru_cache(_WRITTEN_AT_ONCE)(lambda text: line([text])[:-1])
        texts: Iterator[str] = map(quoted, chain.from_iterable(parts))
    else:
        texts = chain.from_iterable(map(column.text, parts))
    if column.times is None:
        return texts
    return chain.from_iterable(map(repeat, texts, column.times.tolist()))
