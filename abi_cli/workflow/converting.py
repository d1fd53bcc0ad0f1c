"""Files of data sets, draws and estimates: their contents, and conversion to other formats."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.bank.bank import is_bank
from abi_cli.data import (
    DrawHeader,
    Draws,
    Kind,
    Loaded,
    formats,
    open_draws,
    read_described,
    read_draws,
    read_kind,
    write_estimates,
    write_simulations,
)
from abi_cli.data.entries import LABEL
from abi_cli.errors import DataError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Value, Variable, array_of, count
from abi_cli.workflow.banks import export_bank
from abi_cli.workflow.request import STDIN, USUAL_PLACE, Target, need_piped
from abi_cli.workflow.simulating import Written


@dataclass(frozen=True)
class Inspection:
    """Contents of a file.

    Arguments:
        kind: draws, long draws, estimates, data sets; or that a file does not tell.
        format: Its name.
        size: Bytes.
        datasets: How many data sets it is about.
        draws: How many of each; None where there are none.
        variables: Name → shape of one value; `members × (…)` of sets and series.
        seed: That draws are made from, if the file says so.
        provenance: What else it says of itself.
    """

    path: Path
    kind: Kind
    format: str
    size: int
    datasets: int
    draws: int | None
    variables: dict[str, str]
    seed: int | None
    provenance: dict[str, str]


def inspect(path: Path) -> Inspection:
    """Describe a file of data sets, draws or estimates.

    Errors:
        UsageError: Its format is unknown.
        DataError: It can't be read.
    """
    kind = read_kind(path)
    format, size = formats.sniff(path), path.stat().st_size
    if kind is Kind.DRAWS:
        draws = read_draws(path)
        shapes = {name: value.shape[2:] for name, value in draws.values.items()}
        number = next(iter(draws.values.values())).shape[1]
        variables = {name: str(shape) for name, shape in shapes.items()}
        return Inspection(
            path,
            kind,
            format,
            size,
            len(draws.labels),
            number,
            variables,
            draws.seed,
            draws.provenance,
        )
    if kind is Kind.DATA:
        loaded = read_data_sets(path)
        variables = {name: _shape(value) for name, value in loaded.datasets.items()}
        return Inspection(path, kind, format, size, len(loaded.labels), None, variables, None, {})
    if kind is Kind.ESTIMATES:
        with formats.opened(path) as file:
            found = file.estimates()
        variables = dict.fromkeys(found.elements(), ", ".join(found.names))
        return Inspection(path, kind, format, size, len(found.labels), None, variables, None, {})
    return Inspection(path, kind, format, size, 0, None, {}, None, {})


def _shape(value: Value) -> str:
    event = str(array_of(value).shape[1:])
    if not isinstance(value, Ragged):
        return event
    low, high = int(value.row_size.min()), int(value.row_size.max())
    return f"{low} to {high} members × {event}" if low < high else f"{low} members × {event}"


def read_data_sets(path: Path, *, sets: Collection[str] = (), once: Collection[str] = ()) -> Loaded:
    """Data sets of which no model is known.

    What a table repeats in all rows of each data set is taken to be there once.

    Arguments:
        sets: Variables that are sets or series, although all have one length.
        once: Variables that a data set has one value of.

    Errors:
        DataError: It can't be read as data sets.
    """
    loaded = read_described(path, sets=sets, once=once)
    repeated = [
        name
        for name, value in loaded.datasets.items()
        if isinstance(value, Ragged) and name not in sets and _is_repeated(value)
    ]
    several = any((v.row_size > 1).any() for v in loaded.datasets.values() if isinstance(v, Ragged))
    if not repeated or not several or not formats.for_reading(path, None).table:
        return loaded
    return read_described(path, sets=sets, once=(*once, *repeated))


def _is_repeated(value: Ragged) -> bool:
    first = np.repeat(value.values[value.starts()], value.row_size, axis=0)
    return bool(np.array_equal(first, value.values, equal_nan=True))


def convert(
    source: Path,
    target: Target = USUAL_PLACE,
    *,
    kind: str | None = None,
    sets: Sequence[str] = (),
    once: Sequence[str] = (),
    listener: Listener = SILENT,
) -> Written:
    """Write the contents of a file in another format.

    Arguments:
        source: A file, `-` for standard input, or the folder of a bank.
        kind: draws or data; by default what the file says.
        sets, once: Of data sets: as `read_data_sets` takes them.

    Errors:
        UsageError: No such format, or one that has no place for it; the kind is not clear.
        DataError: The file can't be read.
        OutputError: The target can't be written.
    """
    begun = time.perf_counter()
    need_piped(source)
    path = None if source == STDIN else source
    if path is not None and is_bank(path):
        return export_bank(path, target, listener=listener)
    found = _kind(path, kind)
    if found is Kind.LONG_DRAWS:
        raise DataError(
            "expected draws with a column for each parameter; got a long table",
            place=str(source),
            hint="Write them without --long, and convert these.",
        )
    if found is Kind.DRAWS:
        what = _convert_draws(read_draws(path), target, listener, source)
    elif found is Kind.ESTIMATES:
        what = _convert_estimates(path, target)
    else:
        what = _convert_data(path, target, sets, once, listener)
    return Written(target.path, what, None, time.perf_counter() - begun)


def _kind(path: Path | None, kind: str | None) -> Kind:
    if kind is not None:
        return {"draws": Kind.DRAWS, "data": Kind.DATA}[kind]
    if path is None:
        raise UsageError("expected --kind draws or data for what comes through a pipe")
    found = read_kind(path)
    if found is Kind.UNSURE:
        raise UsageError(
            "the file does not tell whether its lists are draws or data",
            place=str(path),
            hint="Say --kind draws, or --kind data.",
        )
    return found


def _convert_draws(draws: Draws, target: Target, listener: Listener, source: Path) -> str:
    formats.for_writing(target.path, target.format, Kind.DRAWS)
    target.claim()
    parameters = tuple(
        Variable(name, "parameter", ragged=False, event=value.shape[2:])
        for name, value in draws.values.items()
    )
    number = next(iter(draws.values.values())).shape[1]
    scores = {name: own.tolist() for name, own in draws.scores.items()}
    header = DrawHeader(
        draws.labels, parameters, number, draws.seed, draws.provenance, scores=scores
    )
    if formats.sniff(source) == "nc":
        listener.note("data that the netCDF file holds beside the draws are left out")
    if draws.chains:
        listener.note(f"{draws.chains} chains are laid end to end: what is written is no chain")
    with open_draws(target.path, header, format=target.format) as writer:
        for i in range(len(draws.labels)):
            writer.write(DrawBlock(i, 0, {n: v[i : i + 1] for n, v in draws.values.items()}))
    return f"{len(draws.labels):,} × {number:,} draws of {', '.join(header.elements())}"


def _convert_estimates(path: Path | None, target: Target) -> str:
    with formats.opened(path) as file:
        found = file.estimates()
    target.claim()
    write_estimates(target.path, found.names, [found], format=target.format)
    return f"{', '.join(found.names)} of {len(found.labels):,} data sets"


def _convert_data(
    path: Path | None,
    target: Target,
    sets: Sequence[str],
    once: Sequence[str],
    listener: Listener,
) -> str:
    if path is None:
        raise UsageError("expected a file of data sets: they are read more than once; got a pipe")
    formats.for_writing(target.path, target.format, Kind.DATA)
    loaded = read_data_sets(path, sets=sets, once=once)
    single = [name for name, v in loaded.datasets.items() if not isinstance(v, Ragged)]
    ragged = [name for name, v in loaded.datasets.items() if isinstance(v, Ragged)]
    for names, what in ((single, "one value in each data set"), (ragged, "sets or series")):
        if names:
            listener.note(f"{what}: {', '.join(names)}")
    target.claim()
    layout = _layout(loaded.datasets)
    write_simulations(
        target.path, loaded.datasets, layout, format=target.format, labels=loaded.labels
    )
    return f"{count(loaded.datasets):,} data sets of {', '.join(loaded.datasets)}"


def _layout(datasets: Datasets) -> Layout:
    variables = [
        Variable(
            name,
            "observable" if isinstance(value, Ragged) else "context",
            ragged=isinstance(value, Ragged),
            event=array_of(value).shape[1:],
        )
        for name, value in datasets.items()
        if name != LABEL
    ]
    return Layout(tuple(variables))
