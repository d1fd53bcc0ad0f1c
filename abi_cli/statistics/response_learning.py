"""Learning of responses from the pilot's members: their columns, their bends, their surface.

The mean log density of members, log N(y | m(x, θ), exp(l(x, θ))) or that of a choice with log odds
η(x, θ), is maximized by Adam over steps of a few data sets and a few members of each; it begins at
the least squares of a straight model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from abi_cli.statistics import nets
from abi_cli.statistics.columns import Bent, Column
from abi_cli.statistics.members import Members, chunks, known, moments_of, tamed
from abi_cli.statistics.surface import FAR, fitted, line, terms
from abi_cli.variables import Datasets

MOST_REGRESSORS = 4
MOST_RESPONSES = 3
MOST_MEMBERS = 400
"""Most members on average: of more, quantities by regressor say as much."""

FEATURES = 16
"""Outputs of the network of regressors."""

NARROW = 16
"""Width of the network of regressors, which is asked at every member."""

HIDDEN = 32
BEYOND = 5.0
"""Units of a regressor that count in full."""

LOUDEST = 14.0
"""Largest size of a log variance, in units of the response."""

TOLD = 0.01
"""Share of a column's mean or log spread that θ has to explain for it to be a response."""

TESTED = 40_000
"""Members on which it is tested whether anything bends."""

BENDS = 120
"""Random functions of regressors and parameters that a straight model is held against."""

LEAST_GAIN = 0.004
"""Least gain by them in the log density of a member, in nats."""

OFFSET = 1.27
"""−E log z² of a standard normal z."""

STEPS = 8_000
"""Steps of Adam after which it is seen whether a surface is worth its while."""

LONG = 24_000
"""Steps of one that is.

With 16 features and 24,000 steps instead of 8 and 8,000, the pilot's statistics of a sinusoid at
random times tell 9.1 nats instead of 7.1, of Michaelis–Menten kinetics 7.3 instead of 7.0, of
`decay` 10.2 instead of 10.1; the number of features alone gives 0.4, 0 and −0.2, a wider network at
as many steps no more. It takes 12 s longer.
"""

RATE = 4e-3
SETS = 64
EACH = 8
"""Data sets and members of each in a step of training."""

SURPRISE = 8.0
"""Largest standardized residual in a step of training."""


Slope: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of minus log densities of members, along what a surface tells of them, and of responses y."""


def bounded(log_variance: np.ndarray) -> np.ndarray:
    """Log variances that can be exponentiated."""
    return np.clip(log_variance, -LOUDEST, LOUDEST)


def regressor_of(column: Column, members: Members) -> np.ndarray:
    """Regressors in units, `(batch, obs)`, tamed where they are far off."""
    return tamed(_in_units(column, members), BEYOND)


def response_of(column: Column, members: Members) -> np.ndarray:
    """Responses in units, `(batch, obs)`."""
    return _in_units(column, members)


def _in_units(column: Column, members: Members) -> np.ndarray:
    return Bent(column).scaled(members) if column.bends else column.scaled(members)


def features_of(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    """One, regressors and what the network makes of them, `(row, feature)`."""
    return np.concatenate([line(x), told], axis=1)


@dataclass(frozen=True)
class PilotMembers:
    """Members of the pilot, one below the other, in units: what surfaces are fitted to.

    Arguments:
        names: Variables of the group.
        regressors, responses: Its columns that do not depend on the parameters, and those that do.
        location, scale: Of the parameters, `(dim,)`.
        t: Parameters in these units, `(dataset, dim)`.
        owner: Data set of each member.
        x, y: Regressors and responses, `(member, column)`.
        data: The data sets.
    """

    names: tuple[str, ...]
    regressors: tuple[Column, ...]
    responses: tuple[Column, ...]
    location: np.ndarray
    scale: np.ndarray
    t: np.ndarray
    owner: np.ndarray
    x: np.ndarray
    y: np.ndarray
    data: Datasets

    @classmethod
    def of(
        cls, names: Sequence[str], columns: Sequence[Column], data: Datasets, theta: np.ndarray
    ) -> PilotMembers | None:
        """Members whose responses may follow their regressors; None where there are none.

        Arguments:
            columns: Those of the group that vary.
            theta: `(dataset, dim)`.
        """
        drawn = drawn_by(names, columns, data, theta)
        regressors = tuple(c for c, d in zip(columns, drawn, strict=True) if not d)
        responses = tuple(c for c, d in zip(columns, drawn, strict=True) if d)
        if not (1 <= len(regressors) <= MOST_REGRESSORS and 1 <= len(responses) <= MOST_RESPONSES):
            return None
        location, scale = theta.mean(axis=0), np.maximum(theta.std(axis=0), 1e-12)
        t = np.clip((theta - location) / scale, -FAR, FAR)
        owner, x, y = _members_of(names, regressors, responses, data)
        if len(owner) > MOST_MEMBERS * len(theta):
            return None
        return cls(tuple(names), regressors, responses, location, scale, t, owner, x, y, data)

    @property
    def choice(self) -> Column | None:
        """The response, if it is the only one and of two values."""
        (first, *others) = self.responses
        return first if not others and len(first.levels) == 2 else None


def width_of(x: np.ndarray) -> int:
    """Number of features of regressors `x (row, regressor)`."""
    return 1 + x.shape[1] + FEATURES


def drawn_by(
    names: Sequence[str], columns: Sequence[Column], data: Datasets, theta: np.ndarray
) -> list[bool]:
    """True for each column whose mean or spread depends on the parameters."""
    location, scale = theta.mean(axis=0), np.maximum(theta.std(axis=0), 1e-12)
    x = terms(np.clip((theta - location) / scale, -FAR, FAR))
    parts: list[list[np.ndarray]] = [[] for _ in columns]
    for _, members in chunks(data, names):
        for k, column in enumerate(columns):
            mean, variance = moments_of(*known(_in_units(column, members)))
            parts[k].append(np.stack([mean, np.log(variance + 1e-6)], axis=1))
    half = len(theta) // 2
    found = []
    for column, of in zip(columns, parts, strict=True):
        y = np.concatenate(of)
        w = np.ones_like(y[:half])
        left = y[half:] - x[half:] @ fitted(x[:half], y[:half], w)
        share = 1 - (left**2).mean(axis=0) / np.maximum(y[half:].var(axis=0), 1e-12)
        found.append(column.response and bool((share > TOLD).any()))
    return found


def _members_of(
    names: Sequence[str],
    regressors: Sequence[Column],
    responses: Sequence[Column],
    data: Datasets,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members of all data sets one below the other: data set of each, regressors and responses.

    Only those of which all is known.
    """
    parts = []
    for rows, members in chunks(data, names):
        x = np.stack([regressor_of(c, members) for c in regressors], axis=2)
        y = np.stack([response_of(c, members) for c in responses], axis=2)
        there = np.isfinite(x).all(axis=2) & np.isfinite(y).all(axis=2)
        owner = np.broadcast_to(np.arange(rows.start, rows.stop)[:, None], there.shape)
        parts.append((owner[there], x[there], y[there]))
    owner, x, y = (np.concatenate(a) for a in zip(*parts, strict=True))
    return owner, x, y


def bends(pilot: PilotMembers) -> bool:
    """True if anything is not straight in the regressors, given the parameters."""
    t, owner, x, y = pilot.t, pilot.owner, pilot.x, pilot.y
    rng = np.random.default_rng(2)
    rows = rng.permutation(len(owner))[:TESTED]
    t, x, y = t[owner[rows]], x[rows], y[rows]
    straight = _products(terms(t), line(x))
    both = np.concatenate([t, x], axis=1)
    weights = rng.normal(0, 1.0, (both.shape[1], BENDS)) / np.sqrt(t.shape[1])
    curved = np.tanh(both @ weights + rng.normal(0, 1, BENDS))
    rich = np.concatenate([straight, curved], axis=1)
    level = line(t)
    half = len(rows) // 2
    for v in range(y.shape[1]):
        one = np.ones((half, 1))
        own = y[:, v : v + 1]
        left = own - rich @ fitted(rich[:half], own[:half], one)
        distance = np.log(left**2 + 1e-9)
        by_level = level @ fitted(level[:half], distance[:half], one)
        w = np.exp(-np.clip(by_level, -20, 20))
        of = [
            (w[half:] * (own - d @ fitted(d[:half], own[:half], w[:half]))[half:] ** 2).mean()
            for d in (straight, rich)
        ]
        if 0.5 * np.log(of[0] / of[1]) > LEAST_GAIN:
            return True
        noisy = [
            ((distance - d @ fitted(d[:half], distance[:half], one))[half:] ** 2).mean()
            for d in (level, _products(level, line(x)))
        ]
        if 0.5 * np.log(noisy[0] / noisy[1]) > LEAST_GAIN:
            return True
    return False


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def trained(
    pilot: PilotMembers, y: np.ndarray, quadratic: np.ndarray, slope_of: Slope, *, steps: int
) -> tuple[nets.Layers, nets.Layers, np.ndarray]:
    """Trunk, branch and quadratic, by Adam on the members' log density.

    Arguments:
        y: Responses as `slope_of` takes them, `(member, response)`.
        quadratic: Where it begins, `(term, number told × feature)`.
        slope_of: `measured_slope` or `chosen_slope`.
    """
    t, owner, x = pilot.t, pilot.owner, pilot.x
    rng = np.random.default_rng(3)
    quadratic = quadratic.copy()
    inputs, outputs = x.shape[1], quadratic.shape[1]
    *rest, last = nets.begun(rng, inputs, FEATURES, NARROW)
    trunk = (*rest, rng.normal(0, 1 / np.sqrt(NARROW), last.shape))
    branch = nets.begun(rng, t.shape[1], outputs, HIDDEN)
    adam = nets.Adam([*trunk, *branch, quadratic], rate=RATE, steps=steps)
    order = np.argsort(owner, kind="stable")
    owner, x, y = owner[order], x[order], y[order]
    first = np.searchsorted(owner, np.arange(len(t)))
    size = np.searchsorted(owner, np.arange(len(t)), side="right") - first
    some = np.flatnonzero(size)
    for _ in range(steps):
        sets = some[rng.integers(0, len(some), SETS)]
        rows = (first[sets][:, None] + rng.integers(0, size[sets][:, None], (SETS, EACH))).ravel()
        adam.step(_gradients(trunk, branch, quadratic, t[sets], x[rows], y[rows], slope_of))
    return trunk, branch, quadratic


