"""The guard of a run: kept at the end of its training, at hand where data sets are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abi_cli import placing
from abi_cli.data.npz import read_arrays, write_arrays
from abi_cli.errors import RunError, UserFunctionError
from abi_cli.guard import Guard, Reference
from abi_cli.listener import Listener
from abi_cli.manifest import REFERENCE
from abi_cli.run import Run
from abi_cli.spec import Spec
from abi_cli.training.sources import Source

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

FEWEST = 100
"""Simulations that tell of nothing: so few make no reference."""


def keep_reference(
    folder: Run, source: Source, spec: Spec, approximator: Approximator, listener: Listener
) -> None:
    """Look at simulations that nothing was learned from, and keep what was seen in the run.

    A training is not lost because one of these simulations fails: the run has no guard then.
    """
    file = folder.path / REFERENCE
    file.unlink(missing_ok=True)  # of a shorter training
    try:
        with listener.task("looking at fresh simulations"):
            reference = Reference.of(
                source.reference(),
                approximator.layout,
                approximator.summaries,
                series=spec.series(),
            )
    except UserFunctionError as error:
        listener.warn(
            f"the run is kept without a guard, since a simulation for it failed: {error.message}"
        )
        return
    number = 0 if reference is None else len(reference)
    if reference is None or number < FEWEST:
        listener.note(
            f"the run is kept without a guard: {number:,} simulations held out are too few for one"
        )
        return
    with placing.replacing(file) as place:
        write_arrays(place, reference.to_arrays())
    listener.note(f"data sets will be held against {number:,} simulations that it has not seen")


def guard_of(run: Run) -> Guard | None:
    """The guard of a run; None in one of before there were any.

    Errors:
        RunError: Its file is missing, or is not what training wrote.
    """
    file = run.reference_file()
    if file is None:
        return None
    try:
        return Guard(Reference.from_arrays(read_arrays(file)))
    except ValueError as error:
        raise RunError(
            f"{file} can't be read: {error}",
            hint="Copy the run folder again, or do without: --guard off.",
        ) from error
