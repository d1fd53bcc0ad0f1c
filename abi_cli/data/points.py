"""Values of parameters at which a density is asked for: rows of a table, objects, or draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from abi_cli.data import formats
from abi_cli.data.contents import Kind
from abi_cli.data.entries import Asked, Entries, Naming, Wanted, listing
from abi_cli.data.files import Source
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Layout, count


def read_parameters(
    source: Path | None,
    layout: Layout,
    labels: Sequence[str],
    *,
    format: str | None = None,
    naming: Naming | None = None,
    note: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, Datasets]:
    """Read values of the parameters, one row each, and which data set each is for.

    Draws are such rows, too, in whatever format they are written.

    Arguments:
        source: None is standard input.
        layout: The variables of the model; all its parameters must be there.
        labels: Labels of the data sets. Where there is one, the file needs none.
        format: A format's name; by default that of the extension, CSV for standard input.
        naming: How the file may call things otherwise.
        note: Takes what was understood that was not written so.

    Returns:
        Index into `labels`, `(row,)`, and parameter name → `(row, *event)`.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or not values of these parameters, or for other data.
    """
    if source is not None and _holds_draws(source, layout, format):
        entries = _rows_of_draws(source, layout, format)
    else:
        wanted = Wanted(layout.of("parameter"), optional=(), naming=naming or Naming())
        with formats.opened(source, format) as file:
            entries = file.points(wanted)
    if note is not None:
        for text in entries.notes:
            note(text)
    return rows_for(entries, labels, Source(source))


def rows_for(
    entries: Entries, labels: Sequence[str], source: Source
) -> tuple[np.ndarray, Datasets]:
    """The data sets among `labels` that the rows of points are for, and the points.

    Errors:
        DataError: A row has no label where there are several data sets, or that of another.
    """
    if entries.labels is None:
        if len(labels) != 1:
            raise DataError(
                f"expected a {entries.noun} dataset, as there are {len(labels)} data sets",
                place=str(source),
                hint="Say which data set each row is for.",
            )
        return np.zeros(count(entries.values), np.int64), entries.values
    position = {label: i for i, label in enumerate(labels)}
    for row, label in enumerate(entries.labels):
        if label not in position:
            raise DataError(
                f"expected the label of a data set: {listing(labels)}; got {label}",
                place=entries.place(row),
            )
    return np.array([position[label] for label in entries.labels]), entries.values


def _holds_draws(source: Path, layout: Layout, format: str | None) -> bool:
    """True if a file has an axis of draws within each of its data sets. Tables have none."""
    codec = formats.for_reading(source, format)
    if codec.table:
        return False
    with codec.open(Source(source)) as file:
        kind = file.kind()
    if kind is not Kind.UNSURE:
        return kind is Kind.DRAWS
    parameters = layout.of("parameter")
    with codec.open(Source(source)) as file:
        shapes = file.shapes(Asked([v.name for v in parameters]))
    return all(shapes.get(v.name, ())[1:] == v.event and shapes.get(v.name) for v in parameters)


def _rows_of_draws(source: Path, layout: Layout, format: str | None) -> Entries:
    """Draws `(dataset, draw, …)` as rows, data set after data set."""
    with formats.opened(source, format) as file:
        draws = file.draws()
    values: Datasets = {}
    for variable in layout.of("parameter"):
        value = draws.values.get(variable.name)
        if value is None or value.shape[2:] != variable.event:
            found = "none" if value is None else str(value.shape[2:])
            raise DataError(
                f"expected draws of {variable.name} of shape {variable.event}; got {found}",
                place=str(source),
            )
        values[variable.name] = value.reshape(-1, *variable.event).astype(np.float64)
    each = count(values) // len(draws.labels)
    labels = tuple(label for label in draws.labels for _ in range(each))

    def place(row: int) -> str:
        return f"{source}, draw {row % each} of data set {labels[row]}"

    return Entries(labels, values, (), "array", place, lambda name, at: f"{place(at[0])}, {name}")
