"""Data sets from several files: tables that are joined by data set, or a file for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli.data import formats
from abi_cli.data.datasets import (
    Loaded,
    loaded_of,
    one_after_the_other,
    read_datasets,
    unique_labels,
    wanted_of,
)
from abi_cli.data.entries import Cell, Entries, Naming, Wanted, check_labels, listing
from abi_cli.data.files import Source
from abi_cli.digits import plural
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Datasets, Layout, Ragged, Variable, array_of, take


@dataclass(frozen=True)
class Part:
    """A file of data.

    Arguments:
        source: None is standard input.
        variable: The only one that is read from it; None for all that it has.
    """

    source: Path | None
    variable: str | None = None


def read_several(
    parts: Sequence[Part], layout: Layout, *, each: bool = False, naming: Naming | None = None
) -> Loaded:
    """Read data sets of one or more files.

    Arguments:
        parts: Tables for different variables, joined by the labels of their data sets; or, with
            `each`, files that hold a data set each, which is called like its file.

    Errors:
        UsageError: No such format; `each` with a part of a data set.
        DataError: A file is not there, or not data of this model; data sets are not in all files.
    """
    naming = naming or Naming()
    if each:
        return _each(parts, layout, naming)
    if len(parts) == 1 and parts[0].variable is None:
        return read_datasets(parts[0].source, layout, naming=naming)
    return _joined(parts, layout, naming)


def _each(parts: Sequence[Part], layout: Layout, naming: Naming) -> Loaded:
    loaded: dict[str, Loaded] = {}
    for part in parts:
        if part.variable is not None or part.source is None:
            raise UsageError(
                "expected files that hold a whole data set each with --each; "
                f"got {part.variable or 'standard input'}"
            )
        label = part.source.stem
        check_labels([label], lambda _row, source=part.source: ascii(str(source)))  # type: ignore[misc]
        if label in loaded:
            raise DataError(
                f"expected files of different names, which data sets are called by; got {label} "
                "twice",
                place=str(part.source),
            )
        loaded[label] = read_datasets(part.source, layout, naming=naming)
        if len(loaded[label].labels) != 1:
            raise DataError(
                f"expected one data set in each file; got {len(loaded[label].labels)}",
                place=str(part.source),
                hint="Leave --each out to join files by their column dataset.",
            )
    return replace(one_after_the_other(list(loaded.values())), labels=list(loaded))


def _joined(parts: Sequence[Part], layout: Layout, naming: Naming) -> Loaded:
    wanted = wanted_of(layout, naming)
    needed = wanted.required
    values: Datasets = {}
    labels: list[str] = []
    unused: dict[str, list[str]] = {}
    owner: dict[str, Source] = {}
    cells: dict[str, Cell] = {}
    first: Entries | None = None
    for part in parts:
        source = Source(part.source)
        entries = _read_part(part, (*needed, *wanted.optional), naming)
        own = unique_labels(entries)
        if first is None:
            first, labels = entries, own
        else:
            _check_same(own, labels, source, owner)
        order = np.array([own.index(label) for label in labels])
        for name, value in take(entries.values, order).items():
            if name in values and not np.array_equal(array_of(values[name]), array_of(value)):
                raise DataError(
                    f"expected {name} in one file; got another in {owner[name]}", place=str(source)
                )
            values[name], owner[name] = value, source
            cells[name] = _from_before(entries, name, order)
        unused[str(source)] = list(entries.unused)
    if missing := [variable.name for variable in needed if variable.name not in values]:
        raise DataError(
            f"expected {listing(missing)} in one of {len(parts)} files; "
            f"got {listing(values) or 'nothing that the model has'}",
            place=", ".join(unused),
        )
    if first is None:
        raise UsageError("expected a file of data; got none")
    entries = replace(
        first,
        values=values,
        labels=tuple(labels),
        unused=(),
        cell=lambda name, at: cells[name](name, at),
    )
    notes = []
    for file, names in unused.items():
        if strange := [name for name in names if name.partition("[")[0] not in layout]:
            notes.append(
                f"{file}: no use for the {plural('column', len(strange))} {listing(strange)}"
            )
    loaded = loaded_of(entries, layout, naming, Source(parts[0].source))
    return replace(loaded, notes=(*loaded.notes, *notes))


def _from_before(entries: Entries, name: str, order: np.ndarray) -> Cell:
    """A function for the place of a number of a variable whose data sets have got a new order."""
    value = entries.values[name]
    before = value.rows(order) if isinstance(value, Ragged) else order
    return lambda name, at: entries.cell(name, (int(before[at[0]]), *at[1:]))


def _read_part(part: Part, variables: tuple[Variable, ...], naming: Naming) -> Entries:
    """The entries of a file, for the variables that it has.

    Errors:
        DataError: It has none of them, or lacks the one that it is for.
    """
    if part.variable is not None:
        named = (part.variable, naming.times.get(part.variable))
        own = tuple(variable for variable in variables if variable.name in named)
        if not own:
            known = ", ".join(variable.name for variable in variables)
            raise UsageError(
                f"expected FILE, or NAME=FILE with one of {known} as NAME; got {part.variable}"
            )
        with formats.opened(part.source) as file:
            return file.entries(Wanted(own, optional=(), naming=naming))
    with formats.opened(part.source) as file:
        entries = file.entries(Wanted((), optional=variables, naming=naming))
    if not entries.values:
        raise DataError(
            f"expected some of {', '.join(variable.name for variable in variables)}; "
            f"got {listing(entries.unused) or 'nothing'}",
            place=str(Source(part.source)),
        )
    return entries


def _check_same(
    own: Sequence[str], labels: Sequence[str], source: Source, owner: dict[str, Source]
) -> None:
    """Refuse files that don't have the same data sets."""
    before = next(iter(owner.values()))
    for here, there, absent in ((own, labels, source), (labels, own, before)):
        if strange := [label for label in there if label not in set(here)]:
            raise DataError(
                f"expected the same data sets as in the other files; got none called "
                f"{listing(strange)}",
                place=str(absent),
                hint="Files are joined by their column, key or array `dataset`. "
                "For a data set in each file: --each",
            )
