"""A row of a stream of simulations, made again in the foreground."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli.errors import UserFunctionError
from abi_cli.model.making import Work
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout, take
from abi_cli.workflow.request import read_model
from abi_cli.workflow.simulating import fixed_context


@dataclass(frozen=True)
class Replayed:
    """A row that was simulated again.

    Arguments:
        values: Its variables, `(1, *event)` or one set or series each.
    """

    row: int
    seed: int
    values: Datasets
    layout: Layout


def replay(
    source: Path,
    row: int,
    *,
    context: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
) -> Replayed:
    """Simulate a row of `abi simulate` once, in this thread, however long it takes.

    Where it fails and somebody looks on, a debugger opens at the place.

    Arguments:
        source: A spec or a run folder.

    Errors:
        UserFunctionError: It fails.
    """
    model = read_model(source, overrides=overrides)
    simulator = replace(model.need_simulator(), repeats=False, timeout=None)
    seed = model.spec.seed if seed is None else seed
    work = Work(simulator, seed, Purpose.SIMULATE, fixed_context(context))
    try:
        drawn = work.once((work.origin, row, row + 1))
    except UserFunctionError as error:
        _look_into(error)
        raise
    values = take(simulator.with_gaps(drawn, work.origin, row), np.array([0]))
    return Replayed(row, seed, values, simulator.layout(values))


def _look_into(error: UserFunctionError) -> None:
    """Open Python's debugger where a function raised, if there is a terminal for it."""
    raised = error.__cause__
    if raised is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    import pdb

    print(f"{error}\n", file=sys.stderr)
    pdb.post_mortem(raised.__traceback__)
