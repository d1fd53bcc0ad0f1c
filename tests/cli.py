"""Calling the command line from tests, and a small run to call it on."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from typer.testing import CliRunner, Result

from abi_cli import backend
from abi_cli.cli import app

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "specs"
ANSCOMBE = SPECS / "data" / "anscombe.csv"

SMALL = ("-s", "training.epochs=2", "-s", "training.num_batches=4", "-j", "0")
"""Far too short to learn anything, long enough to go through everything."""


PILOT = 500
"""Simulations that a light training begins with; 10,000 by itself."""

STEPS = {
    "abi_cli.statistics.surface.SHORT": 60,
    "abi_cli.statistics.surface.LONG": 120,
    "abi_cli.statistics.response_learning.STEPS": 80,
}
"""Steps in which surfaces of the pilot are learned; 600, 12,000 and 8,000 by themselves."""


@contextmanager
def brief_surfaces() -> Iterator[None]:
    """Trainings learn surfaces of the pilot for a moment, whatever else they learn."""
    with ExitStack() as patches:
        for place, steps in STEPS.items():
            patches.enter_context(patch(place, steps))
        yield


@contextmanager
def light() -> Iterator[None]:
    """Trainings that are short take little around what they learn.

    Their pilot is small, to which plain statistics are fitted, surfaces in few steps; and on
    TensorFlow the graph is not compiled by XLA, which takes half of a training of a few steps.
    Trainings as everybody has them are those of other processes, and of `tests/engine.py`, by XLA.
    """
    with (
        patch("abi_cli.backend.compiles", lambda: backend.name() == "jax"),
        patch("abi_cli.training.sources.PILOT_ROWS", (PILOT, PILOT)),
        brief_surfaces(),
    ):
        yield


def abi(*arguments: object, stdin: str | bytes | None = None) -> Result:
    """Run a command in this process; should it train, then in a `light` way."""
    with light():
        return CliRunner().invoke(app, [*map(str, arguments)], input=stdin, prog_name="abi")


def words(*arguments: object) -> list[str]:
    """The words of a command."""
    return [sys.executable, "-c", "from abi_cli.cli import main; main()", *map(str, arguments)]


def shell(*arguments: object) -> str:
    """A command for a shell, in quotes where a path has spaces."""
    return shlex.join(words(*arguments))


def abi_process(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as a shell would."""
    return subprocess.run(
        words(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )
