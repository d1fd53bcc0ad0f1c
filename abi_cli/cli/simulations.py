"""The commands for simulations that are kept: simulate, bank."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.options import (
    Context,
    DataFormat,
    ExecutorName,
    Force,
    Jobs,
    Override,
    Seed,
    SpecPath,
    command,
    said,
    whole,
)


@app.command(
    epilog=examples(
        "abi simulate spec.yaml -n 10000 --seed 7 -o sims.npz",
        "abi simulate spec.yaml -n 5 --context N=10",
        "abi simulate spec.yaml -n 100 | abi sample runs/regression - -o draws.csv",
        "abi simulate spec.yaml -n 1e6 -o bank/",
        "abi simulate spec.yaml -n 1e6 -o bank/ --dry-run",
        "abi simulate spec.yaml -n 1e6 -o part-3/ --shard 3/20",
        "abi simulate spec.yaml --replay 1234",
    )
)
@command
def simulate(
    console: Console,
    call: typer.Context,
    spec: SpecPath,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to: a file, or the folder of a bank, BANK/; - is standard output.",
        ),
    ] = None,
    datasets: Annotated[
        int,
        typer.Option(
            "--datasets", "-n", parser=whole(1), metavar="N", help="Data sets to simulate."
        ),
    ] = 1000,
    context: Context = None,
    overrides: Override = None,
    seed: Seed = None,
    format: DataFormat = None,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="K/N", help="Of a bank, what job K of N makes, from 1 on."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say how long it would take and how large it would be."),
    ] = False,
    replay: Annotated[
        int | None,
        typer.Option(
            "--replay",
            parser=whole(0),
            metavar="ROW",
            help="Simulate this row alone, here, and show it; under a debugger if it fails.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Simulate data sets, parameters included, from SPEC.

    A folder, BANK/, gets a bank: simulations in shards. The same command goes on with one that was
    interrupted, a larger -n extends it, and `abi train SPEC --data BANK/` learns from it.
    """
    from abi_cli import workflow
    from abi_cli.console import banks, reports
    from abi_cli.errors import UsageError

    compute = workflow.Compute(jobs=jobs, executor=executor)
    options = {"format": "--format", "datasets": "-n", "output": "-o", "dry_run": "--dry-run"}
    if replay is not None:
        if given := said(call, options | {"shard": "--shard", "force": "--force"}):
            raise UsageError(f"expected --replay ROW without {given[0]}; got both")
        banks.show_replayed(
            console,
            workflow.replay(
                spec, replay, context=context or (), overrides=overrides or (), seed=seed
            ),
        )
        return
    target = workflow.Target(None if output is None else Path(output), force=force, format=format)
    if dry_run or workflow.is_for_bank(output or "", format):
        filled = workflow.fill_bank(
            spec,
            workflow.Order(
                datasets,
                workflow.Share.of(shard) if shard else workflow.Share(),
                context or (),
                dry=dry_run,
            ),
            target,
            overrides=overrides or (),
            seed=seed,
            compute=compute,
            listener=console,
        )
        banks.show_filled(console, filled)
        return
    if given := said(call, {"shard": "--shard"}):
        raise UsageError(f"expected {given[0]} with -o BANK/, a folder")
    written = workflow.simulate(
        spec,
        datasets=datasets,
        context=context or (),
        overrides=overrides or (),
        seed=seed,
        target=target,
        compute=compute,
        listener=console,
    )
    reports.show_written(console, written)


class Action(enum.StrEnum):
    """Actions on banks."""

    ls = "ls"
    verify = "verify"
    merge = "merge"


@app.command(
    epilog=examples(
        "abi bank ls bank/",
        "abi bank verify bank/",
        "abi bank merge bank/ part-*/",
    )
)
@command
def bank(
    console: Console,
    action: Annotated[Action, typer.Argument(metavar="ls|verify|merge", help="What to do.")],
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="BANK…", help="Folders of banks; merge takes rows into the first of them."
        ),
    ],
) -> None:
    """Look at banks of simulations, read them through, or merge them.

    ls says what they hold and which draws failed. verify reads every row and ends with 1 where one
    is damaged or missing. merge takes the rows of banks of the same model into the first one, which
    is made if it is not there; each row is there once, and no bank is changed but the first.
    """
    from abi_cli import workflow
    from abi_cli.console import banks

    if action is Action.merge:
        banks.show_merged(console, workflow.merge_banks(folders[0], folders[1:], listener=console))
    elif action is Action.verify:
        for folder in folders:
            banks.show_verified(console, workflow.verify_bank(folder, listener=console))
    else:
        banks.show_banks(console, [workflow.look_at_bank(folder) for folder in folders])
