"""Modes of many small posteriors at once by damped scoring, and how they bend around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

AWAY = 1.5
"""Standard errors from the mode at which it is seen how the density falls."""


class Around(NamedTuple):
    """What is known of a log posterior at parameters.

    Attributes:
        cost: −2 log density but for a constant, `(dataset,)`.
        score: Half its slope downwards, `(dataset, dim)`.
        information: Half its expected curvature, `(dataset, dim, dim)`.
    """

    cost: np.ndarray
    score: np.ndarray
    information: np.ndarray

    def where(self, better: np.ndarray, other: Around) -> Around:
        """This where it is `better (dataset,)`, and the other elsewhere."""
        return Around(
            *(
                np.where(better.reshape(-1, *[1] * (mine.ndim - 1)), mine, its)
                for mine, its in zip(self, other, strict=True)
            )
        )


def mode(
    theta: np.ndarray,
    around: Callable[[np.ndarray], Around],
    *,
    steps: int,
    longest: float,
    far: float = np.inf,
) -> tuple[np.ndarray, Around]:
    """The mode, by steps that are shortened where they would not go down (Marquardt 1963).

    Arguments:
        theta: Where it begins, `(dataset, dim)`.
        longest: Step along any parameter.
        far: Bound of all parameters.
    """
    at = around(theta)
    damping = np.zeros(len(theta))
    for _ in range(steps):
        curved = at.information * (1 + damping[:, None, None] * np.eye(theta.shape[1]))
        step = np.linalg.solve(curved, at.score[:, :, None])[:, :, 0]
        tried = np.clip(theta + np.clip(step, -longest, longest), -far, far)
        its = around(tried)
        better = its.cost <= at.cost
        theta, at = np.where(better[:, None], tried, theta), its.where(better, at)
        damping = np.where(better, damping / 4, damping * 4 + 0.5)
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
