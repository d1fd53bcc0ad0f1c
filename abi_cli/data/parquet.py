"""Parquet: the same tables as CSV, by columns. Needs the extra `parquet` (PyArrow)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from abi_cli.data.contents import Append, Content
from abi_cli.data.files import Source
from abi_cli.data.meanings import Meaning
from abi_cli.data.sheets import Block, Sheet
from abi_cli.data.table_rows import TEXT, rows_of
from abi_cli.data.tables import Table
from abi_cli.data.zips import MOST_TIMES, ROOM
from abi_cli.errors import DataError, UsageError

_SHOWN = 500
"""Number of cells from which a message finds the words of a column."""


def _pyarrow(name: str) -> Any:
    """A module of PyArrow.

    Errors:
        UsageError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            "Parquet needs PyArrow, which is not installed", hint='pip install "abi-cli[parquet]"'
        ) from None


@contextmanager
def read(source: Source) -> Iterator[Table]:
    """The table in a file of Parquet.

    Errors:
        DataError: No Parquet file, or a damaged one.
    """
    module, arrow = _pyarrow("pyarrow.parquet"), _pyarrow("pyarrow")
    with source.open_seekable() as stream:
        try:
            file, size = module.ParquetFile(stream), stream.seek(0, os.SEEK_END)
            header = list(file.schema_arrow.names)
            cells = partial(_cells, file, size, source)
            yield Table(Sheet(source, header, cells, None, _numbers, _labels, _texts))
        except (arrow.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
            lines = str(error).splitlines()
            raise DataError(
                f"expected Parquet; {lines[0] if lines else type(error).__name__}",
                place=str(source),
            ) from None


def _cells(file: Any, size: int, source: Source, names: Sequence[str]) -> Iterator[Block]:
    """The cells of some columns, all at once.

    Errors:
        DataError: No rows, or far more cells than the file can hold.
    """
    _refuse_bombs(file, len(names), size, source)
    read = file.read(list(names))
    rows = read.num_rows if read.num_columns else file.metadata.num_rows
    if not rows:
        raise DataError("there are no rows in it", place=str(source))
    yield [read.column(name) for name in names], np.arange(1, rows + 1)


def _texts(column: Any) -> list[str]:
    return ["" if cell is None else str(cell) for cell in column.to_pylist()]


def _labels(column: Any, number: np.ndarray, name: str, source: Source) -> list[str]:
    """The labels of data sets.

    Errors:
        DataError: A label is empty.
    """
    labels = [text.strip() for text in _texts(column)]
    if "" in labels:
        raise DataError(
            "expected the label of a data set; got an empty cell",
            place=f"{source}, row {number[labels.index('')]}, column {name}",
        )
    return labels


def _numbers(
    column: Any, number: np.ndarray, name: str, source: Source, meaning: Meaning
) -> np.ndarray:
    """A column as `(row,)` float64.

    Errors:
        DataError: A cell is missing where none may be, or no number.
    """
    arrow = _pyarrow("pyarrow")
    kind = column.type
    numeric = arrow.types.is_integer(kind) or arrow.types.is_floating(kind)
    if (numeric or arrow.types.is_boolean(kind)) and (meaning.gaps or not column.null_count):
        return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(), dtype=np.float64)
    values = np.empty(len(column))
    for row, cell in enumerate(column.to_pylist()):
        value = meaning.number(cell)
        if not isinstance(value, int | float):
            found = "an empty cell" if value is None else f"{value!r}, of type {kind}"
            cells = [text for text in column.slice(0, _SHOWN).to_pylist() if isinstance(text, str)]
            raise DataError(
                f"expected a number; got {found}",
                place=f"{source}, column {name}, row {number[row]}",
                hint=meaning.remedy(cell, cells) if isinstance(cell, str) else None,
            )
        values[row] = value
    return values


def _refuse_bombs(file: Any, columns: int, stored: int, source: Source) -> None:
    """Refuse far more cells than a file can hold: a repeated value takes no room there.

    Errors:
        DataError: There are.
    """
    # Not what the file tells of its columns: where that is damaged, Arrow ends the process.
    metadata = file.metadata
    rows = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    cells = 8 * max(rows, metadata.num_rows) * max(1, columns)
    if cells > max(ROOM, MOST_TIMES * stored):
        raise DataError(
            f"expected Parquet; {cells:,} bytes of cells in {stored:,} are more than {MOST_TIMES} "
            "times as many",
            place=str(source),
        )


@contextmanager
def write(stream: BinaryIO, content: Content, _scratch: Path | None) -> Iterator[Append]:
    """Write a row group for each part."""
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    rows = rows_of(content)
    fields = [
        (name, arrow.string() if kind == TEXT else arrow.from_numpy_dtype(kind))
        for name, kind in rows.types.items()
    ]
    schema = arrow.schema(fields, metadata=rows.attributes)
    with parquet.ParquetWriter(stream, schema) as writer:

        def append(part: Any) -> None:
            columns = [column.repeated() for column in rows.columns(part)]
            writer.write_table(arrow.table(columns, schema=schema))

        yield append
