"""Data sets in and out, in any format, as the layout of a model says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np

from abi_cli.data import formats
from abi_cli.data.contents import DataSets, Kind
from abi_cli.data.entries import (
    ROW_NAMES,
    Asked,
    Cell,
    Entries,
    Naming,
    Wanted,
    check_labels,
    listing,
)
from abi_cli.data.files import Source
from abi_cli.data.preparing import in_order, prepared
from abi_cli.digits import plural
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Layout, Ragged, Variable, concatenate, count, take


@dataclass(frozen=True)
class Loaded:
    """Data sets as they were read.

    Arguments:
        labels: Labels of the data sets, in the order of the file.
        datasets: Context and observables, and parameters where truths were asked for.
        notes: What is worth telling, such as columns without a use.
        place: Where a data set begins in the file.
        cell: Where a number is: that of a variable at an index of its array.
        scores: What is said of the data sets, by name, `(dataset,)`.
    """

    labels: list[str]
    datasets: Datasets
    notes: tuple[str, ...]
    place: Callable[[int], str]
    cell: Cell
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of(self, rows: np.ndarray) -> Loaded:
        """The data sets `rows (row,)`, which may come again."""

        def cell(name: str, at: tuple[int, ...]) -> str:
            value = self.datasets[name]
            before = value.rows(rows) if isinstance(value, Ragged) else rows
            return self.cell(name, (int(before[at[0]]), *at[1:]))

        return Loaded(
            labels=[self.labels[row] for row in rows],
            datasets=take(self.datasets, rows),
            notes=self.notes,
            place=lambda row: self.place(int(rows[row])),
            cell=cell,
            scores={name: own[rows] for name, own in self.scores.items()},
        )


def read_datasets(
    source: Path | None,
    layout: Layout,
    *,
    format: str | None = None,
    truths: bool = False,
    naming: Naming | None = None,
) -> Loaded:
    """Read the data that posteriors are to be given.

    Counts (a context such as N that always equals the length of an observable) are derived; one
    that is in the file is verified.

    Arguments:
        source: None is standard input.
        layout: The variables of the model.
        format: A format's name; by default that of the extension, CSV for standard input.
        truths: Whether to keep the parameters that the file has.
        naming: How the file may call things otherwise.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or not data of this model.
    """
    more = layout.of("parameter") if truths else ()
    wanted = wanted_of(layout, naming or Naming(), more=more)
    return _load(source, layout, wanted, format)


def read_simulations(
    source: Path | None,
    layout: Layout,
    *,
    format: str | None = None,
    naming: Naming | None = None,
) -> Loaded:
    """Read simulations to learn from: data sets with the parameters that they come from.

    Arguments:
        naming: How the file may call things otherwise: it says the same of simulations as of the
            data that posteriors will be given.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or not simulations of this model.
    """
    usual = wanted_of(layout, naming or Naming(), more=layout.of("nuisance"))
    wanted = replace(usual, required=(*usual.required, *layout.of("parameter")))
    return _load(source, layout, wanted, format)


def read_shapes(
    source: Path | None, asked: Asked, *, format: str | None = None
) -> dict[str, tuple[int, ...]]:
    """The variables of a file: their names and the shape of one event of each.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or can't be data of this format.
    """
    with formats.opened(source, format) as file:
        return file.shapes(asked)


def read_described(
    source: Path,
    *,
    once: Collection[str] = (),
    sets: Collection[str] = (),
    alone: bool = False,
    format: str | None = None,
) -> Loaded:
    """Read data sets of which no model is known: every variable that the file has, as it looks.

    Arguments:
        once: Variables that a data set has one value of, whatever else varies within it.
        sets: Variables that are sets or series, also where all have one length.
        alone: Read no others.
        format: A format's name; by default that of the extension.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or not data.
    """
    with formats.opened(source, format) as file:
        ragged = (file.sets() | set(sets)) - set(once)
    shapes = read_shapes(source, Asked(ragged=ragged), format=format)
    variables = tuple(
        Variable(name, "observable", ragged=name in ragged, event=shape)
        for name, shape in shapes.items()
        if not alone or name in once
    )
    return _load(source, Layout(variables), Wanted(variables, optional=()), format)


def wanted_of(layout: Layout, naming: Naming, *, more: tuple[Variable, ...] = ()) -> Wanted:
    """The variables that a file must have, or may have, for posteriors to be given it.

    Arguments:
        more: Variables that are read where they are there.
    """
    required = uncounted(layout.of("context", "given", "observable"))
    times = tuple(
        Variable(name, "given", ragged=True, event=())
        for name in dict.fromkeys(naming.times.values())
        if name not in layout
    )
    return Wanted(required, optional=(*counted(layout), *more, *times), naming=naming)


def counted(layout: Layout) -> tuple[Variable, ...]:
    """Contexts that are derived from the length of an observable."""
    return tuple(variable for variable in layout.of("context") if variable.length_of)


def uncounted(variables: Sequence[Variable]) -> tuple[Variable, ...]:
    """Variables that are not derived from the length of an observable."""
    return tuple(v for v in variables if v.role != "context" or not v.length_of)


def _load(source: Path | None, layout: Layout, wanted: Wanted, format: str | None) -> Loaded:
    with formats.opened(source, format) as file:
        entries = file.entries(wanted)
    return loaded_of(entries, layout, wanted.naming, Source(source))


def loaded_of(entries: Entries, layout: Layout, naming: Naming, source: Source) -> Loaded:
    """The data sets in `entries`, in the order of the layout, counts derived.

    Errors:
        DataError: They are not what the model has.
    """
    labels = unique_labels(entries)
    check_labels(labels, entries.place)
    for name, value in entries.values.items():
        if isinstance(value, Ragged) and (value.row_size == 0).any():
            empty = int(np.argmin(value.row_size))
            raise DataError(
                f"expected at least one member of {name} in data set {labels[empty]}; got none",
                place=entries.place(empty),
                hint="Leave the empty data set out.",
            )
    values = entries.values | _counts(entries, labels, layout)
    notes = list(entries.notes)
    before: dict[str, np.ndarray] = {}
    for column in dict.fromkeys(naming.times.values()):
        series = [name for name, time in naming.times.items() if time == column and name in values]
        if column in values:
            ordered_steps, order = in_order(values, series, column, labels)
            values |= ordered_steps
            before |= dict.fromkeys(ordered_steps, order)
        elif series:
            notes.append(f"{source}: no {column}: the steps of {listing(series)} stay in order")
    for name, how in naming.prepare.items():
        if name in values:  # what is looked for, and isn't there, was refused before
            values[name] = prepared(name, values[name], how, labels)
    ordered = {v.name: values[v.name] for v in layout.variables if v.name in values}
    unused = [
        name
        for name in entries.unused
        if name.partition("[")[0] not in layout and name not in ROW_NAMES
    ]
    if unused:
        notes.append(
            f"{source}: no use for the {plural(entries.noun, len(unused))} {listing(unused)}"
        )

    def cell(name: str, at: tuple[int, ...]) -> str:
        if name not in entries.values:  # a count
            return entries.place(at[0])
        first = int(before[name][at[0]]) if name in before else at[0]
        return entries.cell(name, (first, *at[1:]))

    return Loaded(labels, ordered, tuple(notes), entries.place, cell)


def one_after_the_other(parts: Sequence[Loaded]) -> Loaded:
    """The data sets of all parts; at least one."""
    datasets = concatenate([part.datasets for part in parts])
    ends = np.cumsum([len(part.labels) for part in parts])

    def owner(row: int) -> tuple[Loaded, int]:
        """The part of a data set, and its place there."""
        number = int(np.searchsorted(ends, row, side="right"))
        part = parts[number]
        return part, row - int(ends[number]) + len(part.labels)

    def place(row: int) -> str:
        part, own = owner(row)
        return part.place(own)

    def cell(name: str, at: tuple[int, ...]) -> str:
        value = datasets[name]
        row = value.dataset_of(at[0]) if isinstance(value, Ragged) else at[0]
        part, own = owner(row)
        within = own
        if isinstance(value, Ragged):
            theirs = part.datasets[name]
            within = at[0] - int(value.starts()[row]) + int(cast(Ragged, theirs).starts()[own])
        return part.cell(name, (within, *at[1:]))

    labels = [label for part in parts for label in part.labels]
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Loaded(labels, datasets, notes, place, cell)


def unique_labels(entries: Entries) -> list[str]:
    """The labels of data sets; indices where the file has none.

    Errors:
        DataError: A label is there twice.
    """
    if entries.labels is None:
        return [str(i) for i in range(count(entries.values))]
    seen: dict[str, int] = {}
    for i, label in enumerate(entries.labels):
        if label in seen:
            raise DataError(
                f"expected each data set once; got {label} here and in "
                f"{entries.place(seen[label])}",
                place=entries.place(i),
            )
        seen[label] = i
    return list(seen)


def _counts(entries: Entries, labels: Sequence[str], layout: Layout) -> Datasets:
    """The contexts that count members, `(dataset,)` int64; those in the file are verified."""
    counts: Datasets = {}
    for variable in counted(layout):
        first, *others = (
            (name, value)
            for name in variable.length_of
            if isinstance(value := entries.values[name], Ragged)
        )
        given = entries.values.get(variable.name)
        claims = [(name, value.row_size) for name, value in others]
        if isinstance(given, np.ndarray):
            claims.append((variable.name, given))
        name, sizes = first[0], first[1].row_size
        for claim, claimed in claims:
            if not np.array_equal(claimed, sizes):
                at = int(np.argmax(claimed != sizes))
                got = f"{claim} = " if claim == variable.name else f"the length of {claim}, "
                raise DataError(
                    f"expected the length of {name}, {sizes[at]}, in data set {labels[at]}; "
                    f"got {got}{claimed[at]}",
                    place=entries.place(at),
                    hint=f"{variable.name} is counted; it need not be in the file.",
                )
        counts[variable.name] = sizes
    return counts


def write_simulations(
    target: Path | None,
    datasets: Datasets,
    layout: Layout,
    *,
    format: str | None = None,
    labels: Sequence[str] | None = None,
) -> None:
    """Write data sets with everything that they come from, as `read_datasets` reads them.

    Arguments:
        target: None is standard output.
        datasets: Data sets of the model; what the layout doesn't name is left out.
        layout: The variables of the model.
        format: A format's name; by default that of the extension, CSV for standard output.
        labels: Labels of the data sets; by default their indices.

    Errors:
        UsageError: No such format, or one that can't hold these data sets.
        OutputError: The file can't be written.
    """
    if labels is None:
        labels = [str(i) for i in range(count(datasets))]
    _write(target, DataSets(datasets, layout, labels), format, Kind.DATA)


def write_parts(
    target: Path | None, parts: Iterable[Datasets], layout: Layout, *, format: str | None = None
) -> int:
    """Write data sets as they come, labelled by their indices; return their number.

    Arguments:
        target: None is standard output.
        parts: At least one.
        layout: The variables of the model; what it doesn't name is left out.
        format: A format's name; by default that of the extension, CSV for standard output.

    Errors:
        UsageError: No such format, or one that can't hold these data sets.
        OutputError: The file can't be written.
    """
    codec = formats.for_writing(target, format, Kind.DATA)
    done = 0

    def labelled(part: Datasets) -> DataSets:
        return DataSets(part, layout, [str(done + i) for i in range(count(part))])

    coming = iter(parts)
    first = next(coming)
    with formats.writing(target, codec, labelled(first)) as append:
        for part in chain([first], coming):
            append(labelled(part))
            done += count(part)
    return done


def write_replicates(
    target: Path | None,
    datasets: Datasets,
    layout: Layout,
    labels: Sequence[str],
    *,
    format: str | None = None,
) -> None:
    """Write replicated data: data sets whose labels repeat, told apart by a variable `draw`.

    Errors:
        UsageError: No such format, or one that can't hold these data sets.
        OutputError: The file can't be written.
    """
    _write(target, DataSets(datasets, layout, labels), format, Kind.REPLICATES)


def _write(target: Path | None, content: DataSets, format: str | None, kind: Kind) -> None:
    codec = formats.for_writing(target, format, kind)
    with formats.writing(target, codec, content) as append:
        append(content)
