"""Tables, of whatever file: data sets with one row per member, draws with one row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from abi_cli.data.contents import Kind
from abi_cli.data.draw_tables import draws_of
from abi_cli.data.draws import Draws, Statistics
from abi_cli.data.entries import LABEL, ROW_NAMES, Asked, Entries, Wanted
from abi_cli.data.sheets import Columns, Sheet, read_columns
from abi_cli.data.spelling import respelled, shapes_among
from abi_cli.data.statistics import gathered
from abi_cli.data.table_rows import DRAW, PARAMETER
from abi_cli.data.wide_tables import narrowed, widened
from abi_cli.errors import DataError
from abi_cli.harmless import label
from abi_cli.spec.dump import one_line
from abi_cli.variables import Datasets, Ragged, Variable


@dataclass(frozen=True)
class Table:
    """A file that is a table; see `contents.Carrier`."""

    sheet: Sheet

    def kind(self) -> Kind:
        """The kind of content, judging by the names of columns."""
        header = set(self.sheet.header)
        if {LABEL, PARAMETER} <= header:
            return Kind.LONG_DRAWS if DRAW in header else Kind.ESTIMATES
        return Kind.DRAWS if {LABEL, DRAW} <= header else Kind.DATA

    def shapes(self, asked: Asked) -> dict[str, tuple[int, ...]]:
        """The event shapes of variables, by name; a row has one member of a set.

        Errors:
            DataError: A vector of which elements are missing.
        """
        header = asked.naming.renamed(self.sheet.header)
        names = [name for name in header if name != LABEL and name not in ROW_NAMES]
        found = shapes_among(names, asked.names, str(self.sheet.source))
        return {name: event for name, (event, _names) in found.items()}

    def sets(self) -> set[str]:
        """The columns with members of sets or series: all, where a label has several rows."""
        columns = read_columns(self.sheet, ())
        if len(columns.codes) == len(columns.labels or ()):
            return set()
        names = [name for name in columns.unused if name not in ROW_NAMES]
        return set(shapes_among(names, (), str(self.sheet.source)))

    def entries(self, wanted: Wanted) -> Entries:
        """The entries, one per label, first seen first; its rows may be anywhere in the file.

        Without a label column, all rows are one data set; where the model has neither sets nor
        series, each is one.

        Errors:
            DataError: As `read_columns`; a value differs within a data set that has one of it.
        """
        chosen = _Chosen(self.sheet, wanted)
        return chosen.entries(chosen.read(self.sheet))

    def points(self, wanted: Wanted) -> Entries:
        """The entries of points, one per row; labels may repeat."""
        chosen = _Chosen(self.sheet, wanted)
        columns = chosen.read(self.sheet)
        labels = columns.labels
        return Entries(
            labels=None if labels is None else tuple(labels[code] for code in columns.codes),
            values=_by_row(wanted, chosen.variables, columns),
            unused=columns.unused,
            noun="column",
            place=columns.place,
            cell=partial(_cell_of, columns, chosen.variables),
            notes=chosen.notes,
        )

    def batches(self, wanted: Wanted, datasets: int) -> Iterator[Entries]:
        """The entries of so many data sets at a time; the rows of each follow each other.

        Errors:
            DataError: There are no labels.
        """
        sheet, chosen = self.sheet, _Chosen(self.sheet, wanted)
        own = dict(zip(chosen.header, sheet.header, strict=True)).get(LABEL)
        if own is None or sheet.groups is None:
            raise DataError(
                f"expected a column {LABEL} for --grouped; got {', '.join(sheet.header)}",
                place=f"{sheet.source}, row 1",
            )
        for group in sheet.groups(own, datasets):
            columns = chosen.read(group)
            _refuse_scattered(columns)
            yield chosen.entries(columns)

    def draws(self) -> Draws:
        """Draws in a row each, in any order; see `draw_tables`."""
        return draws_of(self.sheet)

    def estimates(self) -> Statistics:
        """Estimates in a row for each element of a parameter.

        Errors:
            DataError: No columns dataset and parameter; a cell that is no number.
        """
        sheet = self.sheet
        header, (rows, number) = sheet.header, sheet.rows()
        if {LABEL, PARAMETER} - set(header) or DRAW in header:
            raise DataError(
                f"expected estimates, with columns {LABEL} and {PARAMETER}; "
                f"got {', '.join(header)}",
                place=f"{sheet.source}, row 1",
            )
        names = [name for name in header if name not in (LABEL, PARAMETER, *ROW_NAMES)]

        def place(row: int) -> str:
            return f"{sheet.source}, row {number[min(row, len(number) - 1)]}"

        def parsed() -> Iterator[tuple[str, str, dict[str, float]]]:
            for at, row in enumerate(rows):
                cells = dict(zip(header, row, strict=True))
                values = {}
                for name in names:
                    try:
                        values[name] = float(cells[name])
                    except ValueError:
                        raise DataError(
                            f"expected a number; got {cells[name]!r}",
                            place=f"{place(at)}, column {name}",
                        ) from None
                yield label(cells[LABEL]), label(cells[PARAMETER]), values

        return gathered(parsed(), place)


class _Chosen:
    """The columns of a table that are read, and the variables and entries made of them.

    Attributes:
        header: The names of the columns in our words.
        variables: Those that the table has; of a wide table, as its rows have them.
        notes: What was understood that was not written so.

    Errors:
        DataError: The table lacks some that are required.
    """

    def __init__(self, sheet: Sheet, wanted: Wanted):
        spell = Variable.elements
        self._place = f"{sheet.source}, row 1"
        self._wanted = wanted
        names = wanted.translated(sheet.header, spell=spell, place=self._place)
        self._found = found = widened(wanted, names, self._place)
        self.header, notes = respelled(names, found.required, found.optional, self._place)
        self.notes = tuple(notes)
        self._meanings = found.meanings(spell)
        self.variables = found.found(self.header, noun="column", spell=spell, place=self._place)

    def read(self, sheet: Sheet) -> Columns:
        """The columns of their elements."""
        names = [name for variable in self.variables for name in variable.elements()]
        return read_columns(sheet, names, header=self.header, meanings=self._meanings)

    def entries(self, columns: Columns) -> Entries:
        """The data sets of some rows."""
        pooled = columns.labels is None and any(variable.ragged for variable in self.variables)
        if pooled and columns.label_like:
            name = columns.label_like[0]
            raise DataError(
                f"expected a column {self._wanted.naming.dataset} with the labels of data sets; "
                f"got none, but {name}, which repeats over rows as labels do",
                place=self._place,
                hint=f"Write `data: {{dataset: {one_line(name)}}}` into the spec (a run's, too), "
                f"or call the column {LABEL}. If all rows are one data set, leave {name} out.",
            )
        entries = _datasets(self._found, self.variables, columns)
        if self._found is not self._wanted:
            entries = narrowed(entries, self._wanted)
        return replace(entries, notes=self.notes)


def _datasets(wanted: Wanted, variables: tuple[Variable, ...], columns: Columns) -> Entries:
    by_row = _by_row(wanted, variables, columns)
    if columns.labels is None and not any(variable.ragged for variable in variables):
        own = partial(_cell_of, columns, variables)
        return Entries(None, by_row, columns.unused, "column", columns.place, own)
    order = np.argsort(columns.codes, kind="stable")
    row_size = np.bincount(columns.codes)
    starts = np.cumsum(row_size) - row_size
    values: Datasets = {}
    for variable in variables:
        value = by_row[variable.name]
        if isinstance(value, Ragged):
            values[variable.name] = Ragged(value.values[order], row_size)
        else:
            rows = value[order]
            values[variable.name] = rows[starts]
            _check_constant(rows, variable, order, starts, row_size, columns)

    def cell(name: str, at: tuple[int, ...]) -> str:
        rows = order if isinstance(values[name], Ragged) else order[starts]
        return _cell_of(columns, variables, name, (int(rows[at[0]]), *at[1:]))

    return Entries(
        labels=columns.labels,
        values=values,
        unused=columns.unused,
        noun="column",
        place=lambda dataset: columns.place(int(order[starts[dataset]])),
        cell=cell,
    )


def _by_row(wanted: Wanted, variables: Sequence[Variable], columns: Columns) -> Datasets:
    """The data sets of rows, one each; a ragged value has one member in each."""
    values: Datasets = {}
    for variable in variables:
        names = variable.elements()

        def place(at: tuple[int, ...], names: tuple[str, ...] = names) -> str:
            return columns.place(at[0], names[at[1]])

        cells = np.stack([columns.values[name] for name in names], axis=-1)
        cells = wanted.checked(cells, variable, place)
        rows = cells.reshape(len(cells), *variable.event)
        values[variable.name] = (
            Ragged(rows, np.ones(len(rows), np.int64)) if variable.ragged else rows
        )
    return values


def _cell_of(
    columns: Columns, variables: Sequence[Variable], name: str, at: tuple[int, ...]
) -> str:
    """The place of a number of a variable at the index of a row and of an event."""
    variable = next(variable for variable in variables if variable.name == name)
    element = int(np.ravel_multi_index(at[1:], variable.event)) if variable.event else 0
    return columns.place(at[0], variable.elements()[element])


def _check_constant(
    rows: np.ndarray,
    variable: Variable,
    order: np.ndarray,
    starts: np.ndarray,
    row_size: np.ndarray,
    columns: Columns,
) -> None:
    """Refuse a value `rows (row, *event)`, sorted by data set, that differs within one."""
    first = np.repeat(starts, row_size)
    same = (rows == rows[first]) | (np.isnan(rows) & np.isnan(rows[first]))
    differs = ~same.reshape(len(rows), -1)
    if not differs.any():
        return
    row, element = (int(i) for i in np.argwhere(differs)[0])
    cells = rows.reshape(len(rows), -1)
    label = "0" if columns.labels is None else columns.labels[columns.codes[order[row]]]
    raise DataError(
        f"expected one value in all rows of data set {label}; "
        f"got {cells[row, element]:g} after {cells[first[row], element]:g}",
        place=columns.place(int(order[row]), variable.elements()[element]),
        hint=None
        if columns.labels is not None
        else f"Without a column {LABEL!r}, all rows are one data set.",
    )


def _refuse_scattered(columns: Columns) -> None:
    """Refuse rows of a data set that come after those of another; codes count up as they appear."""
    back = np.flatnonzero(np.diff(columns.codes) < 0)
    if len(back):
        row = int(back[0]) + 1
        label = (columns.labels or ())[columns.codes[row]]
        raise DataError(
            f"expected each data set once; got {label} here again",
            place=columns.place(row),
            hint="With --grouped the rows of a data set follow each other: leave it out to have "
            "them put together.",
        )
