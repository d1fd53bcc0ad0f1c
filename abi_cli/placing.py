"""Atomic replacement of files and folders, which appear whole; `NAME.bak` keeps what was there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

from abi_cli.errors import OutputError

_MARK = ".abi-"
"""The beginning of names of temporaries; the machine and the process that made them follow."""


def mark() -> str:
    """The beginning of the names of this process's temporaries."""
    return f"{_machine()}{os.getpid()}-"


def beside(target: Path) -> Path:
    """A temporary place beside `target`, of the same suffix; its name is short whatever that is.

    Temporaries that processes left there when they were killed are removed.
    """
    sweep(target.parent, os.getpid())
    suffix = target.suffix if len(target.suffix) <= 10 else ""
    return target.with_name(f"{mark()}{crc32(target.name.encode()):08x}{suffix}")


@cache
def sweep(folder: Path, _process: int) -> None:
    """Remove the temporaries of processes of this machine that have ended; once in a process."""
    with contextlib.suppress(OSError):
        for entry in [one for one in os.scandir(folder) if one.name.startswith(_machine())]:
            process = entry.name[len(_machine()) :].partition("-")[0]
            if process.isdecimal() and not _lives(int(process)):
                remove(Path(entry.path))


def remove(place: Path) -> None:
    """Remove a file, or a folder and all in it, if it is there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)


def _machine() -> str:
    return f"{_MARK}{crc32(socket.gethostname().encode()):08x}-"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_text(file: Path, text: str) -> None:
    """Write a text file so that it appears whole."""
    with replacing(file) as place:
        place.write_text(text, encoding="utf-8")


def refuse_locked(target: Path) -> None:
    """Refuse a place in a folder where nothing may be written, before there is anything to write.

    Pipes and devices, such as a shell's `>(…)`, take what comes.

    Errors:
        OutputError: Nothing may be written there.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        return
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"can't write {target}: nothing may be written in {target.parent}",
            hint="Look at its permissions, or write elsewhere with -o.",
        )


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A place beside `target`, of the same suffix, that takes its name when the work is done.

    `target` may be a file or a folder; what was there is replaced, and stays where the work fails.
    """
    place = beside(target)
    try:
        with writing(target):
            yield place
            if place.is_dir() and target.exists():
                shutil.rmtree(target)
            place.replace(target)
    finally:
        remove(place)


def back_up(target: Path) -> Path | None:
    """Give what is at `target` the name `NAME.bak`; a file keeps its own name too, until replaced.

    Returns:
        The backup of a folder, None if there was none.
    """
    backup = target.with_name(f"{target.name}.bak")
    if target.is_dir():
        if not any(target.iterdir()):
            target.rmdir()
            return None
        if backup.exists():
            shutil.rmtree(backup)
        target.rename(backup)
        return backup
    if target.is_file():
        place = beside(backup)
        shutil.copy2(target, place)
        place.replace(backup)
    return None


@contextlib.contextmanager
def writing(target: Path | None) -> Iterator[None]:
    """Turn the system's errors of writing into ours, which say where the write was to go.

    Arguments:
        target: None is standard output.

    Errors:
        OutputError: For every `OSError` but a broken pipe, which stays what it is.
    """
    place = "standard output" if target is None else target
    try:
        yield
    except BrokenPipeError:
        raise
    except FileNotFoundError as error:
        folder = target and target.parent
        raise OutputError(
            f"can't write {place}: there is no folder {folder}",
            hint="Was it moved, or removed? Make it again, or name another place with -o.",
        ) from error
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise OutputError(
            f"can't write {place}: {error.strerror or error}",  # HDF5 gives a text only
            hint="Free some space, then run it again; or write elsewhere with -o."
            if full
            else "Look at the permissions there, or write elsewhere with -o.",
        ) from error
