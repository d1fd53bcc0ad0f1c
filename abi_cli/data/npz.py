"""NPZ: named arrays; members of all data sets end to end, with `row_size` beside them."""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from abi_cli.data.arrays import (
    Arrays,
    arrays_of,
    arrays_of_datasets,
    named_sizes,
    sizes_of_datasets,
)
from abi_cli.data.contents import Append, Content, DataSets
from abi_cli.data.files import Source
from abi_cli.data.growing import Grown
from abi_cli.data.zips import looked_over
from abi_cli.errors import DataError

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
"""Errors that NumPy and zipfile raise on other files and damaged ones."""


@contextmanager
def read(source: Source) -> Iterator[Arrays]:
    """The arrays of a file, each read when it is asked for.

    Errors:
        DataError: No NPZ file, or a damaged one.
    """
    with source.open_seekable() as stream:
        try:
            start = stream.read(len(_MAGIC))
            if start == _MAGIC:
                raise DataError("expected named arrays (.npz); got a single one", place=str(source))
            with zipfile.ZipFile(stream) as archive:
                stored = _Stored(archive, looked_over(archive, stream))
                yield Arrays(source, lambda: stored)
        except _UNREADABLE as error:
            raise DataError(
                f"expected arrays of numbers in NPZ; {error}", place=str(source)
            ) from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of ours, by name.

    Errors:
        ValueError: It is another, or damaged.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return dict(_Stored(archive, looked_over(archive, stream)))
    except _UNREADABLE as error:
        raise ValueError(f"expected arrays in {path}; {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an archive, deflated; the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


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
    """The array of a member, whose header must declare as many bytes as there are.

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


@contextmanager
def write(stream: BinaryIO, content: Content, scratch: Path | None) -> Iterator[Append]:
    """Write an archive, which holds one array after the other.

    Draws come all parameters at a time, so each array grows in a temporary file of its own, and
    memory holds one block. Data sets come some at a time, and are kept in the same way.
    """
    if isinstance(content, DataSets):
        with _write_datasets(stream, scratch) as append:
            yield append
        return
    leaving = arrays_of(content)
    with ExitStack() as stack:
        grown: dict[str, IO[bytes]] = {}
        for name, shape in leaving.grown.items():
            grown[name] = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(grown[name], header)

        def append(part: Any) -> None:
            taken = leaving.take(part)
            for name, file in grown.items():
                file.write(np.ascontiguousarray(taken[name], "<f4").data)

        yield append

        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in leaving.others():
                with _member(archive, name) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            for name, file in grown.items():
                file.seek(0)
                with _member(archive, name) as member:
                    shutil.copyfileobj(file, member, 1 << 20)


@contextmanager
def _write_datasets(stream: BinaryIO, scratch: Path | None) -> Iterator[Append]:
    """Write data sets, some at a time: memory holds those, and the numbers of all members."""
    with ExitStack() as stack:
        grown: dict[str, Grown] = {}
        sizes: dict[str, list[np.ndarray]] = {}

        def append(part: DataSets) -> None:
            for name, array in arrays_of_datasets(part):
                if name not in grown:
                    grown[name] = Grown.begun(stack, scratch, array.shape[1:])
                grown[name].add(array)
            for name, size in sizes_of_datasets(part).items():
                sizes.setdefault(name, []).append(size)

        yield append

        whole = {name: np.concatenate(parts) for name, parts in sizes.items()}
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in grown.items():
                with _member(archive, name) as member:
                    _write_array(member, array)
            for name, size in named_sizes(whole).items():
                with _member(archive, name) as member:
                    np.lib.format.write_array(member, size, allow_pickle=False)


def _write_array(member: IO[bytes], array: Grown) -> None:
    """Write an array in NumPy's format."""
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(member, header)
    for piece in array.pieces():
        member.write(piece.tobytes())


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A place for an array; it bears no time, so that the same arrays give the same bytes."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
