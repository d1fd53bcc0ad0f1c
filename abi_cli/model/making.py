"""Rows of simulations made by a pool of workers, in order, whatever becomes of the workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import numpy as np

from abi_cli.errors import TookTooLong, UserFunctionError, WorkerDied
from abi_cli.model.failing import where
from abi_cli.model.failures import Failures, drawn_again, scalars_of
from abi_cli.model.simulator import Simulator
from abi_cli.model.stage import Origin
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Pool
from abi_cli.variables import Datasets, count

Result = TypeVar("Result")

Range = tuple[int, int]
"""Rows start … stop − 1."""

_PRIOR_ROWS = 2_000
"""Draws of the prior that failures are compared with."""


@dataclass(frozen=True)
class Part:
    """Rows that were made together.

    Arguments:
        start: The number of the first one.
        failures: On the way to them.
        seconds: That they took, where they were made.
    """

    start: int
    rows: Datasets
    failures: Failures
    seconds: float

    @property
    def stop(self) -> int:
        """The number after that of the last row."""
        return self.start + count(self.rows)


@dataclass(frozen=True)
class Work:
    """A stream of simulations. It can cross processes.

    Arguments:
        context: Context variables to hold fixed, and at what.
    """

    simulator: Simulator
    seed: int
    purpose: Purpose
    context: Mapping[str, float] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """The key of the streams of random numbers."""
        return Origin(self.seed, self.purpose, self.context)

    def __call__(self, rows: Range) -> Part:
        """Rows, those that fail drawn again.

        Errors:
            UserFunctionError: None may fail, or some fail again and again.
        """
        begun = time.perf_counter()
        datasets, failures = self.simulator.simulate_counted(self.origin, *rows)
        return Part(rows[0], datasets, failures, time.perf_counter() - begun)

    def once(self, task: tuple[Origin, int, int]) -> Datasets:
        """Rows as an attempt draws them, without gaps.

        Errors:
            UserFunctionError: One fails.
        """
        return self.simulator.rows(*task)

    def in_spite_of_deaths(self, pool: Pool, rows: Range, error: UserFunctionError) -> Part:
        """Rows over some of which workers die: those are drawn again, as what fails otherwise is.

        Errors:
            UserFunctionError: None may fail; or workers die over some rows again and again.
        """
        if not self.simulator.max_failures or not pool.jobs:
            raise error
        begun = time.perf_counter()

        def run(origin: Origin, start: int, stop: int) -> Datasets:
            return next(pool.imap(self.once, iter([(origin, start, stop)]), ahead=1))

        unit = self.simulator.unit
        drawn, failures = drawn_again(
            run, self.origin, *rows, unit, self.simulator.drawn_from, error
        )
        datasets = self.simulator.with_gaps(drawn, self.origin, rows[0])
        return Part(rows[0], datasets, failures, time.perf_counter() - begun)

    def prior_rows(self) -> dict[str, np.ndarray]:
        """Scalars that rows are drawn from, as a background for failures: name → `(row,)`."""
        drawn = self.simulator.drawn_from(self.origin, 0, _PRIOR_ROWS)
        return {name: np.array(values) for name, values in scalars_of(drawn).items()}

    def where_they_fail(self, failures: Failures) -> str:
        """A sentence on the region in which draws fail."""
        return where(failures.kept, self.prior_rows())


def surviving(
    pool: Pool,
    function: Callable[[Range], Result],
    ranges: Iterable[Range],
    *,
    ahead: int,
    again: Callable[[Range, UserFunctionError], Result],
) -> Iterator[Result]:
    """Results in the order of the ranges, which may be endless.

    Arguments:
        ahead: See `Workers.imap`.
        again: Called with a range over which workers died, and the error.
    """
    left = iter(ranges)
    while True:
        given: deque[Range] = deque()
        try:
            for result in pool.imap(function, _noted(left, given), ahead=ahead):
                given.popleft()
                yield result
            return
        except (WorkerDied, TookTooLong) as error:
            died, fault = given.popleft(), error
        yield again(died, fault)
        left = chain(given, left)


def _noted(ranges: Iterator[Range], given: deque[Range]) -> Iterator[Range]:
    for one in ranges:
        given.append(one)
        yield one
