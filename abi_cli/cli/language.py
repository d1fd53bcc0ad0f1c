"""The language of specs: list, explain, schema, fill, init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abi_cli import completing
from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.options import Force, Output, Override, Seed, SpecPath, Stored, command


@app.command("list", epilog=examples("abi list", "abi list steps", "abi list networks"))
@command
def list_parts(
    console: Console,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="Such as step or 'inference network'.",
            autocompletion=completing.kinds,
        ),
    ] = None,
) -> None:
    """The parts that a spec can name."""
    from abi_cli import workflow
    from abi_cli.console import words

    words.show_parts(console, workflow.parts(kind))


@app.command(
    epilog=examples("abi explain constrain", "abi explain training.epochs", "abi explain E103")
)
@command
def explain(
    console: Console,
    word: Annotated[
        str,
        typer.Argument(
            metavar="WORD",
            help="Such as constrain, step.constrain, missing or E103.",
            autocompletion=completing.words,
        ),
    ],
) -> None:
    """What a part or field of a spec, or the code of a problem, means."""
    from abi_cli import workflow
    from abi_cli.console import words

    words.show_explanation(console, workflow.explain(word))


@app.command(
    epilog=examples(
        "abi init trial",
        "abi init trial --from measurements.csv",
        "abi init trial --template regression",
    )
)
@command
def init(
    console: Console,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    table: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="CSV or TSV whose columns become the observables."
        ),
    ] = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="NAME",
            help="means: each column normal; regression: a line; counts: events and exposure; "
            "choices: yes or no; series: steps in time; groups: estimates with standard errors.",
        ),
    ] = "means",
    force: Force = False,
) -> None:
    """Write a first spec and model, commented, that train as they are."""
    from abi_cli import workflow
    from abi_cli.console import reports

    reports.show_started(
        console, workflow.init(folder, table=table, template=template, force=force)
    )


@app.command(
    epilog=examples("abi fill spec.yaml", "abi fill spec.yaml -s training.epochs=60 -o full.yaml")
)
@command
def fill(
    console: Console,
    spec: SpecPath,
    output: Output = None,
    data: Stored = None,
    overrides: Override = None,
    seed: Seed = None,
    force: Force = False,
) -> None:
    """The complete spec: every default filled in, a comment on each field.

    An adapter that is left out is derived from a few simulations.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    text = workflow.fill(spec, data=data, overrides=overrides or (), seed=seed, listener=console)
    target = workflow.Target(output, force=force)
    reports.write_text(console, text, target, what="the complete spec")


@app.command(epilog=examples("abi schema > spec.schema.json"))
@command
def schema(console: Console, output: Output = None, force: Force = False) -> None:
    """The JSON Schema of specs, for completion and help in editors.

    With `# yaml-language-server: $schema=spec.schema.json` as its first line, a spec is checked
    while it is written.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    target = workflow.Target(output, force=force)
    reports.write_text(console, workflow.schema(), target, what="the JSON Schema of specs")
