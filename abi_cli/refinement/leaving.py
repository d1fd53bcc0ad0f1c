r"""Expected log predictive density, member by member, each left out in turn.

With weighted candidates θ_s of the posterior p(θ | y), the posterior without member i has weights
w_s / p(y_i | θ_s), whose tail is smoothed (Vehtari et al. 2017, arXiv:1507.04544; of candidates
from another distribution: Magnusson et al. 2019, arXiv:1904.10679), and

    elpd = Σ_i log p(y_i | y_−i),    se = √(N Var_i log p(y_i | y_−i)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from abi_cli.digits import number
from abi_cli.refinement.weights import threshold

CANDIDATES = 4_096
"""Most candidates that are used."""

FEWEST = 100
"""Fewest members for a verdict on a difference."""

LEAST = 4.0
"""Least difference for a verdict (Sivula et al. 2020, arXiv:2008.10296)."""


@dataclass(frozen=True)
class Elpd:
    """Expected log predictive density of one data set.

    Arguments:
        each: Log p(y_i | y_−i), `(member,)`.
        khat: k-hat of the weights without each member, `(member,)`.
        candidates: Number of candidates.
    """

    each: np.ndarray
    khat: np.ndarray
    candidates: int

    @property
    def total(self) -> float:
        """The sum over members."""
        return float(self.each.sum())

    @property
    def error(self) -> float:
        """Standard error of the sum over other data sets of so many members."""
        return _error(self.each)

    @property
    def bad(self) -> int:
        """Members whose k-hat is too large."""
        return int((self.khat > threshold(self.candidates)).sum())

    def said(self) -> str:
        """The sum, in a sentence."""
        text = (
            f"Expected log predictive density, each of {len(self.each):,} members left out in "
            f"turn: {number(self.total)} ± {number(self.error)}, by the model's log_likelihood."
        )
        if self.bad:
            text += (
                f" Of {self.bad:,} of them it is not reliable: k-hat is above "
                f"{threshold(self.candidates):.2f}."
            )
        return text

    def minus(self, other: Elpd) -> tuple[float, float]:
        """The difference of both, and its standard error."""
        away = self.each - other.each
        return float(away.sum()), _error(away)

    def word(self, other: Elpd) -> str:
        """Better or worse than another, where that can be told."""
        difference, error = self.minus(other)
        if abs(difference) < LEAST or len(self.each) < FEWEST or abs(difference) < 2 * error:
            return "can't tell"
        return "better" if difference > 0 else "worse"


def _error(each: np.ndarray) -> float:
    return math.sqrt(len(each)) * float(each.std(ddof=1)) if len(each) > 1 else math.nan


def elpd(log_likelihood: np.ndarray, weights: np.ndarray) -> Elpd:
    """Expected log predictive density, from candidates of a posterior.

    Arguments:
        log_likelihood: `(candidate, member)`.
        weights: `(candidate,)`.
    """
    from arviz_stats.base import array_stats

    floor = np.finfo(np.float64).min / 4
    own = np.maximum(log_likelihood.T[:, None], floor)  # (member, chain, candidate)
    with np.errstate(all="ignore"):  # a candidate of no weight is never drawn
        log_w = np.log(weights)
        log_p = np.broadcast_to(log_w, own.shape)
        found = array_stats.loo_approximate_posterior(own, log_p, np.zeros(own.shape))
    each, khat = (np.asarray(of, np.float64) for of in found[:2])
    # Where one candidate has all weight, the fit of the tail divides by it: there is no tail.
    alone = np.isnan(each) | np.isnan(khat)
    plain = logsumexp(log_w) - logsumexp(log_w - own[:, 0], axis=-1)
    return Elpd(np.where(alone, plain, each), np.where(alone, np.inf, khat), len(weights))
