"""Parquet: the same long tables as CSV, by columns. Needs the extra `parquet` (PyArrow)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from abi_cli.data.draws import DrawHeader, Estimates, Style
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.files import Source
from abi_cli.data.label_like import Column
from abi_cli.data.long_tables import (
    DRAW,
    PARAMETER,
    Tables,
    common_row_size,
    estimate_rows,
    flat_draws,
)
from abi_cli.data.meanings import PLAIN, Meaning
from abi_cli.data.tables import Table, check_header
from abi_cli.data.zips import MOST_TIMES, ROOM
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged

_SHOWN = 500
"""Cells from which a message tells what words a column has."""


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
def _file(source: Source) -> Iterator[tuple[Any, int]]:
    """A ParquetFile, and its size in bytes.

    Errors:
        DataError: It is none, or damaged.
    """
    module, arrow = _pyarrow("pyarrow.parquet"), _pyarrow("pyarrow")
    with source.open_seekable() as stream:
        try:
            yield module.ParquetFile(stream), stream.seek(0, os.SEEK_END)
        except (arrow.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
            told = str(error).splitlines()
            raise DataError(
                f"expected Parquet; {told[0] if told else type(error).__name__}", place=str(source)
            ) from None


def read_header(source: Source) -> list[str]:
    """The names of the columns.

    Errors:
        DataError: No Parquet file, or columns without a name, or of the same.
    """
    with _file(source) as (file, _size):
        return _header(file, source)


def _header(file: Any, source: Source) -> list[str]:
    header = list(file.schema_arrow.names)
    check_header(header, source)
    return header


def read_table(
    source: Source,
    choose: Callable[[Sequence[str]], Sequence[str]],
    *,
    translate: Callable[[Sequence[str]], list[str]] = list,
    meanings: Mapping[str, Meaning] = MappingProxyType({}),
) -> Table:
    """Read the columns that `choose` picks from the header, as `tables.read_table` does.

    Errors:
        DataError: No Parquet file, no rows, cells that are no numbers.
    """
    with _file(source) as (file, size):
        originals = _header(file, source)
        header = translate(originals)
        spelled = dict(zip(header, originals, strict=True))
        names = list(choose(header))
        labelled = LABEL in header
        others = [name for name in header if not labelled and name not in (*names, *ROW_NAMES)]
        asked = (*names, *others, *([LABEL] if labelled else ()))
        _refuse_bombs(file, len(asked), size, source)
        read = file.read([spelled[name] for name in asked])
        cells = {name: read.column(spelled[name]) for name in names}
        texts = read.column(spelled[LABEL]).to_pylist() if labelled else []
        label_like = tuple(spelled[n] for n in others if _is_label(spelled[n], read))
        rows = read.num_rows if read.num_columns else file.metadata.num_rows
    if not rows:
        raise DataError("there are no rows in it", place=str(source))
    columns = {
        name: _numbers(column, f"{source}, column {spelled[name]}", meanings.get(name, PLAIN))
        for name, column in cells.items()
    }
    code_of: dict[str, int] = {}
    codes = np.zeros(rows, np.int64)
    for row, text in enumerate(texts):
        if text is None or str(text).strip() == "":
            raise DataError(
                "expected the label of a data set; got an empty cell",
                place=f"{source}, row {row + 1}, column {spelled[LABEL]}",
            )
        codes[row] = code_of.setdefault(str(text).strip(), len(code_of))
    return Table(
        source=source,
        labels=tuple(code_of) if labelled else None,
        codes=codes,
        columns=columns,
        unused=tuple(spelled[name] for name in header if name not in columns and name != LABEL),
        numbers=np.arange(1, rows + 1),
        originals=spelled,
        label_like=label_like,
    )


def _is_label(name: str, table: Any) -> bool:
    """Whether a column repeats over rows as a label does."""
    column = Column(name)
    column.add(["" if cell is None else str(cell) for cell in table.column(name).to_pylist()])
    return column.is_label


def _numbers(column: Any, place: str, meaning: Meaning) -> np.ndarray:
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
            hint = meaning.remedy(cell, cells) if isinstance(cell, str) else None
            raise DataError(
                f"expected a number; got {found}", place=f"{place}, row {row + 1}", hint=hint
            )
        values[row] = value
    return values


def _refuse_bombs(file: Any, columns: int, stored: int, source: Source) -> None:
    """Refuse far more cells than a file can hold: a repeated value takes no room there.

    Errors:
        DataError: There are.
    """
    # Not what the file tells of its columns: where that is damaged, Arrow ends the process.
    told = file.metadata
    rows = sum(told.row_group(number).num_rows for number in range(told.num_row_groups))
    cells = 8 * max(rows, told.num_rows) * max(1, columns)
    if cells > max(ROOM, MOST_TIMES * stored):
        raise DataError(
            f"expected Parquet; {cells:,} bytes of cells in {stored:,} are more than {MOST_TIMES} "
            "times as many",
            place=str(source),
        )


def read_texts(source: Source) -> tuple[list[str], list[tuple[str, ...]], np.ndarray]:
    """The names of the columns, the rows as texts, and the numbers `(row,)` of these.

    Errors:
        DataError: No Parquet file, or no rows.
    """
    with _file(source) as (file, size):
        header = _header(file, source)
        _refuse_bombs(file, len(header), size, source)
        columns = [column.to_pylist() for column in file.read().columns]
    if not columns or not columns[0]:
        raise DataError("there are no rows in it", place=str(source))
    texts = [["" if cell is None else str(cell) for cell in column] for column in columns]
    return header, list(zip(*texts, strict=True)), np.arange(1, len(texts[0]) + 1)


TABLES = Tables(read_table, read_header, read_texts)


def write_datasets(
    stream: BinaryIO, datasets: Datasets, layout: Layout, labels: Sequence[str]
) -> None:
    """One row per member; what a data set has once is repeated.

    Errors:
        UsageError: A data set's variables differ in length, or are empty: no rows can say that.
    """
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    row_size = common_row_size(
        {v.name: datasets[v.name] for v in layout.variables if v.name in datasets}, labels
    )
    columns = {LABEL: np.repeat(np.array(labels, dtype=object), row_size)}
    for variable in layout.variables:
        value = datasets.get(variable.name)
        if value is None:
            continue
        rows = value.values if isinstance(value, Ragged) else np.repeat(value, row_size, axis=0)
        columns |= zip(variable.elements(), rows.reshape(len(rows), -1).T, strict=True)
    parquet.write_table(arrow.table(columns), stream)


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None
) -> Iterator[Callable[[DrawBlock], None]]:
    """One row per draw: label, index of the draw, the elements of the parameters."""
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    fields = [(name, arrow.float32()) for name in header.elements()]
    schema = arrow.schema(
        [(LABEL, arrow.string()), (DRAW, arrow.int64()), *fields],
        metadata={
            **({} if header.seed is None else {"seed": str(header.seed)}),
            **header.provenance,
        },
    )
    with parquet.ParquetWriter(stream, schema) as writer:

        def append(block: DrawBlock) -> None:
            datasets, draws = block.shape
            labels = header.labels[block.first_dataset : block.first_dataset + datasets]
            first = header.style.base + block.first_draw
            flat = flat_draws(block, header).reshape(datasets * draws, -1)
            index = np.tile(np.arange(first, first + draws), datasets)
            own = np.repeat(np.array(labels, dtype=object), draws)
            writer.write_table(arrow.table([own, index, *flat.T], schema=schema))

        yield append


@contextmanager
def write_estimates(
    stream: BinaryIO, names: Sequence[str], style: Style
) -> Iterator[Callable[[Estimates], None]]:
    """One row per data set and element of a parameter, one column per estimate."""
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    texts = [(LABEL, arrow.string()), (PARAMETER, arrow.string())]
    schema = arrow.schema([*texts, *((name, arrow.float32()) for name in names)])
    with parquet.ParquetWriter(stream, schema) as writer:

        def append(estimates: Estimates) -> None:
            elements, table = estimate_rows(estimates, style)
            labels = np.repeat(np.array(estimates.labels, dtype=object), len(elements))
            own = np.tile(np.array(elements, dtype=object), len(estimates.labels))
            columns = [labels, own, *table.reshape(-1, len(names)).T]
            writer.write_table(arrow.table(columns, schema=schema))

        yield append
