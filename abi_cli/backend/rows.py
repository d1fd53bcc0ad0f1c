"""Compiled functions of any number of rows, called with few shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from abi_cli.backend.choice import to_numpy

ROWS = 16_384
"""Rows of one call at the most: of draws, over data sets and draws."""


def by_row(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """The results of a compiled function for rows, `(row, …)`, float64, in calls of one shape."""
    rows = len(arrays[0])
    results = []
    for first in range(0, rows, ROWS):
        index = np.arange(first, min(first + ROWS, rows))
        padded = np.resize(index, round_up(len(index), ROWS))
        chunk = to_numpy(function(*(array[padded] for array in arrays)))
        results.append(chunk[: len(index)].astype(np.float64))
    return np.concatenate(results)


def round_up(number: int, most: int) -> int:
    """The next power of two, at most `most`: few shapes are compiled, little is wasted."""
    return min(most, 1 << max(number - 1, 0).bit_length())
