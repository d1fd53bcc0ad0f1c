"""The commands that every model needs: check, train, sample; `judging` has diagnose."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from abi_cli import completing
from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.ending import to_a_reader
from abi_cli.errors import CheckFailed, UsageError
from abi_cli.options import (
    BackendName,
    DataPaths,
    Device,
    Draws,
    Each,
    ExecutorName,
    Folder,
    Force,
    Format,
    Grouped,
    Jobs,
    MoreQuantities,
    OnUnlike,
    OnUnlikeOption,
    Output,
    Override,
    Points,
    Refine,
    RefineGate,
    RunPath,
    Seed,
    Skip,
    SpecPath,
    Stored,
    TrustCode,
    command,
    from_environment,
    refuse_gate_alone,
    said,
    whole,
)


class ProblemFormat(enum.StrEnum):
    """Formats of the problems of a spec."""

    full = "full"
    concise = "concise"


class Names(enum.StrEnum):
    """Styles of the names that tables give the elements of vectors."""

    brackets = "brackets"
    dots = "dots"


@app.command(
    epilog=examples(
        "abi check spec.yaml",
        "abi check spec.yaml -s model.chunk=1 --json",
        "abi check spec.yaml --data sims.npz",
        "abi check spec.yaml --observed data.csv",
    )
)
@command
def check(
    console: Console,
    spec: SpecPath,
    data: Stored = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            "--observed", metavar="FILE", help="Real data to compare with the simulations."
        ),
    ] = None,
    overrides: Override = None,
    seed: Seed = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")
    ] = False,
    build: Annotated[
        bool,
        typer.Option("--build", help="Build the networks: size, time and memory of training."),
    ] = False,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    format: Annotated[  # the option's name
        ProblemFormat,
        typer.Option("--format", metavar="full|concise", help="Format of the problems found."),
    ] = ProblemFormat.full,
) -> None:
    """Rehearse a spec without training: simulate, adapt, invert.

    Shows what the prior predicts and every variable at every step of the adapter. Exits with 1 if
    something is wrong.
    """
    from abi_cli import workflow
    from abi_cli.console import rehearsal
    from abi_cli.spec import InvalidSpecError

    try:
        found = workflow.check(
            spec,
            data=data,
            overrides=overrides or (),
            seed=seed,
            observed=observed,
            build=workflow.Compute(backend, device, jobs) if build else None,
            listener=console,
        )
    except InvalidSpecError as error:
        if format is ProblemFormat.full:
            raise
        with to_a_reader():
            typer.echo("\n".join(problem.concise() for problem in error.problems))
        raise typer.Exit(error.exit_code) from None
    with to_a_reader():
        if format is ProblemFormat.concise:
            rehearsal.show_findings(console, found)
        else:
            rehearsal.show_check(console, found)
    if found.errors:
        raise CheckFailed(f"{spec} would not train as it is")
    if strict and found.warnings:
        raise CheckFailed(f"{spec} has {len(found.warnings)} warnings, which --strict refuses")


@app.command(
    epilog=examples(
        "abi train spec.yaml",
        "abi train spec.yaml -s training.epochs=60 -o runs/long",
        "abi train spec.yaml --data bank/",
        "abi train spec.yaml --data bank/ --online",
        "abi train spec.yaml --max-time 50m",
        "abi train --resume runs/long",
        "abi train --resume runs/long --extend 20",
    )
)
@command
def train(
    console: Console,
    call: typer.Context,
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="SPEC",
            help="A spec or a run folder; - reads standard input.",
            autocompletion=completing.specs,
        ),
    ] = None,
    output: Folder = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Continue a training that ended early.",
            autocompletion=completing.runs,
        ),
    ] = None,
    extend: Annotated[
        int | None,
        typer.Option(
            "--extend",
            parser=whole(1),
            metavar="N",
            help="With --resume of a finished run: train N more epochs, with the learning rates of "
            "a training that was this long from the start.",
        ),
    ] = None,
    accept_changed_code: Annotated[
        bool,
        typer.Option(
            "--accept-changed-code",
            help="With --resume: continue although the run's code or `model:` has changed; "
            "recorded in the manifest.",
        ),
    ] = False,
    max_time: Annotated[
        str | None,
        typer.Option(
            "--max-time",
            metavar="TIME",
            help="Stop after 30s, 90m or 2h: saves and exits with 75.",
        ),
    ] = None,
    data: Stored = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="With --data: mix as many fresh simulations in; another share is training.online.",
        ),
    ] = False,
    overrides: Override = None,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    force: Force = False,
) -> None:
    """Simulate from SPEC and train the networks: once per model.

    Writes the run folder runs/NAME, NAME being the spec's, unless -o says otherwise. Ctrl-C,
    SIGTERM, SIGUSR1 and --max-time stop it early and save; --resume RUN continues.
    """
    from abi_cli import workflow
    from abi_cli.cli.interrupting import interruptible, time_limit
    from abi_cli.console import reports

    options = ("backend", "device", "jobs")
    defaults = frozenset(name for name in options if from_environment(call, name))
    compute = workflow.Compute(backend, device, jobs, defaults=defaults, executor=executor)
    with interruptible(console, time_limit(max_time)) as stop:
        if resume is not None:
            anew = {
                "spec": "SPEC",
                "output": "-o",
                "overrides": "-s",
                "seed": "--seed",
                "force": "--force",
                "online": "--online",
            }
            if given := said(call, anew):
                raise UsageError(
                    f"Expected --resume RUN without {given[0]}: it goes on as it was begun",
                    hint="To train anew with other settings: abi train RUN -o … -s …",
                )
            receipt = workflow.resume(
                resume,
                extend=extend,
                data=data,
                accept_changed_code=accept_changed_code,
                compute=compute,
                stop=stop,
                listener=console,
            )
        elif only := said(
            call, {"extend": "--extend N", "accept_changed_code": "--accept-changed-code"}
        ):
            raise UsageError(f"Expected SPEC, or --resume RUN with {only[0]}")
        elif spec is None:
            raise UsageError("Expected SPEC, or --resume RUN")
        else:
            receipt = workflow.train(
                spec,
                target=workflow.Target(output, force=force),
                data=data,
                overrides=overrides or (),
                seed=seed,
                online=online,
                compute=compute,
                stop=stop,
                listener=console,
            )
    reports.show_training(console, receipt)


@app.command(
    epilog=examples(
        "abi sample runs/regression data.csv",
        "abi sample runs/regression data.csv -n 4000 -o draws.nc",
        "abi sample runs/regression data.csv --points mean,sd,q5,q95 -o summary.csv",
        "abi sample runs/regression trials=t.csv eeg=e.npz -o draws.nc",
        "cat data.csv | abi sample runs/regression - | head",
    )
)
@command
def sample(
    console: Console,
    run: RunPath,
    data: DataPaths,
    output: Output = None,
    draws: Draws = 1000,
    seed: Seed = None,
    each: Each = False,
    grouped: Grouped = False,
    format: Format = None,  # the option's name
    points: Points = None,
    long: Annotated[
        bool, typer.Option("--long", help="Tables with a row per number (long format).")
    ] = False,
    index: Annotated[
        int,
        typer.Option(
            "--index", min=0, max=1, metavar="0|1", help="First index in tables: 1 as in R."
        ),
    ] = 0,
    names: Annotated[
        Names,
        typer.Option(
            "--names",
            metavar="brackets|dots",
            help="Columns beta[0], or beta.0, which R's read.csv keeps.",
        ),
    ] = Names.brackets,
    backend: BackendName = None,
    device: Device = None,
    trust_code: TrustCode = False,
    guard: OnUnlikeOption = OnUnlike.warn,
    quantities: Annotated[
        bool,
        typer.Option(
            "--quantities", help="Compute the spec's quantities, too (executes its code)."
        ),
    ] = False,
    more: MoreQuantities = None,
    skip: Skip = None,
    refine: Refine = False,
    gate: RefineGate = False,
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Draw from the posterior of every data set in DATA.

    Without -o: a summary table on a terminal, the draws as CSV in a pipe.
    """
    refuse_gate_alone(gate=gate, refine=refine)
    from abi_cli import workflow
    from abi_cli.console import figures, reports
    from abi_cli.data import Style

    target = workflow.Target(output, force=force, format=format)
    shape = workflow.Shape(Style(index, dotted=names is Names.dots), long, points)
    plain = output is None and format is None and not long and shape.style == Style()
    table = plain and (console.json or console.interactive)
    sampling = workflow.sample(
        run,
        workflow.DataFiles(data, each=each, grouped=grouped),
        draws=draws,
        seed=seed,
        target=target,
        shape=shape,
        compute=workflow.Compute(backend, device, jobs),
        trust_code=trust_code,
        on_unlike=workflow.OnUnlike(guard),
        quantities=quantities,
        selection=workflow.Selection(more or (), skip or ()),
        refine=refine,
        listener=console,
    )
    refiner = sampling.session.refiner
    if table:
        figures.show_summary(console, sampling.summary(), refiner=refiner)
    else:
        reports.show_written(console, sampling.write(), refiner=refiner)
    if gate and refiner is not None:
        refiner.gate()
