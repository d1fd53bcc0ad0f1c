"""Numbers that a `Summary` gives of each element: errors, widths, coverage.

`metrics` says what they are for and puts them together.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from abi_cli.diagnostics.scalars import Summary
from abi_cli.diagnostics.strays import error_by_medians

LEVELS = np.linspace(0.005, 0.995, 20)
"""Levels of the central intervals whose coverage the calibration error compares."""


def rmse(summary: Summary) -> np.ndarray:
    """Root mean square error of the posterior mean, `(element,)`, in the parameter's unit.

    √( (1/N) Σₙ (mₙ − θₙ)² )
    """
    error = summary.mean - summary.truth
    return np.asarray(np.sqrt(np.mean(error**2, axis=1)))


def rmse_expected(summary: Summary) -> np.ndarray:
    """The `rmse` that the posteriors expect of themselves, `(element,)`.

    √( (1 + 1/S) (1/N) Σₙ sₙ² ), where 1/S is for the mean of S draws. Exact posteriors give about
    the same as `rmse`; posteriors that are too narrow give less.
    """
    return np.asarray(np.sqrt((1 + 1 / summary.draws) * np.mean(summary.sd**2, axis=1)))


def nrmse(summary: Summary) -> np.ndarray:
    """The `rmse` divided by the standard deviation of the true values, `(element,)`.

    0 is perfect knowledge; 1 is what the prior's mean achieves without looking at the data.
    """
    return np.asarray(rmse(summary) / summary.truth.std(axis=1, ddof=1))


def nrmse_robust(summary: Summary) -> np.ndarray:
    """The `nrmse` by medians, `(element,)`; itself where half of the true values are the same."""
    found = error_by_medians(summary)
    return np.where(np.isnan(found), nrmse(summary), found)


def contractions(summary: Summary) -> np.ndarray:
    """Contraction: how much narrower than the prior each posterior is, `(element, dataset)`.

    1 − sₙ² / var(θ), with the variance of the true values for the prior's; on a log or asinh scale
    where that variance is ruled by tails, or does not exist (see `Summary.scale`). Not clipped: a
    posterior wider than the prior gives a negative value.

    References:
        Schad, Betancourt & Vasishth (2021), Toward a principled Bayesian workflow in cognitive
        science, arXiv 1904.12765.
    """
    return summary.contraction


def contraction(summary: Summary) -> np.ndarray:
    """Median over data sets of `contractions`, `(element,)`: 1 is certainty, 0 the prior."""
    return np.asarray(np.median(contractions(summary), axis=1))


def correlation(summary: Summary) -> np.ndarray:
    """Pearson correlation of posterior medians and true values over data sets, `(element,)`.

    0 where all medians are the same, as they are if the prior is taken for the posterior.
    """
    x = summary.median - summary.median.mean(axis=1, keepdims=True)
    y = summary.truth - summary.truth.mean(axis=1, keepdims=True)
    size = np.sqrt(np.sum(x**2, axis=1) * np.sum(y**2, axis=1))
    return np.asarray(np.sum(x * y, axis=1) / np.where(size > 0, size, 1))


def z_scores(summary: Summary) -> np.ndarray:
    """Z-scores: posterior means less truths in posterior sds, `(element, dataset)`.

    (mₙ − θₙ) / sₙ: positive where the posterior lies too high. Over data sets, exact posteriors
    give mean 0 and sd 1, of whatever shape they are. A posterior without width gives 0 if it is
    right and ±∞, shown as the largest finite number, if not.

    References:
        Schad, Betancourt & Vasishth (2021), arXiv 1904.12765.
    """
    error = summary.mean - summary.truth
    largest = np.finfo(np.float32).max
    smallest = np.finfo(np.float64).tiny
    return np.asarray(np.clip(error / np.maximum(summary.sd, smallest), -largest, largest))


def calibration_error(summary: Summary) -> np.ndarray:
    """The distance of the coverage of central intervals from their level, `(element,)`.

    The central interval of level α covers the truth where |2u − 1| ≤ α, u being the (randomized)
    probability integral transform. The error is the median over 20 levels, 0.005 to 0.995, of
    |share of data sets covered − α|. Exact posteriors give `exact_calibration_error`.
    """
    return np.asarray(np.median(np.abs(coverage(summary.pit) - LEVELS), axis=1))


def coverage(pit: np.ndarray) -> np.ndarray:
    """Share of data sets whose central interval covers the truth, `(element, level)`.

    Arguments:
        pit: `(element, dataset)`.
    """
    return reached(np.abs(2 * pit - 1))


def reached(ranks: np.ndarray) -> np.ndarray:
    """Share of ranks `(element, dataset)` that is at most each level, `(element, level)`."""
    ordered = np.sort(ranks, axis=1)
    return np.stack([np.searchsorted(row, LEVELS, side="right") for row in ordered]) / len(ranks.T)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean of `values (dataset,)`, and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


@lru_cache(maxsize=16)
def exact_calibration_error(datasets: int) -> float:
    """The median `calibration_error` of exact posteriors with this many data sets.

    Not 0: it is 0.017 at 200 data sets and shrinks as 1/√N. Coverages of exact posteriors are
    cumulative multinomial shares, of which 4,000 are drawn from a fixed seed.
    """
    rng = np.random.default_rng(0)
    shares = np.diff(LEVELS, prepend=0.0, append=1.0)
    covered = np.cumsum(rng.multinomial(datasets, shares, size=4_000), axis=1)[:, :-1] / datasets
    return float(np.median(np.median(np.abs(covered - LEVELS), axis=1)))
