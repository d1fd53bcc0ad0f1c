"""Single jobs: estimate, predict, log-prob, summary, show."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.errors import UsageError
from abi_cli.options import (
    BackendName,
    DataPaths,
    Device,
    Each,
    ExecutorName,
    Force,
    Grouped,
    Jobs,
    MoreQuantities,
    OnUnlike,
    OnUnlikeOption,
    Output,
    Refine,
    RefineGate,
    RunPath,
    Seed,
    Skip,
    TableOrArrays,
    TrustCode,
    command,
    from_environment,
    number_or_files,
    refuse_gate_alone,
    whole,
)


@app.command(
    epilog=examples(
        "abi estimate runs/regression data.csv",
        "abi estimate runs/regression data.csv -o estimates.csv",
    )
)
@command
def estimate(
    console: Console,
    call: typer.Context,
    run: RunPath,
    data: DataPaths,
    output: Output = None,
    each: Each = False,
    grouped: Grouped = False,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            "-n",
            parser=whole(2),
            metavar="N",
            help="Posterior draws per data set (1000); a `point` network has none.",
        ),
    ] = None,
    seed: Seed = None,
    format: TableOrArrays = None,
    backend: BackendName = None,
    device: Device = None,
    trust_code: TrustCode = False,
    refine: Refine = False,
    gate: RefineGate = False,
    jobs: Jobs = None,
    guard: OnUnlikeOption = OnUnlike.warn,
    force: Force = False,
) -> None:
    """Point estimates of the parameters of every data set in DATA.

    A `point` network gives those that it was trained for, others mean, sd and quantiles of draws.
    Without -o: a table on a terminal, CSV in a pipe, with a row per data set and parameter.
    """
    from abi_cli import workflow
    from abi_cli.console import figures, reports

    refuse_gate_alone(gate=gate, refine=refine)
    table = output is None and format is None and (console.json or console.interactive)
    estimating = workflow.estimate(
        run,
        workflow.DataFiles(data, each=each, grouped=grouped),
        draws=draws,
        seed=None if from_environment(call, "seed") else seed,
        usual_seed=seed,
        target=workflow.Target(output, force=force, format=format),
        compute=workflow.Compute(backend, device, jobs),
        trust_code=trust_code,
        refine=refine,
        on_unlike=workflow.OnUnlike(guard),
        listener=console,
    )
    refiner = estimating.session.refiner
    if table:
        figures.show_estimates(console, estimating.estimates(), refiner=refiner)
    else:
        reports.show_written(console, estimating.write(), refiner=refiner)
    if gate and refiner is not None:
        refiner.gate()


@app.command(
    epilog=examples(
        "abi predict runs/regression data.csv",
        "abi predict runs/regression data.csv --check",
        "abi predict runs/regression data.csv -n 500 -o replicated.csv",
        "abi predict runs/regression data.csv --draws draws.nc",
    )
)
@command
def predict(
    console: Console,
    run: RunPath,
    data: DataPaths,
    output: Output = None,
    draws: Annotated[
        list[str] | None,
        typer.Option(
            "--draws",
            "-n",
            metavar="N|FILE",
            help="Replicated data sets per data set (200); or a file of posterior draws to use.",
        ),
    ] = None,
    seed: Seed = None,
    each: Each = False,
    more: MoreQuantities = None,
    skip: Skip = None,
    format: TableOrArrays = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Test the fit: calibrated p-values of statistics of the data.",
        ),
    ] = False,
    trust_code: TrustCode = False,
    refine: Refine = False,
    guard: OnUnlikeOption = OnUnlike.warn,
    force: Force = False,
) -> None:
    """Posterior predictive checks: would the model generate such data?

    Simulates replicated data from the posterior of every data set in DATA with the run's
    likelihood. Without -o: statistics of the data and of the replicates on a terminal, the
    replicates as CSV in a pipe. --check calibrates the p-values on a thousand simulated data sets
    and names the statistics that do not fit.
    """
    from abi_cli import workflow
    from abi_cli.console import figures, reports

    number, files = number_or_files(draws or (), usual=200)
    if len(files) > 1:
        raise UsageError(f"Expected one file of draws; got {len(files)}")
    if check and (output is not None or format is not None):
        raise UsageError("expected --check without -o and --format; got both")
    plain = output is None and format is None and not check
    table = plain and (console.json or console.interactive)
    predicting = workflow.predict(
        run,
        workflow.DataFiles(data, each=each),
        draws=number,
        drawn=files[0] if files else None,
        seed=seed,
        target=workflow.Target(output, force=force, format=format),
        compute=workflow.Compute(backend, device, jobs, executor=executor),
        trust_code=trust_code,
        on_unlike=workflow.OnUnlike(guard),
        selection=workflow.Selection(more or (), skip or ()),
        refine=refine,
        listener=console,
    )
    if table:
        figures.show_checks(console, predicting.checks())
    elif check:
        figures.show_checked(console, predicting.check())
    else:
        reports.show_written(console, predicting.write())


@app.command(
    "log-prob",
    epilog=examples("abi log-prob runs/regression data.csv --at theta.csv"),
)
@command
def log_prob(
    console: Console,
    run: RunPath,
    data: DataPaths,
    at: Annotated[
        Path,
        typer.Option(
            "--at", metavar="FILE", help="CSV: a column dataset, then one per parameter element."
        ),
    ],
    output: Output = None,
    each: Each = False,
    backend: BackendName = None,
    device: Device = None,
    trust_code: TrustCode = False,
    force: Force = False,
) -> None:
    """Log posterior density at given parameter values, as CSV.

    On the parameters' own scale; -inf outside their support.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    session = workflow.load(
        run,
        compute=workflow.Compute(backend, device),
        trust_code=trust_code,
        listener=console,
    )
    densities = session.densities(workflow.DataFiles(data, each=each), at)
    reports.write_densities(console, densities, workflow.Target(output, force=force))


