r"""A lower bound, in nats, of the distance of posteriors from exact ones, learned by a classifier.

A score T(θ, y) (`ratio`) learns on one half of the data sets to tell truths from draws, and proves
on the other a lower bound of KL(p ‖ q), and the other way round. θ enters as the normal scores z of
its ranks among truth and draws: those of exact posteriors are standard normal given the data,
whatever their shape. Of each parameter T is made of

- a normal law N(μ(y), σ(y)²) of z, whose μ and log σ are linear in the few statistics of the data
  that tell (`statistics.gaussian`): where z can be predicted, posteriors don't know what the data
  tell, and where its spread can, they are too wide or too narrow for some data;
- the products of z with a ridge regression of it on plain features;
- the shape of its law: z² and Legendre polynomials of its rank;
- products of z and z² with features of the data, and with the place and width of the posterior;

and of all parameters together of those scores and the products z_j z_k and z_j² z_k, times features
of the data. That judges whatever has draws, with a density or without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import special

from abi_cli.diagnostics.dependence import cross_fitted, halves_of, ridge
from abi_cli.diagnostics.features import features_of
from abi_cli.diagnostics.ratio import Loss, bound, fit, proved
from abi_cli.diagnostics.scalars import Scalars, randomized_pit
from abi_cli.statistics import Statistics, gaussian
from abi_cli.variables import Value, array_of, element_names

MOST_ELEMENTS = 50
"""Number of parameters that have a part, at most: the first ones."""

MOST_PRODUCTS = 10
"""Number of parameters up to which products of two are looked at."""

DRAWS = 256
"""Number of draws of each data set, among which ranks are taken."""

RIVALS = 24
"""Number of draws of each data set that are learned from."""

JUDGED = 100
"""Number of draws of each data set that a bound is made with."""

COMPONENTS = 12
"""Number of principal components of the data's plain features."""

FEWER = 6
"""Number of these components in products of two parameters."""

NAMED = 8
"""Number of scalars of the data along which posteriors are looked at part by part."""

STRATA = 3
"""Number of components along which posteriors are looked at part by part."""

DEGREES = range(3, 9)
"""Degrees of the polynomials that tell shapes."""

KNOTS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Knots of functions of the posterior's place and width, as shares of the data sets."""

FEWEST = 100
"""Number of data sets below which nothing is learned."""

PREDICTED = 4.0
"""Number of standard errors from which on a prediction of z is certain."""


@dataclass(frozen=True)
class Learned:
    """A classifier that has learned to tell truths from draws.

    Arguments:
        each: Element name → how far its own posterior is from exact.
        together: How far the joint posterior is.
        ranks: Randomized ranks of the truths by the joint score, `(dataset,)`.
        nats: What each data set has to say of `together`, whose mean that is, `(dataset,)`.
    """

    each: Mapping[str, Loss]
    together: Loss
    ranks: np.ndarray
    nats: np.ndarray


@dataclass(frozen=True)
class Features:
    """Numbers that describe data sets.

    Arguments:
        plain: Features by `features_of`, `(dataset, feature)`.
        rich: Statistics by `Statistics.every`, `(dataset, statistic)`.
        scalars: Numbers that a data set has once, by name → `(dataset,)`.
    """

    plain: np.ndarray
    rich: np.ndarray
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)

    def named(self) -> dict[str, np.ndarray]:
        """The scalars that a reader can look up, the first ones, by name → `(dataset,)`."""
        return dict(list(self.scalars.items())[:NAMED])

    def components(self) -> dict[str, np.ndarray]:
        """The first components of plain features, in words → `(dataset,)`."""
        found = _components(self.plain)[:, :STRATA]
        return {f"component {k + 1} of the data": column for k, column in enumerate(found.T)}


def features_and_statistics(
    data: Mapping[str, Value], *, given: Collection[str] = (), series: Collection[str] = ()
) -> Features:
    """Plain features and rich statistics of data sets.

    Arguments:
        given: Variables that the model takes and does not draw.
        series: Those whose members have an order.
    """
    named = {name: value for name, value in data.items() if array_of(value).dtype.kind in "biuf"}
    scalars = {
        element: column
        for name, value in named.items()
        if isinstance(value, np.ndarray)
        for element, column in zip(
            element_names(name, value.shape[1:]),
            value.reshape(len(value), -1).T.astype(np.float64),
            strict=True,
        )
    }
    rich = Statistics.every(named, given=given, series=series)
    return Features(features_of(data), rich, scalars)


def learn(scalars: Scalars, features: Features, *, seed: int) -> Learned | None:
    """Learn a score on either half of the data sets and judge it on the other.

    None where there are too few data sets to learn from.

    Arguments:
        seed: Seed of the halves, and of the randomization within ties.
    """
    scalars = scalars.take(range(min(len(scalars.names), MOST_ELEMENTS)))
    datasets = scalars.truths.shape[1]
    if datasets < FEWEST:
        return None
    rng = np.random.default_rng([seed, 4])
    z, moments = _normal_scores(scalars, rng)
    components = _components(features.plain)
    halves = halves_of(datasets, rng)
    scores = np.empty((1 + len(z), *z.shape[1:]), np.float32)  # the joint one last
    predicted = np.empty(z.shape[:2])
    u = np.concatenate([np.ones((datasets, 1)), features.rich], axis=1)
    for own, other in (halves, halves[::-1]):
        linear = _predictions(features.plain, z[:, :, 0], own, other, rng)
        grams = gaussian.grams(u[other])
        told = np.empty((len(z), len(other), 1 + RIVALS), np.float32)
        for k in range(len(z)):
            mean, log_sd = gaussian.fit(u[other], z[k, other, 0].astype(np.float64), plain=grams)
            predicted[k, own] = u[own] @ mean + linear[k, own]
            by = np.stack([u @ mean, np.clip(u @ log_sd, -2, 2), linear[k]], axis=1)
            by = np.concatenate([by, components, moments[k]], axis=1).astype(np.float32)
            terms, blocks = _alone(z[k, other, : 1 + RIVALS], by[other])
            weights = fit(terms, blocks).astype(np.float32)
            told[k] = terms @ weights
            scores[k, own] = _alone(z[k, own], by[own])[0] @ weights
        by = _around_all(components, moments)
        terms, blocks = _jointly(z[:, other, : 1 + RIVALS], told, by[other])
        weights = fit(terms, blocks).astype(np.float32)
        scores[-1, own] = _jointly(z[:, own], scores[:-1, own], by[own])[0] @ weights
    each = {
        name: bound(scores[k], by_data=_is_predicted(predicted[k], z[k, :, 0]))
        for k, name in enumerate(scalars.names)
    }
    together = bound(scores[-1], by_data=any(loss.by_data for loss in each.values()))
    jitter = np.asarray(rng.random(datasets))
    ranks = randomized_pit(scores[-1, :, 1:], scores[-1, :, :1], jitter)
    return Learned(each, together, ranks, proved(scores[-1])[:, 0])


