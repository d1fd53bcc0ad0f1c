"""NPZ: named arrays; members of all data sets end to end, with `row_size` beside them."""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from abi_cli.data.arrays import (
    ESTIMATE,
    SEED,
    arrays_of,
    draws_of,
    entries_of,
    estimates_of,
    kind_of,
    sets_of,
    shapes_of,
)
from abi_cli.data.draws import DrawHeader, Draws, Estimates, Style
from abi_cli.data.entries import LABEL, Asked, Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.data.summary import Summary
from abi_cli.data.zips import looked_over
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Datasets, DrawBlock, Layout

_MAGIC = b"\x93NUMPY"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_UNREADABLE = (
    *(ValueError, EOFError, KeyError, TypeError, OverflowError, NotImplementedError, OSError),
    *(RuntimeError, MemoryError, SyntaxError, tokenize.TokenError, UserWarning),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What NumPy and zipfile raise on other files and damaged ones."""


def read_entries(source: Source, wanted: Wanted) -> Entries:
    """One entry per data set, or per point; see `arrays.entries_of`.

    Errors:
        DataError: No NPZ file, arrays of anything but numbers, shapes that don't fit.
    """
    with _arrays(source) as arrays:
        return entries_of(arrays, wanted, source)


def read_shapes(source: Source, asked: Asked) -> dict[str, tuple[int, ...]]:
    """Event shape by variable.

    Errors:
        DataError: No NPZ file, or an array of anything but numbers.
    """
    with _arrays(source) as arrays:
        return shapes_of(arrays, asked, source)


def read_sets(source: Source) -> set[str]:
    """The arrays with members of sets or series: those that come with a `row_size`.

    Errors:
        DataError: No NPZ file, or an array of anything but numbers.
    """
    with _arrays(source) as arrays:
        return sets_of(arrays, source)


def read_draws(source: Source) -> Draws:
    """Draws as `write_draws` leaves them.

    Errors:
        DataError: No NPZ file, no labels, arrays of another shape.
    """
    with _arrays(source) as arrays:
        return draws_of(arrays, source)


def read_estimates(source: Source) -> Summary:
    """Estimates as `write_estimates` leaves them.

    Errors:
        DataError: No NPZ file, no labels, arrays of another shape.
    """
    with _arrays(source) as arrays:
        return estimates_of(arrays, source)


def read_kind(source: Source) -> str:
    """What the file holds.

    Errors:
        DataError: No NPZ file, or an empty one.
    """
    with _arrays(source) as arrays:
        return kind_of(arrays, source)


@contextmanager
def _arrays(source: Source) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays by name, each read when it is asked for."""
    with source.open_seekable() as stream:
        try:
            start = stream.read(len(_MAGIC))
            if start == _MAGIC:
                raise DataError("expected named arrays (.npz); got a single one", place=str(source))
            with zipfile.ZipFile(stream) as archive:
                yield _Stored(archive, looked_over(archive, stream))
        except _UNREADABLE as error:
            raise DataError(
                f"expected arrays of numbers in NPZ; {error}", place=str(source)
            ) from None


class _Stored(Mapping[str, np.ndarray]):
    """The arrays of an archive by name, each read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]):
        self._archive = archive
        self._members = {name.removesuffix(".npy"): member for name, member in members.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return _array(self._archive, self._members[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    """An array whose header declares as many bytes as there are.

    NumPy's own reader makes room for what a header declares before it looks whether that is there,
    and for objects would ask pickle, which runs code.

    Errors:
        ValueError: It is no array of numbers or text, or there are fewer or more of them.
    """
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{name} is in version {version} of the format, which is not known")
        shape, by_columns, dtype = _HEADERS[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which are not read")
        content = stream.read()
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared != len(content):
        raise ValueError(f"{name} is declared as {declared:,} bytes; there are {len(content):,}")
    array = np.frombuffer(bytearray(content), dtype)
    return array.reshape(shape, order="F" if by_columns else "C")


def write_datasets(
    stream: BinaryIO, datasets: Datasets, layout: Layout, labels: Sequence[str]
) -> None:
    """What is ragged flat with its `row_size`, everything else as it is."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays_of(datasets, layout, labels):
            _add(archive, name, array)


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
            # that there is a seed tells draws from data; it is empty where none is known
            _add(archive, SEED, np.array([] if header.seed is None else header.seed, np.int64))
            for name, grown_file in grown.items():
                grown_file.seek(0)
                with _member(archive, name) as member:
                    shutil.copyfileobj(grown_file, member, 1 << 20)


@contextmanager
def write_estimates(
    stream: BinaryIO, names: Sequence[str], _style: Style
) -> Iterator[Callable[[Estimates], None]]:
    """Per parameter `(dataset, estimate, *event)`, besides `dataset` labels and `estimate` names.

    Errors:
        UsageError: A parameter is called `estimate`.
    """
    parts: list[Estimates] = []
    yield parts.append
    if any(ESTIMATE in part.values for part in parts):
        raise UsageError(
            f"expected no parameter called {ESTIMATE}, as NPZ calls the names of estimates",
            hint="Choose another --format: csv and jsonl hold it.",
        )
    labels = [label for part in parts for label in part.labels]
    with zipfile.ZipFile(stream, "w") as archive:
        _add(archive, LABEL, np.array(labels, dtype="U"))
        _add(archive, ESTIMATE, np.array(names, dtype="U"))
        for name in parts[0].values if parts else ():
            value = np.concatenate([part.values[name] for part in parts])
            _add(archive, name, np.ascontiguousarray(value, "<f4"))


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with _member(archive, name) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A place for an array; it bears no time, so that the same arrays give the same bytes."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
