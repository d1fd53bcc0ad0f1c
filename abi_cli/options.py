"""The options that commands share, and how any command ends.

A command is a function of a `Console` and its own arguments; `command` gives it the options that
every command has, and turns whatever leaves it into an exit code.
"""

from __future__ import annotations

import enum
import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from abi_cli.console import Console
from abi_cli.errors import AbiError, Interrupted, StoppedEarly, Terminated, UsageError


class Progress(enum.StrEnum):
    """How progress is shown."""

    auto = "auto"
    plain = "plain"
    json = "json"
    none = "none"


class VerdictFormat(enum.StrEnum):
    """How pipelines read verdicts."""

    junit = "junit"
    github = "github"


class Backend(enum.StrEnum):
    """What computes."""

    tensorflow = "tensorflow"
    jax = "jax"
    torch = "torch"


SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", help="The spec, or a run folder; - is standard input.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that training left.")]
DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Data sets: .csv, .tsv, .jsonl, .npz; - is standard input."
    ),
]
Stored = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Take these simulations, not fresh ones."),
]
Context = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="NAME=VALUE", help="Fix a context variable."),
]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a field of the spec."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="PATH", help="Where to.")]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="csv, tsv, jsonl, npz or nc, not by extension."),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, metavar="N", help="Instead of the spec's or the run's."),
]
Draws = Annotated[
    int, typer.Option("--draws", "-n", min=1, metavar="N", help="Posterior draws per data set.")
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Execute what the run defines for itself under `use:`."),
]
Force = Annotated[bool, typer.Option("--force", help="Move what is there to NAME.bak.")]
BackendName = Annotated[
    Backend | None, typer.Option("--backend", help="Instead of KERAS_BACKEND or the spec's.")
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="cpu|gpu[:i]", help="Where to compute.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=0, metavar="N", help="Processes that simulate; 0 for none but this one."
    ),
]

_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say also time and memory.")]
_Progress = Annotated[Progress, typer.Option("--progress", help="How to show progress.")]
_Json = Annotated[bool, typer.Option("--json", help="Tables and receipts as JSON, on stdout.")]
_Traceback = Annotated[bool, typer.Option("--traceback", help="Show Python's traceback.")]


def _common(
    *,
    progress: _Progress = Progress.auto,
    json: _Json = False,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
    traceback: _Traceback = False,
) -> Console:
    """The options of every command; its signature is what `command` adds."""
    return Console(
        progress=progress.value, json=json, quiet=quiet, verbose=verbose, traceback=traceback
    )


def command(body: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first argument is the console, the options of every command."""
    shared = inspect.signature(_common, eval_str=True).parameters
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

    # The one place with ** in a signature: it passes on what Typer has parsed by the signature
    # that is set below.
    @functools.wraps(body)
    def entry(**arguments: Any) -> None:
        console = _common(**{name: arguments.pop(name) for name in shared})
        with _terminable(), _ending(console):
            body(console, **arguments)
            sys.stdout.flush()

    del entry.__wrapped__  # Typer would follow it past the signature
    entry.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]  # read by inspect
    entry.__annotations__ = {p.name: p.annotation for p in [*own, *shared.values()]}
    return entry


class Signalled(KeyboardInterrupt):
    """A signal that ends work in the way that Ctrl-C does.

    Arguments:
        words: What it is called.
        exit_code: Of the command.
    """

    def __init__(self, words: str, exit_code: int):
        super().__init__(words)
        self.words, self.exit_code = words, exit_code


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Signalled("SIGTERM", Terminated.exit_code)


@contextmanager
def _terminable() -> Iterator[None]:
    """While a command runs, SIGTERM cleans up as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _ending(console: Console) -> Iterator[None]:
    """Turn what leaves a command into a message and an exit code."""
    try:
        yield
        console.farewell()
    except BrokenPipeError:
        # Python flushes standard output at exit, which would fail loudly again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
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
        console.failure(str(error))
        raise typer.Exit(74) from None
    except Exception as error:
        console.bug(error)
        raise typer.Exit(70) from None


def number_or_files(words: Sequence[str], *, usual: int = 1000) -> tuple[int, list[Path]]:
    """What `--draws` says: how many, or in which files they are.

    Errors:
        UsageError: Both, or several numbers, or none that makes sense.
    """
    numbers = [int(word) for word in words if word.isdecimal()]
    files = [Path(word) for word in words if not word.isdecimal()]
    if (numbers and files) or len(numbers) > 1 or any(number < 2 for number in numbers):
        raise UsageError(f"Expected --draws N, at least 2, or --draws FILE; got {' '.join(words)}")
    return (numbers or [usual])[0], files
