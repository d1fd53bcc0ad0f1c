"""Posteriors to look at: plot, report."""

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
    RunPath,
    Seed,
    TrustCode,
    command,
)

Named = Annotated[
    str | None,
    typer.Option("--datasets", metavar="NAME,…", help="Which data sets; all by default."),
]
Parameters = Annotated[
    str | None,
    typer.Option("--parameters", metavar="NAME,…", help="Which parameters; all by default."),
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
            help="A file of draws, of any tool; or a run, with DATA.",
            autocompletion=completing.files,
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA…]",
            help="Data sets that the run's posteriors are asked of, as `abi sample` takes them.",
            autocompletion=completing.files,
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="NAME,…",
            help="pairs, marginals, intervals (of all data sets), predictive (data beside "
            "replicated data, which the run's code simulates).",
        ),
    ] = "pairs",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file, .png, .pdf or .svg; or a folder. Of several pictures, each has its name "
            "in that of its file.",
        ),
    ] = None,
    datasets: Named = None,
    parameters: Parameters = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="True values to mark, under `dataset`."),
    ] = None,
    prior: Annotated[
        bool, typer.Option("--prior", help="Show the prior, too: the run's code draws it.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="Of draws: the run with labels and prior."),
    ] = None,
    each: Each = False,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    force: Force = False,
) -> None:
    """Draw pictures of posteriors, from draws or from RUN and DATA.

    Without -o they go into the working folder, and it is said where.
    """
    from abi_cli import workflow
    from abi_cli.console import reports
    from abi_cli.workflow.shown import names_in

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
        typer.Option("--output", "-o", metavar="FILE", help="Where to: NAME-report.html."),
    ] = None,
    datasets: Annotated[
        str | None,
        typer.Option(
            "--datasets",
            metavar="NAME,…",
            help="Which to show in full; all, or of more than 20 the oddest.",
        ),
    ] = None,
    parameters: Parameters = None,
    code: Annotated[
        bool,
        typer.Option(
            "--code/--no-code",
            help="Execute the run's own code, for the prior and replicated data.",
        ),
    ] = True,
    each: Each = False,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    trust_code: TrustCode = False,
    force: Force = False,
) -> None:
    """Write a page about the data sets in DATA: their posteriors, and how far to trust them.

    One file that needs no network: what can be said, all data sets together, and each with its
    pictures, its intervals and its data beside replicated data.
    """
    from abi_cli import workflow
    from abi_cli.console import reports
    from abi_cli.workflow.shown import names_in

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
        listener=console,
    )
    reports.show_written(console, written)
