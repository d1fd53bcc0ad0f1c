"""Data sets of a command, all at once or some at a time, and points for densities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import (
    Frame,
    Loaded,
    Naming,
    Part,
    can_stream,
    read_batches,
    read_frame,
    read_frame_of_parameters,
    read_parameters,
    read_several,
)
from abi_cli.errors import UsageError
from abi_cli.variables import Datasets, Layout
from abi_cli.workflow.request import STDIN, need_piped


@dataclass(frozen=True)
class DataFiles:
    """Files of data sets.

    Arguments:
        files: Paths, `-` for standard input, or `NAME=PATH` for one variable; several are joined by
            data set.
        each: Every file is a data set, called like the file.
        grouped: The rows of a data set follow each other in the file: it is read as it comes.
    """

    files: Sequence[Path | str]
    each: bool = False
    grouped: bool = False

    def parts(self) -> list[Part]:
        """The files, each with the variable that it is for."""
        parts = []
        for file in self.files:
            name, equals, path = str(file).partition("=")
            named = equals and name.isidentifier() and not Path(file).exists()
            source = Path(path) if named else Path(file)
            need_piped(source)
            parts.append(Part(None if source == STDIN else source, name if named else None))
        return parts


Data = Path | str | DataFiles | Frame
"""Data sets in the form that they are given in: a file, several, or a table in memory."""


@dataclass(frozen=True)
class Batches:
    """Data sets as they come; use them once.

    Arguments:
        parts: Some of them at a time; at least one.
        whole: Whether the first part is all of them.
    """

    parts: Iterator[Loaded]
    whole: bool


def read_data(data: Data, layout: Layout, naming: Naming, *, whole: bool) -> Batches:
    """Data sets of a model, as they come.

    Arguments:
        whole: All of them at once, whatever the format.

    Errors:
        UsageError: No such format; groups are asked of what does not come in them.
        DataError: A file is not there, or not data of this model.
    """
    if not isinstance(data, Path | str | DataFiles):
        return Batches(iter([read_frame(data, layout, naming=naming)]), whole=True)
    files = data if isinstance(data, DataFiles) else DataFiles([data])
    parts = files.parts()
    if files.grouped and (len(parts) > 1 or files.each):
        raise UsageError("expected one file with --grouped; got several, or --each")
    alone = len(parts) == 1 and parts[0].variable is None and not files.each
    batches: Iterable[Loaded]
    if alone and can_stream(parts[0], grouped=files.grouped) and not whole:
        batches = read_batches(parts[0], layout, naming=naming)
    else:
        batches, whole = [read_several(parts, layout, each=files.each, naming=naming)], True
    return Batches(iter(batches), whole)


@dataclass(frozen=True)
class Densities:
    """Log posterior densities of given parameter values.

    Arguments:
        labels: The data set of each.
        log_prob: `(row,)`, on the parameters' own scale, −inf outside their support.
    """

    labels: tuple[str, ...]
    log_prob: np.ndarray


@dataclass(frozen=True)
class Points:
    """Values of the parameters at which densities are asked for.

    Arguments:
        index: Which data set each is for, `(row,)`.
        parameters: Name → `(row, *event)`.
        place: Where they are from.
    """

    index: np.ndarray
    parameters: Datasets
    place: str


def read_points(
    at: Path | str | Frame,
    loaded: Loaded,
    layout: Layout,
    naming: Naming,
    *,
    note: Callable[[str], None],
) -> Points:
    """Values of the parameters in a file or a table in memory, each for one of the data sets.

    Arguments:
        note: Takes what was understood of a file that was not written so.

    Errors:
        DataError: They are not values of these parameters, or are for other data.
    """
    if isinstance(at, Path | str):
        found = read_parameters(Path(at), layout, loaded.labels, naming=naming, note=note)
        return Points(*found, str(at))
    found = read_frame_of_parameters(at, layout, loaded.labels, naming=naming)
    return Points(*found, "the table of parameters")