def _normal_scores(scalars: Scalars, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of truth and some draws, and functions of the posterior's place and width.

    The scores are `(element, dataset, 1 + draw)`, the functions `(element, dataset, function)`.
    Both treat truth and draws alike.
    """
    scores, functions = [], []
    for truth, draws in zip(scalars.truths, scalars.draws, strict=True):
        draws = draws[:, :DRAWS]
        values = np.concatenate([truth[:, None].astype(draws.dtype), draws], axis=1)
        values = values.astype(np.float64)
        order = np.lexsort((rng.random(values.shape), values), axis=1)
        ranks = np.empty(values.shape, np.float32)
        np.put_along_axis(ranks, order, np.arange(values.shape[1], dtype=np.float32)[None], axis=1)
        scores.append(special.ndtri((ranks[:, : 1 + JUDGED] + 0.5) / values.shape[1]))
        low, middle, high = np.quantile(values, (0.16, 0.5, 0.84), axis=1)
        functions.append(np.concatenate([_bent(middle), _bent(high - low)], axis=1))
    return np.stack(scores).astype(np.float32), np.stack(functions)


def _bent(covariate: np.ndarray) -> np.ndarray:
    """Piecewise linear functions of the rank of a covariate `(dataset,)`, `(dataset, function)`."""
    share = np.argsort(np.argsort(covariate, kind="stable")) / len(covariate)
    hinges = [np.maximum(share - knot, 0) for knot in KNOTS]
    return np.stack([share - 0.5, *(hinge - hinge.mean() for hinge in hinges)], axis=1)


def _components(features: np.ndarray) -> np.ndarray:
    """The leading principal components of features, `(dataset, ≤ COMPONENTS)`, of unit variance."""
    if not features.shape[1]:
        return features
    centred = features - features.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = s > 1e-9 * s[0]
    return np.asarray(u[:, kept][:, :COMPONENTS] * np.sqrt(len(features)))


def _predictions(
    features: np.ndarray,
    truth: np.ndarray,
    own: np.ndarray,
    other: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Predictions of normal scores `(element, dataset)` by features, learned on `other` data sets.

    Those of `other` themselves are cross-fitted, so that no truth has a part in its own.
    """
    predicted = np.zeros(truth.shape)
    if features.shape[1]:
        target = truth[:, other].T.astype(np.float64)
        predicted[:, other] = cross_fitted(features[other], target, rng).T
        coefficients, intercept = ridge(features[other], target)
        predicted[:, own] = (features[own] @ coefficients + intercept).T
    return predicted


def _alone(z: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The terms of the score of one parameter, `(dataset, 1 + draw, term)`, and their blocks.

    Arguments:
        z: `(dataset, 1 + draw)`.
        by: What is known of z by the data, `(dataset, function)`: its mean and log sd, another
            prediction of it, and functions that z and its square are multiplied with.
    """
    mean, log_sd, linear = by[:, :3].T[:, :, None]
    square = z**2
    normal = 0.5 * (square - ((z - mean) * np.exp(-log_sd)) ** 2)
    functions = by[:, None, 3:]
    return _in_blocks(
        [
            np.clip(normal, -20, 20)[:, :, None],
            (z * linear)[:, :, None],
            np.stack([z, square], axis=2),
            _polynomials(2 * special.ndtr(z) - 1),
            z[:, :, None] * functions,
            square[:, :, None] * functions,
        ]
    )


def _polynomials(x: np.ndarray) -> np.ndarray:
    """Legendre polynomials of x, of `DEGREES`, on a last axis."""
    found = [np.ones_like(x), x]
    for n in range(1, DEGREES[-1]):
        found.append(((2 * n + 1) * x * found[n] - n * found[n - 1]) / (n + 1))
    return np.stack([found[n] for n in DEGREES], axis=-1)


def _around_all(components: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The functions that products of two parameters are multiplied with, `(dataset, function)`."""
    places = moments[: max(1, 12 // len(moments)), :, 0].T
    return np.concatenate([components[:, :FEWER], places], axis=1).astype(np.float32)


def _jointly(z: np.ndarray, scores: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The terms of the joint score, `(dataset, 1 + draw, term)`, and their blocks.

    Arguments:
        scores: Scores of single parameters, `(element, dataset, 1 + draw)`.
        by: `(dataset, function)`.
    """
    parts = [scores.sum(axis=0)[:, :, None]]
    if 1 < len(z) <= MOST_PRODUCTS:
        square = z**2 - 1
        pairs = list(combinations(range(len(z)), 2))
        products = [z[j] * z[k] for j, k in pairs]
        parts.append(np.stack(products, axis=2))
        parts.append(np.stack(list(square), axis=2))
        parts.append(np.stack([square[j] * z[k] for j, k in pairs], axis=2))
        parts.append(np.stack([square[k] * z[j] for j, k in pairs], axis=2))
        parts.append(np.stack([square[j] * square[k] for j, k in pairs], axis=2))
        parts += [product[:, :, None] * by[:, None] for product in products]
    return _in_blocks(parts)


def _in_blocks(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    parts = [part for part in parts if part.shape[2]]
    blocks = np.repeat(np.arange(len(parts)), [part.shape[2] for part in parts])
    return np.concatenate(parts, axis=2).astype(np.float32), blocks


def _is_predicted(prediction: np.ndarray, z: np.ndarray) -> bool:
    """True if cross-fitted predictions `(dataset,)` of normal scores are right for certain."""
    size = float(np.sqrt(np.sum(prediction**2)))
    return size > 0 and float(prediction @ z) / size > PREDICTED
