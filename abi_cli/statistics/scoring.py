"""Modes of many small posteriors at once by damped scoring, and their shape around the modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

Rows: TypeAlias = slice | np.ndarray
"""Data sets of a batch: all, or by index or mask."""

NEAR = 0.01
"""Distance to the mode, in standard errors to second order, at which the search ends."""

AWAY = 1.5
"""Distances from the mode, in standard errors, at which the fall of the density is measured."""


class Around(NamedTuple):
    """Value and derivatives of a log posterior at parameters.

    Attributes:
        cost: −2 log density but for a constant, `(dataset,)`.
        score: Half its slope downwards, `(dataset, dim)`.
        information: Half its expected curvature, `(dataset, dim, dim)`.
    """

    cost: np.ndarray
    score: np.ndarray
    information: np.ndarray

    def of(self, rows: Rows) -> Around:
        """Value and derivatives for the data sets at `rows`."""
        return Around(*(array[rows] for array in self))

    def put(self, rows: np.ndarray, its: Around) -> None:
        """Set the data sets at `rows`, in place."""
        for array, value in zip(self, its, strict=True):
            array[rows] = value


def mode(
    theta: np.ndarray,
    around: Callable[[np.ndarray, Rows], Around],
    *,
    steps: int,
    longest: float,
    far: float = np.inf,
) -> tuple[np.ndarray, Around]:
    """The mode, by steps that are shortened where they would not go down (Marquardt 1963).

    A data set that is nearer to its mode than `NEAR` is left where it is; most are after three or
    four steps.

    Arguments:
        theta: Where it begins, `(dataset, dim)`.
        around: Of parameters of the data sets at some rows.
        longest: Step along any parameter.
        far: Bound of all parameters.
    """
    theta = theta.copy()
    at = around(theta, slice(None))
    damping = np.zeros(len(theta))
    rows = np.arange(len(theta))
    for _ in range(steps):
        here, its = theta[rows], at.of(rows)
        newton = np.linalg.solve(its.information, its.score[:, :, None])[:, :, 0]
        distance = np.sqrt(np.maximum((its.score * newton).sum(axis=1), 0.0))
        left = distance > NEAR
        if not left.any():
            break
        rows, here, its = rows[left], here[left], its.of(left)
        curved = its.information * (1 + damping[rows, None, None] * np.eye(theta.shape[1]))
        step = np.linalg.solve(curved, its.score[:, :, None])[:, :, 0]
        tried = np.clip(here + np.clip(step, -longest, longest), -far, far)
        then = around(tried, rows)
        better = then.cost <= its.cost
        damping[rows] = np.where(better, damping[rows] / 4, damping[rows] * 4 + 0.5)
        theta[rows[better]] = tried[better]
        at.put(rows[better], then.of(better))
    return theta, at


def corrected(
    theta: np.ndarray,
    at: Around,
    cost: Callable[[np.ndarray], np.ndarray],
    *,
    most: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard errors, shift of the mean from the mode and log width, both in standard errors.

    They follow from how the density falls on either side. With a third and a fourth power of z
    beside z²/2 in the minus log density, the mean is at −3 times the coefficient of the third to
    first order.

    Arguments:
        most: Largest shift.
    """
    covariance = np.linalg.inv(at.information)
    sds = _sds(covariance)
    along = covariance / sds[:, None, :]  # a standard error of each, the others following
    rise = np.empty((2, *theta.shape))
    for k in range(theta.shape[1]):
        for side, z in enumerate((-AWAY, AWAY)):
            its = cost(theta + z * along[:, :, k])
            rise[side, :, k] = np.clip(its - at.cost, 0.1 * AWAY**2, 10 * AWAY**2)
    shift = -3 * (rise[1] - rise[0]) / (4 * AWAY**3)
    width = -0.5 * np.log((rise[0] + rise[1]) / (2 * AWAY**2))
    return sds, np.clip(shift, -most, most), width


def errors(information: np.ndarray) -> np.ndarray:
    """Standard errors of each parameter, `(dataset, dim)`."""
    return _sds(np.linalg.inv(information))


def _sds(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
