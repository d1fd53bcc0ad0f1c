"""The commands about the language of specs: list, explain, schema, fill, init."""

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
            metavar="KIND",
            help="A kind of part, such as steps or networks.",
            autocompletion=completing.kinds,
        ),
    ] = None,
) -> None:
    """List what a spec can name: steps, distributions, networks, …."""
    from abi_cli import workflow
    from abi_cli.console import words

    words.show_parts(console, workflow.parts(kind))


@app.command(
    epilog=examples(
        "abi explain",
        "abi explain verdict",
        "abi explain constrain",
        "abi explain training.epochs",
        "abi explain E103",
    )
)
@command
def explain(
    console: Console,
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="WORD",
            help="A topic, a part, a field or a code: verdict, constrain, training.epochs, E103.",
            autocompletion=completing.words,
        ),
    ] = None,
) -> None:
    """The manual: a topic, a part, a field, the code of a problem.

    Without WORD: all topics.
    """
    from abi_cli import workflow
    from abi_cli.console import words

    if word is None:
        words.show_pages(console, workflow.pages())
        return
    words.show_explanation(console, workflow.explain(word))


@app.command(
    epilog=examples(
        "abi init trial",
        "abi init trial --from measurements.csv",
        "abi init trial --from measurements.csv --outcome response",
        "abi init trial --template regression",
    )
)
@command
def init(
    console: Console,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Output folder; its name becomes the model's.")
    ],
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Start from a CSV or TSV: its columns become observables.",
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome",
            metavar="COLUMN",
            help="Regress this column on the others, which come with the data.",
        ),
    ] = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="NAME",
            help="means: columns of their kinds; regression: a line; counts: events and exposure; "
            "choices: yes or no; series: a time series; survival: censored times; groups: "
            "estimates with standard errors.",
        ),
    ] = "means",
    force: Force = False,
) -> None:
    """Write a first spec and model: commented, ready to train."""
    from abi_cli import workflow
    from abi_cli.console import reports

    reports.show_started(
        console,
        workflow.init(folder, table=table, outcome=outcome, template=template, force=force),
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
    """Print the complete spec: all defaults, with comments.

    An omitted adapter is derived from a few simulations.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    text = workflow.fill(spec, data=data, overrides=overrides or (), seed=seed, listener=console)
    target = workflow.Target(output, force=force)
    reports.write_text(console, text, target, what="the complete spec")


@app.command(epilog=examples("abi schema > spec.schema.json"))
@command
def schema(console: Console, output: Output = None, force: Force = False) -> None:
    """Print the JSON Schema of specs, for editors.

    A spec that begins with `# yaml-language-server: $schema=spec.schema.json` is checked while you
    type.
    """
    from abi_cli import workflow
    from abi_cli.console import reports

    target = workflow.Target(output, force=force)
    reports.write_text(console, workflow.schema(), target, what="the JSON Schema of specs")
