"""Sources of training data: fresh simulations for every batch, or stored ones in passes.

`mixing` has both at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from abi_cli.adapter.adapter import Adapter
from abi_cli.errors import UserFunctionError
from abi_cli.guard.reference import MOST, wanted
from abi_cli.model.failures import NO_FAILURES, Failures
from abi_cli.model.making import Part, Work, surviving
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Pool
from abi_cli.spec import TrainingSection
from abi_cli.training.contamination import Contamination
from abi_cli.training.fitting import divided
from abi_cli.variables import Datasets, Ragged, Value, concatenate, count, take

PILOT_ROWS = (20_000, 10_000, 2_000, 500)
"""Simulations from which the adapter learns scales: the first number that `PILOT_SECONDS` allow.

The largest is for trainings that see `MOST_OF_TRAINING` times as many at least.
"""

MOST_OF_TRAINING = 10

PILOT_SECONDS = 20.0
TASK_ROWS = 1_024
"""Rows that a worker simulates at a time, where they take no longer than `TASK_SECONDS`."""

TASK_SECONDS = 0.5
TASKS_AHEAD = 8

LOOK = 64
"""Rows of a task before it is known how long they take."""

_REFERENCE_TASKS = 8
"""Fewest parts that a reference is made in, by all workers."""


class Adapts(Protocol):
    """An adapter, or anything else that makes of data sets those that networks take."""

    def forward(self, data: Mapping[str, Value]) -> Datasets:
        """From the scale of the user to that of the networks."""


Change = Callable[[Datasets, np.ndarray], Datasets]
"""A change of data sets, given the place of each in the training."""


@dataclass(frozen=True)
class _Changes:
    """One change after another; workers are sent it."""

    first: Change
    second: Change

    def __call__(self, datasets: Datasets, places: np.ndarray) -> Datasets:
        return self.second(self.first(datasets, places), places)


def changed(first: Change | None, second: Change) -> Change:
    """One change after another, if there is one before."""
    return second if first is None else _Changes(first, second)


@dataclass(frozen=True)
class Simulated:
    """A worker's task on a range of rows: simulate them, and adapt them if there is an adapter.

    Arguments:
        change: Changes them before they are adapted, if anything does: what augments them, errors.
    """

    simulator: Simulator
    seed: int
    purpose: Purpose
    adapter: Adapts | None = None
    change: Change | None = None

    def __call__(self, rows: tuple[int, int]) -> tuple[Datasets, Failures, float]:
        """The data sets of rows start … stop − 1, what failed, and the seconds that they took."""
        began = time.perf_counter()
        part = self.work(rows)
        return self.adapted(part), part.failures, time.perf_counter() - began

    @property
    def work(self) -> Work:
        """The stream that is simulated."""
        return Work(self.simulator, self.seed, self.purpose)

    def adapted(self, part: Part) -> Datasets:
        """Simulated data sets as they are given out."""
        datasets = part.rows
        if self.change is not None:
            datasets = self.change(datasets, np.arange(part.start, part.stop))
        return datasets if self.adapter is None else single(self.adapter.forward(datasets))

    def by(
        self, pool: Pool, ranges: Iterator[tuple[int, int]], *, ahead: int
    ) -> Iterator[tuple[Datasets, Failures, float]]:
        """Data sets, failures and seconds of ranges of rows, in order, even where workers die."""

        def again(
            rows: tuple[int, int], error: UserFunctionError
        ) -> tuple[Datasets, Failures, float]:
            part = self.work.in_spite_of_deaths(pool, rows, error)
            return self.adapted(part), part.failures, part.seconds

        return surviving(pool, self, ranges, ahead=ahead, again=again)


def single(datasets: Datasets) -> Datasets:
    """Data sets in single precision: half as much to carry between processes."""
    return {
        name: Ragged(value.values.astype(np.float32), value.row_size)
        if isinstance(value, Ragged)
        else value.astype(np.float32)
        for name, value in datasets.items()
    }


class Source(Protocol):
    """A source of training data.

    Attributes:
        num_batches: Batches of an epoch.
        stored: Number of stored simulations; None where they are drawn afresh.
    """

    num_batches: int
    stored: int | None

    @property
    def seconds(self) -> float:
        """Seconds of simulating so far, over all workers."""

    @property
    def failures(self) -> Failures:
        """Failures of simulations so far."""

    def pilot(self) -> Datasets:
        """Data sets from which scales are learned."""

    def contaminate(self, noise: Contamination) -> None:
        """Let what `parts` and `rows` give have errors, from now on."""

    def parts(self, adapter: Adapter, *, start: int = 0) -> Iterator[Datasets]:
        """Adapted data sets, without end, from a row on.

        Arguments:
            start: The number of the first row, that is, of the rows consumed so far.
        """

    def rows(self, adapter: Adapter, index: np.ndarray) -> Datasets:
        """Adapted data sets again, as `parts` gave them.

        Arguments:
            index: Their rows, ascending, `(row,)`.
        """

    def facts(self) -> dict[str, Any]:
        """Facts that `go_on` needs beside the seed, as JSON values."""

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Take over from the source of an earlier process, instead of a pilot."""

    def validation(self, adapter: Adapter) -> Datasets | None:
        """Adapted data sets that are not learned from, if any."""

    def begin_reference(self) -> None:
        """Begin to simulate what `reference` gives, beside the training data."""

    def reference(self) -> Iterator[Datasets]:
        """Data sets that nothing was learned from, not adapted, for the guard; use them once."""


