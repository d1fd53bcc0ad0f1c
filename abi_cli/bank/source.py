"""Learning from a bank that may be far larger than memory.

The first rows are held out: rows are drawn independently, so those are as good as any, and they
stay the same when the bank is extended. The others are read in blocks of consecutive rows. A pass
puts the blocks in an order of its own, reads as many as memory bears, a *pool*, and gives the rows
of the pool in an order of its own, while the next pool is read. Where all rows fit into one pool,
that is a permutation of all, and they are read and adapted once.

    row i of the training → pass, place → pool, place → block, place → row of the bank

so what is given at a place follows from the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import count as counting
from typing import Any

import numpy as np

from abi_cli.adapter.adapter import Adapter
from abi_cli.bank.bank import Bank
from abi_cli.guard.reference import MOST
from abi_cli.model.augmenting import Augmentation
from abi_cli.model.failures import NO_FAILURES
from abi_cli.spec import TrainingSection
from abi_cli.training.contamination import Contamination
from abi_cli.training.fitting import divided
from abi_cli.training.sources import PILOT_ROWS, TASK_ROWS, Change, changed, single
from abi_cli.variables import Datasets, concatenate, take

MOST_HELD_OUT = 10_000
"""Number of rows that are held out, at most."""

POOL_BYTES = 1 << 27
"""Bytes of the rows of a pool, as they are in the bank. Two are in memory, in single precision."""

BLOCK_BYTES = 1 << 22
"""Bytes of the rows of a block."""

AT_ONCE_BYTES = 1 << 28
"""Bytes of the rows that are in memory as they are: of a pilot, of those held out."""


@dataclass(frozen=True)
class BankRows:
    """The first rows of a bank, for training.

    Arguments:
        rows: Their number.
        prepared: Rows that were read, the number of the first → these rows as training takes them.
    """

    bank: Bank
    rows: int
    prepared: Callable[[Datasets, int], Datasets] = lambda datasets, _start: datasets

    def __len__(self) -> int:
        return self.rows

    @property
    def bytes(self) -> int:
        """Bytes of a row."""
        return max(1, self.bank.size // max(1, self.bank.rows))

    def read(self, start: int, stop: int) -> Datasets:
        """Rows start … stop − 1.

        Errors:
            DataError: A shard is damaged.
        """
        return self.prepared(self.bank.read(start, stop), start)

    def first(self, rows: int) -> Datasets:
        """The first `rows` rows, or as many as memory bears."""
        return self.read(0, min(self.rows, rows, max(256, AT_ONCE_BYTES // self.bytes)))

    def source(
        self, training: TrainingSection, *, seed: int, augmented: Augmentation | None = None
    ) -> Banked:
        """The source of simulations for a training on these rows."""
        return Banked(self, training, seed=seed, augmented=augmented)


@dataclass(frozen=True)
class _Held:
    """Rows in memory, which will be put in order as they are asked for.

    Arguments:
        datasets: Data sets in blocks as the bank has them.
        where: Places in these of the rows in the order of the training, `(row,)`.
        places: Places of the rows in the training, `(row,)`.
    """

    datasets: Datasets
    where: np.ndarray
    places: np.ndarray


class Banked:
    """The rows of a bank as a source of simulations: an epoch is one pass; see the module."""

    def __init__(
        self,
        rows: BankRows,
        training: TrainingSection,
        *,
        seed: int,
        augmented: Change | None = None,
    ):
        self._rows, self._seed, self._augmented = rows, seed, augmented
        _, held_out = divided(len(rows))
        self._held_out = max(1, min(held_out, MOST_HELD_OUT, AT_ONCE_BYTES // rows.bytes))
        self._learned = len(rows) - self._held_out
        self._block = int(np.clip(BLOCK_BYTES // rows.bytes, 1, TASK_ROWS))
        self._blocks = -(-self._learned // self._block)
        self._pools = -(-self._blocks * self._block * rows.bytes // POOL_BYTES)
        self._pools = min(max(1, self._pools), self._blocks)
        self._whole: Datasets | None = None
        self._ordered = lru_cache(maxsize=3)(self._order)
        self.num_batches = self._learned // training.batch_size
        self.stored: int | None = len(rows)
        self.seconds, self.failures = 0.0, NO_FAILURES

    def contaminate(self, noise: Contamination) -> None:
        """Add errors to rows that are learned from, new ones each time, after all other changes."""
        self._augmented = changed(self._augmented, noise)

    def pilot(self) -> Datasets:
        """The pilot: the first of the rows that are learned from."""
        rows = min(self._learned, PILOT_ROWS[0], max(500, AT_ONCE_BYTES // self._rows.bytes))
        return self._rows.read(self._held_out, self._held_out + rows)

    def parts(self, adapter: Adapter, *, start: int = 0) -> Iterator[Datasets]:
        """The rows that are learned from, pass after pass; row i is of pass i // (their number)."""
        number, first = divmod(start, self._learned)
        with ThreadPoolExecutor(1, thread_name_prefix="bank") as reader:
            pools = ((p, pool) for p in counting(number) for pool in range(self._pools))
            waiting: Future[_Held] | None = None
            skipped = 0
            for at in pools:
                size = self._sizes(at[0])[at[1]]
                if first >= size:
                    first -= size
                    continue
                coming = reader.submit(self._pool, adapter, at)
                if waiting is not None:
                    yield from self._in_tasks(adapter, waiting.result(), skipped)
                waiting, skipped, first = coming, first, 0

    def _shares(self, number: int) -> list[np.ndarray]:
        """The blocks of each pool of a pass."""
        blocks = np.random.default_rng([self._seed, number + 1]).permutation(self._blocks)
        return [np.sort(own) for own in np.array_split(blocks, self._pools)]

    def _sizes(self, number: int) -> list[int]:
        """The number of rows of each pool of a pass; only the last block of all is short."""
        lacking = self._blocks * self._block - self._learned
        return [
            len(own) * self._block - (lacking if own[-1] == self._blocks - 1 else 0)
            for own in self._shares(number)
        ]

    def _order(self, number: int, pool: int) -> np.ndarray:
        """The rows of a pool in the order of a pass, `(row,)`, counted from the first learned."""
        own = self._shares(number)[pool]
        rows = (own[:, None] * self._block + np.arange(self._block)).ravel()
        rows = rows[rows < self._learned]
        return np.random.default_rng([self._seed, number + 1, pool]).permutation(rows)

    def _pool(self, adapter: Adapter, at: tuple[int, int]) -> _Held:
        number, pool = at
        order = self._ordered(*at)
        begin = number * self._learned + sum(self._sizes(number)[:pool])
        return self._held(adapter, order, begin + np.arange(len(order)))

    def _held(self, adapter: Adapter, rows: np.ndarray, places: np.ndarray) -> _Held:
        """Rows that are learned from, read with the blocks that they lie in.

        They are adapted unless they are augmented each time.

        Arguments:
            places: Their places in the training, `(row,)`.
        """
        early = None if self._augmented is not None else adapter
        if self._pools == 1:
            if self._whole is None:
                self._whole = self._read(early, np.arange(self._blocks))
            return _Held(self._whole, rows, places)
        block, place = np.divmod(rows, self._block)
        blocks = np.unique(block)
        where = np.searchsorted(blocks, block) * self._block + place
        return _Held(self._read(early, blocks), where, places)

    def _given(self, adapter: Adapter, held: _Held, some: slice) -> Datasets:
        """Some of the held rows, in their order, adapted."""
        chosen = take(held.datasets, held.where[some])
        if self._augmented is None:
            return chosen
        return single(adapter.forward(self._augmented(chosen, held.places[some])))

    def _in_tasks(self, adapter: Adapter, held: _Held, start: int) -> Iterator[Datasets]:
        """The held rows from `start` on, some at a time: a whole pool at once takes long."""
        for begin in range(start, len(held.where), TASK_ROWS):
            yield self._given(adapter, held, slice(begin, begin + TASK_ROWS))

    def _read(self, adapter: Adapter | None, blocks: np.ndarray) -> Datasets:
        """The rows of blocks, one block after the other; only the last block of all is short."""
        parts = []
        for block in blocks.tolist():
            start = self._held_out + block * self._block
            read = self._rows.read(start, min(start + self._block, len(self._rows)))
            parts.append(read if adapter is None else single(adapter.forward(read)))
        return concatenate(parts)

    def rows(self, adapter: Adapter, index: np.ndarray) -> Datasets:
        """Rows of the training, read once more; the index may span several passes."""
        number, place = np.divmod(index, self._learned)
        found = np.empty(len(index), np.int64)
        for one in np.unique(number).tolist():
            begin = 0
            for pool, size in enumerate(self._sizes(one)):
                here = (number == one) & (place >= begin) & (place < begin + size)
                if here.any():
                    found[here] = self._ordered(one, pool)[place[here] - begin]
                begin += size
        held = self._held(adapter, found, index)
        return self._given(adapter, held, slice(None))

    def facts(self) -> dict[str, Any]:
        """No facts: all follows from the simulations and the seed."""
        return {}

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Take over nothing: there are no facts."""

    def validation(self, adapter: Adapter) -> Datasets | None:
        """The rows held out, adapted."""
        parts = [
            single(adapter.forward(self._rows.read(start, min(start + TASK_ROWS, self._held_out))))
            for start in range(0, self._held_out, TASK_ROWS)
        ]
        return concatenate(parts)

    def begin_reference(self) -> None:
        """Do nothing: the rows are there."""

    def reference(self) -> Iterator[Datasets]:
        """The rows held out, as many as are kept of fresh simulations."""
        for start in range(0, min(self._held_out, MOST), TASK_ROWS):
            yield self._rows.read(start, min(start + TASK_ROWS, self._held_out, MOST))
