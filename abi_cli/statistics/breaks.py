"""Series that change their level once: how likely each place is, and the levels on either side.

Given that the level changes after step k, with n steps and a sum S of values on either side, the
likelihood of the values with both levels integrated over flat priors is, of normal ones whose
variance is integrated, too,

    log p(y | k) = −½ log n₁ − ½ log n₂ − ½ (n − 3) log (squares within both sides),

and of counts (Poisson), under priors λ^(−½) of the rates,

    log p(y | k) = Σ over sides of  log Γ(S + ½) − (S + ½) log n

(Carlin, Gelfand & Smith 1992, Hierarchical Bayesian analysis of changepoint problems, JRSS C
41:389). Gaps count on neither side. Sums over k take no more than cumulative sums of the series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abi_cli.statistics.columns import Column
from abi_cli.statistics.members import FLOOR, Members, known, mixed, moments_of

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Shares of the likelihood that are before places of the series."""

LEAST = 1e-3
"""Least sd of a place, in units of the series' length."""


def breaks(members: Members, *, column: Column, counts: bool) -> np.ndarray:
    """Place of a change of level, its quantiles, both levels, and how sure all of that is.

    Arguments:
        counts: Whether values are counts around a rate, or normal around a mean.
    """
    y, there = known(members[column.place] if counts else column.scaled(members))
    if y.shape[1] < 2:
        y, there = (np.pad(x, ((0, 0), (0, 2 - x.shape[1]))) for x in (y, there))
    sides = (_of_counts if counts else _of_normal)(y, there)
    # A place is before a value that is there, and after another.
    possible = (sides.size.min(axis=0) > 0) & (there[:, 1:] > 0)
    possible[:, 0] |= ~possible.any(axis=1)
    likelihood = np.where(possible, sides.likelihood, -np.inf)
    top = likelihood.max(axis=1)
    weight = np.exp(likelihood - top[:, None])
    total = weight.sum(axis=1)
    weight /= total[:, None]
    length = np.maximum((np.arange(y.shape[1]) * (there > 0)).max(axis=1), 1)
    place = np.arange(1, y.shape[1]) / length[:, None]
    passed = weight.cumsum(axis=1)
    parts = [*mixed(weight, place, LEAST**2), (likelihood.argmax(axis=1) + 1) / length]
    parts += [((passed < share).sum(axis=1) + 1) / length for share in SHARES]
    for level, variance in zip(sides.level, sides.variance, strict=True):
        parts += mixed(weight, level, variance)
    gain = top + np.log(total) - sides.unbroken
    parts += [(weight * sides.noise).sum(axis=1), np.sign(gain) * np.log1p(np.abs(gain))]
    return np.stack(parts, axis=1)


@dataclass(frozen=True)
class _Sides:
    """Both sides of each place.

    Arguments:
        size: Values there, `(side, batch, place)`.
        level, variance: Of the level, and of what is known of it, `(side, batch, place)`.
        likelihood: Of a change there, in logarithms, `(batch, place)`.
        unbroken: Of no change, `(batch,)`.
        noise: Log sd around the levels, `(batch, place)`.
    """

    size: np.ndarray
    level: np.ndarray
    variance: np.ndarray
    likelihood: np.ndarray
    unbroken: np.ndarray
    noise: np.ndarray


def _split(values: np.ndarray) -> np.ndarray:
    """Sums before each place and from there on, `(side, batch, place)`."""
    before = values.cumsum(axis=1)
    return np.stack([before[:, :-1], before[:, -1:] - before[:, :-1]])


def _of_counts(y: np.ndarray, there: np.ndarray) -> _Sides:
    from scipy.special import gammaln  # adapters need NumPy alone where there are no counts

    size, sums = _split(there), np.maximum(_split(y), 0.0) + 0.5
    number, whole = np.maximum(size, 1.0), np.maximum(y, 0.0).sum(axis=1) + 0.5
    likelihood = (gammaln(sums) - sums * np.log(number)).sum(axis=0)
    unbroken = gammaln(whole) - whole * np.log(np.maximum(there.sum(axis=1), 1.0))
    noise = np.zeros_like(likelihood)
    return _Sides(size, np.log(sums / number), 1 / sums, likelihood, unbroken, noise)


def _of_normal(y: np.ndarray, there: np.ndarray) -> _Sides:
    size, n = _split(there), there.sum(axis=1)
    mean, spread = moments_of(y, there)
    z = (y - mean[:, None]) * there
    number, squares = np.maximum(size, 1.0), spread * n
    level = _split(z) / number
    within = np.maximum(squares[:, None] - (size * level**2).sum(axis=0), 0.0) + FLOOR
    power, whole = 0.5 * np.maximum(n - 3, 1.0), 0.5 * np.maximum(n - 2, 1.0)
    likelihood = -0.5 * np.log(number).sum(axis=0) - power[:, None] * np.log(within)
    unbroken = -0.5 * np.log(np.maximum(n, 1.0)) - whole * np.log(squares + FLOOR)
    within = within / np.maximum(n - 2, 1.0)[:, None]
    noise = 0.5 * np.log(within)
    level = level + mean[:, None]
    return _Sides(size, level, within / number, likelihood, unbroken, noise)
