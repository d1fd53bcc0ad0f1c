"""The formats, by the name that is also their extension.

To add one, write its functions in a file of its own and name them here. Nothing else has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from abi_cli.data import delimited, jsonl, netcdf, npz
from abi_cli.data.draws import DrawHeader, Draws
from abi_cli.data.entries import Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.errors import UsageError
from abi_cli.variables import Datasets, DrawBlock, Layout

T = TypeVar("T")
ReadShapes = Callable[[Source, Collection[str]], dict[str, tuple[int, ...]]]
ReadSets = Callable[[Source], set[str]]
ReadEntries = Callable[[Source, Wanted], Entries]
WriteDatasets = Callable[[BinaryIO, Datasets, Layout, Sequence[str]], None]
WriteEstimates = Callable[[BinaryIO, Sequence[str], Sequence[str], Mapping[str, np.ndarray]], None]
"""Labels of data sets, names of what is estimated, parameter → `(dataset, estimate, *event)`."""
WriteDraws = Callable[
    [BinaryIO, DrawHeader, Path | None], AbstractContextManager[Callable[[DrawBlock], None]]
]
"""A context that gives a function to append blocks of draws to a stream.

The stream is written from front to back only; the path is a folder for temporary files.
"""


@dataclass(frozen=True)
class Format:
    """What a format can do; None where it can't.

    Arguments:
        name: As in `--format`, and as extension.
        read_shapes: Event shape by variable, given which are sets or series.
        read_sets: Variables that look like sets or series, where no model says which are.
        read_datasets: One entry per data set.
        read_points: One entry per row of points; their labels may repeat.
        write_datasets: What `read_datasets` reads.
        read_draws: What `write_draws` writes.
        write_draws: As blocks come, in bounded memory.
        write_estimates: Point estimates.
    """

    name: str
    read_shapes: ReadShapes | None = None
    read_sets: ReadSets | None = None
    read_datasets: ReadEntries | None = None
    read_points: ReadEntries | None = None
    write_datasets: WriteDatasets | None = None
    read_draws: Callable[[Source], Draws] | None = None
    write_draws: WriteDraws | None = None
    write_estimates: WriteEstimates | None = None


def _delimited(name: str, delimiter: str) -> Format:
    return Format(
        name,
        read_shapes=partial(delimited.read_shapes, delimiter=delimiter),
        read_sets=partial(delimited.read_sets, delimiter=delimiter),
        read_datasets=partial(delimited.read_datasets, delimiter=delimiter),
        read_points=partial(delimited.read_points, delimiter=delimiter),
        write_datasets=partial(delimited.write_datasets, delimiter=delimiter),
        read_draws=partial(delimited.read_draws, delimiter=delimiter),
        write_draws=partial(delimited.write_draws, delimiter=delimiter),
        write_estimates=partial(delimited.write_estimates, delimiter=delimiter),
    )


FORMATS = (
    _delimited("csv", ","),
    _delimited("tsv", "\t"),
    Format(
        "jsonl",
        read_shapes=jsonl.read_shapes,
        read_sets=jsonl.read_sets,
        read_datasets=jsonl.read_entries,
        read_points=jsonl.read_entries,
        write_datasets=jsonl.write_datasets,
        read_draws=jsonl.read_draws,
        write_draws=jsonl.write_draws,
        write_estimates=jsonl.write_estimates,
    ),
    Format(
        "npz",
        read_shapes=npz.read_shapes,
        read_sets=npz.read_sets,
        read_datasets=npz.read_entries,
        read_points=npz.read_entries,
        write_datasets=npz.write_datasets,
        read_draws=npz.read_draws,
        write_draws=npz.write_draws,
        write_estimates=npz.write_estimates,
    ),
    Format("nc", read_draws=netcdf.read_draws, write_draws=netcdf.write_draws),
)
"""The first one is what standard input and standard output hold unless told otherwise."""


def choose(path: Path | None, name: str | None, ability: Callable[[Format], T | None]) -> T:
    """What a format named by `--format`, else by the extension of `path`, does.

    Arguments:
        path: None is a standard stream.
        name: Of the format; None where the extension decides.
        ability: The function of a format that is needed.

    Errors:
        UsageError: There is no such format, or it can't do this.
    """
    able = {fmt.name: found for fmt in FORMATS if (found := ability(fmt)) is not None}
    if name is None:
        name = next(iter(able)) if path is None else path.suffix.lower().removeprefix(".")
    if name in able:
        return able[name]
    known = ", ".join(able)
    raise UsageError(
        f"expected one of the formats {known}; got {name or 'no extension'!r}",
        place=None if path is None else str(path),
        hint="The extension of a file says its format; --format says that of the output.",
    )
