r"""Tails of columns of numbers: how rarely a value comes, also beyond all that were seen.

Of n numbers the largest tenth are kept as a tail above a threshold u. Up to u the share of numbers
that are as large is counted,

    P(T ≥ t) ≈ (1 + #{tᵢ ≥ t}) / (n + 1);

beyond it a generalised Pareto distribution continues (Pickands 1975, Annals of Statistics 3),

    P(T ≥ t) ≈ ζ (1 + ξ (t − u) / σ)^(−1/ξ),    ζ = P(T ≥ u),

with ξ and σ by the estimator of Zhang & Stephens (2009, Technometrics 51). So what lies far out has
a small p-value however few numbers there are: a rank among n is never below 1 / (n + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abi_cli.precision import RESOLUTION

BEYOND = 0.1
"""Share of the numbers that are the tail."""

SMALLEST = 1e-16
"""The smallest p-value that is given."""

_SAME = 4 * RESOLUTION
"""Relative distance within which a number counts as equal to a threshold, but for rounding."""

_FEWEST = 5
"""Numbers in a tail from where on its shape is estimated."""

_PRIOR = 10
"""Numbers with ξ = 0 that the estimate of it is drawn towards."""


@dataclass(frozen=True)
class Tails:
    """Upper tails of columns.

    Arguments:
        ordered: The numbers, each column ascending, `(row, column)`.
        threshold: Where the tail of each column begins, `(column,)`.
        share: Share of the numbers beyond it, `(column,)`.
        sigma, xi: Scale and shape of each tail, `(column,)`; sigma is 0 where nothing differs.
    """

    ordered: np.ndarray
    threshold: np.ndarray
    share: np.ndarray
    sigma: np.ndarray
    xi: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> Tails:
        """Upper tails estimated from `numbers (row, column)`, finite."""
        ordered = np.sort(numbers, axis=0)
        first = max(len(ordered) - max(2, round(BEYOND * len(ordered))), 0)
        threshold = ordered[first]
        excess = ordered[first + 1 :] - threshold
        sigma, xi = _pareto(excess)
        share = (1 + (ordered > threshold).sum(axis=0)) / (len(ordered) + 1)
        return cls(ordered, threshold, share, sigma, xi)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Probabilities P(T ≥ t) of `values (row, column)`; 1 for NaN, which says nothing."""
        p = np.ones(values.shape)
        for k, given in enumerate(values.T):
            own, u = self.ordered[:, k], self.threshold[k]
            column = np.where(np.abs(given - u) <= _SAME * np.abs(u), u, given)
            less = np.searchsorted(own, column, side="left")
            p[:, k] = (1 + len(own) - less) / (len(own) + 1)
            far = column > u
            p[far, k] = np.minimum(p[far, k], self._far(k, column[far] - u))
        return np.where(np.isnan(values), 1.0, np.maximum(p, SMALLEST))

    def _far(self, k: int, excess: np.ndarray) -> np.ndarray:
        """Probabilities P(T ≥ u + excess) of column k."""
        sigma, xi, share = self.sigma[k], self.xi[k], self.share[k]
        if sigma <= 0:
            return np.zeros(len(excess))
        with np.errstate(over="ignore", divide="ignore"):
            x = excess / sigma
            if abs(xi) < 1e-6:
                return np.asarray(share * np.exp(-x))
            return np.asarray(share * np.maximum(1 + xi * x, 0.0) ** (-1 / xi))


def _pareto(excess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """σ and ξ of generalised Pareto distributions, `(column,)` each.

    Where they end somewhere (ξ < 0), or many are the same, an exponential one has their mean: that
    nothing lies beyond an end is more than so many numbers can tell.

    Arguments:
        excess: Over a threshold, not negative, each column ascending, `(row, column)`.
    """
    n = len(excess)
    mean = excess.sum(axis=0) / np.maximum((excess > 0).sum(axis=0), 1)
    if n < _FEWEST:
        return mean, np.zeros_like(mean)
    quartile, largest = excess[int(n / 4 + 0.5) - 1], excess[-1]
    fits = (quartile > 0) & (largest > quartile * (1 + 1e-9))
    x = np.where(fits, excess, np.arange(1, n + 1)[:, None])
    m = 30 + int(n**0.5)
    b = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))[:, None]
    b = b / (3 * x[int(n / 4 + 0.5) - 1]) + 1 / x[-1]
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    # Where b is 0 the distribution is exponential, with the mean as its scale.
    rate = np.divide(-b, k, out=np.ones_like(k) / x.mean(axis=0), where=k != 0)
    likelihood = n * (np.log(rate) - k - 1)
    weight = np.exp(likelihood - likelihood.max(axis=0))
    centre = (b * weight).sum(axis=0) / weight.sum(axis=0)
    xi = np.log1p(-centre * x).mean(axis=0)
    sigma = np.where(fits, -xi / centre, mean)
    heavy = fits & (xi > 0)
    return np.where(heavy, sigma, mean), np.where(heavy, n * xi / (n + _PRIOR), 0.0)


@dataclass(frozen=True)
class TwoSided:
    """Both tails of columns."""

    upper: Tails
    lower: Tails

    @classmethod
    def of(cls, numbers: np.ndarray) -> TwoSided:
        """Both tails estimated from `numbers (row, column)`, finite."""
        return cls(Tails.of(numbers), Tails.of(-numbers))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Two-sided p-values of `values (row, column)`: twice the smaller tail, at most 1."""
        return np.minimum(1.0, 2 * np.minimum(self.upper(values), self.lower(-values)))
