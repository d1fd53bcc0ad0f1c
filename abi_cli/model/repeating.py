"""Repetition of a row: simulated again it is the same, which is what a seed promises.

A function that counts its calls, reads a clock, draws from a generator of its own or leaves
something in an array of the module gives rows that nobody can make again, and that depend on how
they were shared out. So of whatever is simulated a few rows are simulated twice, the second time
in another order: the first ones at growing distances, then one in `EVERY`.
"""

from __future__ import annotations

import numpy as np

from abi_cli.errors import UserFunctionError
from abi_cli.variables import Ragged, Value, array_of

EVERY = 4_096
"""Units of rows of which one is simulated again."""

HINT = (
    "Draw from `rng` or np.random inside the function, not from a generator of the module, a "
    "clock or the system, and keep nothing between calls."
)


class UnrepeatableError(UserFunctionError):
    """A row differs when it is simulated again: drawing it once more would not help."""


def repeated(first: int, stop: int) -> list[int]:
    """Units of first … stop − 1 that are simulated again: 0, 1, 4, 16 …, and one in `EVERY`.

    The last come first, so that none follows the one that it followed before.
    """
    growing = [0, *(4**power for power in range(6))]  # up to EVERY
    steady = range(-(-first // EVERY) * EVERY, stop, EVERY)
    chosen = {unit for unit in growing if first <= unit < stop} | set(steady)
    return sorted(chosen, reverse=True)


def alike(one: Value, other: Value) -> bool:
    """True if two simulations of the same rows are equal, to single precision.

    Threads and graphics cards may add numbers up in another order each time. The networks, which
    compute in single precision, never see that.
    """
    if isinstance(one, Ragged) != isinstance(other, Ragged):
        return False
    if isinstance(one, Ragged) and isinstance(other, Ragged):
        if not np.array_equal(one.row_size, other.row_size):
            return False
        starts = one.starts()[one.row_size > 0]
    else:
        starts = np.arange(len(one))
    here, there = array_of(one), array_of(other)
    if here.shape != there.shape:
        return False
    if np.array_equal(here, there, equal_nan=True):
        return True
    if here.dtype.kind in "iu" and there.dtype.kind in "iu":
        return False
    off, size = (np.maximum.reduceat(_largest(values), starts) for values in (here - there, here))
    same_gaps = np.array_equal(np.isnan(here), np.isnan(there))
    return same_gaps and bool((off <= np.finfo(np.float32).eps * 8 * size).all())


def _largest(values: np.ndarray) -> np.ndarray:
    """The largest magnitude of each row or member, `(row,)`; 0 where all is missing."""
    flat = np.abs(np.nan_to_num(values)).reshape(len(values), -1)
    return flat.max(axis=1, initial=0.0)
