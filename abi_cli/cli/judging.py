"""The commands that judge posteriors: diagnose, compare."""

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
    ExecutorName,
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
    whole,
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
        "abi diagnose runs/regression --challenge 5m",
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
            metavar="RUN", help="A run folder, from `abi train`.", autocompletion=completing.runs
        ),
    ] = None,
    output: Folder = None,
    datasets: Annotated[
        int | None,
        typer.Option(
            "--datasets",
            parser=whole(2),
            metavar="N",
            help="Data sets to simulate (2000), or to use of --data (all).",
        ),
    ] = None,
    until_sure: Annotated[
        bool,
        typer.Option(
            "--until-sure",
            help="Simulate 1000 data sets, and 2000, 4000, 8000 if the verdict needs them.",
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
            help="Draws per data set (1000); or files of draws, from any tool, instead of RUN.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="With files of draws: the true parameters."),
    ] = None,
    seed: Seed = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            "--observed", metavar="FILE", help="Real data: are they like the simulations?"
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="Compare with refined posteriors, too (executes the run's log_likelihood).",
        ),
    ] = False,
    challenge: Annotated[
        str | None,
        typer.Option(
            "--challenge",
            metavar="TIME",
            help="Let rivals that see more learn from fresh simulations for 5m: what is lost?",
        ),
    ] = None,
    near: Annotated[
        Path | None,
        typer.Option(
            "--near",
            metavar="FILE",
            help="As --observed; also: are posteriors calibrated for data near these?",
        ),
    ] = None,
    more: MoreQuantities = None,
    skip: Skip = None,
    show: Annotated[
        str | None,
        typer.Option("--show", metavar="ID", help="Data set whose posterior is plotted."),
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
            help="Print the verdict for a CI pipeline.",
        ),
    ] = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    force: Force = False,
) -> None:
    """Can the posteriors of RUN be trusted? Verdict and report.

    Simulates new data sets with the run's code (or reads them from --data), samples their
    posteriors and compares these with the true parameters. Writes report.html, metrics.json and
    figures. With --draws FILE and --truth FILE it judges draws from any tool, ArviZ's netCDF
    included; --data FILE then reveals posteriors that ignore their data.
    """
    from abi_cli import workflow
    from abi_cli.cli.interrupting import time_limit
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
            "challenge": "--challenge",
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
            challenge=time_limit(challenge, "--challenge"),
            selection=workflow.Selection(more or (), skip or ()),
            shown=show,
            pdf=pdf,
            target=target,
            compute=workflow.Compute(backend, device, jobs, executor=executor),
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
            metavar="RUN RUN…",
            help="Run folders, from `abi train`.",
            autocompletion=completing.runs,
        ),
    ],
    datasets: Annotated[
        int | None,
        typer.Option(
            "--datasets",
            parser=whole(3),
            metavar="N",
            help="Data sets to simulate (2000), or to use of --data (all).",
        ),
    ] = None,
    data: Stored = None,
    context: Context = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            "--observed",
            metavar="FILE",
            help="Real data: which model predicts them best (needs log_likelihood)?",
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
    """Compare runs: whose posteriors are better, how specs differ.

    All are asked about the same data sets, simulated with the first run's code. With --observed,
    models are compared by real data: posteriors are refined by each run's own log_likelihood,
    which is executed.
    """
    from abi_cli import workflow
    from abi_cli.console import verdicts

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
        verdicts.show_weighing(console, weighing)
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
