"""Rehearsal of a model before training: some simulations, made again, and made without change.

Rows must be the same in another process and in another order, and data must have noise: the same
parameters must give other data every time. A function that makes its own generator,
`np.random.default_rng(42)`, adds the same noise to every data set. Such data pass every other test,
and posteriors learned from them are far too narrow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.repeating import HINT, UnrepeatableError, alike, repeated
from abi_cli.model.simulator import Simulator
from abi_cli.model.stage import Origin
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.variables import Datasets, Role, concatenate, count, take

PATIENCE = 8
"""Seconds by the clock for each of this process, that a rehearsal may take."""


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

    A busy machine makes them no fewer, up to a point: what a check says should not depend on it.

    Arguments:
        seconds: Of this process; by the clock at most `PATIENCE` times as many.

    Whether they can be simulated again is not looked at here: it would end all.

    Errors:
        UserFunctionError: A function raised or returned what it must not.
    """
    simulator = replace(simulator, repeats=False)
    parts: list[Datasets] = []
    begun, clock = time.process_time(), time.perf_counter()
    stop = 0

    def may_go_on() -> bool:
        worked, waited = time.process_time() - begun, time.perf_counter() - clock
        return worked < seconds / 2 and waited < PATIENCE * seconds / 2

    with listener.task("simulating", rows, "data sets") as progress:
        # As many again each time, and two units at least: within one, the context is the same.
        while len(parts) < 2 or (stop < rows and may_go_on()):
            start, stop = stop, max(2 * stop, simulator.unit)
            parts.append(simulator.simulate(seed=seed, purpose=purpose, start=start, stop=stop))
            progress.advance(stop - start)
    return concatenate(parts)


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


_APART = 1 << 40
"""Units from one stream to another, which no row is drawn from."""
_ONE: Mapping[Role, int] = {"observable": _APART}
_OTHER: Mapping[Role, int] = {"observable": 2 * _APART}
_MOVED: Mapping[Role, int] = {"observable": _APART, "parameter": 3 * _APART}
"""Three simulations: of one stream, of another, and of the first for other parameters."""
_SURE, _MOST = 8, 64
"""Units of rows that are enough after `_SECONDS`, and at all events."""
_SECONDS = 1.0


def without_noise(simulator: Simulator, *, seed: int) -> tuple[str, ...]:
    """The observables that follow from parameters and context alone.

    Data are drawn twice for the same parameters, from two streams, and once for others. What does
    not depend on parameters, such as times of measurement, may be as it likes. Discrete data may
    well be the same once or twice: what seems to have no noise is looked at longer.

    Errors:
        TookTooLong: A row took longer than the spec allows.
    """
    same: dict[str, None] | None = None
    depends: set[str] = set()
    began = time.perf_counter()
    for unit in range(_MOST):
        try:
            one, other, moved = (
                simulator.drawn_apart(unit, seed=seed, apart=apart)
                for apart in (_ONE, _OTHER, _MOVED)
            )
        except TookTooLong:
            raise
        except UserFunctionError:  # rows that nobody asked for
            continue
        if same is None:
            same = dict.fromkeys(simulator.observables(one))
        same = {name: None for name in same if alike(one[name], other[name])}
        depends |= {name for name in same if not alike(one[name], moved[name])}
        suspicious = depends & same.keys()
        if unit and not suspicious:
            break
        if not same or (unit + 1 >= _SURE and time.perf_counter() - began > _SECONDS):
            break
    return tuple(name for name in same or () if name in depends)
