"""The commands that show posteriors: plot, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abi_cli import completing
from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.errors import UsageError
from abi_cli.options import (
    BackendName,
    DataPaths,
    Device,
    Draws,
    Each,
    Force,
    Jobs,
    OnUnlike,
    OnUnlikeOption,
    RunPath,
    Seed,
    TrustCode,
    command,
)

Named = Annotated[
    str | None,
    typer.Option("--datasets", metavar="NAME,…", help="Data sets to plot; by default all."),
]
Parameters = Annotated[
    str | None,
    typer.Option("--parameters", metavar="NAME,…", help="Parameters to show; by default all."),
]


@app.command(
    epilog=examples(
        "abi plot draws.nc",
        "abi plot draws.nc --kind intervals -o intervals.pdf",
        "abi plot runs/regression data.csv --kind predictive -o figures",
        "abi plot runs/regression data.csv --datasets I,IV --prior -o pairs.png",
    )
)
@command
def plot(
    console: Console,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DRAWS|RUN",
            help="A file of draws, from any tool; or a run folder, with DATA.",
            autocompletion=completing.files,
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA…",
            help="With a run folder: data sets, as for `abi sample`.",
            autocompletion=completing.files,
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="NAME,…",
            help="pairs, marginals, intervals (all data sets in one figure), predictive (data "
            "against replicated data; executes the run's code).",
        ),
    ] = "pairs",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Output file (.png, .pdf, .svg) or folder. With several figures, each file's name "
            "says which.",
        ),
    ] = None,
    datasets: Named = None,
    parameters: Parameters = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", help="Table of true values to mark, with a column dataset."
        ),
    ] = None,
    prior: Annotated[
        bool, typer.Option("--prior", help="Show the prior, too (executes the run's code).")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="With a file of draws: the run with labels and prior."
        ),
    ] = None,
    each: Each = False,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    guard: OnUnlikeOption = OnUnlike.warn,
    force: Force = False,
) -> None:
    """Plot posteriors, from a file of draws or from RUN and DATA.

    Without -o the figures go to the working folder.
    """
    from abi_cli import workflow
    from abi_cli.console import reports
    from abi_cli.workflow.about_data.shown import names_in

    if output == Path("-"):
        raise UsageError("expected a file or a folder with -o; got -, standard output")
    written = workflow.plot(
        source,
        workflow.DataFiles(data, each=each) if data else None,
        wish=workflow.Wish(
            names_in(kind), names_in(datasets), names_in(parameters), truth=truth, prior=prior
        ),
        run=run,
        draws=draws,
        seed=seed,
        target=workflow.Target(output, force=force),
        compute=workflow.Compute(backend, device, jobs),
        trust_code=trust_code,
        on_unlike=workflow.OnUnlike(guard),
        listener=console,
    )
    for one in written:
        reports.show_written(console, one)


@app.command(
    epilog=examples(
        "abi report runs/regression data.csv -o report.html",
        "abi report runs/regression data.csv --datasets I,IV",
    )
)
@command
def report(
    console: Console,
    run: RunPath,
    data: DataPaths,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Output file; by default NAME-report.html."
        ),
    ] = None,
    datasets: Annotated[
        str | None,
        typer.Option(
            "--datasets",
            metavar="NAME,…",
            help="Data sets to show in full; by default all, or the 20 oddest.",
        ),
    ] = None,
    parameters: Parameters = None,
    code: Annotated[
        bool,
        typer.Option(
            "--code/--no-code",
            help="Whether to execute the run's code: for the prior, replicated data and, given a "
            "log_likelihood, exact posteriors.",
        ),
    ] = True,
    each: Each = False,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    guard: OnUnlikeOption = OnUnlike.warn,
    force: Force = False,
) -> None:
    """HTML report on DATA: posteriors, and how far to trust them.

    One self-contained file: warnings and verdicts, all data sets in one overview, and for each
    its posterior, intervals and predictive check.
    """
    from abi_cli import workflow
    from abi_cli.console import reports
    from abi_cli.workflow.about_data.shown import names_in

    if output == Path("-"):
        raise UsageError("expected a file with -o; got -, standard output")
    written = workflow.report(
        run,
        workflow.DataFiles(data, each=each),
        draws=draws,
        seed=seed,
        datasets=names_in(datasets),
        parameters=names_in(parameters),
        code=code,
        target=workflow.Target(output, force=force),
        compute=workflow.Compute(backend, device, jobs),
        trust_code=trust_code,
        on_unlike=workflow.OnUnlike(guard),
        listener=console,
    )
    reports.show_written(console, written)
