"""Stored simulations with fresh ones among them.

A share of the rows of a training is fresh, spread evenly: before row i there are ⌊i · share⌋ of
them. Each kind comes in the order of its own source, so what is given at a place follows from the
seed alone. An epoch is one pass over what is stored, with the fresh rows among it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from abi_cli.adapter.adapter import Adapter
from abi_cli.model.failures import Failures
from abi_cli.training.contamination import Contamination
from abi_cli.training.sources import LOOK, TASK_ROWS, Fresh, Source
from abi_cli.variables import Datasets, concatenate, count, take


def share_of(online: float) -> Fraction:
    """A share as a ratio of small whole numbers, so that no place is rounded."""
    return Fraction(online).limit_denominator(1_000)


class Mixed:
    """Rows of two sources; see the module.

    Arguments:
        stored: Gives the scales and what validates, too.
        share: Share of fresh rows.
    """

    def __init__(self, stored: Source, fresh: Fresh, share: Fraction):
        self._stored, self._fresh, self._share = stored, fresh, share
        self.num_batches = int(stored.num_batches / (1 - share))
        self.stored: int | None = stored.stored

    @property
    def seconds(self) -> float:
        """Seconds of simulating the fresh ones so far."""
        return self._fresh.seconds

    @property
    def failures(self) -> Failures:
        """Failures of the fresh ones so far."""
        return self._fresh.failures

    def _before(self, place: np.ndarray) -> np.ndarray:
        """Number of fresh rows before each place, `(row,)`."""
        return place * self._share.numerator // self._share.denominator

    def pilot(self) -> Datasets:
        """The pilot of the stored ones; a few fresh ones show how long they take."""
        self._fresh.look(LOOK)
        return self._stored.pilot()

    def contaminate(self, noise: Contamination) -> None:
        """Rows of both."""
        self._stored.contaminate(noise)
        self._fresh.contaminate(noise)

    def parts(self, adapter: Adapter, *, start: int = 0) -> Iterator[Datasets]:
        """Rows of both, each from where it was."""
        fresh_start = int(self._before(np.array(start)))
        stored = _Tap(self._stored.parts(adapter, start=start - fresh_start))
        fresh = _Tap(self._fresh.parts(adapter, start=fresh_start))
        while True:
            is_fresh = np.diff(self._before(np.arange(start, start + TASK_ROWS + 1))) > 0
            number = int(is_fresh.sum())
            yield _merged(stored.rows(TASK_ROWS - number), fresh.rows(number), is_fresh)
            start += TASK_ROWS

    def rows(self, adapter: Adapter, index: np.ndarray) -> Datasets:
        """The rows of each source, again."""
        before = self._before(index)
        is_fresh = self._before(index + 1) > before
        if is_fresh.all():
            return self._fresh.rows(adapter, before)
        stored = self._stored.rows(adapter, (index - before)[~is_fresh])
        if not is_fresh.any():
            return stored
        return _merged(stored, self._fresh.rows(adapter, before[is_fresh]), is_fresh)

    def facts(self) -> dict[str, Any]:
        """The facts of each source."""
        return {"stored": self._stored.facts(), "fresh": self._fresh.facts()}

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Let each source go on from its own facts."""
        self._stored.go_on(facts["stored"])
        self._fresh.go_on(facts["fresh"])

    def validation(self, adapter: Adapter) -> Datasets | None:
        """The stored ones that are held out."""
        return self._stored.validation(adapter)

    def begin_reference(self) -> None:
        """Begin as the stored ones do."""
        self._stored.begin_reference()

    def reference(self) -> Iterator[Datasets]:
        """The stored ones that are held out."""
        return self._stored.reference()


class _Tap:
    """Rows that come in parts, given out as many at a time as are asked for."""

    def __init__(self, parts: Iterator[Datasets]):
        self._parts = parts
        self._waiting: list[Datasets] = []

    def rows(self, number: int) -> Datasets:
        """The next rows, so many."""
        while sum(map(count, self._waiting)) < number:
            self._waiting.append(next(self._parts))
        whole = concatenate(self._waiting)
        self._waiting = [take(whole, slice(number, None))]
        return take(whole, slice(0, number))


def _merged(stored: Datasets, fresh: Datasets, is_fresh: np.ndarray) -> Datasets:
    """Rows of both, those that are fresh at the places `(row,)` that say so."""
    order = np.empty(len(is_fresh), np.int64)
    order[~is_fresh] = np.arange(count(stored))
    order[is_fresh] = count(stored) + np.arange(count(fresh))
    return take(concatenate([stored, fresh]), order)
