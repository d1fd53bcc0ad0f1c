"""The commands for pipelines and other programs: stream, convert."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.options import (
    BackendName,
    Device,
    Draws,
    Force,
    Format,
    OnUnlike,
    OnUnlikeOption,
    Points,
    Refine,
    RefineGate,
    RunPath,
    Seed,
    TrustCode,
    command,
    refuse_gate_alone,
)


@app.command(
    epilog=examples(
        "abi stream runs/regression --points mean,sd",
        """echo '{"x": [0.1, 0.7], "y": [1.9, 3.2]}' | abi stream runs/regression -n 100""",
    )
)
@command
def stream(
    console: Console,
    run: RunPath,
    draws: Draws = 1000,
    points: Points = None,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    trust_code: TrustCode = False,
    refine: Refine = False,
    gate: RefineGate = False,
    guard: OnUnlikeOption = OnUnlike.warn,
) -> None:
    """Serve posteriors: a line of JSON in, a line of JSON out.

    One process for many data sets: networks are loaded and compiled once, and waiting lines are
    answered in one batch. A line that is not a data set, or has no posterior, is answered with an
    error, and the final exit code is 4.
    """
    from abi_cli import workflow

    refuse_gate_alone(gate=gate, refine=refine)
    streaming = workflow.stream(
        run,
        draws=draws,
        points=points,
        seed=seed,
        compute=workflow.Compute(backend, device),
        trust_code=trust_code,
        refine=refine,
        on_unlike=workflow.OnUnlike(guard),
        listener=console,
    )
    for answers in streaming.answers(sys.stdin.buffer):
        sys.stdout.write("".join(f"{answer}\n" for answer in answers))
        sys.stdout.flush()
    streaming.refuse_if_refused()
    if gate and streaming.session.refiner is not None:
        streaming.session.refiner.gate()


class Kind(enum.StrEnum):
    """Kinds of content of a file."""

    draws = "draws"
    data = "data"


@app.command(
    epilog=examples(
        "abi convert draws.nc draws.csv",
        "abi convert data.csv data.npz",
        "abi convert bank/ sims.npz",
        "abi convert data.jsonl data.csv --kind data --sets x,y",
    )
)
@command
def convert(
    console: Console,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Draws, estimates or data sets, or a bank; - reads standard input."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Output file; - is standard output.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--kind", metavar="draws|data", help="What FILE holds, if that is unclear."),
    ] = None,
    sets: Annotated[
        str,
        typer.Option(
            "--sets", metavar="NAME,…", help="For data: variables that are sets or series."
        ),
    ] = "",
    once: Annotated[
        str,
        typer.Option(
            "--once", metavar="NAME,…", help="For data: variables with one value per data set."
        ),
    ] = "",
    format: Format = None,
    force: Force = False,
) -> None:
    """Convert draws, estimates or data sets to another format.

    The extensions say the formats; --format overrides that of TARGET. In tables of data, a column
    that is constant within every data set is read as one value per data set.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    written = workflow.convert(
        source,
        workflow.Target(target, force=force, format=format),
        kind=kind and kind.value,
        sets=[name.strip() for name in sets.split(",") if name.strip()],
        once=[name.strip() for name in once.split(",") if name.strip()],
        listener=console,
    )
    reports.show_written(console, written)
