"""HDF5 that may come from strangers: every link and data set is looked at before it is followed.

A file can name other files to read (external links, external storage, virtual data sets), declare
shapes that no memory holds without storing a number, and ask for filters that HDF5 would look for
as plugins. None of that is in files of data, draws or weights.
"""

from __future__ import annotations

import io
import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from abi_cli.data.zips import MOST_TIMES

if TYPE_CHECKING:
    import h5py

UNREADABLE = (
    *(OSError, KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError),
    *(MemoryError, OverflowError, NotImplementedError),
)
"""Errors that HDF5 and h5py raise on other files and damaged ones."""

ROOM = 1 << 26
"""Number of bytes up to which a data set, or a chunk, may be larger than what is stored of it."""

_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""Filters that HDF5 and h5py have: deflate, shuffle, checksum, szip, n-bit, scale-offset, LZF."""

_HEAP = b"GCOL\x01\x00\x00\x00"
"""The beginning of a heap: its signature and version. Its own head is as long as an object's."""

_OBJECT = struct.Struct("<H6xQ")
"""Head of an object in a heap: its number, 0 if it is free space, and its size."""

_LONGEST = 10_000
"""Letters of a text, at most."""

_TEXTS_AT_ONCE = 16
"""Number of texts read at once: each may be as long as the file, and all the same one."""


@contextmanager
def opened(stream: BinaryIO) -> Iterator[h5py.File]:
    """The content of a file, of which only hard links should be followed: by `entry` and `entries`.

    Errors:
        ValueError: HDF5 would never come back from reading it.
    """
    import h5py

    with _content(stream) as content:
        _refuse_endless_heaps(content)
    with h5py.File(stream, "r") as root:
        yield root


@contextmanager
def _content(stream: BinaryIO) -> Iterator[mmap.mmap | bytes]:
    """All bytes of a stream that can be searched, without reading those of a file into memory."""
    if isinstance(stream, io.BytesIO):
        yield stream.getvalue()
        return
    try:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # there is nothing in it
        yield b""
        return
    with mapped:
        yield mapped


def _refuse_endless_heaps(content: mmap.mmap | bytes) -> None:
    """Refuse heaps (of texts and references) through which HDF5 1.14 would walk for ever.

    It goes from object to object by their sizes, and stays where a free one has the size 0.

    Errors:
        ValueError: There is one.
    """
    head = _OBJECT.size
    left = len(content) // head  # objects of heaps that don't lie over each other
    start = content.find(_HEAP)
    while 0 <= start <= len(content) - head:
        _, size = _OBJECT.unpack_from(content, start)
        end, place = min(start + size, len(content)), start + head
        while place + head <= end:
            number, length = _OBJECT.unpack_from(content, place)
            step = length if number == 0 else head + -(-length // 8) * 8
            place, left = place + step, left - 1
            if step < head or left < 0:
                raise ValueError("a heap in it is damaged")
        start = content.find(_HEAP, start + len(_HEAP))


def entry(group: h5py.Group, name: str) -> Any:
    """A group or data set that a group itself holds; None where there is none of this name.

    Errors:
        ValueError: It is a link to something elsewhere.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(  # noqa: TRY004  # no argument is wrong: the file is
            f"{name!r} is a link to something elsewhere, which is not followed"
        )
    return group[name]


def entries(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """All groups and data sets that a group holds.

    Errors:
        ValueError: One is a link to something elsewhere.
    """
    for name in group:
        yield name, entry(group, name)


def looked_over(dataset: h5py.Dataset) -> h5py.Dataset:
    """The same data set, found safe to read.

    Errors:
        ValueError: It is stored in another file, by a filter of a plugin, or declares far more
            than is stored.
    """
    import h5py

    name = dataset.name
    created = dataset.id.get_create_plist()
    layout = created.get_layout()
    if layout == h5py.h5d.VIRTUAL or created.get_external_count():
        raise ValueError(f"{name} is stored in other files, which are not read")
    for number in range(created.get_nfilters()):
        if created.get_filter(number)[0] not in _FILTERS:
            raise ValueError(f"{name} is compressed by a filter that is not known here")
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    shapes = [dataset.shape] + ([dataset.chunks] if layout == h5py.h5d.CHUNKED else [])
    declared = max(math.prod(shape or ()) for shape in shapes) * dataset.dtype.itemsize
    if declared > max(ROOM, MOST_TIMES * stored):
        raise ValueError(
            f"{name} is declared as {declared:,} bytes, of which {stored:,} are stored: more than "
            f"{MOST_TIMES} times as many"
        )
    return dataset


def numbers(dataset: h5py.Dataset) -> np.ndarray:
    """The numbers, or the text of a fixed length, of a data set; else nothing, as objects.

    Errors:
        ValueError: It is not safe to read.
    """
    if dataset.dtype.kind not in "biufcSU":
        return np.empty(0, dtype=object)
    return np.asarray(looked_over(dataset)[...])


def texts(dataset: h5py.Dataset) -> np.ndarray:
    """The texts of a data set, or its whole numbers as they are, `(entry,)`.

    Errors:
        ValueError: It is not safe to read, has another shape, or a text is too long.
    """
    import h5py

    if h5py.check_string_dtype(dataset.dtype) is None:
        return numbers(dataset)
    if dataset.ndim != 1:
        raise ValueError(f"{dataset.name} has the shape {dataset.shape} where one text each is due")
    looked_over(dataset)
    found: list[str] = []
    for start in range(0, len(dataset), _TEXTS_AT_ONCE):
        some = dataset.asstr()[start : start + _TEXTS_AT_ONCE]
        if any(len(text) > _LONGEST for text in some):
            raise ValueError(f"{dataset.name} has a text of more than {_LONGEST:,} letters")
        found.extend(some)
    return np.array(found, dtype="U") if found else np.empty(0, dtype="U1")
