"""Values that are missing: left out of simulations at random, as they are in real data."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from abi_cli.hashing import scattered, uniform
from abi_cli.model.streams import Purpose, stream_key
from abi_cli.variables import Datasets, Ragged, Value, array_of


def with_gaps(
    datasets: Datasets, rates: Mapping[str, float], *, seed: int, purpose: Purpose, start: int
) -> Datasets:
    """The same with NaN in some places: which follows from seed, purpose, row and place alone.

    Arguments:
        rates: Variable → the probability of each of its numbers to be missing.
        start: Number of the first data set.
    """
    return {
        name: _spoilt(name, value, rates[name], seed=seed, purpose=purpose, start=start)
        if rates.get(name)
        else value
        for name, value in datasets.items()
    }


def _spoilt(
    name: str, value: Value, rate: float, *, seed: int, purpose: Purpose, start: int
) -> Value:
    array = array_of(value)
    if isinstance(value, Ragged):
        row = np.repeat(np.arange(len(value)), value.row_size)
        place = np.arange(len(array)) - np.repeat(value.starts(), value.row_size)
    else:
        row, place = np.arange(len(array)), np.zeros(len(array), np.int64)
    element = np.arange(array[:1].size or 1, dtype=np.uint64)
    key = np.uint64(stream_key(seed, purpose)[0] ^ zlib.crc32(name.encode()))
    bits = scattered(scattered((row + start).astype(np.uint64) ^ key) ^ place.astype(np.uint64))
    lots = uniform(scattered(bits[:, None] ^ scattered(element))).reshape(array.shape)
    spoilt = np.where(lots < rate, np.nan, array)
    return Ragged(spoilt, value.row_size) if isinstance(value, Ragged) else spoilt
