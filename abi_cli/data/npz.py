"""NPZ: named arrays; members of all data sets end to end, with `row_size` beside them."""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from abi_cli.data.draws import DrawHeader, Draws, as_float32
from abi_cli.data.entries import LABEL, Entries, Wanted, check_numbers
from abi_cli.data.files import Source
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Value, Variable, array_of

_ROW_SIZE = "row_size"
_SEED = "seed"
_ESTIMATE = "estimate"
_UNREADABLE = (
    *(ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What NumPy and zipfile raise on other files and damaged ones."""


def read_entries(source: Source, wanted: Wanted) -> Entries:
    """One entry per data set, or per point.

    An observable with a leading axis of members is `(obs, *event)` with `row_size (dataset,)`, or
    `row_size_NAME` where lengths differ between observables; or `(dataset, obs, *event)` where all
    data sets have the same length; or `(obs, *event)` alone, one data set.

    Errors:
        DataError: No NPZ file, arrays of anything but numbers, shapes that don't fit.
    """

    def spell(variable: Variable) -> tuple[str, ...]:
        return (variable.name,)

    with _arrays(source) as stored:
        names = wanted.translated(list(stored), spell=spell, place=str(source))
        arrays = _Renamed(stored, dict(zip(names, stored, strict=True)))
        variables = wanted.found(names, noun="array", spell=spell, place=str(source))
        values = {v.name: _value(arrays, v, source) for v in variables}
        labels = None if LABEL not in arrays else _labels(arrays, source)
    sizes = {name: len(value) for name, value in values.items()}
    if labels is not None:
        sizes[LABEL] = len(labels)
    first = next(iter(sizes))
    for name, size in sizes.items():
        if size != sizes[first]:
            raise DataError(
                f"expected as many data sets in every array; "
                f"got {sizes[first]} in {first} and {size} in {name}",
                place=str(source),
            )
    used = {LABEL, _SEED, _ROW_SIZE, *values, *(f"{_ROW_SIZE}_{name}" for name in values)}
    return Entries(
        labels=labels,
        values=values,
        unused=tuple(name for name in names if name not in used),
        noun="array",
        place=lambda dataset: f"{source}, data set at index {dataset}",
    )


def read_shapes(source: Source, ragged: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Event shape by variable.

    Errors:
        DataError: No NPZ file, or an array of anything but numbers.
    """
    with _arrays(source) as arrays:
        names = [n for n in arrays if n not in {LABEL, _SEED} and not n.startswith(_ROW_SIZE)]
        shapes = {name: _numbers(arrays, name, source).shape for name in names}
        flat = {name for name in names if {_ROW_SIZE, f"{_ROW_SIZE}_{name}"}.intersection(arrays)}
    return {
        name: shape[1 if name in flat or name not in ragged else 2 :]
        for name, shape in shapes.items()
    }


def read_sets(source: Source) -> set[str]:
    """The arrays with members of sets or series: those that come with a `row_size`.

    Errors:
        DataError: No NPZ file, or an array of anything but numbers.
    """
    with _arrays(source) as arrays:
        own = {name for name in arrays if f"{_ROW_SIZE}_{name}" in arrays}
        if _ROW_SIZE not in arrays:
            return own
        members = int(_numbers(arrays, _ROW_SIZE, source).sum())
        shared = set(arrays) - {LABEL, _SEED, _ROW_SIZE}
        return own | {n for n in shared if _numbers(arrays, n, source).shape[:1] == (members,)}


class _Renamed(Mapping[str, np.ndarray]):
    """Arrays under other names, each read when it is asked for."""

    def __init__(self, arrays: Mapping[str, np.ndarray], originals: Mapping[str, str]) -> None:
        self._arrays, self._originals = arrays, originals

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[self._originals[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._originals)

    def __len__(self) -> int:
        return len(self._originals)


@contextmanager
def _arrays(source: Source) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays by name, each read when it is asked for."""
    with source.open_seekable() as stream:
        try:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError("expected named arrays (.npz); got a single one", place=str(source))
            with arrays:
                yield arrays
        except _UNREADABLE as error:
            raise DataError(
                f"expected arrays of numbers in NPZ; {error}", place=str(source)
            ) from None


def _value(arrays: Mapping[str, np.ndarray], variable: Variable, source: Source) -> Value:
    name = variable.name
    array = _numbers(arrays, name, source)
    array = check_numbers(array, variable, lambda at: f"{source}, {name}{list(at) or ''}")
    rank = array.ndim - len(variable.event)
    fits = array.shape[rank:] == variable.event if rank >= 0 else False
    if not variable.ragged:
        if fits and rank == 1:
            return array
        if fits and rank == 0:
            return array[np.newaxis]
        raise _misfit(array, variable, "(dataset", source)
    if fits and rank == 2:
        return Ragged(
            array.reshape(-1, *variable.event), np.full(len(array), array.shape[1], np.int64)
        )
    if not fits or rank != 1:
        raise _misfit(array, variable, "(obs", source)
    key = next((k for k in (f"{_ROW_SIZE}_{name}", _ROW_SIZE) if k in arrays), None)
    if key is None:
        return Ragged(array, np.array([len(array)]))
    sizes = _numbers(arrays, key, source)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise DataError(f"expected whole numbers (dataset,); got {sizes}", place=f"{source}, {key}")
    if int(sizes.sum()) != len(array):
        raise DataError(
            f"expected as many members as {key} sums to, {int(sizes.sum())}; got {len(array)}",
            place=f"{source}, {name}",
        )
    return Ragged(array, sizes.astype(np.int64))


def _numbers(arrays: Mapping[str, np.ndarray], name: str, source: Source) -> np.ndarray:
    array = arrays[name]
    if array.dtype.kind not in "biuf":
        raise DataError(f"expected numbers; got {array.dtype}", place=f"{source}, {name}")
    return array


def _misfit(array: np.ndarray, variable: Variable, axes: str, source: Source) -> DataError:
    expected = ", ".join([axes, *map(str, variable.event)]) + (")" if variable.event else ",)")
    return DataError(
        f"expected shape {expected}; got {array.shape}", place=f"{source}, {variable.name}"
    )


def _labels(arrays: Mapping[str, np.ndarray], source: Source) -> tuple[str, ...]:
    labels = arrays[LABEL]
    if labels.ndim != 1 or labels.dtype.kind not in "Uiu":
        raise DataError(
            f"expected one text or whole number per data set; got {labels.dtype} {labels.shape}",
            place=f"{source}, {LABEL}",
        )
    return tuple(labels.astype("U").tolist())


def write_datasets(
    stream: BinaryIO, datasets: Datasets, layout: Layout, labels: Sequence[str]
) -> None:
    """What is ragged flat with its `row_size`, everything else as it is."""
    present = [variable.name for variable in layout.variables if variable.name in datasets]
    sizes = {n: v.row_size for n in present if isinstance(v := datasets[n], Ragged)}
    common = len({size.tobytes() for size in sizes.values()}) <= 1
    with zipfile.ZipFile(stream, "w") as archive:
        _add(archive, LABEL, np.array(labels, dtype="U"))
        for name in present:
            value = datasets[name]
            _add(archive, name, array_of(value))
        for name, size in list(sizes.items())[: 1 if common else None]:
            _add(archive, _ROW_SIZE if common else f"{_ROW_SIZE}_{name}", size)


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, scratch: Path | None
) -> Iterator[Callable[[DrawBlock], None]]:
    """Per parameter `(dataset, draw, *event)`, besides `dataset` labels and `seed`.

    An archive holds one array after the other while draws come all parameters at a time, so each
    array grows in a temporary file of its own and memory holds one block.
    """
    with ExitStack() as stack:
        grown: dict[str, IO[bytes]] = {}
        for variable in header.parameters:
            file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            shape = header.shape(variable)
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            grown[variable.name] = file

        def append(block: DrawBlock) -> None:
            for name, file in grown.items():
                file.write(np.ascontiguousarray(block.values[name], "<f4").data)

        yield append

        with zipfile.ZipFile(stream, "w") as archive:
            _add(archive, LABEL, np.array(header.labels, dtype="U"))
            _add(archive, _SEED, np.array(header.seed))
            for name, grown_file in grown.items():
                grown_file.seek(0)
                with _member(archive, name) as member:
                    shutil.copyfileobj(grown_file, member, 1 << 20)


def write_estimates(
    stream: BinaryIO,
    labels: Sequence[str],
    names: Sequence[str],
    values: Mapping[str, np.ndarray],
) -> None:
    """Per parameter `(dataset, estimate, *event)`, besides `dataset` labels and `estimate` names.

    Errors:
        UsageError: A parameter is called `estimate`.
    """
    if _ESTIMATE in values:
        raise UsageError(
            f"expected no parameter called {_ESTIMATE}, as NPZ calls the names of estimates",
            hint="Choose another --format: csv and jsonl hold it.",
        )
    with zipfile.ZipFile(stream, "w") as archive:
        _add(archive, LABEL, np.array(labels, dtype="U"))
        _add(archive, _ESTIMATE, np.array(names, dtype="U"))
        for name, value in values.items():
            _add(archive, name, np.ascontiguousarray(value, "<f4"))


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with _member(archive, name) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A place for an array; it bears no time, so that the same arrays give the same bytes."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def read_draws(source: Source) -> Draws:
    """Draws as `write_draws` leaves them.

    Errors:
        DataError: No NPZ file, no labels, arrays of another shape.
    """
    with _arrays(source) as arrays:
        if LABEL not in arrays:
            raise DataError(f"expected draws, with an array {LABEL}", place=str(source))
        labels = _labels(arrays, source)
        names = [name for name in arrays if name not in {LABEL, _SEED}]
        values = {name: as_float32(_numbers(arrays, name, source)) for name in names}
    shapes = {value.shape[:2] for value in values.values()}
    if len(shapes) != 1 or min(map(len, shapes)) < 2 or min(shapes)[0] != len(labels):
        found = ", ".join(f"{name} {value.shape}" for name, value in values.items())
        raise DataError(f"expected draws (dataset, draw, …); got {found}", place=str(source))
    return Draws(labels, values)