class TableFormat(enum.StrEnum):
    """Formats of tables of figures."""

    csv = "csv"
    json = "json"
    markdown = "markdown"
    latex = "latex"


class Interval(enum.StrEnum):
    """Intervals that hold a share of the draws."""

    eti = "eti"
    hdi = "hdi"


@app.command(
    epilog=examples(
        "abi summary draws.csv",
        "abi summary draws.nc --ci 0.89 --kind hdi",
        "abi sample runs/regression data.csv --format csv | abi summary - --format latex",
    )
)
@command
def summary(
    console: Console,
    draws: Annotated[
        Path,
        typer.Argument(
            metavar="DRAWS", help="Draws, from `abi sample` or any tool; - reads standard input."
        ),
    ],
    ci: Annotated[
        float, typer.Option("--ci", metavar="P", help="Probability of the interval.")
    ] = 0.9,
    kind: Annotated[
        Interval,
        typer.Option("--kind", metavar="eti|hdi", help="Equal-tailed or highest-density interval."),
    ] = Interval.eti,
    format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            metavar="csv|json|markdown|latex",
            help="By default a table for the terminal.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="Run folder to take parameter labels from."),
    ] = None,
    output: Output = None,
    force: Force = False,
) -> None:
    """Mean, sd, Monte Carlo error, median, interval of draws.

    Tables of statistics from `abi sample --points` and `abi estimate` are shown as they are. For
    Markov chains (ArviZ's netCDF, or a table with a column chain) the Monte Carlo error uses the
    effective sample size.
    """
    from abi_cli import workflow
    from abi_cli.console import figures

    found = workflow.summary(draws, mass=ci, kind=kind.value, run=run, listener=console)
    figures.show_summary(
        console,
        found,
        format=format and format.value,
        target=workflow.Target(output, force=force),
    )


@app.command(
    epilog=examples(
        "abi show runs/regression",
        "abi show runs/regression --json",
        "abi show bank/",
        "abi show d.nc",
    )
)
@command
def show(
    console: Console,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|BANK|FILE", help="A run folder, a bank, or a file of draws or data."
        ),
    ],
) -> None:
    """Show what is in a run folder, a bank, a file of draws or data."""
    from abi_cli import workflow
    from abi_cli.console import banks, reports

    if workflow.is_bank(path):
        banks.show_banks(console, [workflow.look_at_bank(path)])
    elif path.is_dir() or not path.exists():
        reports.show_run(console, workflow.show(path))
    else:
        reports.show_file(console, workflow.inspect(path))
