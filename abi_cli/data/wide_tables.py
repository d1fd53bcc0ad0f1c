"""Wide tables: a data set a row, the members of a set or series in columns y1, y2, …"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from abi_cli.data.entries import Entries, Wanted
from abi_cli.data.spelling import elements_among
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Ragged


def widened(wanted: Wanted, header: Sequence[str], place: str) -> Wanted:
    """The variables to look for in a table: in a wide one, sets and series are vectors of a row.

    Arguments:
        header: In the words of the model.

    Errors:
        DataError: It is wide for some sets, and long for others.
    """
    ragged = {v.name for v in wanted.required if v.ragged}
    absent = {v.name for v in wanted.required if v.name in ragged and not v.event} - set(header)
    members = {
        elements.variable: elements
        for elements in elements_among(header, absent)
        if elements.variable in absent and elements.event is not None and len(elements.names) > 1
    }
    if not members:
        return wanted
    if long := [name for name in ragged if name not in members]:
        columns = "; ".join(elements.shown() for elements in members.values())
        raise DataError(
            f"expected columns of members of {', '.join(long)}, too, where those of "
            f"{', '.join(members)} have columns of their own ({columns})",
            place=place,
            hint="Bring the table into the long form: a row for each member, and a column dataset.",
        )
    # Cells at the end of a row may be empty, in the data sets with fewer members.
    vectors = tuple(
        replace(v, ragged=False, event=(len(members[v.name].names),), missing=True, integer=False)
        if v.name in members
        else v
        for v in wanted.required
    )
    return replace(wanted, required=vectors)


def narrowed(entries: Entries, wanted: Wanted) -> Entries:
    """The entries with members of sets and series end to end.

    Arguments:
        wanted: What was looked for before the table turned out to be wide.

    Errors:
        DataError: An empty cell between others, where no value may be missing.
    """
    values: Datasets = dict(entries.values)
    for variable in wanted.required:
        rows = values.get(variable.name)
        if not variable.ragged or not isinstance(rows, np.ndarray):
            continue
        there = np.ones(rows.shape, bool) if variable.missing else ~np.isnan(rows)
        size = there.sum(axis=1)
        there = np.arange(rows.shape[1]) < size[:, None]
        members = Ragged(rows[there], size)

        def place(at: tuple[int, ...], name: str = variable.name, among: Ragged = members) -> str:
            row = among.dataset_of(at[0])
            return entries.cell(name, (row, at[0] - int(among.starts()[row])))

        checked = wanted.checked(members.values, variable, place)
        values[variable.name] = Ragged(checked, size)

    def cell(name: str, at: tuple[int, ...]) -> str:
        value = values[name]
        if isinstance(value, Ragged):
            row = value.dataset_of(at[0])
            at = (row, at[0] - int(value.starts()[row]))
        return entries.cell(name, at)

    return replace(entries, values=values, cell=cell)
