"""The commands: signatures and help. A body imports what it needs, calls `workflow`, renders."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from abi_cli import __version__
from abi_cli.console import Console
from abi_cli.errors import CheckFailed
from abi_cli.options import (
    BackendName,
    DataPath,
    Device,
    Draws,
    Force,
    Format,
    Jobs,
    Output,
    Override,
    RunPath,
    Seed,
    SpecPath,
    command,
)

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter  # Typer has no public names for them

_MAIN = ("check", "train", "sample", "diagnose")


class _Commands(TyperGroup):
    """The main job first, everything else below it."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002  # the signature is Typer's
        """Two lists of commands instead of one."""
        width = max(map(len, self.commands))
        for title, wanted in (("The main job", True), ("Beside it", False)):
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(width), entry.get_short_help_str(formatter.width - width - 6))
                        for name, entry in self.commands.items()
                        if (name in _MAIN) == wanted
                    ]
                )


def _examples(*lines: str) -> str:
    """Examples at the end of a help text, after the mark that keeps Typer from filling them."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,  # rich's help takes longer to appear than all of the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_examples(
        "abi train specs/regression.yaml",
        "abi sample runs/regression specs/data/anscombe.csv -o draws.csv",
        "abi diagnose runs/regression",
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"abi {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def abi(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Amortized Bayesian inference from the shell.

    A spec names a prior, a likelihood and networks. Training simulates from them and learns the
    posterior, once; sampling then takes moments for any number of data sets.
    """


@app.command(epilog=_examples("abi check spec.yaml", "abi check spec.yaml -s model.chunk=1 --json"))
@command
def check(console: Console, spec: SpecPath, overrides: Override = None, seed: Seed = None) -> None:
    """Rehearse a spec without training: simulate, adapt, invert.

    Shows every variable through every step of the adapter and what the prior predicts; ends with 1
    where something is wrong.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    found = workflow.check(spec, overrides=overrides or (), seed=seed, listener=console)
    reports.show_check(console, found)
    if found.errors:
        raise CheckFailed(f"{spec} would not train as it is")


@app.command(
    epilog=_examples(
        "abi train spec.yaml",
        "abi train spec.yaml -s training.epochs=60 -o runs/long",
        "abi train spec.yaml --data sims.npz",
    )
)
@command
def train(
    console: Console,
    spec: SpecPath,
    output: Output = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FILE", help="Learn from these simulations, not fresh ones."
        ),
    ] = None,
    overrides: Override = None,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Simulate from SPEC and learn its posterior: once.

    Leaves a run folder, runs/NAME unless -o names another, where NAME is the spec's.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    receipt = workflow.train(
        spec,
        target=workflow.Target(output, force=force),
        data=data,
        overrides=overrides or (),
        seed=seed,
        compute=workflow.Compute(backend, device, jobs),
        listener=console,
    )
    reports.show_training(console, receipt)


@app.command(
    epilog=_examples(
        "abi sample runs/regression data.csv",
        "abi sample runs/regression data.csv -n 4000 -o draws.nc",
        "cat data.csv | abi sample runs/regression - | head",
    )
)
@command
def sample(
    console: Console,
    run: RunPath,
    data: DataPath,
    output: Output = None,
    draws: Draws = 1000,
    seed: Seed = None,
    format: Format = None,  # the option's name
    backend: BackendName = None,
    device: Device = None,
    force: Force = False,
) -> None:
    """Draw from the posterior of every data set in DATA.

    Without -o: a table of each posterior on a terminal, and the draws as CSV into a pipe.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    target = workflow.Target(output, force=force, format=format)
    table = output is None and format is None and (console.json or console.interactive)
    sampling = workflow.sample(
        run,
        data,
        draws=draws,
        seed=seed,
        target=target,
        compute=workflow.Compute(backend, device),
        listener=console,
    )
    if table:
        reports.show_summary(console, sampling.summary())
    else:
        reports.show_written(console, sampling.write())


