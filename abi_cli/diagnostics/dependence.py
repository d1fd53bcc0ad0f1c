r"""Ranks of a quantity that depends on the data: do posteriors know what the data tell?

Ranks of parameters are uniform for the prior, too: a network that ignores its data passes every
test of them. So, for each scalar parameter, a prediction m(y) is made from plain features of the
data (`features_of`) by ridge regression, and the truth's distance from it ranked among the draws':

    t(θ, y) = |θ − m(y)|

Exact posteriors rank it uniformly, whatever m is, because θ and the draws are exchangeable given y.
If posteriors know less than m does, truths lie closer to it than draws do and rank low
(Modrák et al. 2023, arXiv:2211.02383: only quantities that depend on the data find this fault).

m is cross-fitted: the predictions for one half of the data sets come from a regression on the other
half, so that no truth has a part in its own prediction.
"""

from __future__ import annotations

import numpy as np

from abi_cli.diagnostics.scalars import BLOCK, Scalars, randomized_pit

PENALTIES = np.logspace(-4, 4, 17)
"""Ridge penalties that are tried, relative to the number of data sets."""


def data_pit(scalars: Scalars, features: np.ndarray, *, seed: int) -> np.ndarray:
    """Randomized ranks of t(θ, y) among the draws, in (0, 1), `(element, dataset)`.

    Arguments:
        features: `(dataset, feature)`.
        seed: Seed of the halves, and of the randomization within ties.
    """
    elements, datasets = scalars.truths.shape
    rng = np.random.default_rng([seed, 1])
    predicted = cross_fitted(features, scalars.truths.T, rng).T
    jitter = rng.random((elements, datasets))
    ranks = np.empty((elements, datasets))
    step = max(1, BLOCK // scalars.draws[0].shape[1])
    for k, draws in enumerate(scalars.draws):
        for start in range(0, datasets, step):
            rows = slice(start, start + step)
            centre = predicted[k, rows].astype(draws.dtype)[:, None]
            truth = scalars.truths[k, rows].astype(draws.dtype)[:, None]
            distance = np.abs(draws[rows] - centre)
            ranks[k, rows] = randomized_pit(distance, np.abs(truth - centre), jitter[k, rows])
    return ranks


def cross_fitted(features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Predictions of `targets (dataset, target)`, each from the other half of the data sets."""
    halves = halves_of(len(targets), rng)
    predicted = np.empty(targets.shape)
    for own, other in (halves, halves[::-1]):
        coefficients, intercept = ridge(features[other], targets[other])
        predicted[own] = features[own] @ coefficients + intercept
    return predicted


def halves_of(datasets: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Two random halves of the data sets, as indices."""
    return np.array_split(rng.permutation(datasets), 2)


def ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression whose penalty is chosen by generalized cross-validation, for each target.

    Arguments:
        x: `(row, feature)`.
        y: `(row, target)`.

    Returns coefficients `(feature, target)` and intercepts `(target,)`.

    References:
        Golub, Heath & Wahba (1979), Generalized cross-validation as a method for choosing a good
        ridge parameter, Technometrics 21.
    """
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    u, s, vt = np.linalg.svd(x - centre, full_matrices=False)
    explained = u.T @ (y - mean)
    best = np.full(y.shape[1], np.inf)
    coefficients = np.zeros((x.shape[1], y.shape[1]))
    for penalty in PENALTIES * len(x):
        shrunk = s**2 / (s**2 + penalty)
        residual = y - mean - u @ (shrunk[:, None] * explained)
        freedom = 1 - (shrunk.sum() + 1) / len(x)
        score = np.mean(residual**2, axis=0) / max(freedom, 1e-3) ** 2
        better = score < best
        weights = vt.T @ ((s / (s**2 + penalty))[:, None] * explained)
        coefficients[:, better] = weights[:, better]
        best = np.minimum(best, score)
    return coefficients, mean - centre @ coefficients
