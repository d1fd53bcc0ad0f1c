"""Sources and targets of bytes: files that appear whole, and the standard streams."""

from __future__ import annotations

import io
import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar, cast

from abi_cli import placing
from abi_cli.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A file to read, or standard input.

    Arguments:
        path: None is standard input.
        content: All of it, where it has been read.
        called: What messages call it.
    """

    path: Path | None
    content: bytes | None = None
    called: str = ""

    def __str__(self) -> str:
        return self.called or ("standard input" if self.path is None else str(self.path))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the file, as a stream.

        Errors:
            DataError: It isn't there, or can't be read.
        """
        if self.content is not None:
            yield io.BytesIO(self.content)
            return
        if self.path is None:
            yield cast(BinaryIO, sys.stdin.buffer)
            return
        if is_pipe(self.path):
            yield io.BytesIO(_come_through(self.path))
            return
        try:
            with self.path.open("rb") as stream:
                yield stream
        except FileNotFoundError:
            raise DataError("there is no such file", place=str(self)) from None
        except IsADirectoryError:
            raise DataError("expected a file; got a folder", place=str(self)) from None
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", place=str(self)) from error

    def kept(self) -> Source:
        """The same source in memory, to be read more than once."""
        with self.open() as stream:
            return Source(self.path, stream.read())

    def batches(self, items: Iterator[T], size: int) -> Iterator[list[T]]:
        """Lists of `size` items; from a pipe, shorter ones where no more items come for a while."""
        if self.path is None and _is_pipe(sys.stdin):
            yield from ahead(items, size, room=2 * size, patience=_PATIENCE)
            return
        while batch := list(islice(items, size)):
            yield batch

    @contextmanager
    def open_seekable(self) -> Iterator[BinaryIO]:
        """The bytes of the file, as a stream for formats that are not read from front to back.

        Errors:
            DataError: It isn't there, or can't be read.
        """
        with self.open() as stream:
            yield stream if stream.seekable() else io.BytesIO(stream.read())


@contextmanager
def output(target: Path | None) -> Iterator[BinaryIO]:
    """A stream of bytes to `target`, which appears whole when the context ends well, or not at all.

    Arguments:
        target: None is standard output. A device or a named pipe is written to directly.

    Errors:
        OutputError: The file can't be made, or the disk is full. Errors of the caller's own pass.
    """
    if target is None:
        stream = cast(BinaryIO, sys.stdout.buffer)
        yield stream
        with placing.writing(target):
            stream.flush()
        return
    with placing.writing(target):
        whole = not is_pipe(target)
        path = target.resolve() if whole else target  # what a shell's >(…) resolves to has no place
        written = placing.beside(path) if whole else path
        stream = written.open("wb")
    try:
        yield stream
        with placing.writing(target):
            stream.close()
            if whole:
                written.replace(path)
    finally:
        with suppress(OSError):  # after a failure only, which is on its way already
            stream.close()
        if whole:
            written.unlink(missing_ok=True)


def is_pipe(path: Path) -> bool:
    """True if a path names a pipe or a device: a shell's `<(…)` and `>(…)`, /dev/stdin."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _come_through(path: Path) -> bytes:
    """All bytes that come through a pipe, which come but once, however often it is read.

    Errors:
        DataError: It can't be read.
    """
    try:
        status = path.stat()
        return _content(path, status.st_dev, status.st_ino)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", place=str(path)) from error


@cache
def _content(path: Path, _device: int, _inode: int) -> bytes:
    """The bytes of the pipe with this inode number: another pipe may have its name later."""
    return path.read_bytes()


_PATIENCE = 0.5
"""Seconds for which a batch waits for more to come through a pipe."""


def _is_pipe(stream: TextIO) -> bool:
    """True if items of a stream may come slowly."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def ahead(items: Iterator[T], size: int, *, room: int, patience: float) -> Iterator[list[T]]:
    """Batches of `size` items, or of those that have come when no more do for a while.

    They are read by a thread from now on, so that what is read and what is made of it go on side by
    side.

    Arguments:
        room: How many may wait.
        patience: Seconds for which a batch that has begun waits for more.

    Errors:
        BaseException: What reading raised, when the items before it were asked for.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(room)

    def read() -> None:
        try:
            for item in items:
                waiting.put(item)
            waiting.put(_End())
        except BaseException as error:  # raised where the items are asked for
            waiting.put(_End(error))

    threading.Thread(target=read, daemon=True).start()
    return _batches(waiting, size, patience)


@dataclass(frozen=True)
class _End:
    """The mark after the last item, with the reason that it is the last."""

    error: BaseException | None = None


def _batches(waiting: queue.Queue[T | _End], size: int, patience: float) -> Iterator[list[T]]:
    end: _End | None = None
    while end is None:
        batch: list[T] = []
        while len(batch) < size and end is None:
            try:
                item = waiting.get(timeout=patience if batch else None)
            except queue.Empty:
                break
            if isinstance(item, _End):
                end = item
            else:
                batch.append(item)
        if batch:
            yield batch
    if end.error is not None:
        raise end.error


def peek(path: Path | None = None) -> bytes:
    """The first bytes of a pipe, which stay to be read; none where that can't be.

    Arguments:
        path: None is standard input.

    Errors:
        DataError: It can't be read.
    """
    if path is not None:
        with Source(path).open() as stream:
            return stream.read(1 << 12)
    look = getattr(sys.stdin.buffer, "peek", None)
    return b"" if look is None else bytes(look(1 << 12))


def scratch_folder(target: Path | None) -> Path | None:
    """The folder of temporary files for `target`: its own, or None for the system's default."""
    folder = None if target is None else target.resolve().parent
    return folder if folder is not None and os.access(folder, os.W_OK) else None
