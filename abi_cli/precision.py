"""Single precision: which numbers differ no more than it can tell, and which it can't hold.

Networks compute in single precision, and data often come in it. An sd that is below what it
resolves of the numbers themselves is rounding, or as good as none: divided by it, a value that is
off by nothing worth mentioning would be off by millions.
"""

from __future__ import annotations

import numpy as np

from abi_cli.errors import Unanswerable

RESOLUTION = float(np.finfo(np.float32).eps)
"""Relative distance below which two numbers are the same in single precision."""


def almost_constant(values: np.ndarray) -> np.ndarray:
    """True where the numbers of a column are equal, or differ by less than is resolved.

    Arguments:
        values: `(row, *event)`; NaN, which is missing, says nothing.

    Returns:
        `(*event,)` bool; False where nothing is known.
    """
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if not len(values):
        return np.zeros(values.shape[1:], dtype=bool)
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    # Not sd == 0: the sd of equal numbers can be off zero by rounding.
    equal = low == high
    centre = np.where(np.isnan(low), 0.0, low)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.where(np.isnan(values), centre, values) - centre
        known = np.maximum((~np.isnan(values)).sum(axis=0), 1)
        mean = off.sum(axis=0, dtype=np.float64) / known
        squares = np.square(off, dtype=np.float64).sum(axis=0) / known - mean**2
        sd = np.sqrt(np.maximum(squares, 0.0))
        close = sd <= RESOLUTION * np.abs(centre + mean)
    return np.asarray(equal | (close & ~np.isnan(low)))


def refuse_not_finite(*values: np.ndarray, first: int = 0) -> None:
    """Refuse infinities and NaN among draws, estimates, densities and what they are made of.

    Arguments:
        values: Each `(dataset, …)`; beyond single precision, which is written, is infinite.
        first: The place of the first data set.

    Errors:
        Unanswerable: Some are not finite.
    """
    for value in values:
        with np.errstate(over="ignore"):
            finite = np.isfinite(value.astype(np.float32, copy=False))
        if not finite.all():
            rows = first + np.flatnonzero(~finite.reshape(len(value), -1).all(axis=1))
            raise Unanswerable(
                f"the posterior of data set {rows[0]} is not made of finite numbers",
                rows=tuple(rows.tolist()),
            )
