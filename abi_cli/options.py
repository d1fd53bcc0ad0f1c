"""The options that commands share.

A command is a function of a `Console` and its own arguments; `command` gives it the options that
every command has, and lets it end as `ending` says.
"""

from __future__ import annotations

import difflib
import enum
import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from abi_cli import completing
from abi_cli.console import Console
from abi_cli.digits import whole_number
from abi_cli.ending import ending, terminable, watched
from abi_cli.errors import UsageError


class Progress(enum.StrEnum):
    """Displays of progress."""

    auto = "auto"
    plain = "plain"
    json = "json"
    none = "none"


class OnUnlike(enum.StrEnum):
    """Reactions to data sets that look unlike the simulations."""

    warn = "warn"
    fail = "fail"
    skip = "skip"
    off = "off"


class VerdictFormat(enum.StrEnum):
    """Formats of verdicts for pipelines."""

    junit = "junit"
    github = "github"


def whole(least: int) -> Callable[[str], int]:
    """A reader of whole numbers as people write them: 1000, 1_000, 1e6.

    Arguments:
        least: The smallest one that makes sense.
    """

    def number(text: str) -> int:
        found = whole_number(str(text))
        if found is None:
            raise typer.BadParameter(f"{text!r} is not a whole number, as 1000, 1_000 and 1e6 are.")
        if found < least:
            raise typer.BadParameter(f"{text} is not in the range x>={least}.")
        return found

    return number


class Backend(enum.StrEnum):
    """Backends that compute networks."""

    tensorflow = "tensorflow"
    jax = "jax"
    torch = "torch"


_VARIABLES: set[str] = set()


def _env(name: str) -> str:
    """The environment variable that stands for an option where it is not given."""
    variable = f"ABI_{name}"
    _VARIABLES.add(variable)
    return variable


def from_environment(call: typer.Context, name: str) -> bool:
    """True if an option has its value from the environment, which is a default, not a wish.

    Arguments:
        call: The call of the command.
        name: The name of the parameter.
    """
    source = call.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def said(call: typer.Context, names: Mapping[str, str]) -> list[str]:
    """The options that stand on the command line, as they are called there.

    Arguments:
        call: The call of the command.
        names: Parameters in question → their names on the command line.
    """
    sources = {name: call.get_parameter_source(name) for name in names}
    return [
        names[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"
    ]


SpecPath = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC",
        help="A spec or a run folder; - reads standard input.",
        autocompletion=completing.specs,
    ),
]
RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, from `abi train`.", autocompletion=completing.runs
    ),
]
DataPaths = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA…",
        help="Data sets: .csv .tsv .json .jsonl .npz .nc .parquet; - reads standard input. "
        "Several files are joined on the column dataset; NAME=FILE holds one variable.",
        autocompletion=completing.files,
    ),
]
Each = Annotated[bool, typer.Option("--each", help="One data set per file, named after it.")]
Grouped = Annotated[
    bool,
    typer.Option("--grouped", help="Rows are sorted by data set: read the table as a stream."),
]
Stored = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE|BANK",
        help="Use stored simulations, of a file or a bank, not fresh ones.",
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="NAME=VALUE", help="Fix a context variable, such as N=10."),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override a field of the spec.",
        autocompletion=completing.keys,
    ),
]
MoreQuantities = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Add a quantity: model.quantities.NAME=FILE.py:FUNCTION.",
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="NAME", help="Omit a quantity of the spec."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Output file; - is standard output."),
]


def _no_stream(folder: Path | None) -> Path | None:
    if folder == Path("-"):
        raise typer.BadParameter("expected a folder; got -, standard output")
    return folder


