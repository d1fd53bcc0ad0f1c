"""Sets of numbers that come from two normals: their components, by expectation and maximization.

    y_i ~ (1 − π) N(m_0, s_0²) + π N(m_1, s_1²)

The sorted numbers are cut where two groups have the least variance within (Otsu 1979, IEEE
Transactions on Systems, Man, and Cybernetics 9:62), and each side into bins of equal count. Rounds
of expectation and maximization (Dempster, Laird and Rubin 1977, JRSS B 39:1) on bins then cost the
same whatever the size of the set: first with one sd, s_0 = s_1, then with two. On `mixture` (1,000
numbers) the means were 0.22 exact sds off without, 90 % within 1.06; with them 0.07 and 0.19.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from abi_cli.statistics.members import FLOOR, known, moments_of

BINS = 24
"""Bins on each side of the cut."""

ONE_SD = 16
"""Rounds with one sd."""

TWO_SDS = 8
"""Rounds with two sds, after those."""

SMALL = 0.01
"""Least sd, in units of the data set's own."""

FAR = 30.0
"""Largest log ratio of densities."""


class _Bins(NamedTuple):
    """Numbers that are alike, `(batch, bin)` each: their mean, variance and count."""

    z: np.ndarray
    within: np.ndarray
    weight: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Size of each set, `(batch,)`, at least 1."""
        return np.maximum(self.weight.sum(axis=1), 1.0)


class _Two(NamedTuple):
    """Two components, `(batch,)` each: means, sds, and the share of the upper one."""

    low: np.ndarray
    high: np.ndarray
    low_sd: np.ndarray
    high_sd: np.ndarray
    share: np.ndarray

    def standardized(self, bins: _Bins) -> tuple[np.ndarray, ...]:
        """Standardized (y − m) / s, and its mean square over each bin, of either component."""
        below = (bins.z - self.low[:, None]) / self.low_sd[:, None]
        above = (bins.z - self.high[:, None]) / self.high_sd[:, None]
        return (
            below,
            above,
            below**2 + bins.within / self.low_sd[:, None] ** 2,
            above**2 + bins.within / self.high_sd[:, None] ** 2,
        )

    def log_odds(self, bins: _Bins) -> np.ndarray:
        """Log odds of the upper component, `(batch, bin)`."""
        _, _, below, above = self.standardized(bins)
        odds = np.log(self.share / (1 - self.share)) - np.log(self.high_sd / self.low_sd)
        return np.clip(odds[:, None] + 0.5 * (below - above), -FAR, FAR)

    def improved(self, bins: _Bins, *, one_sd: bool) -> _Two:
        """Components after a round of expectation and maximization."""
        upper = bins.weight / (1 + np.exp(-self.log_odds(bins)))
        lower = bins.weight - upper
        high_size, low_size = upper.sum(axis=1) + 1e-3, lower.sum(axis=1) + 1e-3
        high, low = ((part * bins.z).sum(axis=1) for part in (upper, lower))
        high, low = high / high_size, low / low_size
        squares = [
            (part * ((bins.z - mean[:, None]) ** 2 + bins.within)).sum(axis=1)
            for part, mean in ((lower, low), (upper, high))
        ]
        if one_sd:
            low_sd = high_sd = _sd(squares[0] + squares[1], bins.size)
        else:
            low_sd, high_sd = _sd(squares[0], low_size), _sd(squares[1], high_size)
        return _Two(low, high, low_sd, high_sd, high_size / (high_size + low_size))


def _sd(squares: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.maximum(np.sqrt(np.maximum(squares, 0.0) / size), SMALL)


def components(x: np.ndarray) -> np.ndarray:
    """Means, sds and shares of two components with one sd and with two, and how sure they are.

    Arguments:
        x: `(batch, obs)`, NaN in gaps.
    """
    y, there = known(x)
    centre, variance = moments_of(y, there)
    unit = np.sqrt(variance + FLOOR)
    bins, two = _begun((y - centre[:, None]) / unit[:, None], there > 0)
    for _ in range(ONE_SD):
        two = two.improved(bins, one_sd=True)
    found = _described(bins, two, centre, unit)
    for _ in range(TWO_SDS):
        two = two.improved(bins, one_sd=False)
    found += [*_described(bins, two, centre, unit), np.log(bins.size)]
    return np.stack(found, axis=1)


def _begun(z: np.ndarray, there: np.ndarray) -> tuple[_Bins, _Two]:
    """Bins, and the components to begin with: what lies on either side of the best cut."""
    n = there.sum(axis=1)
    ordered = np.sort(np.where(there, z, np.inf), axis=1)
    ordered = np.where(np.arange(z.shape[1]) < n[:, None], ordered, 0.0)
    none = np.zeros((len(z), 1))
    sums = np.concatenate([none, np.cumsum(ordered, axis=1)], axis=1)
    squares = np.concatenate([none, np.cumsum(ordered**2, axis=1)], axis=1)
    k, total = np.arange(z.shape[1] + 1), sums[:, -1:]
    between = sums**2 / np.maximum(k, 1) + (total - sums) ** 2 / np.maximum(n[:, None] - k, 1)
    cut = np.where((k > 0) & (k < n[:, None]), between, -1.0).argmax(axis=1)
    # Finer towards the tails and the cut, where a bin is wide.
    steps = 0.5 - 0.5 * np.cos(np.pi * np.arange(BINS + 1) / BINS)
    upper = cut[:, None] + (n - cut)[:, None] * steps[1:]
    edges = np.round(np.concatenate([cut[:, None] * steps, upper], axis=1)).astype(np.int64)
    weight = np.diff(edges, axis=1).astype(np.float64)
    mean, square = (
        np.diff(np.take_along_axis(a, edges, axis=1), axis=1) / np.maximum(weight, 1.0)
        for a in (sums, squares)
    )
    below = np.take_along_axis(sums, cut[:, None], axis=1)[:, 0]
    above = total[:, 0] - below
    low, high = below / np.maximum(cut, 1), above / np.maximum(n - cut, 1)
    sd = _sd(squares[:, -1] - below * low - above * high, np.maximum(n, 1))
    bins = _Bins(mean, np.maximum(square - mean**2, 0.0), weight)
    return bins, _Two(low, high, sd, sd, (n - cut + 0.5) / (n + 1))


def _described(bins: _Bins, two: _Two, centre: np.ndarray, unit: np.ndarray) -> list[np.ndarray]:
    """Components on the data's scale, their log standard errors, and the likelihood.

    Errors are those of the empirical information, the sum of squared scores.
    """
    low, high, low_sd, high_sd, share = two
    log_odds = two.log_odds(bins)
    upper = 1 / (1 + np.exp(-log_odds))
    below, above, below_square, above_square = two.standardized(bins)
    scores = np.stack(
        [
            (1 - upper) * below,
            upper * above,
            (1 - upper) * (below_square - 1),
            upper * (above_square - 1),
            upper - share[:, None],
        ],
        axis=2,
    )
    information = np.einsum("bki,bk,bkj->bij", scores, bins.weight, scores) + 0.1 * np.eye(5)
    variances = np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)
    errors = 0.5 * np.log(np.maximum(variances, FLOOR))
    fit = (bins.weight * (np.logaddexp(log_odds, 0) - 0.5 * below_square)).sum(axis=1) / bins.size
    return [
        centre + unit * low,
        centre + unit * high,
        np.log(unit * low_sd),
        np.log(unit * high_sd),
        np.log(share / (1 - share)),
        share,
        np.log(unit * np.abs(high - low) + FLOOR),
        (high - low) / (low_sd + high_sd),
        errors[:, 0] + np.log(unit * low_sd),
        errors[:, 1] + np.log(unit * high_sd),
        errors[:, 2],
        errors[:, 3],
        errors[:, 4] - np.log(share * (1 - share)),
        fit + np.log1p(-share) - np.log(low_sd),
    ]
