"""Simulating: data sets with their parameters, to a file or into a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abi_cli.data import Kind, formats, write_simulations
from abi_cli.errors import UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.variables import Datasets, concatenate, count
from abi_cli.workflow.findings import noise_findings
from abi_cli.workflow.request import USUAL_PLACE, Compute, Target, read_model, tell_files

_WORTH_WORKERS = 3.0
"""Seconds of simulation for which it pays to start processes."""
_TASK = 0.25
"""Seconds that one task of a worker should take."""


@dataclass(frozen=True)
class Written:
    """Simulations that were written, and their place.

    Arguments:
        path: The file; None for standard output.
        what: Such as `1,000 simulated data sets of N, beta, sigma, x, y`.
        seed: The seed that it came from, if from any.
        seconds: How long it took.
    """

    path: Path | None
    what: str
    seed: int | None
    seconds: float


def simulate(
    source: Path,
    *,
    datasets: int = 1000,
    context: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    jobs: int | None = None,
    listener: Listener = SILENT,
) -> Written:
    """Simulate data sets and write them, parameters included.

    Arguments:
        source: A spec or a run folder.
        context: Context variables to hold fixed, as `NAME=VALUE`.

    Errors:
        SpecError, UserFunctionError, OutputError: As they say.
    """
    begun = time.perf_counter()
    fixed = fixed_context(context)
    model = read_model(source, overrides=overrides)
    if source.is_dir():
        tell_files(model, listener)
    simulator = model.need_simulator()
    formats.for_writing(target.path, target.format, Kind.DATA)
    target.claim()
    seed = model.spec.seed if seed is None else seed
    simulated = simulate_rows(
        Rows(simulator, seed, Purpose.SIMULATE, 0, datasets, fixed),
        compute=Compute(jobs=jobs),
        listener=listener,
    )
    layout = simulator.layout(simulated)
    for finding in noise_findings(model.spec, simulator, seed=seed):
        listener.warn(finding.message, hint=finding.hint)
    write_simulations(target.path, simulated, layout, format=target.format)
    names = ", ".join(variable.name for variable in layout.variables)
    what = f"{datasets:,} simulated data sets of {names}"
    return Written(target.path, what, seed, time.perf_counter() - begun)


def fixed_context(context: Sequence[str]) -> dict[str, float]:
    """`["N=10"]` as `{"N": 10}`; whole numbers stay whole.

    Errors:
        UsageError: It is something else.
    """
    fixed: dict[str, float] = {}
    for text in context:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not (name and equals) or number != number:
            raise UsageError(f"Expected --context NAME=NUMBER; got {text!r}")
        fixed[name] = int(number) if number.is_integer() else number
    return fixed


@dataclass(frozen=True)
class Rows:
    """Rows `start` to `stop` − 1 of a stream of simulations, as a task for a worker."""

    simulator: Simulator
    seed: int
    purpose: Purpose
    start: int
    stop: int
    context: Mapping[str, float]

    def simulate(self) -> Datasets:
        """Simulate them."""
        return self.simulator.simulate(
            seed=self.seed,
            purpose=self.purpose,
            start=self.start,
            stop=self.stop,
            context=self.context,
        )


def simulate_rows(rows: Rows, *, compute: Compute, listener: Listener) -> Datasets:
    """Simulate rows, in worker processes if that takes long enough.

    What comes out does not depend on how it was shared out.
    """
    parts: list[Datasets] = []
    with listener.task("simulating", rows.stop - rows.start, "data sets") as progress:

        def keep(part: Datasets) -> None:
            parts.append(part)
            progress.advance(count(part))

        # Here first, twice as many each time: the last and largest part tells how long a row takes.
        share, took, next_row = rows.simulator.unit, 0.0, rows.start
        while next_row < rows.stop and took < _TASK / 2:
            begun = time.perf_counter()
            stop = min(next_row + share, rows.stop)
            keep(replace(rows, start=next_row, stop=stop).simulate())
            share, took, next_row = 2 * share, time.perf_counter() - begun, stop
        tasks = [
            replace(rows, start=start, stop=min(start + share, rows.stop))
            for start in range(next_row, rows.stop, share)
        ]
        worth = len(tasks) * _TASK > _WORTH_WORKERS
        with Workers(compute.workers() if worth else 0) as workers:
            for part in workers.imap(Rows.simulate, tasks, ahead=4 * compute.workers() + 1):
                keep(part)
    return concatenate(parts)
