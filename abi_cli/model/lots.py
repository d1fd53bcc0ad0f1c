"""Uniform numbers that follow from what they are for: seed, purpose, row and place alone."""

from __future__ import annotations

import zlib

import numpy as np

from abi_cli.hashing import scattered, uniform
from abi_cli.model.streams import Purpose, stream_key


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
