"""Streams of random numbers, from which all randomness of a model comes.

A *stream* is the output of the Philox generator under a key made of (seed, purpose) from a given
counter on (Salmon, Moraes, Dror, Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3").
Going to the stream of unit i means setting the counter, which takes a microsecond, so that what is
drawn for a unit depends on nothing but (seed, purpose, i).

A person's functions may draw from an `rng` that they are given, from NumPy's global functions or
from the standard library's `random`; while a `Streams` is open, all three obey it.
"""

from __future__ import annotations

import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, TypeVar

import numpy as np
from numpy.random.mtrand import get_bit_generator, set_bit_generator

from abi_cli import underway
from abi_cli.errors import UserFunctionError
from abi_cli.hashing import scattered, uniform

T = TypeVar("T")

_set_state = np.random.set_state  # looked up once: it is called for every row

_one_at_a_time = threading.RLock()
"""NumPy's global functions and `random` are one to a process."""


class Purpose(IntEnum):
    """The purpose that randomness is used for; different purposes never share a stream.

    The numbers are part of what a seed means: a new purpose gets a new number.
    """

    PILOT = 1
    TRAIN = 2
    VALIDATION = 3
    DIAGNOSE = 4
    SIMULATE = 5
    SAMPLE = 6
    INIT = 7
    PREDICT = 8
    QUANTITY = 9
    GUARD = 10
    REFINE = 11
    AUGMENT = 12
    CHALLENGE = 13
    AUGMENT_FRESH = 14


@lru_cache(maxsize=64)
def stream_key(seed: int, purpose: Purpose) -> tuple[int, int]:
    """Two random words that follow from a seed and a purpose."""
    words = np.random.SeedSequence(seed, spawn_key=(purpose,)).generate_state(2, np.uint64)
    return int(words[0]), int(words[1])


def generator(seed: int, purpose: Purpose, *, block: int = 0, item: int = 0) -> np.random.Generator:
    """A generator at the start of the stream of (block, item).

    Arguments:
        seed: Any non-negative integer.
    """
    bits = np.random.Philox(
        key=np.array(stream_key(seed, purpose), np.uint64),
        counter=np.array((0, block, item, 0), np.uint64),
    )
    return np.random.Generator(bits)


def noise(seed: int, dataset: int, *, draw_block: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normals `shape`, float32, from which posterior draws are made.

    They depend on the arguments alone, so neither on the other data sets nor on the backend.
    """
    rng = generator(seed, Purpose.SAMPLE, block=draw_block, item=dataset)
    return rng.standard_normal(shape, np.float32)


NOISE_BLOCK = 1024
"""Draws whose noise shares one key: draws don't depend on how they are asked for."""


def noise_of_draws(seed: int, dataset: int, start: int, number: int, dim: int) -> np.ndarray:
    """Noise of draws start … start + number − 1 of a data set, `(draw, dim)`.

    Arguments:
        start: A multiple of `NOISE_BLOCK`.
    """
    blocks = [
        noise(
            seed,
            dataset,
            draw_block=(start + done) // NOISE_BLOCK,
            shape=(min(NOISE_BLOCK, number - done), dim),
        )
        for done in range(0, number, NOISE_BLOCK)
    ]
    return np.concatenate(blocks)


class Streams:
    """The streams of one (seed, purpose), of which one at a time is current.

    Arguments:
        seed: Any non-negative integer.
        purpose: What is drawn for.
        attempt: Draws that failed are made again from other streams.

    Attributes:
        rng: Draws from the current stream.
    """

    _seeds_random: ClassVar[bool] = False
    """True if work in this process is known to use `random`, which is slow to seed."""

    def __init__(self, seed: int, purpose: Purpose, attempt: int = 0) -> None:
        self.rng = generator(seed, purpose)
        first, second = stream_key(seed, purpose)
        self._random_key = attempt << 192 | first << 64 | second
        self._counter = [0, 0, attempt, 0]
        self._unit = underway.here.cell.unit
        self._state = {  # plain integers are taken over three times faster than arrays
            "bit_generator": "Philox",
            "state": {"counter": self._counter, "key": (first, second)},
            "buffer": (0, 0, 0, 0),
            "buffer_pos": 4,  # an empty buffer
            "has_uint32": 0,
            "uinteger": 0,
        }

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """NumPy's global functions draw from the current stream too; afterwards all is as it was.

        `seek` is for use inside this context.
        """
        with _one_at_a_time:
            bits = get_bit_generator()
            state = np.random.get_state(legacy=False)  # noqa: NPY002 (it holds the cached normal)
            python_state = random.getstate()
            set_bit_generator(self.rng.bit_generator)
            try:
                yield
            finally:
                set_bit_generator(bits)  # as it was left, but for the cached normal
                if state["has_gauss"]:
                    np.random.set_state(state)  # noqa: NPY002
                random.setstate(python_state)

    def seek(self, unit: int) -> None:
        """Make the stream of `unit` current, at its start."""
        self._counter[1] = self._unit[0] = unit
        # Sets the generator shared with `rng` and forgets NumPy's cached second normal.
        _set_state(self._state)
        if Streams._seeds_random:
            random.seed(unit << 128 | self._random_key)

    def seek_apart(self, unit: int, apart: int) -> None:
        """Make the stream of another unit current, `apart` further on, for work on `unit` still."""
        self.seek(unit + apart)
        self._unit[0] = unit

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, with `random` seeded in `seek` if the work uses it.

        Seeding `random` for each unit would double the engine's cost for the sake of the few who
        use it. So its use is found out: such work is done again, once in a process.
        """
        if Streams._seeds_random:
            return work()
        before = random.getstate()
        try:
            result = work()
        except UserFunctionError:
            if random.getstate() == before:
                raise
        else:
            if random.getstate() == before:
                return result
        Streams._seeds_random = True
        underway.again()
        return work()


class Lots:
    """Lots that are drawn for the numbers of a variable.

    Arguments:
        name: Of what they are drawn for, such as the variable.
        start: Number of the first data set.
    """

    def __init__(self, name: str, seed: int, purpose: Purpose, start: int = 0):
        self._key = np.uint64(stream_key(seed, purpose)[0] ^ zlib.crc32(name.encode()))
        self._start = start

    def __call__(self, row: np.ndarray, *place: np.ndarray | np.uint64) -> np.ndarray:
        """One for each row of the data sets and place in it; shapes broadcast.

        Returns:
            From 0 on, below 1.
        """
        bits = scattered((row + self._start).astype(np.uint64) ^ self._key)
        for part in place:
            bits = scattered(bits ^ np.asarray(part).astype(np.uint64))
        return uniform(bits)
