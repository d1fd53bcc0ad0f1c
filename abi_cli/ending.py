"""The end of any command: an error that leaves it becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from abi_cli import underway
from abi_cli.console import Console
from abi_cli.errors import AbiError, Interrupted, StoppedEarly, Terminated, UserFunctionError
from abi_cli.harmless import described


@contextmanager
def watched(console: Console) -> Iterator[None]:
    """Say which simulation takes long, and end the command where nothing else ends that."""

    def give_up(error: UserFunctionError) -> None:
        console.error(error)
        sys.stderr.flush()
        if multiprocessing := sys.modules.get("multiprocessing"):
            for child in multiprocessing.active_children():
                child.kill()
        underway.leave(error.exit_code)

    with underway.heard_by(lambda text, hint: console.warn(text, hint=hint), give_up):
        yield


class Signalled(KeyboardInterrupt):
    """A signal that ends work in the way that Ctrl-C does.

    Arguments:
        words: What it is called.
        exit_code: Exit code of the command.
    """

    def __init__(self, words: str, exit_code: int):
        super().__init__(words)
        self.words, self.exit_code = words, exit_code


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Signalled("SIGTERM", Terminated.exit_code)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM clean up as Ctrl-C does, while a command runs."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def to_a_reader() -> Iterator[None]:
    """Show text that the reader need not read to its end, as `head` does not.

    That is no failure, also under the shell's `pipefail`; a verdict that follows still counts.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _mute()


def _mute() -> None:
    """Write to nobody from now on: Python flushes standard output at exit, failing loudly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def ending(console: Console) -> Iterator[None]:
    """Turn what leaves a command into a message and an exit code."""
    try:
        yield
        console.farewell()
    except typer.Exit:
        raise
    except BrokenPipeError:
        _mute()
        raise typer.Exit(0) from None
    except StoppedEarly as stopped:
        console.stopped(str(stopped))
        raise typer.Exit(stopped.exit_code) from None
    except AbiError as error:
        console.error(error)
        raise typer.Exit(error.exit_code) from None
    except Signalled as signalled:
        console.stopped(f"by {signalled.words}")
        raise typer.Exit(signalled.exit_code) from None
    except KeyboardInterrupt:
        console.stopped("by Ctrl-C")
        raise typer.Exit(Interrupted.exit_code) from None
    except OSError as error:
        console.failure(error)
        raise typer.Exit(74) from None
    except Exception as error:
        console.bug(error)
        raise typer.Exit(70) from None
    except BaseException as error:  # such as SystemExit, which we raise nowhere below here
        console.error(UserFunctionError(f"code of yours raised {described(error)}"))
        raise typer.Exit(UserFunctionError.exit_code) from None