def straight(pilot: PilotMembers) -> np.ndarray:
    """The quadratic of a model that is straight in the regressors, by least squares."""
    t, owner, x, y = pilot.t, pilot.owner, pilot.x, pilot.y
    width = width_of(x)
    rng = np.random.default_rng(4)
    rows = rng.permutation(len(owner))[:TESTED]
    basis, inputs = terms(t[owner[rows]]), x.shape[1]
    design, one = _products(basis, line(x[rows])), np.ones((len(rows), 1))
    coefficients = fitted(design, y[rows], one)
    left = np.log((y[rows] - design @ coefficients) ** 2 + 1e-9) + OFFSET
    louder = fitted(line(t[owner[rows]]), left, one)
    quadratic = np.zeros((basis.shape[1], 2, y.shape[1], width))
    quadratic[:, 0, :, : 1 + inputs] = coefficients.reshape(
        basis.shape[1], 1 + inputs, -1
    ).transpose(0, 2, 1)
    quadratic[: len(louder), 1, :, 0] = louder
    return quadratic.reshape(len(quadratic), -1)


def measured_slope(told: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Along means and log variances `told (set, member, 2 × response)`."""
    responses = y.shape[2]
    spread = np.exp(-0.5 * bounded(told[:, :, responses:]))
    r = np.clip((y - told[:, :, :responses]) * spread, -SURPRISE, SURPRISE)
    return np.concatenate([-r * spread, 0.5 * (1 - r**2)], axis=2)


def indifferent(pilot: PilotMembers) -> np.ndarray:
    """The quadratic of log odds that are zero everywhere."""
    return np.zeros((terms(pilot.t[:1]).shape[1], width_of(pilot.x)))


def chosen_slope(told: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Along log odds `told (set, member, response)`."""
    return 0.5 + 0.5 * np.tanh(0.5 * told) - y


def _gradients(
    trunk: nets.Layers,
    branch: nets.Layers,
    quadratic: np.ndarray,
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    slope_of: Slope,
) -> list[np.ndarray]:
    """Slopes of the mean minus log density of members of a few data sets."""
    sets, rows = len(t), len(x)
    of_x, of_t, basis = nets.activations(trunk, x), nets.activations(branch, t), terms(t)
    features = features_of(x, of_x[-1]).reshape(sets, rows // sets, -1)
    c = basis @ quadratic + of_t[-1]
    c = c.reshape(sets, -1, features.shape[2])  # (set, number told, feature)
    told = features @ c.transpose(0, 2, 1)
    slope = slope_of(told, y.reshape(sets, -1, y.shape[1])) / rows
    of_c = (slope.transpose(0, 2, 1) @ features).reshape(sets, -1)
    of_features = (slope @ c).reshape(rows, -1)[:, 1 + x.shape[1] :]
    return [
        *nets.gradients(trunk, x, of_x[0], of_x[1], of_features),
        *nets.gradients(branch, t, of_t[0], of_t[1], of_c),
        basis.T @ of_c,
    ]
