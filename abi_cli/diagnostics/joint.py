r"""Is the joint distribution right? Ranks of scalars that all parameters have a part in.

Margins can all be right where the parameters' dependence is wrong, and ranks of parameters can't
see whether a posterior knows its data. Each quantity below is a function t(θ, y) whose value at the
truth is ranked among its values at the draws. Given y, truth and draws of an exact posterior are
S + 1 exchangeable values, so the ranks are uniform for any t that treats them alike: also one that
uses their common mean and covariance, or that was learned from other data sets.

- *spread*: the Mahalanobis distance from the centre of all S + 1. Truths that lie farther out than
  draws mean a joint posterior that is too sure. The share of data sets whose rank is at most α is
  the coverage of the ellipsoid that holds a share α of the draws: the *expected coverage*
  (Hermans et al. 2022, arXiv:2110.06581).
- *reference*: the distance from a point predicted from the data by regression, in posterior sds.
  This is TARP (Lemos et al. 2023, arXiv:2302.03026) with a reference that knows the data: with one
  that doesn't, posteriors that ignore their data pass.
- *classifier*: how much more a classifier (`losses`) takes (θ, y) for a truth than for a draw. It
  is a two-sample test (Lopez-Paz & Oquab 2016, arXiv:1610.06545; for posteriors Linhart et al.
  2023, arXiv:2306.03580) whose null distribution is known: where truths outrank draws, it tells
  them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from abi_cli.diagnostics.dependence import cross_fitted
from abi_cli.diagnostics.losses import Learned
from abi_cli.diagnostics.scalars import BLOCK, Scalars, randomized_pit

MOST_ELEMENTS = 50
"""Number of parameters that have a part, at most: the first ones."""

_SMALLEST = 1e-6
"""Variance of directions of a correlation matrix below which they are none: those of a simplex."""


def joint_pits(
    scalars: Scalars,
    features: np.ndarray | None,
    *,
    seed: int,
    learned: Learned | None = None,
) -> dict[str, np.ndarray]:
    """Randomized ranks of the truths, `(dataset,)`, in (0, 1), by quantity.

    Arguments:
        features: Features of the data, `(dataset, feature)`; None leaves only `spread`.
        seed: Seed of the halves, and of the randomization within ties.
        learned: What a classifier has learned; None where it has not.
    """
    scalars = scalars.take(range(min(len(scalars.names), MOST_ELEMENTS)))
    datasets, draws = scalars.draws[0].shape
    rng = np.random.default_rng([seed, 2])
    jitter = dict(zip(("spread", "reference"), rng.random((2, datasets)), strict=True))
    pits: dict[str, np.ndarray] = {}
    if 1 < len(scalars.names) < draws / 2:
        pits["spread"] = np.empty(datasets)
    reference = None
    if features is not None and features.shape[1]:
        reference = cross_fitted(features, scalars.truths.T, rng)
        pits["reference"] = np.empty(datasets)

    for rows, values in _blocks(scalars):
        residual, sd = _standardized(values)
        quantities = {}
        if "spread" in pits:
            quantities["spread"] = _mahalanobis(residual)
        if reference is not None:
            away = (values - reference[rows, None]) / sd
            quantities["reference"] = np.square(away).sum(axis=-1)
        for name, quantity in quantities.items():
            pits[name][rows] = randomized_pit(quantity[:, 1:], quantity[:, :1], jitter[name][rows])
    return pits if learned is None else {**pits, "classifier": learned.ranks}


def _blocks(scalars: Scalars) -> Iterator[tuple[slice, np.ndarray]]:
    """Truth and draws together, `(dataset, 1 + draw, element)`, a few data sets at a time."""
    elements, (datasets, draws) = len(scalars.names), scalars.draws[0].shape
    step = max(1, BLOCK // (draws * elements))
    for start in range(0, datasets, step):
        rows = slice(start, start + step)
        drawn = np.stack([part[rows] for part in scalars.draws], axis=-1)
        # In the draws' own precision, as in `scalars`: the truth rounds as they did.
        truth = scalars.truths[:, rows].T[:, None].astype(drawn.dtype)
        yield rows, np.concatenate([truth, drawn], axis=1).astype(np.float64)


def _standardized(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals `(dataset, 1 + draw, element)` in sds of all of them, and these sds.

    What does not vary in a data set keeps its unit.
    """
    centred = values - values.mean(axis=1, keepdims=True)
    sd = centred.std(axis=1, keepdims=True)
    equal = values.min(axis=1, keepdims=True) == values.max(axis=1, keepdims=True)
    sd = np.where(equal, 1.0, sd)  # which rounding may leave off zero
    return centred / sd, sd


def _mahalanobis(residual: np.ndarray) -> np.ndarray:
    """Squared distances `(dataset, 1 + draw)` in the metric of the inverse correlations."""
    correlation = np.swapaxes(residual, 1, 2) @ residual / residual.shape[1]
    variance, direction = np.linalg.eigh(correlation)
    there = variance > _SMALLEST * variance[:, -1:]
    scale = np.where(there, variance, np.inf) ** -0.5
    return np.asarray(np.square(residual @ (direction * scale[:, None])).sum(axis=-1))
