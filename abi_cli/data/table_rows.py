"""Data sets, draws and estimates as rows of a table, on their way into whatever file has tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.data.contents import Content, DataSets, EstimateHeader
from abi_cli.data.draws import DrawHeader, Statistics, as_float32, float32_text
from abi_cli.data.entries import LABEL
from abi_cli.errors import UsageError
from abi_cli.variables import DrawBlock, Ragged, array_of, count

DRAW = "draw"
PARAMETER = "parameter"
VALUE = "value"

TEXT, WHOLE, SINGLE = np.dtype(object), np.dtype(np.int64), np.dtype(np.float32)


def _as_they_are(values: np.ndarray) -> list[Any]:
    return list(map(repr, values.tolist()))


@dataclass(frozen=True)
class Column:
    """The cells of a column in some rows.

    Arguments:
        values: `(value,)`; objects are texts.
        times: How many rows each of them stands in, one below the other; None for one.
        text: Numbers as text.
    """

    values: np.ndarray
    times: np.ndarray | None = None
    text: Callable[[np.ndarray], list[Any]] = _as_they_are

    def repeated(self) -> np.ndarray:
        """The cells, each repeated as often as it stands there, `(row,)`."""
        return self.values if self.times is None else np.repeat(self.values, self.times)


@dataclass(frozen=True)
class Rows:
    """A table on its way out.

    Arguments:
        types: Name of a column → what its cells are.
        columns: Part of a content → the columns of its rows.
        attributes: What formats say of a file that have a place for it; None where there is nothing
            to say.
    """

    types: Mapping[str, np.dtype[Any]]
    columns: Callable[[Any], list[Column]]
    attributes: Mapping[str, str] | None = None


def rows_of(content: Content) -> Rows:
    """The table of a content.

    Errors:
        UsageError: A data set's variables differ in length, or are empty: no rows can say that.
    """
    if isinstance(content, DataSets):
        return _of_datasets(content)
    if isinstance(content, EstimateHeader):
        return _of_estimates(content)
    return _of_long_draws(content) if content.long else _of_draws(content)


def _of_datasets(content: DataSets) -> Rows:
    """The table of data sets, one row per member; what a data set has once is repeated."""
    types = {name: column.values.dtype for name, column in _columns(content).items()}
    return Rows(types, lambda part: list(_columns(part).values()))


def _columns(content: DataSets) -> dict[str, Column]:
    """The columns of data sets, by name."""
    row_size = _common_row_size(content)
    columns = {LABEL: Column(_texts(content.labels), row_size)}
    values = content.present()
    for variable in content.layout.variables:
        if (value := values.get(variable.name)) is None:
            continue
        cells = array_of(value).reshape(len(array_of(value)), -1).T
        times = None if isinstance(value, Ragged) else row_size
        columns |= {
            name: Column(own, times) for name, own in zip(variable.elements(), cells, strict=True)
        }
    return columns


def _common_row_size(content: DataSets) -> np.ndarray:
    """The number of rows that each data set takes, `(dataset,)`."""
    labels, datasets = content.labels, content.present()
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


def _of_draws(header: DrawHeader) -> Rows:
    """The table of draws, a row each: label, index of the draw, the elements of the parameters."""

    def columns(block: DrawBlock) -> list[Column]:
        cells = flat_draws(block, header)
        return [*_draw_columns(block, header), *(_single(own) for own in cells.T)]

    types = {LABEL: TEXT, DRAW: WHOLE, **dict.fromkeys(header.elements(), SINGLE)}
    return Rows(types, columns, _attributes(header))


def _of_long_draws(header: DrawHeader) -> Rows:
    """The table of draws, one row per element: label, index of the draw, name, value.

    What a data set does not have (see `Draws`) has no rows.
    """
    names = _texts(header.elements())

    def columns(block: DrawBlock) -> list[Column]:
        cells = flat_draws(block, header)
        there = ~np.isnan(cells)
        own = Column(np.tile(names, len(cells))[there.ravel()])
        return [*_draw_columns(block, header, there.sum(axis=1)), own, _single(cells[there])]

    types = {LABEL: TEXT, DRAW: WHOLE, PARAMETER: TEXT, VALUE: SINGLE}
    return Rows(types, columns, _attributes(header))


def _draw_columns(
    block: DrawBlock, header: DrawHeader, rows: np.ndarray | None = None
) -> list[Column]:
    """The columns of labels and of numbers of draws.

    Arguments:
        rows: How many rows each draw takes, `(dataset · draw,)`; None for one.
    """
    datasets, draws = block.shape
    labels = header.labels[block.first_dataset : block.first_dataset + datasets]
    first = header.style.base + block.first_draw
    index = np.tile(np.arange(first, first + draws), datasets)
    each = np.ones(len(index), np.int64) if rows is None else rows
    return [
        Column(_texts(labels), each.reshape(datasets, draws).sum(axis=1)),
        Column(index, rows),
    ]


def flat_draws(block: DrawBlock, header: DrawHeader) -> np.ndarray:
    """The draws of a block as a table has them, `(dataset · draw, element)`."""
    datasets, draws = block.shape
    shape = (datasets * draws, -1)
    return np.concatenate([block.values[v.name].reshape(shape) for v in header.parameters], axis=1)


def _of_estimates(header: EstimateHeader) -> Rows:
    """The table of estimates: a row per data set and element of a parameter, a column for each."""

    def columns(part: Statistics) -> list[Column]:
        elements = part.elements(header.style)
        cells = as_float32(np.stack(list(elements.values()), axis=1)).reshape(-1, len(header.names))
        return [
            Column(_texts(part.labels), np.full(len(part.labels), len(elements))),
            Column(np.tile(_texts(list(elements)), len(part.labels))),
            *(_single(own) for own in cells.T),
        ]

    return Rows({LABEL: TEXT, PARAMETER: TEXT, **dict.fromkeys(header.names, SINGLE)}, columns)


def _attributes(header: DrawHeader) -> dict[str, str]:
    return {**({} if header.seed is None else {"seed": str(header.seed)}), **header.provenance}


def _single(values: np.ndarray) -> Column:
    return Column(values, text=float32_text)


def _texts(texts: Sequence[str]) -> np.ndarray:
    return np.array(texts, dtype=object)
