"""The formats, by the name that is also their extension.

To add one, write its functions in a file of its own and name them here. Nothing else has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, TypeVar

from abi_cli.data import (
    delimited,
    draw_tables,
    json_list,
    jsonl,
    long_tables,
    netcdf,
    npz,
    parquet,
    stan,
)
from abi_cli.data.draws import DrawHeader, Draws, Estimates, Style
from abi_cli.data.entries import Asked, Entries, Wanted
from abi_cli.data.files import Source, is_pipe, peek
from abi_cli.data.summary import Summary
from abi_cli.errors import UsageError
from abi_cli.variables import Datasets, DrawBlock, Layout

T = TypeVar("T")
ReadShapes = Callable[[Source, Asked], dict[str, tuple[int, ...]]]
ReadSets = Callable[[Source], set[str]]
ReadEntries = Callable[[Source, Wanted], Entries]
ReadBatches = Callable[[Source, Wanted, int], Iterator[Entries]]
"""Entries of so many data sets at a time."""
WriteDatasets = Callable[[BinaryIO, Datasets, Layout, Sequence[str]], None]
WriteEstimates = Callable[
    [BinaryIO, Sequence[str], Style], AbstractContextManager[Callable[[Estimates], None]]
]
"""A context that gives a function to append estimates of these names, of some data sets."""
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
        read_kind: `draws`, `long draws`, `estimates` or `data sets`; `draws or data sets` where a
            file does not tell.
        read_shapes: Event shape by variable.
        read_sets: Variables that look like sets or series, where no model says which are.
        read_datasets: One entry per data set.
        read_batches: The same, some data sets at a time, as they come.
        read_grouped: The same, where a file says that the rows of a data set follow each other.
        read_points: One entry per row of points; their labels may repeat.
        write_datasets: What `read_datasets` reads.
        write_replicates: The same, of data sets whose labels come again and again.
        read_draws: What `write_draws` writes.
        read_estimates: What `write_estimates` writes.
        write_draws: As blocks come, in bounded memory.
        write_long_draws: The same with a row for each element.
        write_estimates: Point estimates.
        styled: Whether names and numbers of draws can be had in another style: it is a table.
        counts_first: Whether it must know how many data sets there are before the first one.
    """

    name: str
    read_kind: Callable[[Source], str] | None = None
    read_shapes: ReadShapes | None = None
    read_sets: ReadSets | None = None
    read_datasets: ReadEntries | None = None
    read_batches: ReadBatches | None = None
    read_grouped: ReadBatches | None = None
    read_points: ReadEntries | None = None
    write_datasets: WriteDatasets | None = None
    write_replicates: WriteDatasets | None = None
    read_draws: Callable[[Source], Draws] | None = None
    read_estimates: Callable[[Source], Summary] | None = None
    write_draws: WriteDraws | None = None
    write_long_draws: WriteDraws | None = None
    write_estimates: WriteEstimates | None = None
    styled: bool = False
    counts_first: bool = False


def _delimited(name: str, delimiter: str) -> Format:
    return replace(
        _tables(name, delimited.tables(delimiter)),
        read_grouped=partial(long_tables.read_batches, tables=delimited.tables(delimiter)),
        write_datasets=partial(delimited.write_datasets, delimiter=delimiter),
        write_replicates=partial(delimited.write_datasets, delimiter=delimiter),
        write_draws=partial(delimited.write_draws, delimiter=delimiter),
        write_long_draws=partial(delimited.write_long_draws, delimiter=delimiter),
        write_estimates=partial(delimited.write_estimates, delimiter=delimiter),
    )


def _tables(name: str, tables: long_tables.Tables) -> Format:
    """A format whose files are tables, for reading."""
    return Format(
        name,
        read_kind=partial(long_tables.read_kind, tables=tables),
        read_shapes=partial(long_tables.read_shapes, tables=tables),
        read_sets=partial(long_tables.read_sets, tables=tables),
        read_datasets=partial(long_tables.read_datasets, tables=tables),
        read_points=partial(long_tables.read_points, tables=tables),
        read_draws=partial(draw_tables.read_draws, tables=tables),
        read_estimates=partial(long_tables.read_estimates, tables=tables),
        styled=True,
    )


