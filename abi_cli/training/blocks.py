"""Blocks of padded batches from rows of simulations, made off the training thread.

A task is a range of rows. Workers simulate and adapt it; one thread gathers what they return by
bucket of size, and as soon as a bucket holds enough data sets, shuffles them and pads them into a
block. What a block holds depends on the seed and its place in the training alone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abi_cli.adapter.adapter import SUMMARY_VARIABLES
from abi_cli.adapter.batches import NOISE, bucket_of, network_inputs
from abi_cli.errors import AbiError
from abi_cli.variables import Datasets, Ragged, concatenate, count, take

Block = dict[str, np.ndarray]
"""Network inputs and noise `(step, batch, …)` with `rate (step,)` and `steps ()`."""

SINGLE_BUCKET_STEPS = 32
"""Steps of a block: long enough to hide what one compiled call costs besides its steps."""

SEVERAL_BUCKETS_STEPS = 16
"""Steps of a block of sets of one size: fewer, so that sizes take turns more often."""

ACCELERATED = 4
"""Factor by which blocks are longer for a GPU, whose steps are short beside the cost of a call."""


@dataclass(frozen=True)
class BlockPlan:
    """The plan by which a training is cut into blocks.

    Arguments:
        epochs, num_batches, batch_size: As in the spec.
        buckets: Sizes that sets are padded to; empty without sets.
        seed: Seed of the shuffling.
        rate: Steps of the training → learning rates relative to the peak.
        noise: Standard normal numbers that a step takes for each data set.
        accelerated: Whether a GPU learns them.
    """

    epochs: int
    num_batches: int
    batch_size: int
    buckets: tuple[int, ...]
    seed: int
    rate: Callable[[np.ndarray], np.ndarray]
    noise: int = 0
    accelerated: bool = False

    @property
    def length(self) -> int:
        """Steps that the arrays of a block have room for."""
        steps = SEVERAL_BUCKETS_STEPS if len(self.buckets) > 1 else SINGLE_BUCKET_STEPS
        return min(steps * (ACCELERATED if self.accelerated else 1), self.num_batches)

    @property
    def blocks_per_epoch(self) -> int:
        """The number of blocks of an epoch, the last of which may be short."""
        return -(-self.num_batches // self.length)

    def steps(self, block: int) -> int:
        """The number of steps of a block of the training."""
        return min(self.length, self.num_batches - block % self.blocks_per_epoch * self.length)

    def first_step(self, block: int) -> int:
        """The place of its first step in the training."""
        epoch, place = divmod(block, self.blocks_per_epoch)
        return epoch * self.num_batches + place * self.length

    def make(self, number: int, adapted: Datasets, bucket: int) -> Block:
        """Block `number` of adapted data sets, shuffled, all padded to `bucket` members."""
        steps = self.steps(number)
        rows = np.random.default_rng([self.seed, number]).permutation(count(adapted))
        inputs = network_inputs(take(adapted, rows), size=bucket or None)
        room = self.length * self.batch_size
        block = {
            name: np.resize(array, (room, *array.shape[1:])).reshape(
                self.length, self.batch_size, *array.shape[1:]
            )
            for name, array in inputs.items()
        }
        if self.noise:
            rng = np.random.default_rng([self.seed, number, 1])
            shape = (self.length, self.batch_size, self.noise)
            block[NOISE] = rng.standard_normal(shape, np.float32)
        place = self.first_step(number) + np.arange(self.length)
        block["rate"] = self.rate(place).astype(np.float32)
        block["steps"] = np.asarray(steps, np.int32)
        return block

    def empty(self, adapted: Datasets, bucket: int) -> Block:
        """A block of the same shapes in which no step is run: it changes nothing."""
        rows = np.resize(np.arange(count(adapted)), self.length * self.batch_size)
        block = self.make(0, take(adapted, rows), bucket)
        return {**block, "steps": np.asarray(0, np.int32)}


@dataclass(frozen=True)
class Position:
    """The position of a training in its rows: the blocks that follow depend on nothing else.

    Arguments:
        seen: Rows that have been gathered.
        waiting: Bucket → those of them that no block has taken yet, ascending, `(row,)`.
        source: What the source of the rows has to say of itself by then.
    """

    seen: int = 0
    waiting: Mapping[int, np.ndarray] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """Notes on blocks that were made and not learned yet, by their numbers.

    One thread enters them, another asks and strikes them out.

    Arguments:
        facts: Gives what the source has to say of itself when a block is made.
    """

    def __init__(self, facts: Callable[[], dict[str, Any]] = dict):
        self._facts = facts
        self._entries: dict[int, tuple[Block, Position]] = {}

    def enter(self, number: int, block: Block, *, seen: int, pools: Mapping[int, Pool]) -> None:
        """Note a block that was made, and the position after it."""
        waiting = {bucket: pool.rows for bucket, pool in pools.items()}
        self._entries[number] = block, Position(seen, waiting, self._facts())

    def block(self, number: int) -> Block:
        """The position before a block that is being learned."""
        return self._entries[number][0]

    def learned(self, number: int) -> Position:
        """Strike a block out; gives the position after it."""
        return self._entries.pop(number)[1]


@dataclass
class Pool:
    """Adapted data sets of one bucket that wait for their block, in the order of their rows.

    Arguments:
        datasets: The first of them; those that were added are laid behind them for the next block.
    """

    datasets: Datasets
    rows: np.ndarray
    _added: list[Datasets] = field(default_factory=list)

    def add(self, datasets: Datasets, rows: np.ndarray) -> None:
        """Add data sets of later rows."""
        self._added.append(datasets)
        self.rows = np.concatenate([self.rows, rows])

    def remove(self, number: int) -> Datasets:
        """The first ones, which wait no longer."""
        whole = concatenate([self.datasets, *self._added])
        self.datasets, self._added = take(whole, slice(number, None)), []
        self.rows = self.rows[number:]
        return take(whole, slice(0, number))


@dataclass(frozen=True)
class Beginning:
    """The place where the gathering of blocks begins: the first row of all, or where it was left.

    Arguments:
        number: Of the first block.
        seen: Rows before the first part.
        pools: Bucket → data sets of those rows that wait for their block.
    """

    number: int = 0
    seen: int = 0
    pools: Mapping[int, Pool] = field(default_factory=dict)


def gathered(
    parts: Iterator[Datasets],
    plan: BlockPlan,
    *,
    beginning: Beginning = Beginning(),
    ledger: Ledger | None = None,
) -> Iterator[Block]:
    """The blocks of the training from adapted data sets in the order of their rows.

    A block is made of the bucket that is the first to hold enough, so blocks don't depend on how
    the rows were divided into parts. What is left when the last block is full is dropped.

    Arguments:
        beginning: Where to begin; `parts` begin at its row `seen`.
        ledger: Is told of every block just before it is given out.
    """
    pools, number, seen = dict(beginning.pools), beginning.number, beginning.seen
    total = plan.epochs * plan.blocks_per_epoch

    def complete_blocks() -> Iterator[Block]:
        nonlocal number
        while number < total:
            needed = plan.steps(number) * plan.batch_size
            complete = [
                (pool.rows[needed - 1], bucket)
                for bucket, pool in pools.items()
                if len(pool.rows) >= needed
            ]
            if not complete:
                return
            _, bucket = min(complete)
            block = plan.make(number, pools[bucket].remove(needed), bucket)
            if ledger is not None:
                ledger.enter(number, block, seen=seen, pools=pools)
            yield block
            number += 1

    yield from complete_blocks()
    while number < total:
        part = next(parts, None)
        if part is None:
            return
        for bucket, index in _by_bucket(part, plan.buckets):
            members = take(part, index)
            if bucket in pools:
                pools[bucket].add(members, seen + index)
            else:
                pools[bucket] = Pool(members, seen + index)
        seen += count(part)
        yield from complete_blocks()


def _by_bucket(part: Datasets, buckets: tuple[int, ...]) -> list[tuple[int, np.ndarray]]:
    summarized = part.get(SUMMARY_VARIABLES)
    if not isinstance(summarized, Ragged):
        return [(0, np.arange(count(part)))]
    bucket = bucket_of(summarized.row_size, buckets)
    return [(int(size), np.flatnonzero(bucket == size)) for size in np.unique(bucket)]


class Ahead:
    """Blocks made by a thread of their own, a few ahead of the training, with a wait clock.

    An error of the thread is raised where the next block is asked for. Whoever asks may be a
    backend that makes an error of its own of it; it leaves `own_errors` as it was.

    Attributes:
        waited: Seconds that the consumer has waited for blocks so far.
    """

    def __init__(self, blocks: Iterator[Block], *, ahead: int = 3):
        self.waited = 0.0
        self._error: BaseException | None = None
        self._queue: queue.Queue[Block | BaseException | None] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(blocks,), daemon=True)
        self._thread.start()

    def _fill(self, blocks: Iterator[Block]) -> None:
        try:
            for block in blocks:
                if not self._put(block):
                    return
            self._put(None)
        except BaseException as error:  # handed to the consumer, whatever it is
            self._put(error)

    def _put(self, item: Block | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Block]:
        while True:
            began = time.perf_counter()
            item = self._queue.get()
            self.waited += time.perf_counter() - began
            if item is None:
                return
            if isinstance(item, BaseException):
                self._error = item
                raise item
            yield item

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """A context in which a backend asks for blocks.

        TensorFlow turns what a generator raises into an error of its own, with a traceback as text.

        Errors:
            BaseException: What the thread raised, itself.
        """
        try:
            yield
        except Exception as error:
            if self._error is None or self._error is error or isinstance(error, AbiError):
                raise
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread; blocks not asked for are dropped."""
        self._stopped.set()
        self._thread.join(timeout=5.0)