@app.command(
    epilog=_examples(
        "abi diagnose runs/regression",
        "abi diagnose runs/regression --datasets 1000 --json",
    )
)
@command
def diagnose(
    console: Console,
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Instead of RUN/diagnostics."),
    ] = None,
    datasets: Annotated[
        int, typer.Option("--datasets", min=2, metavar="N", help="Fresh data sets to simulate.")
    ] = 200,
    draws: Draws = 1000,
    seed: Seed = None,
    backend: BackendName = None,
    device: Device = None,
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Ask whether the posteriors of RUN can be trusted.

    Simulates fresh data sets with the run's own code, samples their posteriors, compares them with
    the truth, and leaves metrics.json and pictures.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    diagnosis = workflow.diagnose(
        run,
        datasets=datasets,
        draws=draws,
        seed=seed,
        target=workflow.Target(output, force=force),
        compute=workflow.Compute(backend, device, jobs),
        listener=console,
    )
    reports.show_diagnosis(console, diagnosis)


@app.command(
    epilog=_examples(
        "abi simulate spec.yaml -n 10000 --seed 7 -o sims.npz",
        "abi simulate spec.yaml -n 5 --context N=10",
        "abi simulate spec.yaml -n 100 | abi sample runs/regression - -o draws.csv",
    )
)
@command
def simulate(
    console: Console,
    spec: SpecPath,
    output: Output = None,
    datasets: Annotated[
        int, typer.Option("--datasets", "-n", min=1, metavar="N", help="Data sets to simulate.")
    ] = 1000,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="NAME=VALUE", help="Fix a context variable."),
    ] = None,
    overrides: Override = None,
    seed: Seed = None,
    format: Format = None,  # the option's name
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Simulate data sets, parameters included, from SPEC."""
    from abi_cli import workflow
    from abi_cli.console import reports

    written = workflow.simulate(
        spec,
        datasets=datasets,
        context=context or (),
        overrides=overrides or (),
        seed=seed,
        target=workflow.Target(output, force=force, format=format),
        jobs=jobs,
        listener=console,
    )
    reports.show_written(console, written)


@app.command(
    "log-prob",
    epilog=_examples("abi log-prob runs/regression data.csv --at theta.csv"),
)
@command
def log_prob(
    console: Console,
    run: RunPath,
    data: DataPath,
    at: Annotated[
        Path,
        typer.Option(
            "--at", metavar="FILE", help="CSV: column dataset, then one per parameter element."
        ),
    ],
    output: Output = None,
    backend: BackendName = None,
    device: Device = None,
    force: Force = False,
) -> None:
    """Log posterior density of given parameter values, as CSV.

    It is the density on the parameters' own scale: -inf outside their support.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    densities = workflow.log_prob(
        run,
        data,
        at,
        compute=workflow.Compute(backend, device),
        listener=console,
    )
    reports.write_densities(console, densities, workflow.Target(output, force=force))


@app.command(epilog=_examples("abi summary draws.csv", "abi summary draws.nc --json"))
@command
def summary(
    console: Console,
    draws: Annotated[Path, typer.Argument(metavar="DRAWS", help="What `abi sample -o` wrote.")],
) -> None:
    """Mean, sd, Monte Carlo error and quantiles of posterior draws."""
    from abi_cli import workflow
    from abi_cli.console import reports

    reports.show_summary(console, workflow.summary(draws))


@app.command(epilog=_examples("abi show runs/regression", "abi show runs/regression --json"))
@command
def show(console: Console, run: RunPath) -> None:
    """What a run folder holds: model, training, verdict."""
    from abi_cli import workflow
    from abi_cli.console import reports

    reports.show_run(console, workflow.show(run))


@app.command("list", epilog=_examples("abi list", "abi list step"))
@command
def list_parts(
    console: Console,
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Such as step or 'inference network'.")
    ] = None,
) -> None:
    """The parts that a spec can name, with their options."""
    from abi_cli import workflow
    from abi_cli.console import reports

    reports.show_parts(console, workflow.parts(kind))


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="abi")
    except SystemExit as end:
        # A backend takes seconds to put away what the end of the process puts away at once, but
        # semaphores that processes shared outlive it, and Python would warn of them.
        if shared := sys.modules.get("multiprocessing.util"):
            shared._exit_function()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
