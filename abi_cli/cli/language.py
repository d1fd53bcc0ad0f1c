"""The language of specs: list, schema, fill, init."""

from __future__ import annotations

from typing import Annotated

import typer

from abi_cli.cli.app import app, examples
from abi_cli.console import Console
from abi_cli.options import (
    command,
)


@app.command("list", epilog=examples("abi list", "abi list step"))
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