class Fresh:
    """Fresh simulations for every batch: nothing is learned twice.

    Arguments:
        augmented: Changes them, where they are mixed with stored ones that are changed.
    """

    def __init__(
        self,
        simulator: Simulator,
        workers: Pool,
        training: TrainingSection,
        *,
        seed: int,
        augmented: Change | None = None,
    ):
        self._simulator, self._workers, self._seed = simulator, workers, seed
        self._change: Change | None = augmented
        self._validation = training.validation
        self._task_rows = TASK_ROWS
        self._total = training.epochs * training.num_batches * training.batch_size
        self.num_batches = training.num_batches
        self.stored: int | None = None
        self.seconds, self.failures = 0.0, NO_FAILURES
        self._reference: Iterator[tuple[Datasets, Failures, float]] | None = None

    def contaminate(self, noise: Contamination) -> None:
        """Rows of the training stream alone, after what else changes them."""
        self._change = changed(self._change, noise)

    def pilot(self) -> Datasets:
        """The first rows of the pilot's stream, fewer for a slow simulator."""
        least = PILOT_ROWS[-1]
        first, row_seconds = self.look(least)
        large = self._total >= MOST_OF_TRAINING * PILOT_ROWS[0]
        numbers = PILOT_ROWS if large else PILOT_ROWS[1:]
        wanted = next((rows for rows in numbers if rows * row_seconds <= PILOT_SECONDS), least)
        ranges = self._ranges(count(first), wanted, self._task_rows)
        return concatenate([first, *self._simulate(Purpose.PILOT, ranges)])

    def look(self, rows: int) -> tuple[Datasets, float]:
        """The first rows of the pilot's stream, and the seconds a row by which tasks are cut."""
        looked = concatenate(self._simulate(Purpose.PILOT, self._ranges(0, rows, LOOK)))
        # Not by the clock here, which would count the start of the processes.
        row_seconds = self.seconds / rows / max(self._workers.jobs, 1)
        self._task_rows = int(min(TASK_ROWS, max(1.0, TASK_SECONDS / row_seconds)))
        return looked, row_seconds

    def parts(self, adapter: Adapts, *, start: int = 0) -> Iterator[Datasets]:
        """Rows of the training stream."""
        ranges = self._ranges(start, None, self._task_rows)
        yield from self._simulate(Purpose.TRAIN, ranges, adapter)

    def rows(self, adapter: Adapter, index: np.ndarray) -> Datasets:
        """Rows simulated again, with the others of their chunks but no more."""
        unit = self._simulator.unit
        units = np.unique(index // unit)
        runs = np.split(units, np.flatnonzero(np.diff(units) > 1) + 1)
        ranges = ((int(run[0]) * unit, (int(run[-1]) + 1) * unit) for run in runs)
        task = Simulated(self._simulator, self._seed, Purpose.TRAIN, adapter, self._change)
        results = task.by(self._workers, ranges, ahead=TASKS_AHEAD)
        simulated = concatenate(datasets for datasets, _, _ in results)
        place = np.searchsorted(units, index // unit) * unit + index % unit
        return take(simulated, place)

    def facts(self) -> dict[str, Any]:
        """The number of rows of a task, which was found out in the pilot, and what was counted."""
        return {
            "task_rows": self._task_rows,
            "seconds": self.seconds,
            "failures": self.failures.count,
        }

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Go on counting failures; the earlier process has reported the first of them."""
        self._task_rows, self.seconds = int(facts["task_rows"]), float(facts["seconds"])
        self.failures = Failures(int(facts["failures"]))

    def validation(self, adapter: Adapts | None) -> Datasets | None:
        """Rows of the validation stream, as many as the spec asks for.

        Arguments:
            adapter: None for data sets as they are.
        """
        if not self._validation:
            return None
        ranges = self._ranges(0, self._validation, self._task_rows)
        return concatenate(self._simulate(Purpose.VALIDATION, ranges, adapter))

    def begin_reference(self) -> None:
        """Give the workers the rows of a stream of their own, 2 % of those of the training."""
        if self._reference is not None:
            return
        rows = wanted(self._total)
        tasks = self._ranges(0, rows, min(self._task_rows, -(-rows // _REFERENCE_TASKS)))
        task = Simulated(self._simulator, self._seed, Purpose.GUARD)
        self._reference = task.by(self._workers, tasks, ahead=rows)

    def reference(self) -> Iterator[Datasets]:
        """The rows begun; failures among them are drawn again, and not counted for the training."""
        self.begin_reference()
        results, self._reference = self._reference or iter(()), None
        return (datasets for datasets, _, _ in results)

    def _simulate(
        self,
        purpose: Purpose,
        ranges: Iterator[tuple[int, int]],
        adapter: Adapts | None = None,
    ) -> Iterator[Datasets]:
        change = self._change if purpose is Purpose.TRAIN else None
        task = Simulated(self._simulator, self._seed, purpose, adapter, change)
        for datasets, failures, seconds in task.by(self._workers, ranges, ahead=TASKS_AHEAD):
            self.seconds += seconds
            self.failures += failures
            self.failures.refuse_more_than(
                self._simulator.max_failures, self._total, task.work.where_they_fail
            )
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
    """Stored simulations: an epoch is one pass over them, in an order of its own."""

    def __init__(
        self,
        stored: Datasets,
        training: TrainingSection,
        *,
        seed: int,
        augmented: Change | None = None,
    ):
        order = np.random.default_rng([seed, 0]).permutation(count(stored))
        _, held_out = divided(len(order))
        self._held_out = take(stored, order[:held_out])
        self._learned = take(stored, order[held_out:])
        self._seed, self._augmented = seed, augmented
        self.num_batches = count(self._learned) // training.batch_size
        self.stored: int | None = count(stored)
        self.seconds, self.failures = 0.0, NO_FAILURES

    def contaminate(self, noise: Contamination) -> None:
        """Add errors to rows that are learned from, new ones each time, after all other changes."""
        self._augmented = changed(self._augmented, noise)

    def pilot(self) -> Datasets:
        """The first of those to learn from."""
        return take(self._learned, slice(0, PILOT_ROWS[0]))

    def parts(self, adapter: Adapter, *, start: int = 0) -> Iterator[Datasets]:
        """Adapted data sets, pass after pass, each shuffled; row i is of pass i // (its length)."""
        size = count(self._learned)
        adapted = None if self._augmented else single(adapter.forward(self._learned))
        number, first = divmod(start, size)
        while True:
            order = self._order(number)
            for begin in range(first, size, TASK_ROWS):
                stop = min(begin + TASK_ROWS, size)
                if adapted is not None:
                    yield take(adapted, order[begin:stop])
                else:
                    yield self.rows(adapter, np.arange(begin, stop) + number * size)
            number, first = number + 1, 0

    def _order(self, number: int) -> np.ndarray:
        """The order of the data sets in a pass; passes are counted from 0."""
        return np.random.default_rng([self._seed, number + 1]).permutation(count(self._learned))

    def rows(self, adapter: Adapter, index: np.ndarray) -> Datasets:
        """Rows looked up again; those that wait for their block may be of several passes."""
        number, place = np.divmod(index, count(self._learned))
        stored = np.concatenate(
            [self._order(int(n))[place[number == n]] for n in np.unique(number)]
        )
        datasets = take(self._learned, stored)
        if self._augmented is not None:
            datasets = self._augmented(datasets, index)
        return single(adapter.forward(datasets))

    def facts(self) -> dict[str, Any]:
        """No facts: all follows from the simulations and the seed."""
        return {}

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Do nothing: there is nothing to take over."""

    def validation(self, adapter: Adapter) -> Datasets | None:
        """Simulations that are held out."""
        return single(adapter.forward(self._held_out))

    def begin_reference(self) -> None:
        """Do nothing: the simulations are there."""

    def reference(self) -> Iterator[Datasets]:
        """Simulations that are held out, as many as are kept of fresh ones."""
        yield take(self._held_out, slice(0, MOST))
