"""CSV and TSV: data sets as long tables, one row per member; draws, one row per draw."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from abi_cli.data.draws import DrawHeader, Draws, as_float32, float32_text
from abi_cli.data.entries import LABEL, Entries, Wanted, check_numbers
from abi_cli.data.files import Source
from abi_cli.data.tables import Table, read_header, read_table
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import (
    Datasets,
    DrawBlock,
    Layout,
    Ragged,
    Variable,
    count,
    element_names,
    take,
)

_DRAW = "draw"
_PARAMETER = "parameter"
_DATASETS_AT_ONCE = 1_000


def read_datasets(source: Source, wanted: Wanted, *, delimiter: str) -> Entries:
    """One entry per label, first seen first; its rows may be anywhere in the file.

    Without a label column, all rows are one data set; where the model has neither sets nor series,
    each is one.

    Errors:
        DataError: As `read_table`; a value differs within a data set that has one of it.
    """
    variables, table = _read(source, wanted, delimiter)
    by_row = _by_row(variables, table)
    if table.labels is None and not any(variable.ragged for variable in variables):
        return Entries(None, by_row, table.unused, "column", table.place)
    order = np.argsort(table.codes, kind="stable")
    row_size = np.bincount(table.codes)
    starts = np.cumsum(row_size) - row_size
    values: Datasets = {}
    for variable in variables:
        value = by_row[variable.name]
        if isinstance(value, Ragged):
            values[variable.name] = Ragged(value.values[order], row_size)
        else:
            rows = value[order]
            values[variable.name] = rows[starts]
            _check_constant(rows, variable, order, starts, row_size, table)
    return Entries(
        labels=table.labels,
        values=values,
        unused=table.unused,
        noun="column",
        place=lambda dataset: table.place(int(order[starts[dataset]])),
    )


def read_points(source: Source, wanted: Wanted, *, delimiter: str) -> Entries:
    """One entry per row; labels may repeat.

    Errors:
        DataError: As `read_table`.
    """
    variables, table = _read(source, wanted, delimiter)
    return Entries(
        labels=None if table.labels is None else tuple(table.labels[i] for i in table.codes),
        values=_by_row(variables, table),
        unused=table.unused,
        noun="column",
        place=table.place,
    )


def read_shapes(
    source: Source,
    _ragged: Collection[str],  # of which a row has one member
    *,
    delimiter: str,
) -> dict[str, tuple[int, ...]]:
    """Event shape by variable, as the names of the columns say it.

    Errors:
        DataError: No text, or no header; a vector of which elements are missing.
    """
    header = read_header(source, delimiter=delimiter)
    return _events([name for name in header if name != LABEL], 0, source)


def read_sets(source: Source, *, delimiter: str) -> set[str]:
    """The columns with members of sets or series: all, where a label has several rows.

    Errors:
        DataError: As `read_table`.
    """
    table = read_table(source, lambda _header: (), delimiter=delimiter)
    if len(table.codes) == len(table.labels or ()):
        return set()
    return set(_events(list(table.unused), 0, source))


def _read(source: Source, wanted: Wanted, delimiter: str) -> tuple[tuple[Variable, ...], Table]:
    variables: tuple[Variable, ...] = ()

    def choose(header: Sequence[str]) -> list[str]:
        nonlocal variables
        variables = wanted.found(
            header, noun="column", spell=Variable.elements, place=f"{source}, row 1"
        )
        return [name for variable in variables for name in variable.elements()]

    def translate(header: Sequence[str]) -> list[str]:
        return wanted.translated(header, spell=Variable.elements, place=f"{source}, row 1")

    table = read_table(
        source,
        choose,
        delimiter=delimiter,
        translate=translate,
        words=wanted.categories(Variable.elements),
        gaps=wanted.gaps(Variable.elements),
    )
    return variables, table


def _by_row(variables: Sequence[Variable], table: Table) -> Datasets:
    """Each row a data set; what is ragged has one member in each."""
    values: Datasets = {}
    for variable in variables:
        names = variable.elements()
        cells = np.stack([table.columns[name] for name in names], axis=-1)
        cells = check_numbers(cells, variable, partial(_cell_place, table, names))
        rows = cells.reshape(len(cells), *variable.event)
        values[variable.name] = (
            Ragged(rows, np.ones(len(rows), np.int64)) if variable.ragged else rows
        )
    return values


def _cell_place(table: Table, names: Sequence[str], at: tuple[int, ...]) -> str:
    row, column = at
    return table.place(row, names[column])


def _check_constant(
    rows: np.ndarray,
    variable: Variable,
    order: np.ndarray,
    starts: np.ndarray,
    row_size: np.ndarray,
    table: Table,
) -> None:
    """Refuse a value `rows (row, *event)`, sorted by data set, that differs within one."""
    first = np.repeat(starts, row_size)
    differs = (rows != rows[first]).reshape(len(rows), -1)
    if not differs.any():
        return
    row, element = (int(i) for i in np.argwhere(differs)[0])
    cells = rows.reshape(len(rows), -1)
    label = "0" if table.labels is None else table.labels[table.codes[order[row]]]
    raise DataError(
        f"expected one value in all rows of data set {label}; "
        f"got {cells[row, element]:g} after {cells[first[row], element]:g}",
        place=table.place(int(order[row]), variable.elements()[element]),
        hint=None
        if table.labels is not None
        else f"Without a column {LABEL!r}, all rows are one data set.",
    )


def write_datasets(
    stream: BinaryIO,
    datasets: Datasets,
    layout: Layout,
    labels: Sequence[str],
    *,
    delimiter: str,
) -> None:
    """One row per member; what a data set has once is repeated.

    Errors:
        UsageError: A data set's variables differ in length, or are empty: no rows can say that.
    """
    variables = [variable for variable in layout.variables if variable.name in datasets]
    row_size = _common_row_size(datasets, labels)
    line = _line_formatter(delimiter)
    header = [name for variable in variables for name in variable.elements()]
    stream.write(line([LABEL, *header]).encode())
    for start in range(0, len(labels), _DATASETS_AT_ONCE):
        part = slice(start, start + _DATASETS_AT_ONCE)
        repeats = row_size[part]
        names = np.array([line([label])[:-1] for label in labels[part]], dtype=object)
        columns = [np.repeat(names, repeats).tolist()]
        for value in take({v.name: datasets[v.name] for v in variables}, part).values():
            if isinstance(value, Ragged):
                members = value.values.reshape(len(value.values), -1)
                columns += [list(map(repr, column)) for column in members.T.tolist()]
            else:
                once = value.reshape(len(value), -1)
                columns += [
                    np.repeat(np.array(list(map(repr, column)), dtype=object), repeats).tolist()
                    for column in once.T.tolist()
                ]
        rows = map(delimiter.join, zip(*columns, strict=True))
        stream.write("".join(f"{row}\n" for row in rows).encode())


def _common_row_size(datasets: Datasets, labels: Sequence[str]) -> np.ndarray:
    """`(dataset,)`, how many rows each data set takes."""
    ragged = {name: value for name, value in datasets.items() if isinstance(value, Ragged)}
    if not ragged:
        return np.ones(count(datasets), np.int64)
    first, *others = ragged
    row_size = ragged[first].row_size
    hint = "Choose another --format: jsonl and npz hold it."
    for name in others:
        differs = ragged[name].row_size != row_size
        if differs.any():
            at = int(np.argmax(differs))
            raise UsageError(
                f"expected as many members of {name} as of {first} in a table; "
                f"got {ragged[name].row_size[at]} and {row_size[at]} in data set {labels[at]}",
                hint=hint,
            )
    if (row_size == 0).any():
        empty = labels[int(np.argmin(row_size))]
        raise UsageError(f"a table has no place for the empty data set {empty}", hint=hint)
    return row_size


def _line_formatter(delimiter: str) -> Callable[[Sequence[str]], str]:
    """A function from cells to a line, with quotes where they are needed."""

    def line(cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue()

    return line


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None, *, delimiter: str
) -> Iterator[Callable[[DrawBlock], None]]:
    """One row per draw: label, index of the draw, the elements of the parameters."""
    line = _line_formatter(delimiter)
    stream.write(line([LABEL, _DRAW, *header.elements()]).encode())
    labels = [line([label])[:-1] for label in header.labels]
    base = header.index_base

    def append(block: DrawBlock) -> None:
        arrays = [block.values[variable.name] for variable in header.parameters]
        datasets, draws = arrays[0].shape[:2]
        flat = np.concatenate([array.reshape(datasets, draws, -1) for array in arrays], axis=-1)
        first = base + block.first_draw
        index = list(map(str, range(first, first + draws)))
        for i, cells in enumerate(flat):
            label = [labels[block.first_dataset + i]] * draws
            rows = map(delimiter.join, zip(label, index, *float32_text(cells.T), strict=True))
            stream.write(("\n".join(rows) + "\n").encode())

    yield append


def write_estimates(
    stream: BinaryIO,
    labels: Sequence[str],
    names: Sequence[str],
    values: Mapping[str, np.ndarray],
    *,
    delimiter: str,
) -> None:
    """One row per data set and element of a parameter, one column per estimate."""
    line = _line_formatter(delimiter)
    stream.write(line([LABEL, _PARAMETER, *names]).encode())
    elements = [name for key, v in values.items() for name in element_names(key, v.shape[2:])]
    flat = [value.reshape(*value.shape[:2], -1) for value in values.values()]
    table = np.swapaxes(np.concatenate(flat, axis=-1), 1, 2)
    for label, cells in zip(labels, table, strict=True):
        rows = zip(elements, float32_text(cells), strict=True)
        text = "".join(line([label, element, *row]) for element, row in rows)
        stream.write(text.encode())


def read_draws(source: Source, *, delimiter: str) -> Draws:
    """Draws as `write_draws` leaves them, their rows in any order.

    Errors:
        DataError: As `read_table`; no columns dataset and draw; unequal numbers of draws.
    """

    def choose(header: Sequence[str]) -> list[str]:
        if LABEL not in header or _DRAW not in header:
            raise DataError(
                f"expected draws, with columns {LABEL} and {_DRAW}; got {', '.join(header)}",
                place=f"{source}, row 1",
            )
        return [name for name in header if name != LABEL]

    table = read_table(source, choose, delimiter=delimiter)
    labels = table.labels or ()
    sizes = np.bincount(table.codes)
    if (sizes != sizes[0]).any():
        at = int(np.argmax(sizes != sizes[0]))
        raise DataError(
            f"expected {sizes[0]} draws of data set {labels[at]}, as of {labels[0]}; "
            f"got {sizes[at]}",
            place=str(source),
        )
    draw = table.columns.pop(_DRAW)
    order = np.lexsort((draw, table.codes)).reshape(len(sizes), sizes[0])
    base = int(draw.min())
    values = {}
    for name, event in _events(list(table.columns), base, source).items():
        cells = [table.columns[element] for element in element_names(name, event, base=base)]
        stacked = np.stack([as_float32(cell)[order] for cell in cells], axis=-1)
        values[name] = stacked.reshape(*order.shape, *event)
    return Draws(labels, values)


def _events(elements: list[str], base: int, source: Source) -> dict[str, tuple[int, ...]]:
    """Event shape by variable, from names such as `beta[0]`, `beta[1]`, `sigma`."""
    indices: dict[str, list[tuple[int, ...]]] = {}
    for element in elements:
        match = re.fullmatch(r"(.+)\[(\d+(?:,\d+)*)\]", element)
        name, index = match.groups() if match else (element, "")
        indices.setdefault(name, []).append(tuple(int(i) for i in index.split(",") if i))
    events = {}
    for name, found in indices.items():
        event = tuple(max(axis) + 1 - base for axis in zip(*found, strict=False))
        whole = math.prod(event) == len(found)  # asked first: an index may be any number
        if not whole or not set(element_names(name, event, base=base)) <= set(elements):
            raise DataError(
                f"expected all elements of {name}; got {len(found)} of them", place=str(source)
            )
        events[name] = event
    return events