def _records(name: str, module: ModuleType) -> Format:
    return Format(
        name,
        read_kind=module.read_kind,
        read_shapes=module.read_shapes,
        read_sets=module.read_sets,
        read_datasets=module.read_entries,
        read_points=module.read_entries,
        write_datasets=module.write_datasets,
        write_replicates=module.write_datasets,
        read_draws=module.read_draws,
        read_estimates=module.read_estimates,
        write_draws=module.write_draws,
        write_estimates=module.write_estimates,
    )


FORMATS = (
    _delimited("csv", ","),
    _delimited("tsv", "\t"),
    replace(_records("jsonl", jsonl), read_batches=jsonl.read_batches),
    _records("json", json_list),
    Format(
        "npz",
        read_kind=npz.read_kind,
        read_shapes=npz.read_shapes,
        read_sets=npz.read_sets,
        read_datasets=npz.read_entries,
        read_points=npz.read_entries,
        write_datasets=npz.write_datasets,
        write_replicates=npz.write_datasets,
        read_draws=npz.read_draws,
        read_estimates=npz.read_estimates,
        write_draws=npz.write_draws,
        write_estimates=npz.write_estimates,
        counts_first=True,
    ),
    Format(
        "nc",
        read_kind=netcdf.read_kind,
        read_shapes=netcdf.read_shapes,
        read_sets=netcdf.read_sets,
        read_datasets=netcdf.read_entries,
        read_points=netcdf.read_entries,
        write_datasets=netcdf.write_datasets,
        read_draws=netcdf.read_draws,
        write_draws=netcdf.write_draws,
        counts_first=True,
    ),
    replace(
        _tables("parquet", parquet.TABLES),
        write_datasets=parquet.write_datasets,
        write_replicates=parquet.write_datasets,
        write_draws=parquet.write_draws,
        write_estimates=parquet.write_estimates,
    ),
    Format("stan", write_draws=stan.write_draws, counts_first=True),
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
        named = path is not None and (path.suffix or not is_pipe(path))
        name = path.suffix.lower().removeprefix(".") if path and named else next(iter(able))
    if name in able:
        return able[name]
    known = ", ".join(able)
    raise UsageError(
        f"expected one of the formats {known}; got {name or 'no extension'!r}",
        place=None if path is None else str(path),
        hint="The extension of a file says its format; --format says that of the output.",
    )


def choose_reader(path: Path | None, name: str | None, ability: Callable[[Format], T | None]) -> T:
    """As `choose`, for reading: what comes through a pipe is known by its first bytes.

    Errors:
        UsageError: There is no such format, or it can't do this.
    """
    if path is not None and name is None and not path.suffix and not _by_its_bytes(path):
        known = ", ".join(fmt.name for fmt in FORMATS if ability(fmt) is not None)
        raise UsageError(
            f"expected one of the formats {known}; got 'no extension'",
            place=str(path),
            hint="A file's extension says its format. What comes through a pipe is read as -, and "
            "known by its first bytes.",
        )
    return choose(path, sniff(path) if name is None and _by_its_bytes(path) else name, ability)


def _by_its_bytes(path: Path | None) -> bool:
    """Whether a format is known by what comes, as of a pipe: no name tells it."""
    return path is None or (not path.suffix and (is_pipe(path) or path.is_relative_to("/dev")))


def sniff(path: Path | None) -> str:
    """The name of the format of a file: by its extension, or by the first bytes that are piped."""
    if _by_its_bytes(path):
        return sniffed(peek(path))
    return path.suffix.lower().removeprefix(".") if path else ""


def sniffed(start: bytes) -> str:
    """The format of a file that begins so; CSV where nothing speaks for another one."""
    for mark, name in ((b"PK", "npz"), (b"\x89HDF", "nc"), (b"PAR1", "parquet")):
        if start.startswith(mark):
            return name
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        line, more, rest = text.partition(b"\n")
        alone = line.rstrip().endswith(b"}") and (not rest.strip() or rest.lstrip()[:1] == b"{")
        return "jsonl" if alone or not more else "json"
    header = text.partition(b"\n")[0]
    return "tsv" if b"\t" in header and b"," not in header else "csv"
