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
- *classifier*: how much more a classifier thinks (θ, y) a truth than a draw; it was trained on the
  other half of the data sets, on residuals, their products, and products of residuals and their
  squares with features of the data. A classifier two-sample test (Lopez-Paz & Oquab 2016,
  arXiv:1610.06545; for posteriors Linhart et al. 2023, arXiv:2306.03580) whose null distribution is
  known: where truths outrank draws, it tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from abi_cli.diagnostics.dependence import cross_fitted, halves_of, ridge
from abi_cli.diagnostics.scalars import BLOCK, Scalars, randomized_pit

MOST_ELEMENTS = 50
"""Parameters that have a part: the first ones, where there are more."""

MOST_PRODUCTS = 10
"""Parameters up to which the classifier sees products of two residuals."""

COMPONENTS = 12
"""Principal components of the data's features that the classifier sees."""

_SMALLEST = 1e-6
"""Directions of a correlation matrix with less variance than this are none: those of a simplex."""


def joint_pits(
    scalars: Scalars, features: np.ndarray | None, *, seed: int
) -> dict[str, np.ndarray]:
    """Quantity → randomized ranks `(dataset,)` of the truths, in (0, 1).

    Arguments:
        features: Of the data, `(dataset, feature)`; without them only `spread` is left.
        seed: Of the halves, and of the randomization within ties.
    """
    scalars = scalars.take(range(min(len(scalars.names), MOST_ELEMENTS)))
    datasets, draws = scalars.draws[0].shape
    rng = np.random.default_rng([seed, 2])
    jitter = dict(
        zip(("spread", "reference", "classifier"), rng.random((3, datasets)), strict=True)
    )
    pits: dict[str, np.ndarray] = {}
    if 1 < len(scalars.names) < draws / 2:
        pits["spread"] = np.empty(datasets)
    reference, classifier = None, None
    if features is not None and features.shape[1]:
        reference = cross_fitted(features, scalars.truths.T, rng)
        classifier = _Classifier.fit(scalars, _components(features), rng)
        pits |= {name: np.empty(datasets) for name in ("reference", "classifier")}

    for rows, values in _blocks(scalars):
        residual, sd = _standardized(values)
        quantities = {}
        if "spread" in pits:
            quantities["spread"] = _mahalanobis(residual)
        if reference is not None and classifier is not None:
            away = (values - reference[rows, None]) / sd
            quantities["reference"] = np.square(away).sum(axis=-1)
            quantities["classifier"] = classifier.score(residual, rows)
        for name, quantity in quantities.items():
            pits[name][rows] = randomized_pit(quantity[:, 1:], quantity[:, :1], jitter[name][rows])
    return pits


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


def _components(features: np.ndarray) -> np.ndarray:
    """The leading principal components of features, `(dataset, ≤ COMPONENTS)`, of unit variance."""
    centred = features - features.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = s > 1e-9 * s[0]
    return np.asarray(u[:, kept][:, :COMPONENTS] * np.sqrt(len(features)))


class _Classifier:
    """A score that is quadratic in residuals r: rᵀ A r + Σₖ (aₖ + Bₖ f) rₖ + (Cₖ f) rₖ².

    Arguments:
        weights: One vector for each half of the data sets, learned from the other.
        owner: Which half each data set is in, `(dataset,)`.
        features: f, `(dataset, component)`.
    """

    def __init__(self, weights: list[np.ndarray], owner: np.ndarray, features: np.ndarray):
        self._weights, self._owner, self._features = weights, owner, features

    @classmethod
    def fit(cls, scalars: Scalars, features: np.ndarray, rng: np.random.Generator) -> _Classifier:
        """By ridge regression of +1 at truths and −1 at one draw of each data set."""
        datasets, draws = scalars.draws[0].shape
        chosen = rng.integers(1, draws + 1, size=datasets)
        truth, draw = [], []
        for rows, values in _blocks(scalars):
            residual, _ = _standardized(values)
            truth.append(residual[:, 0])
            draw.append(residual[np.arange(len(residual)), chosen[rows]])
        x = np.stack([np.concatenate(truth), np.concatenate(draw)])
        terms = np.stack([_terms(side, features) for side in x])
        halves = halves_of(datasets, rng)
        owner = np.empty(datasets, dtype=int)
        weights = []
        for number, (own, other) in enumerate((halves, halves[::-1])):
            owner[own] = number
            label = np.repeat([1.0, -1.0], len(other))[:, None]
            weights.append(ridge(np.concatenate(terms[:, other]), label)[0][:, 0])
        return cls(weights, owner, features)

    def score(self, residual: np.ndarray, rows: slice) -> np.ndarray:
        """Of residuals `(dataset, 1 + draw, element)` of the data sets `rows`."""
        scores = np.empty(residual.shape[:2])
        elements = residual.shape[-1]
        for number, weights in enumerate(self._weights):
            own = self._owner[rows] == number
            r, f = residual[own], self._features[rows][own]
            linear, square, product = _parts(weights, elements, f.shape[1])
            scores[own] = (
                np.einsum("nsk,nk->ns", r, linear[0] + f @ linear[1:])
                + np.einsum("nsk,nk->ns", r**2, square[0] + f @ square[1:])
                + np.einsum("nsk,nsk->ns", r @ product, r)
            )
        return scores


def _terms(r: np.ndarray, f: np.ndarray) -> np.ndarray:
    """What the score is linear in, `(dataset, term)`, in the order of `_parts`."""
    with_one = np.concatenate([np.ones((len(f), 1)), f], axis=1)
    crossed = [(with_one[:, :, None] * x[:, None]).reshape(len(r), -1) for x in (r, r**2)]
    one, other = _pairs(r.shape[1])
    return np.concatenate([*crossed, r[:, one] * r[:, other]], axis=1)


def _parts(w: np.ndarray, elements: int, components: int) -> tuple[np.ndarray, ...]:
    """Weights of r and of r², `(1 + component, element)`, and of products of two."""
    size = (1 + components) * elements
    product = np.zeros((elements, elements))
    product[_pairs(elements)] = w[2 * size :]
    shape = (1 + components, elements)
    return w[:size].reshape(shape), w[size : 2 * size].reshape(shape), product


def _pairs(elements: int) -> tuple[np.ndarray, np.ndarray]:
    """Which two elements are multiplied."""
    one, other = np.triu_indices(elements if elements <= MOST_PRODUCTS else 0, k=1)
    return one, other
