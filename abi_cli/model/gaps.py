"""Values that are missing: left out of simulations at random, as they are in real data.

A rate is a mean. Real data sets are complete, or lack more than was thought, so each simulated one
has a share of its own, and no share is unseen: with probability 0.2 (1 − rate) none is missing,
else

    share ~ Beta(1, 1/m − 1),    m = rate / P(some are missing),

whose density falls from none to all. Of a range the share is uniform. What is missing never depends
on the values: where it does, the likelihood returns NaN itself. Of series, in every other one the
same share is missing in blocks, as when an instrument fails for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from abi_cli.model.streams import Lots, Purpose
from abi_cli.variables import Datasets, Ragged, Value, array_of

COMPLETE = 0.2
"""Share of data sets without gaps, as the rate goes to none."""

LONGEST = 0.2
"""Longest block of gaps, as a share of the series."""

Rate = float | tuple[float, float]
"""A mean share that is missing, or the least and the largest one."""


def with_gaps(
    datasets: Datasets,
    rates: Mapping[str, Rate],
    *,
    seed: int,
    purpose: Purpose,
    start: int,
    series: Collection[str] = (),
) -> Datasets:
    """Data sets with NaN in places that follow from seed, purpose, row and place alone.

    Arguments:
        rates: Variable → the share of its numbers that is missing.
        start: Number of the first data set.
        series: Variables in which gaps may come in blocks.
    """
    return {
        name: _spoilt(Lots(name, seed, purpose, start), value, rates[name], blocks=name in series)
        if rates.get(name)
        else value
        for name, value in datasets.items()
    }


def _shares(rate: Rate, lots: Lots, rows: np.ndarray) -> np.ndarray:
    """The share of each data set that is missing, `(dataset,)`."""
    lot = lots(rows, _SHARE)
    if isinstance(rate, tuple):
        return rate[0] + (rate[1] - rate[0]) * lot
    complete = COMPLETE * (1 - rate)
    mean = rate / (1 - complete)
    share = 1 - (1 - lot) ** (mean / (1 - mean))
    return np.where(lots(rows, _COMPLETE) < complete, 0.0, share)


_SHARE, _COMPLETE, _BLOCKS, _LENGTH, _OFFSET = (np.uint64(2**63 + k) for k in range(5))
"""First number of places that no member has, for lots of whole data sets."""


def _spoilt(lots: Lots, value: Value, rate: Rate, *, blocks: bool) -> Value:
    array = array_of(value)
    if not isinstance(value, Ragged):
        rows = np.arange(len(array))
        return _left_out(array, _shares(rate, lots, rows), lots, rows, np.zeros(len(rows), int))
    rows, size = np.arange(len(value)), value.row_size
    row = np.repeat(rows, size)
    place = np.arange(len(array)) - np.repeat(value.starts(), size)
    if blocks:
        place = np.where((lots(rows, _BLOCKS) < 0.5)[row], _blocks(lots, rows, size, place), place)
    share = _shares(rate, lots, rows)[row]
    return Ragged(_left_out(array, share, lots, row, place), size)


def _blocks(lots: Lots, rows: np.ndarray, size: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The number of the block that each step is in, `(step,)`; in a series all are of a length."""
    longest = np.maximum(LONGEST * size, 2)
    length = np.ceil(1 + (longest - 1) * lots(rows, _LENGTH)).astype(np.int64)
    offset = (lots(rows, _OFFSET) * length).astype(np.int64)
    return (place + np.repeat(offset, size)) // np.repeat(length, size)


def _left_out(
    array: np.ndarray, share: np.ndarray, lots: Lots, row: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Values with NaN where the lot of a number is below the share of its data set."""
    element = np.arange(array[:1].size or 1)
    lot = lots(row[:, None], place[:, None], element[None, :])
    return np.where((lot < share[:, None]).reshape(array.shape), np.nan, array)
