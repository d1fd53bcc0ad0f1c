"""Can posteriors be trusted: diagnose, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abi_cli import completing
from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.ending import to_a_reader
from abi_cli.errors import UsageError
from abi_cli.options import (
    BackendName,
    Context,
    Device,
    Draws,
    Folder,
    Force,
    Jobs,
    MoreQuantities,
    Seed,
    Skip,
    Stored,
    VerdictFormat,
    command,
    number_or_files,
    said,
)


@app.command(
    epilog=examples(
        "abi diagnose runs/regression",
        "abi diagnose runs/regression --datasets 4000 --gate",
        "abi diagnose runs/regression --until-sure",
        "abi diagnose runs/regression --context N=10 --show 3",
        "abi diagnose runs/regression --data held_out.npz --json",
        "abi diagnose runs/regression --observed data.csv",
        "abi diagnose runs/regression --refine",
        "abi diagnose runs/regression --near data.csv",
        "abi diagnose runs/regression -s model.quantities.effect=effects.py:effect",
        "abi diagnose --draws mcmc.nc --truth truth.csv --data data.csv",
    )
)
@command
def diagnose(
    console: Console,
    call: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]", help="The folder that training left.", autocompletion=completing.runs
        ),
    ] = None,
    output: Folder = None,
    datasets: Annotated[
        int | None,
        typer.Option(
            "--datasets",
            min=2,
            metavar="N",
            help="Fresh data sets to simulate (2000), or how many of --data (all).",
        ),
    ] = None,
    until_sure: Annotated[
        bool,
        typer.Option(
            "--until-sure",
            help="Simulate as many as it takes to tell: 1000, and up to three times twice as many.",
        ),
    ] = False,
    data: Stored = None,
    context: Context = None,
    draws: Annotated[
        list[str] | None,
        typer.Option(
            "--draws",
            "-n",
            metavar="N|FILE",
            help="Draws of each posterior (1000); or files of draws, of any tool, instead of RUN.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="With files of draws: the true values."),
    ] = None,
    seed: Seed = None,
    observed: Annotated[
        Path | None,
        typer.Option("--observed", metavar="FILE", help="Real data: are they like simulated ones?"),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="Hold posteriors against refined ones, too, by the run's log_likelihood.",
        ),
    ] = False,
    near: Annotated[
        Path | None,
        typer.Option(
            "--near",
            metavar="FILE",
            help="Real data, as with --observed: are posteriors right for data near each of them?",
        ),
    ] = None,
    more: MoreQuantities = None,
    skip: Skip = None,
    show: Annotated[
        str | None,
        typer.Option("--show", metavar="ID", help="Data set whose posterior is pictured."),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write figures as PDF, too.")] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 if the verdict is fail.")
    ] = False,
    format: Annotated[
        VerdictFormat | None,
        typer.Option(
            "--format",
            metavar="junit|github",
            help="Write the verdict for a pipeline to standard output.",
        ),
    ] = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Ask whether the posteriors of RUN can be trusted.

    Simulates fresh data sets with the run's own code, or reads some that training has not seen,
    samples their posteriors, compares them with the truth, and leaves report.html, metrics.json
    and pictures with their numbers. With --draws FILE and --truth FILE it does the same for draws
    of any tool, ArviZ's netCDF included; --data FILE then tells posteriors that ignore their data.
    """
    from abi_cli import workflow
    from abi_cli.console import verdicts

    if format is not None and said(call, {"json": "--json"}):
        raise UsageError("Expected --json or --format; got both")
    target = workflow.Target(output, force=force)
    number, files = number_or_files(draws or ())
    if files:
        of_a_run = {
            "run": "RUN",
            "datasets": "--datasets",
            "until_sure": "--until-sure",
            "context": "--context",
            "observed": "--observed",
            "near": "--near",
            "refine": "--refine",
            "more": "-s",
            "skip": "--skip",
            "backend": "--backend",
            "device": "--device",
            "jobs": "--jobs",
        }
        if given := said(call, of_a_run):
            raise UsageError(f"Expected --draws FILE and --truth FILE alone; got {given[0]}, too")
        if truth is None:
            raise UsageError(
                "Expected --truth FILE with --draws FILE",
                hint="A table with a row for each data set: its name under `dataset`, and the "
                "values of the parameters that it was simulated with.",
            )
        diagnosis = workflow.judge(
            files,
            truth,
            data=data,
            seed=1 if seed is None else seed,
            shown=show,
            pdf=pdf,
            target=target,
            listener=console,
        )
    else:
        if run is None or truth is not None:
            raise UsageError("Expected RUN, or --draws FILE with --truth FILE")
        if near is not None and observed is not None:
            raise UsageError(
                "Expected --observed or --near, which tells the same and more; got both"
            )
        diagnosis = workflow.diagnose(
            run,
            validation=workflow.Validation(datasets, data, context or (), until_sure),
            draws=number if draws else None,
            seed=seed,
            observed=near or observed,
            near=near is not None,
            refine=refine,
            selection=workflow.Selection(more or (), skip or ()),
            shown=show,
            pdf=pdf,
            target=target,
            compute=workflow.Compute(backend, device, jobs),
            listener=console,
        )
    with to_a_reader():
        verdicts.show_diagnosis(console, diagnosis, format=format and format.value)
    if gate:
        verdicts.gate(diagnosis.metrics)


@app.command(
    epilog=examples(
        "abi compare runs/base runs/spline",
        "abi compare runs/base runs/spline --datasets 4000 --json",
        "abi compare runs/linear runs/quadratic --observed data.csv --evidence",
    )
)
@command
def compare(
    console: Console,
    call: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN…", help="Folders that training left.", autocompletion=completing.runs
        ),
    ],
    datasets: Annotated[
        int | None,
        typer.Option(
            "--datasets",
            min=3,
            metavar="N",
            help="Fresh data sets to simulate (2000), or how many of --data (all).",
        ),
    ] = None,
    data: Stored = None,
    context: Context = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            "--observed",
            metavar="FILE",
            help="Real data: which model predicts their members, by log_likelihood.",
        ),
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="With --observed: Bayes factors, too.")
    ] = False,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
) -> None:
    """Compare runs: where their specs differ, and which is closer to the truth.

    All answer the same data sets, simulated with the first run's code, so that their scores differ
    by little else than the networks. With --observed models are compared by real data: posteriors
    are refined by each run's own log_likelihood, which is executed.
    """
    from abi_cli import workflow
    from abi_cli.console import verdicts, weighed

    if evidence and observed is None:
        raise UsageError("expected --evidence with --observed FILE; got it alone")
    if observed is not None:
        options = {"datasets": "--datasets", "data": "--data", "context": "--context"}
        if given := said(call, options):
            raise UsageError(f"expected --observed FILE without {given[0]}; got both")
        weighing = workflow.weigh(
            runs,
            observed,
            evidence=evidence,
            draws=draws,
            seed=seed,
            compute=workflow.Compute(backend, device, jobs),
            listener=console,
        )
        weighed.show_weighing(console, weighing)
        return
    comparison = workflow.compare(
        runs,
        validation=workflow.Validation(datasets, data, context or ()),
        draws=draws,
        seed=seed,
        compute=workflow.Compute(backend, device, jobs),
        listener=console,
    )
    verdicts.show_comparison(console, comparison)
