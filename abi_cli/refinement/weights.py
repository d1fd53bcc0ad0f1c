"""Importance weights: whether their tail can be trusted, and what weighted candidates say.

The largest weights are replaced by quantiles of a generalized Pareto distribution that is fitted to
the tail, whose shape k-hat says how many moments the weights have (Vehtari et al. 2024, "Pareto
smoothed importance sampling", JMLR 25(72), arXiv:1507.02646). Arrays have the axes `candidate` and,
where there are several numbers, `dim`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from abi_cli.data.statistics import statistics

MOST_KHAT = 0.7
"""Largest k-hat of any number of candidates; fewer than 2,000 need a lighter tail."""

FEWEST = 100
"""Fewest candidates with a weight above zero for which a tail can be judged."""


def threshold(candidates: int) -> float:
    """The k-hat up to which so many candidates can be trusted: min(1 − 1 / log₁₀ S, 0.7)."""
    return min(1 - 1 / math.log10(max(candidates, 11)), MOST_KHAT)


@dataclass(frozen=True)
class Weighing:
    """The weights of candidates, smoothed.

    Arguments:
        weights: `(candidate,)`, sum to 1.
        khat: Shape of the tail; infinite where hardly a candidate has any weight.
        log_evidence: log of the mean of what was normalized: log p(y).
        log_evidence_error: Its standard error over repetitions.
    """

    weights: np.ndarray
    khat: float
    log_evidence: float
    log_evidence_error: float

    @property
    def ess(self) -> float:
        """Effective number of independent draws: 1 / Σ w²."""
        return float(1 / np.square(self.weights).sum()) if self.weights.any() else 0.0

    @property
    def good(self) -> bool:
        """True if k-hat is below its threshold."""
        return self.khat <= threshold(len(self.weights))


def weigh(log_ratios: np.ndarray) -> Weighing:
    """Smooth and normalize weights.

    The standard error of the log evidence is that of the mean weight, relative to it:
    √(1 / ESS − 1 / S).

    Arguments:
        log_ratios: `(candidate,)`, log p(y, θ) − log r(θ); −inf for candidates that can't be.
    """
    number = len(log_ratios)
    possible = np.isfinite(log_ratios)
    if possible.sum() < FEWEST:
        nothing = np.zeros(number)
        return Weighing(nothing, math.inf, -math.inf, math.inf)
    smoothed, khat = _smoothed(log_ratios)
    total = float(logsumexp(smoothed))
    weights = np.exp(smoothed - total)
    error = math.sqrt(max(float(np.square(weights).sum()) - 1 / number, 0.0))
    return Weighing(weights, khat, total - math.log(number), error)


def _smoothed(log_ratios: np.ndarray) -> tuple[np.ndarray, float]:
    """Log ratios whose largest follow a Pareto distribution, and its shape."""
    from arviz_stats.base import array_stats

    tail = math.floor(min(0.2 * len(log_ratios), 3 * math.sqrt(len(log_ratios))))
    largest = np.sort(log_ratios)[-tail - 1 :]
    if np.ptp(largest[1:]) < 1e-12:  # the tail has no shape: weights are bounded
        return log_ratios, 0.0
    if not np.isfinite(largest[0]):  # all that is possible is tail
        return log_ratios, math.inf
    with np.errstate(all="ignore"):  # where one candidate has all weight, the fit divides by it
        normalized, khat = array_stats.psislw(-log_ratios)
    if not np.isfinite(khat) or np.isnan(normalized).any():
        return log_ratios, math.inf
    # They come normalized; how large they were is known from the largest below the tail.
    body = int(np.argmax(np.where(log_ratios < largest[1], log_ratios, -math.inf)))
    return np.asarray(normalized) + (log_ratios[body] - normalized[body]), float(khat)


def moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd, each `(dim,)`, of `values (candidate, dim)`."""
    mean = weights @ values
    return mean, np.sqrt(weights @ np.square(values - mean))


def quantiles(values: np.ndarray, weights: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Quantiles `(share, dim)` of `values (candidate, dim)`: where half of a weight is passed."""
    result = np.empty((len(shares), values.shape[1]))
    for k in range(values.shape[1]):
        order = np.argsort(values[:, k], kind="stable")
        passed = np.cumsum(weights[order]) - weights[order] / 2
        result[:, k] = np.interp(shares, passed, values[order, k])
    return result


def resampled(weights: np.ndarray, number: int, uniform: float) -> np.ndarray:
    """Rows of the candidates that become draws, `(draw,)`, as often as their weights say.

    Systematic resampling (Kitagawa 1996): draw i is the candidate at (i + u) / n of the cumulated
    weights. Where n times the largest weight is 1 at most, none is there twice.

    Arguments:
        uniform: u, in [0, 1).
    """
    ends = np.cumsum(weights)
    places = (np.arange(number) + uniform) / number * ends[-1]
    return np.minimum(np.searchsorted(ends, places, side="right"), len(weights) - 1)


def tempered(log_ratios: np.ndarray, number: int) -> np.ndarray:
    """Weights, tempered until so many candidates can be resampled without repeating one.

    They are w^b / Σ w^b with the largest b ≤ 1 for which that holds.
    """
    possible = np.isfinite(log_ratios)
    centred = np.where(possible, log_ratios - log_ratios.max(), 0.0)

    def at(power: float) -> np.ndarray:
        raised = np.where(possible, np.exp(power * centred), 0.0)
        return raised / raised.sum()

    low, high = 0.0, 1.0
    if number * at(high).max() <= 1:
        return at(high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if number * at(middle).max() <= 1 else (low, middle)
    return at(low)


_MANY = 4096
"""Draws from which a shortest interval is found."""


def weighted(
    values: np.ndarray, weights: np.ndarray, names: Sequence[str], *, ess: float
) -> np.ndarray:
    """Statistics `(statistic, dim)` of `values (candidate, dim)`.

    Arguments:
        weights: `(candidate,)`, sum to 1.
        ess: Independent draws that they say as much as, for `mcse`.
    """
    mean, sd = moments(values, weights)
    found = np.empty((len(names), values.shape[1]))
    for place, name in enumerate(names):
        if name == "mean":
            found[place] = mean
        elif name in ("sd", "mcse"):
            found[place] = sd if name == "sd" else sd / math.sqrt(max(ess, 1.0))
        elif name == "median" or name.startswith("q"):
            share = 0.5 if name == "median" else float(name[1:]) / 100
            found[place] = quantiles(values, weights, (share,))[0]
        else:
            draws = values[resampled(weights, _MANY, 0.5)]
            found[place] = statistics(draws[None], (name,))[0][0]
    return found
