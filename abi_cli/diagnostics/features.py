"""Plain numbers that describe data sets, which posteriors should not know less than.

They come from no network, so a fault of one can't hide in them: counts, means, spreads and linear
relations of whatever a data set holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from abi_cli.precision import almost_constant
from abi_cli.variables import Ragged, Value, array_of, count

MOST_ELEMENTS = 24
"""Number of scalars of one variable, at most: the first ones of an image or a long vector."""

_LARGEST = 5.0
"""Bound of standardized features: one wild data set must not bend a regression."""


def features_of(datasets: Mapping[str, Value]) -> np.ndarray:
    """Numbers `(dataset, feature)` that describe each data set, standardized, finite.

    Of each scalar that a data set has once, its value and square. Of each feature of its sets and
    series: the mean, the log of the sd, the correlation of neighbours, and for each pair of them
    that belong to the same members the slope and the log of the residual sd of a line. Missing
    values play no part. What is the same in all data sets is left out.

    Arguments:
        datasets: Context, given and observables; never parameters.
    """
    columns: list[np.ndarray] = []
    members: dict[bytes, list[tuple[np.ndarray, np.ndarray]]] = {}
    for value in datasets.values():
        flat = array_of(value).astype(np.float64)
        flat = flat.reshape(len(flat), math.prod(flat.shape[1:]))[:, :MOST_ELEMENTS]
        if isinstance(value, Ragged):
            sizes = value.row_size
            if sizes.tobytes() not in members:
                columns += [np.sqrt(sizes), np.log1p(sizes)]
            own = members.setdefault(sizes.tobytes(), [])
            own += [(column, sizes) for column in flat.T]
        else:
            columns += [part for column in flat.T for part in (column, _scaled(column) ** 2)]
    for group in members.values():
        columns += [part for column, sizes in group for part in _alone(column, sizes)]
        for (one, sizes), (other, _) in combinations(group[:MOST_ELEMENTS], 2):
            columns += _together(one, other, sizes)
    varied = [_scaled(column) for column in columns if np.ptp(_known(column)) > 0]
    return np.stack(varied, axis=1) if varied else np.zeros((count(datasets), 0))


def _known(column: np.ndarray) -> np.ndarray:
    """The column with the median of the finite numbers for the others."""
    finite = np.isfinite(column)
    fill = float(np.median(column[finite])) if finite.any() else 0.0
    return np.where(finite, column, fill)


def _scaled(column: np.ndarray) -> np.ndarray:
    """The column with median 0, sd about 1, within bounds."""
    column = _known(column)
    centre = np.median(column)
    low, high = np.quantile(column, [0.16, 0.84])
    spread = 1.0 if almost_constant(column) else (high - low) / 2 or column.std()
    return np.asarray(np.clip((column - centre) / spread, -_LARGEST, _LARGEST))


def _mean(values: np.ndarray, there: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The mean over the members of each data set that are there, `(dataset,)`."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    number = np.bincount(owner, there, minlength=len(sizes))
    total = np.bincount(owner, np.where(there, values, 0.0), minlength=len(sizes))
    return np.asarray(total / np.maximum(number, 1))


def _centred(values: np.ndarray, there: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.where(there, values - np.repeat(_mean(values, there, sizes), sizes), 0.0)


def _alone(values: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Mean, log sd, and correlation of neighbours, of the members of each data set."""
    there = np.isfinite(values)
    centred = _centred(values, there, sizes)
    variance = _mean(centred**2, there, sizes)
    last = np.cumsum(sizes) - 1
    inner = np.ones(len(values), dtype=bool)
    inner[last[sizes > 0]] = False
    neighbours = _mean(centred * np.roll(centred, -1), inner, sizes)
    safe = np.where(variance > 0, variance, np.nan)
    missing = _mean(~there, np.ones_like(there), sizes)
    return [_mean(values, there, sizes), np.log(safe) / 2, neighbours / safe, missing]


def _together(one: np.ndarray, other: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Slopes either way and log residual sds of the members of each data set."""
    there = np.isfinite(one) & np.isfinite(other)
    x, y = _centred(one, there, sizes), _centred(other, there, sizes)
    xx, yy, xy = (_mean(a, there, sizes) for a in (x * x, y * y, x * y))
    xx, yy = np.where(xx > 0, xx, np.nan), np.where(yy > 0, yy, np.nan)
    tiny = 1e-12
    left_y = np.log(np.maximum(yy - xy**2 / xx, tiny * yy)) / 2
    intercept = _mean(other, there, sizes) - xy / xx * _mean(one, there, sizes)
    return [xy / xx, xy / yy, left_y, intercept]
