"""Bands that the ranks of exact posteriors stay within: for an ECDF and for a histogram.

Both bands are simultaneous: exact posteriors leave the band *anywhere* with the stated probability,
so that one look at the whole curve is one test. Both are computed, not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

POINTS = 100
"""Number of points along [0, 1] at which an ECDF is looked at."""

PROBABILITY = 0.95
"""The probability that exact posteriors stay inside the band everywhere."""

LEAST = -700.0
"""Logarithm of the smallest probability that is told from 0."""


@dataclass(frozen=True)
class Band:
    """Limits of an ECDF of uniform values.

    Arguments:
        at: `(point,)`, where along [0, 1].
        lower, upper: `(point,)`, limits of ECDF(at), inclusive.
        count: Number of the values.
        gamma: Probability of a value outside the limits at each single point.
    """

    at: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    count: int
    gamma: float

    def contains(self, values: np.ndarray) -> bool:
        """True if the ECDF of `values (dataset,)` stays inside at every point."""
        ecdf = ecdf_at(values, self.at)
        slack = 1e-9  # counts over n are compared, after rounding
        return bool(((ecdf >= self.lower - slack) & (ecdf <= self.upper + slack)).all())

    def log_gamma(self, values: np.ndarray) -> float:
        """The farthest that the ECDF of `values (dataset,)` goes out: below 0 it leaves the band.

        log min over points of 2 min(P(R ≤ r), P(R ≥ r)) / γ, for the counts r that are seen and
        binomial R (Modrák et al. 2023, arXiv:2211.02383). Smaller ones than `LEAST` count as that.
        """
        seen = np.rint(ecdf_at(values, self.at) * self.count)[:-1]
        at = self.at[:-1]
        tails = np.minimum(
            stats.binom.logcdf(seen, self.count, at), stats.binom.logsf(seen - 1, self.count, at)
        )
        least = max(tails.min(), LEAST)  # which underflows to a logarithm of −inf
        return float(min(np.log(2) + least, 0.0) - np.log(self.gamma))


def ecdf_at(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of `values (dataset,)` that is at most each of `at (point,)`."""
    return np.searchsorted(np.sort(values), at, side="right") / len(values)


@lru_cache(maxsize=16)
def ecdf_band(count: int) -> Band:
    """The simultaneous band of the ECDF of `count` uniform values.

    At each point the limits are quantiles γ/2 and 1 − γ/2 of a binomial; the one γ for all points
    is the largest that keeps the whole ECDF inside with probability 0.95.

    References:
        Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity and its
        applications in goodness-of-fit evaluation and multiple sample comparison, arXiv 2103.10522.
    """
    at = np.arange(1, POINTS + 1) / POINTS

    def limits(gamma: float) -> tuple[np.ndarray, np.ndarray]:
        lower = stats.binom.ppf(gamma / 2, count, at).astype(np.int64)
        upper = stats.binom.ppf(1 - gamma / 2, count, at).astype(np.int64)
        return lower, upper

    low, high = np.log(1e-6), np.log(1 - PROBABILITY)
    for _ in range(24):
        middle = (low + high) / 2
        if probability_inside(*limits(float(np.exp(middle))), count=count) >= PROBABILITY:
            low = middle
        else:
            high = middle
    gamma = float(np.exp(low))
    lower, upper = limits(gamma)
    return Band(at, lower / count, upper / count, count, gamma)


def probability_inside(lower: np.ndarray, upper: np.ndarray, *, count: int) -> float:
    """Probability that counts of `count` uniform values stay within limits at every point.

    How many values lie below i/K, i = 1..K, is a Poisson process of rate `count` given that it
    ends at `count`. So the probabilities of its states are carried from point to point by
    convolution with one Poisson increment, whatever leaves the limits is dropped, and what arrives
    is divided by the probability of ending at `count`: exact, and quick for any count.

    References:
        Moscovich & Nadler (2017), Fast calculation of boundary crossing probabilities for Poisson
        processes, arXiv 1503.04363.

    Arguments:
        lower, upper: `(point,)`, limits of the counts at 1/K, …, 1; the last are `count` itself.
    """
    rate = count / len(lower)
    longest = int(rate + 12 * np.sqrt(rate) + 40)  # increments beyond have no weight
    increment = stats.poisson.pmf(np.arange(longest), rate)

    state, start = np.ones(1), 0  # state[k]: probability of `start + k` values so far
    for low, high in zip(lower, upper, strict=True):
        reached = np.convolve(state, increment)
        first = max(int(low), start)
        state = reached[first - start : max(int(high) + 1, first) - start]
        start = first
        if not state.size:
            return 0.0
    return float(state[count - start] / stats.poisson.pmf(count, count))


def histogram_band(count: int, *, bins: int) -> tuple[int, int]:
    """Limits that all `bins` counts of `count` uniform values keep, with probability 0.95.

    Each count is binomial with probability 1/bins; its level is Bonferroni's, 0.05/bins, which for
    counts that compete for the same total is close to exact.
    """
    tail = (1 - PROBABILITY) / bins / 2
    low, high = stats.binom.ppf([tail, 1 - tail], count, 1 / bins)
    return int(low), int(high)


def histogram_bins(count: int) -> int:
    """The number of bins that `count` ranks fill well: about 20 in each, between 5 and 20 bins."""
    return int(np.clip(count // 20, 5, 20))
