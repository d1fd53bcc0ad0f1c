"""Rehearsal of a model: as many simulations as a short time allows, for checks before training."""

from __future__ import annotations

import time
from dataclasses import replace

from abi_cli.listener import SILENT, Listener
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, concatenate


def rehearsed(
    simulator: Simulator,
    *,
    seed: int,
    purpose: Purpose,
    rows: int,
    seconds: float,
    listener: Listener = SILENT,
) -> Datasets:
    """Data sets in whole chunks, at least two, and not many more than `rows`.

    Whether they can be simulated again is not looked at here: it would end all.

    Errors:
        UserFunctionError: A function raised or returned what it must not.
    """
    simulator = replace(simulator, repeats=False)
    parts: list[Datasets] = []
    begun = time.perf_counter()
    stop = 0
    with listener.task("simulating", rows, "data sets") as progress:
        # As many again each time, and two units at least: within one, the context is the same.
        while len(parts) < 2 or (stop < rows and time.perf_counter() - begun < seconds / 2):
            start, stop = stop, max(2 * stop, simulator.unit)
            parts.append(simulator.simulate(seed=seed, purpose=purpose, start=start, stop=stop))
            progress.advance(stop - start)
    return concatenate(parts)
