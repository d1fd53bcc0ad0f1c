"""CSV and TSV: data sets as long tables, one row per member; draws, one row per draw."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from abi_cli.data.draws import DrawHeader, Estimates, Style, float32_text
from abi_cli.data.entries import LABEL
from abi_cli.data.long_tables import (
    DRAW,
    PARAMETER,
    Tables,
    common_row_size,
    estimate_rows,
    flat_draws,
)
from abi_cli.data.tables import read_groups, read_header, read_table, read_texts
from abi_cli.harmless import cell
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, take

_VALUE = "value"
_DATASETS_AT_ONCE = 1_000


def tables(delimiter: str) -> Tables:
    """Tables of delimited text."""
    return Tables(
        partial(read_table, delimiter=delimiter),
        partial(read_header, delimiter=delimiter),
        partial(read_texts, delimiter=delimiter),
        partial(read_groups, delimiter=delimiter),
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
    row_size = common_row_size(datasets, labels)
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


def _line_formatter(delimiter: str) -> Callable[[Sequence[str]], str]:
    """A function from cells to a line, with quotes where they are needed.

    Text that a spreadsheet would run is marked (`harmless.cell`); the readers take that off again.
    """

    def line(cells: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(map(cell, cells))
        return text.getvalue()

    return line


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None, *, delimiter: str
) -> Iterator[Callable[[DrawBlock], None]]:
    """One row per draw: label, index of the draw, the elements of the parameters."""
    line = _line_formatter(delimiter)
    stream.write(line([LABEL, DRAW, *header.elements()]).encode())

    def append(block: DrawBlock) -> None:
        index = _index_texts(block, header)
        for i, cells in enumerate(flat_draws(block, header)):
            label = line([header.labels[block.first_dataset + i]])[:-1]
            columns = ([label] * len(index), index, *float32_text(cells.T))
            rows = map(delimiter.join, zip(*columns, strict=True))
            stream.write(("\n".join(rows) + "\n").encode())

    yield append


@contextmanager
def write_long_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None, *, delimiter: str
) -> Iterator[Callable[[DrawBlock], None]]:
    """One row per draw and element of a parameter: label, index of the draw, name, value.

    What a data set does not have (see `Draws`) has no rows.
    """
    line = _line_formatter(delimiter)
    stream.write(line([LABEL, DRAW, PARAMETER, _VALUE]).encode())
    names = [line([name])[:-1] for name in header.elements()]

    def append(block: DrawBlock) -> None:
        index = [text for text in _index_texts(block, header) for _ in names]
        own = names * block.shape[1]
        for i, cells in enumerate(flat_draws(block, header)):
            label = line([header.labels[block.first_dataset + i]])[:-1]
            values = float32_text(cells.reshape(1, -1))[0]
            cells_of = zip([label] * len(own), index, own, values, strict=True)
            rows = [delimiter.join(row) for row in cells_of if row[-1] != "nan"]
            stream.write(("\n".join(rows) + "\n").encode())

    yield append


def _index_texts(block: DrawBlock, header: DrawHeader) -> list[str]:
    """The numbers of a block's draws."""
    first = header.style.base + block.first_draw
    return list(map(str, range(first, first + block.shape[1])))


@contextmanager
def write_estimates(
    stream: BinaryIO, names: Sequence[str], style: Style, *, delimiter: str
) -> Iterator[Callable[[Estimates], None]]:
    """One row per data set and element of a parameter, one column per estimate."""
    line = _line_formatter(delimiter)
    stream.write(line([LABEL, PARAMETER, *names]).encode())

    def append(estimates: Estimates) -> None:
        elements, table = estimate_rows(estimates, style)
        for label, cells in zip(estimates.labels, table, strict=True):
            rows = zip(elements, float32_text(cells), strict=True)
            text = "".join(line([label, element, *row]) for element, row in rows)
            stream.write(text.encode())

    yield append
