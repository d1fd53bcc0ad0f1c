"""Long tables, of whatever file: data sets with one row per member, draws with one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from abi_cli.data.draws import DrawHeader, Estimates, Style, as_float32
from abi_cli.data.entries import LABEL, ROW_NAMES, Asked, Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.data.meanings import Meaning
from abi_cli.data.spelling import respelled, shapes_among
from abi_cli.data.summary import Summary, summary_of
from abi_cli.data.tables import Table
from abi_cli.data.wide_tables import narrowed, widened
from abi_cli.errors import DataError, UsageError
from abi_cli.harmless import label
from abi_cli.spec.dump import one_line
from abi_cli.variables import (
    Datasets,
    DrawBlock,
    Ragged,
    Variable,
    count,
)

DRAW = "draw"
PARAMETER = "parameter"


@dataclass(frozen=True)
class Tables:
    """How a format has tables.

    Arguments:
        read: Source, what to choose from the header, and options as `tables.read_table` → table.
        header: Source → names of the columns.
        texts: Source → names of the columns, rows as texts, numbers of the rows.
        groups: As `read`, some data sets at a time; None where a file is not read from its top.
    """

    read: Callable[..., Table]
    header: Callable[[Source], list[str]]
    texts: Callable[[Source], tuple[list[str], list[tuple[str, ...]], np.ndarray]]
    groups: Callable[..., Iterator[Table]] | None = None


def read_datasets(source: Source, wanted: Wanted, *, tables: Tables) -> Entries:
    """One entry per label, first seen first; its rows may be anywhere in the file.

    Without a label column, all rows are one data set; where the model has neither sets nor series,
    each is one.

    Errors:
        DataError: As `Tables.read`; a value differs within a data set that has one of it.
    """
    chosen, table = _read(source, wanted, tables)
    return chosen.entries(table)


def read_batches(
    source: Source, wanted: Wanted, datasets: int, *, tables: Tables
) -> Iterator[Entries]:
    """As `read_datasets`, `datasets` of them at a time; the rows of each follow each other."""
    assert tables.groups is not None  # noqa: S101  # formats without it don't offer this
    chosen = _Chosen(source, wanted)
    for table in tables.groups(source, chosen.choose, datasets=datasets, **chosen.options()):
        yield chosen.entries(table)


def _datasets(wanted: Wanted, variables: tuple[Variable, ...], table: Table) -> Entries:
    by_row = _by_row(wanted, variables, table)
    if table.labels is None and not any(variable.ragged for variable in variables):
        cell = partial(_cell_of, table, variables)
        return Entries(None, by_row, table.unused, "column", table.place, cell)
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
        cell=lambda name, at: _cell_of(
            table,
            variables,
            name,
            (int((order if isinstance(values[name], Ragged) else order[starts])[at[0]]), *at[1:]),
        ),
    )


def read_points(source: Source, wanted: Wanted, *, tables: Tables) -> Entries:
    """One entry per row; labels may repeat.

    Errors:
        DataError: As `Tables.read`.
    """
    chosen, table = _read(source, wanted, tables)
    variables = chosen.variables
    return Entries(
        labels=None if table.labels is None else tuple(table.labels[i] for i in table.codes),
        values=_by_row(wanted, variables, table),
        unused=table.unused,
        noun="column",
        place=table.place,
        cell=partial(_cell_of, table, variables),
        notes=tuple(chosen.notes),
    )


def read_shapes(source: Source, asked: Asked, *, tables: Tables) -> dict[str, tuple[int, ...]]:
    """Event shape by variable, as the names of the columns say it; a row has one member of a set.

    Errors:
        DataError: No text, or no header; a vector of which elements are missing.
    """
    header = asked.naming.renamed(tables.header(source))
    names = [name for name in header if name != LABEL and name not in ROW_NAMES]
    found = shapes_among(names, asked.names, str(source))
    return {name: event for name, (event, _names) in found.items()}


def read_kind(source: Source, *, tables: Tables) -> str:
    """What the file holds, as the names of its columns say it.

    Errors:
        DataError: No text, or no header.
    """
    header = set(tables.header(source))
    if {LABEL, PARAMETER} <= header:
        return "long draws" if DRAW in header else "estimates"
    return "draws" if {LABEL, DRAW} <= header else "data sets"


def read_sets(source: Source, *, tables: Tables) -> set[str]:
    """The columns with members of sets or series: all, where a label has several rows.

    Errors:
        DataError: As `Tables.read`.
    """
    table = tables.read(source, lambda _header: ())
    if len(table.codes) == len(table.labels or ()):
        return set()
    return set(shapes_among([n for n in table.unused if n not in ROW_NAMES], (), str(source)))


def _read(source: Source, wanted: Wanted, tables: Tables) -> tuple[_Chosen, Table]:
    chosen = _Chosen(source, wanted)
    return chosen, tables.read(source, chosen.choose, **chosen.options())


class _Chosen:
    """Which columns of a table are read, known once its header is.

    Attributes:
        variables: Those that the table has; of a wide table, as its rows have them.
        notes: What was understood that was not written so.
    """

    def __init__(self, source: Source, wanted: Wanted):
        self._wanted, self._found, self._place = wanted, wanted, f"{source}, row 1"
        self._meanings: dict[str, Meaning] = {}
        self.variables: tuple[Variable, ...] = ()
        self.notes: list[str] = []

    def choose(self, header: Sequence[str]) -> list[str]:
        """The columns with their elements."""
        self.variables = self._found.found(
            header, noun="column", spell=Variable.elements, place=self._place
        )
        return [name for variable in self.variables for name in variable.elements()]

    def options(self) -> dict[str, Any]:
        """How cells are read, as options of `tables.read_table`."""
        return {"translate": self._translate, "meanings": self._meanings}

    def entries(self, table: Table) -> Entries:
        """The data sets of a table."""
        pooled = table.labels is None and any(variable.ragged for variable in self.variables)
        if pooled and table.label_like:
            name = table.label_like[0]
            raise DataError(
                f"expected a column {self._wanted.naming.dataset} with the labels of data sets; "
                f"got none, but {name}, which repeats over rows as labels do",
                place=self._place,
                hint=f"Write `data: {{dataset: {one_line(name)}}}` into the spec (a run's, too), "
                f"or call the column {LABEL}. If all rows are one data set, leave {name} out.",
            )
        entries = _datasets(self._found, self.variables, table)
        if self._found is not self._wanted:
            entries = narrowed(entries, self._wanted)
        return replace(entries, notes=tuple(self.notes))

    def _translate(self, header: Sequence[str]) -> list[str]:
        """The header in our words; what its cells may say is known then, too."""
        names = self._wanted.translated(header, spell=Variable.elements, place=self._place)
        self._found = found = widened(self._wanted, names, self._place)
        names, self.notes = respelled(names, found.required, found.optional, self._place)
        self._meanings.update(found.meanings(Variable.elements))
        return names


def _by_row(wanted: Wanted, variables: Sequence[Variable], table: Table) -> Datasets:
    """Each row a data set; what is ragged has one member in each."""
    values: Datasets = {}
    for variable in variables:
        names = variable.elements()
        cells = np.stack([table.columns[name] for name in names], axis=-1)
        cells = wanted.checked(cells, variable, partial(_cell_place, table, names))
        rows = cells.reshape(len(cells), *variable.event)
        values[variable.name] = (
            Ragged(rows, np.ones(len(rows), np.int64)) if variable.ragged else rows
        )
    return values


def _cell_place(table: Table, names: Sequence[str], at: tuple[int, ...]) -> str:
    row, column = at
    return table.place(row, names[column])


def _cell_of(table: Table, variables: Sequence[Variable], name: str, at: tuple[int, ...]) -> str:
    """Where a number of a variable is, its index being that of a row and of an event."""
    variable = next(variable for variable in variables if variable.name == name)
    element = int(np.ravel_multi_index(at[1:], variable.event)) if variable.event else 0
    return table.place(at[0], variable.elements()[element])


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
    same = (rows == rows[first]) | (np.isnan(rows) & np.isnan(rows[first]))
    differs = ~same.reshape(len(rows), -1)
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


def read_estimates(source: Source, *, tables: Tables) -> Summary:
    """Estimates as `write_estimates` leaves them.

    Errors:
        DataError: No columns dataset and parameter; a cell that is no number.
    """
    header, rows, number = tables.texts(source)
    if {LABEL, PARAMETER} - set(header) or DRAW in header:
        raise DataError(
            f"expected estimates, with columns {LABEL} and {PARAMETER}; got {', '.join(header)}",
            place=f"{source}, row 1",
        )
    names = [name for name in header if name not in (LABEL, PARAMETER, *ROW_NAMES)]

    def place(row: int) -> str:
        return f"{source}, row {number[min(row, len(number) - 1)]}"

    def parsed() -> Iterator[tuple[str, str, dict[str, float]]]:
        for at, row in enumerate(rows):
            cells = dict(zip(header, row, strict=True))
            try:
                values = {name: float(cells[name]) for name in names}
            except ValueError:
                raise DataError("expected a number in every column", place=place(at)) from None
            yield label(cells[LABEL]), label(cells[PARAMETER]), values

    return summary_of(parsed(), place)


def common_row_size(datasets: Datasets, labels: Sequence[str]) -> np.ndarray:
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


def estimate_rows(estimates: Estimates, style: Style) -> tuple[list[str], np.ndarray]:
    """Estimates as a table has them, a row for each element of a parameter.

    Returns:
        Names of the elements, and `(dataset, element, estimate)`, float32.
    """
    elements = estimates.elements(style)
    return list(elements), as_float32(np.stack(list(elements.values()), axis=1))


def flat_draws(block: DrawBlock, header: DrawHeader) -> np.ndarray:
    """A block's draws as a table has them, `(dataset, draw, element)`."""
    shape = (*block.shape, -1)
    return np.concatenate([block.values[v.name].reshape(shape) for v in header.parameters], axis=-1)
