"""Reproducibility: rows are the same in another process and in another order."""

from __future__ import annotations

from dataclasses import replace

from abi_cli.model.repeating import HINT, UnrepeatableError, alike, repeated
from abi_cli.model.simulator import Simulator
from abi_cli.model.stage import Origin
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.variables import Datasets, count, take


def check_reproducible(simulator: Simulator, seed: int, pilot: Datasets | None = None) -> None:
    """Refuse functions whose results depend on anything but their row.

    Some rows of the pilot are simulated again in another process, the last first.

    Arguments:
        pilot: Its rows from the first on, simulated in this process; by default a few are now.

    Errors:
        UserFunctionError: A row differs.
    """
    bare, unit = replace(simulator, repeats=False), simulator.unit
    if pilot is None:
        pilot = bare.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=3 * unit)
    units = repeated(0, count(pilot) // unit)
    with Workers(1) as workers:
        tasks = [(bare, seed, number * unit, unit) for number in units]
        results = workers.imap(_simulate_pilot, tasks, ahead=len(tasks))
        for number, again in zip(units, results, strict=True):
            here = take(pilot, slice(number * unit, (number + 1) * unit))
            for name, value in here.items():
                if not alike(value, again[name]):
                    raise UnrepeatableError(
                        f"{name} differs when the same rows are simulated in another order, "
                        f"or in another process ({Origin(seed, Purpose.PILOT, {})})",
                        hint=HINT,
                        place=simulator.drawn_by(name, pilot).place,
                    )


def _simulate_pilot(task: tuple[Simulator, int, int, int]) -> Datasets:
    simulator, seed, start, rows = task
    return simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=start, stop=start + rows)