Folder = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Output folder.", callback=_no_stream),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="csv, tsv, jsonl, json, npz, nc, parquet or stan; by default from the extension.",
    ),
]
DataFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="csv, tsv, jsonl, json, npz, nc or parquet; by default from the extension.",
    ),
]
TableOrArrays = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="csv, tsv, jsonl, json, npz or parquet; by default from the extension.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        help="Random seed; by default the spec's or the run's.",
        envvar=_env("SEED"),
    ),
]
Points = Annotated[
    str | None,
    typer.Option(
        "--points",
        metavar="NAME,…",
        help="Statistics, not draws: mean, sd, mcse, median, q5, q97.5, ….",
    ),
]
Draws = Annotated[
    int,
    typer.Option(
        "--draws", "-n", parser=whole(1), metavar="N", help="Posterior draws per data set."
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Allow the run's own parts (`use:`) to execute."),
]
Refine = Annotated[
    bool,
    typer.Option("--refine", help="Correct draws by the run's log_likelihood (executes its code)."),
]
RefineGate = Annotated[
    bool, typer.Option("--gate", help="Exit with 1 if --refine fails for a data set.")
]
OnUnlikeOption = Annotated[
    OnUnlike,
    typer.Option(
        "--guard",
        metavar="warn|fail|skip|off",
        help="What to do with data sets unlike the simulations.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite; the old output is kept as NAME.bak.")
]
BackendName = Annotated[
    Backend | None,
    typer.Option(
        "--backend",
        metavar="tensorflow|jax|torch",
        help="By default KERAS_BACKEND, or the spec's.",
        envvar=_env("BACKEND"),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="cpu|gpu[:i]", help="Device to compute on.", envvar=_env("DEVICE")
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=0,
        metavar="N",
        help="Processes for simulation; 0: this one alone.",
        envvar=_env("JOBS"),
    ),
]

ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Who simulates: local processes, dask (here), dask:tcp://HOST:8786, or mpi.",
        envvar=_env("EXECUTOR"),
    ),
]

_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show errors only.", envvar=_env("QUIET"))
]
_Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show time and memory, too.", envvar=_env("VERBOSE")),
]
_Progress = Annotated[
    Progress,
    typer.Option(
        "--progress",
        metavar="auto|plain|json|none",
        help="Progress display.",
        envvar=_env("PROGRESS"),
    ),
]
_Json = Annotated[
    bool,
    typer.Option("--json", help="Print tables and receipts as JSON.", envvar=_env("JSON")),
]
_Traceback = Annotated[
    bool, typer.Option("--traceback", help="Show Python's traceback.", envvar=_env("TRACEBACK"))
]


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
        _warn_of_misspelt(console)
        with terminable(), ending(console), watched(console):
            body(console, **arguments)
            sys.stdout.flush()

    del entry.__wrapped__  # Typer would follow it past the signature
    entry.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]  # read by inspect
    entry.__annotations__ = {p.name: p.annotation for p in [*own, *shared.values()]}
    return entry


def _warn_of_misspelt(console: Console) -> None:
    """Warn of environment variables that are nearly ours: they would silently have no effect."""
    for name in os.environ:
        if name.startswith("ABI_") and name not in _VARIABLES:
            near = difflib.get_close_matches(name, _VARIABLES, n=1)
            if near:
                console.warn(f"{name} in the environment has no effect: {near[0]} would have")


def number_or_files(words: Sequence[str], *, usual: int = 1000) -> tuple[int, list[Path]]:
    """The number that `--draws` gives, or else the files that it names.

    Errors:
        UsageError: Both, or several numbers, or none that makes sense.
    """
    meant = [(word, whole_number(word)) for word in words]
    numbers = [number for _, number in meant if number is not None]
    files = [Path(word) for word, number in meant if number is None]
    if (numbers and files) or len(numbers) > 1 or any(number < 2 for number in numbers):
        raise UsageError(f"Expected --draws N, at least 2, or --draws FILE; got {' '.join(words)}")
    return (numbers or [usual])[0], files


def refuse_gate_alone(*, gate: bool, refine: bool) -> None:
    """Refuse `--gate` where nothing is refined.

    Errors:
        UsageError: It is there without `--refine`.
    """
    if gate and not refine:
        raise UsageError("expected --gate with --refine; got it alone")
