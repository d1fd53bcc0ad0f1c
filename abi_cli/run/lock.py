"""A lock on a run folder that ends with its owner, however that ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from abi_cli import placing
from abi_cli.errors import ELSEWHERE, WSL, RunError, UsageError

LOCK = ".lock"
"""The lock file of a run folder, locked by the process that trains. It stays; the lock does not."""


@contextlib.contextmanager
def locked(
    folder: Path,
    *,
    called: Path | None = None,
    doing: str = "trained",
    name: str = LOCK,
    shared: bool = False,
) -> Iterator[None]:
    """Let nobody else train in a folder, which may be renamed meanwhile.

    The system takes the lock from a process that has died. Where the file system knows no locks,
    there is none.

    Arguments:
        called: What messages call the folder.
        doing: What is done there, in messages.
        name: Of the file that is locked.
        shared: Whether others may share the lock who share it, too.

    Errors:
        RunError: Somebody else trains there.
        OutputError: Nothing can be written there.
    """
    called = called or folder
    with placing.writing(called):
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, called, doing, shared=shared)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """True if somebody trains in a folder now."""
    with contextlib.suppress(OSError, RunError):
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
        fcntl = _fcntl()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _fcntl() -> Any:
    """The module that locks files, which Windows has not.

    Errors:
        UsageError: This is Windows.
    """
    try:
        import fcntl
    except ImportError:
        raise UsageError(ELSEWHERE, hint=WSL) from None
    return fcntl


def _take(descriptor: int, called: Path, doing: str, *, shared: bool) -> None:
    fcntl = _fcntl()
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode(errors="replace").strip()
        raise RunError(
            f"{called} is being {doing} by another process{f' ({owner})' if owner else ''}",
            hint="Wait until it has ended, or end it; or name another folder with -o.",
        ) from None
    except OSError:  # such as a network's file system without locks
        return
    with contextlib.suppress(OSError):  # a full disk: the name is only for messages
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
