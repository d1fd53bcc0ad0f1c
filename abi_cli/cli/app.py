"""The command line itself: its help, its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from abi_cli import __version__

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter  # Typer has no public names for them

GROUPS = {
    "Write a model": ("init", "check", "fill", "simulate", "bank"),
    "Train and validate": ("train", "diagnose", "compare"),
    "Analyse data": ("sample", "predict", "report", "plot", "summary"),
    "More": ("estimate", "log-prob", "stream", "convert", "show", "list", "explain", "schema"),
}
"""Titles and commands, in the order of the work."""


class _Commands(TyperGroup):
    """Commands in groups, in the order of the work."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002  # the signature is Typer's
        """A list of commands for each group."""
        width = max(map(len, self.commands))
        for title, names in GROUPS.items():
            with formatter.section(title):
                room = formatter.width - width - 6
                formatter.write_dl(
                    [(n.ljust(width), self.commands[n].get_short_help_str(room)) for n in names]
                )


def examples(*lines: str) -> str:
    """Examples at the end of a help text, after the mark that keeps Typer from filling them."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,  # rich's help takes longer to appear than all of the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "abi train specs/regression.yaml",
        "abi diagnose runs/regression",
        "abi sample runs/regression specs/data/anscombe.csv -o draws.csv",
        "abi explain",
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

    A spec names a prior, a simulator and networks. Training simulates data and learns their
    posteriors, once per model; sampling then takes moments for any number of data sets.
    """
