"""Where training data come from: fresh simulations for every batch, or stored ones in passes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from abi_cli.adapter.adapter import Adapter
from abi_cli.errors import DataError
from abi_cli.model.failures import NO_FAILURES, Failures
from abi_cli.model.simulation import Origin
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.spec import TrainingSection
from abi_cli.variables import Datasets, Ragged, concatenate, count, take

PILOT_ROWS = (10_000, 2_000, 500)
"""Simulations from which the adapter learns scales: the first number that `PILOT_SECONDS` allow."""

PILOT_SECONDS = 20.0
TASK_ROWS = 1_024
"""Rows that a worker simulates at a time, where they take no longer than `TASK_SECONDS`."""

TASK_SECONDS = 0.5
HELD_OUT = 0.1
"""Share of stored simulations that validates and is never learned from."""

TASKS_AHEAD = 8


@dataclass(frozen=True)
class Simulated:
    """What a worker does with a range of rows: simulate it, and adapt it if there is an adapter."""

    simulator: Simulator
    seed: int
    purpose: Purpose
    adapter: Adapter | None = None

    def __call__(self, rows: tuple[int, int]) -> tuple[Datasets, Failures, float]:
        """The data sets of rows start … stop − 1, what failed, and the seconds that they took."""
        began = time.perf_counter()
        origin = Origin(self.seed, self.purpose, {})
        datasets, failures = self.simulator.simulate_counted(origin, *rows)
        if self.adapter is not None:
            datasets = _single(self.adapter.forward(datasets))
        return datasets, failures, time.perf_counter() - began


def _single(datasets: Datasets) -> Datasets:
    """In single precision: half as much to carry between processes."""
    return {
        name: Ragged(value.values.astype(np.float32), value.row_size)
        if isinstance(value, Ragged)
        else value.astype(np.float32)
        for name, value in datasets.items()
    }


class Source(Protocol):
    """Where training data come from.

    Attributes:
        seconds: That simulating has taken so far, over all workers.
        num_batches: Batches of an epoch.
        failures: Of simulations so far.
    """

    seconds: float
    num_batches: int
    failures: Failures

    def pilot(self) -> Datasets:
        """Data sets from which scales are learned."""

    def parts(self, adapter: Adapter) -> Iterator[Datasets]:
        """Adapted data sets, without end."""

    def validation(self, adapter: Adapter) -> Datasets | None:
        """Adapted data sets that are not learned from, if any."""


class Fresh:
    """Fresh simulations for every batch: nothing is learned twice."""

    def __init__(
        self, simulator: Simulator, workers: Workers, training: TrainingSection, *, seed: int
    ):
        self._simulator, self._workers, self._seed = simulator, workers, seed
        self._validation = training.validation
        self._task_rows = TASK_ROWS
        self.num_batches = training.num_batches
        self.seconds, self.failures = 0.0, NO_FAILURES

    def pilot(self) -> Datasets:
        """The first rows of the pilot's stream, fewer for a slow simulator."""
        least = PILOT_ROWS[-1]
        began = time.perf_counter()
        parts = list(self._simulate(Purpose.PILOT, self._ranges(0, least, 64)))
        row_seconds = (time.perf_counter() - began) / least
        wanted = next((rows for rows in PILOT_ROWS if rows * row_seconds <= PILOT_SECONDS), least)
        self._task_rows = int(min(TASK_ROWS, max(1.0, TASK_SECONDS / row_seconds)))
        start = count(concatenate(parts))
        parts += self._simulate(Purpose.PILOT, self._ranges(start, wanted, self._task_rows))
        return concatenate(parts)

    def parts(self, adapter: Adapter) -> Iterator[Datasets]:
        """Rows of the training stream from the first on."""
        ranges = self._ranges(0, None, self._task_rows)
        yield from self._simulate(Purpose.TRAIN, ranges, adapter)

    def validation(self, adapter: Adapter) -> Datasets | None:
        """Rows of the validation stream, as many as the spec asks for."""
        if not self._validation:
            return None
        ranges = self._ranges(0, self._validation, self._task_rows)
        return concatenate(self._simulate(Purpose.VALIDATION, ranges, adapter))

    def _simulate(
        self,
        purpose: Purpose,
        ranges: Iterator[tuple[int, int]],
        adapter: Adapter | None = None,
    ) -> Iterator[Datasets]:
        task = Simulated(self._simulator, self._seed, purpose, adapter)
        for datasets, failures, seconds in self._workers.imap(task, ranges, ahead=TASKS_AHEAD):
            self.seconds += seconds
            self.failures += failures
            self.failures.refuse_more_than(self._simulator.max_failures)
            yield datasets

    def _ranges(self, start: int, stop: int | None, rows: int) -> Iterator[tuple[int, int]]:
        """Ranges of about `rows` rows that divide no chunk."""
        unit = self._simulator.unit
        step = -(-rows // unit) * unit
        while stop is None or start < stop:
            end = start + step if stop is None else min(start + step, stop)
            yield start, end
            start = end


class Stored:
    """Simulations of before: an epoch is one pass over them, in an order of its own."""

    def __init__(self, stored: Datasets, training: TrainingSection, *, seed: int):
        order = np.random.default_rng([seed, 0]).permutation(count(stored))
        held_out = int(len(order) * HELD_OUT)
        self._held_out = take(stored, order[:held_out])
        self._learned = take(stored, order[held_out:])
        self._seed = seed
        self.num_batches = count(self._learned) // training.batch_size
        self.seconds, self.failures = 0.0, NO_FAILURES
        if not self.num_batches or not held_out:
            raise DataError(
                f"Expected simulations for a batch of {training.batch_size} and some to validate; "
                f"got {count(stored)}",
                hint="Store more simulations, or set training.batch_size lower.",
            )

    def pilot(self) -> Datasets:
        """The first of those to learn from."""
        return take(self._learned, slice(0, PILOT_ROWS[0]))

    def parts(self, adapter: Adapter) -> Iterator[Datasets]:
        """Pass after pass, each shuffled."""
        adapted = _single(adapter.forward(self._learned))
        epoch = 0
        while True:
            epoch += 1
            order = np.random.default_rng([self._seed, epoch]).permutation(count(adapted))
            for first in range(0, len(order), TASK_ROWS):
                yield take(adapted, order[first : first + TASK_ROWS])

    def validation(self, adapter: Adapter) -> Datasets | None:
        """Those held out."""
        return _single(adapter.forward(self._held_out))
