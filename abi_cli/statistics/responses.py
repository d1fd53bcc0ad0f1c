"""Responses of members as smooth functions of their regressors and of parameters, with noise.

    y_iv | x_i, θ ~ N(m_v(x_i, θ), exp(l_v(x_i, θ))),    m, l = φ(x) · c(θ)

is fitted to the pilot's members: φ are one, the regressors and the outputs of a small network of
them, c a quadratic and a small network. So a curve over members that are at different places in
each data set, a regression that bends in its parameters, noise that goes with a regressor are all
learned, and of members only φ is needed, once. For each data set the mode of θ is found by damped
scoring, with the pilot's spread of θ as prior, from the likeliest of some parameters of the pilot.
Mean and variance are what is fitted, whatever y is: of choices and counts the scores are those of
their quasi-likelihood (McCullagh & Nelder 1989, Generalized linear models, chapter 9).

Regressors are columns whose own mean and spread do not depend on θ over the pilot.

Of the worst parameter, without and with it: median error of the mean, that of nine in ten, in exact
sds, and KL per parameter. Of the last two the first is not in the panel, the second was kept aside.

    psychometric   0.07  0.21  0.026      0.06  0.20  0.029
    wide_line      0.07  0.21  0.050      0.05  0.15  0.036
    decay          0.19  0.85  0.166      0.07  0.33  0.075    a e^(−kt) + c, 8 to 30 (t, y)

For `quadratic`, `logistic`, `zeros` and a gamma regression, where families that are exact say it
already, it added nothing to the density of the pilot's parameters and was left out. It costs 4 s of
fitting, and 40 µs a data set of 20 members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.statistics import nets, scoring
from abi_cli.statistics.columns import Bent, Column, column_from, column_to
from abi_cli.statistics.members import Members, chunks, known, moments_of, tamed
from abi_cli.statistics.surface import FAR, fitted, line, steepness, terms
from abi_cli.variables import Datasets, Value

MOST_REGRESSORS = 4
MOST_RESPONSES = 3
MOST_MEMBERS = 400
"""On average; of more, quantities by regressor tell as much."""

FEATURES = 8
"""Outputs of the network of regressors."""

NARROW = 16
"""Width of the network of regressors, which is asked at every member."""

HIDDEN = 32
BEYOND = 5.0
"""Units of a regressor that count in full."""

TOLD = 0.01
"""Share of a column's mean or log spread that θ has to explain for it to be a response."""

TESTED = 40_000
"""Members on which it is seen whether anything bends."""

BENDS = 120
"""Random functions of regressors and parameters that a straight model is held against."""

LEAST_GAIN = 0.004
"""What they have to add to the log density of a member, in nats."""

STEPS = 8_000
RATE = 4e-3
SETS = 64
EACH = 8
"""Data sets and members of each in a step of training."""

SURPRISE = 8.0
"""Largest standardized residual in a step of training."""

LIBRARY = 512
"""Parameters among which a start is looked for."""

ROUNDS = 8
LONGEST = 0.8
"""Of a step towards the mode, in pilot sds."""


@dataclass(frozen=True)
class Responses:
    """A fitted surface with noise of the members of one group of variables.

    Arguments:
        names: Variables of the group.
        regressors, responses: Columns of it.
        location, scale: Of the parameters, `(dim,)`.
        trunk: The network of regressors.
        branch: The network of parameters.
        quadratic: The rest of c, `(term, 2 × response × feature)`.
        library: Parameters among which a start is looked for, `(entry, dim)`.
    """

    names: tuple[str, ...]
    regressors: tuple[Column, ...]
    responses: tuple[Column, ...]
    location: np.ndarray
    scale: np.ndarray
    trunk: nets.Layers
    branch: nets.Layers
    quadratic: np.ndarray
    library: np.ndarray

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        columns: Sequence[Column],
        data: Datasets,
        theta: np.ndarray,
    ) -> Responses | None:
        """Learn from pilot data sets; None where nothing bends, or there are no regressors.

        Arguments:
            columns: Those of the group that vary.
            theta: `(dataset, dim)`.
        """
        drawn = _drawn(names, columns, data, theta)
        regressors = tuple(c for c, d in zip(columns, drawn, strict=True) if not d)
        responses = tuple(c for c, d in zip(columns, drawn, strict=True) if d)
        if not (1 <= len(regressors) <= MOST_REGRESSORS and 1 <= len(responses) <= MOST_RESPONSES):
            return None
        scale = np.maximum(theta.std(axis=0), 1e-12)
        location = theta.mean(axis=0)
        t = np.clip((theta - location) / scale, -FAR, FAR)
        owner, x, y = _members(names, regressors, responses, data)
        if len(owner) > MOST_MEMBERS * len(theta) or not _bends(t, owner, x, y):
            return None
        trunk, branch, quadratic = _trained(t, owner, x, y)
        library = t[:LIBRARY]
        return cls(
            tuple(names), regressors, responses, location, scale, trunk, branch, quadratic, library
        )

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return len(self.location)

    @property
    def width(self) -> int:
        """How many statistics there are."""
        return 4 * self.dim + 3 * len(self.responses)

    def raw(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of all data sets, `(dataset, statistic)`."""
        return np.concatenate([self.statistics(m) for _, m in chunks(data, self.names)])

    def statistics(self, members: Members) -> np.ndarray:
        """Mode and log standard errors, both corrected, too, and sizes of what is left."""
        of = self._observed(members)
        t, at = scoring.mode(self._started(of), of.around, steps=ROUNDS, longest=LONGEST, far=FAR)
        errors, shift, width = scoring.corrected(t, at, of.cost, most=1.0)
        sizes = of.sizes(t)
        told = [t, np.log(errors), t + errors * shift, np.log(errors) + width, sizes]
        return np.concatenate(told, axis=1)

    def _observed(self, members: Members) -> _Observed:
        x = np.stack([_regressor(c, members) for c in self.regressors], axis=2)
        y = np.stack([_response(c, members) for c in self.responses], axis=2)
        y, there = known(np.where(np.isfinite(x).all(axis=2)[:, :, None], y, np.nan))
        x = np.nan_to_num(x)
        flat = x.reshape(-1, x.shape[2])
        features = _features(flat, nets.activations(self.trunk, flat)[-1])
        features = features.reshape(*x.shape[:2], -1)
        return _Observed(self, features, y, there)

    def _started(self, of: _Observed) -> np.ndarray:
        """The likeliest of the library, were the noise as in its middle at all members."""
        c, louder = self.coefficients(self.library)  # (entry, response, feature)
        some = of.features.reshape(-1, of.features.shape[2])[:4_096].mean(axis=0)
        log_variance = _bounded(louder @ some)
        precision = np.exp(-log_variance)
        k = c.shape[2]
        i, j = np.triu_indices(k)
        double = np.where(i == j, 1.0, 2.0)
        cost = (self.library**2).sum(axis=1).astype(np.float32)[None]
        for v in range(c.shape[1]):
            w = of.features * of.there[:, :, v : v + 1]
            gram = (w.transpose(0, 2, 1) @ of.features)[:, i, j]
            told = np.concatenate(
                [
                    gram,
                    (of.y[:, None, :, v] @ w)[:, 0],
                    (of.there[:, :, v] * of.y[:, :, v] ** 2).sum(axis=1)[:, None],
                    of.there[:, :, v].sum(axis=1)[:, None],
                ],
                axis=1,
                dtype=np.float32,
            )
            p = precision[:, v : v + 1]
            entries = np.concatenate(
                [
                    c[:, v, i] * c[:, v, j] * double * p,
                    -2 * c[:, v] * p,
                    p,
                    log_variance[:, v : v + 1],
                ],
                axis=1,
                dtype=np.float32,
            )
            cost = cost + told @ entries.T
        return self.library[cost.argmin(axis=1)]

    def coefficients(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of mean and log variance, `(row, response, feature)` each."""
        c = terms(t) @ self.quadratic + nets.activations(self.branch, t)[-1]
        return _halves(c, len(self.responses))

    def coefficients_and_slopes(self, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """And their slopes along parameters, `(row, dim, response, feature)` each."""
        first, second, told = nets.activations(self.branch, t)
        c = terms(t) @ self.quadratic + told
        slopes = steepness(self.quadratic, t, self.dim)
        slopes = slopes + nets.slopes(self.branch, first, second, self.dim)
        return *_halves(c, len(self.responses)), *_halves(slopes, len(self.responses))

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "names": list(self.names),
            "regressors": [column_to(c) for c in self.regressors],
            "responses": [column_to(c) for c in self.responses],
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            **{name: [a.tolist() for a in getattr(self, name)] for name in _LAYERS},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Responses:
        """Back from `to_config`."""
        arrays = {name: np.array(config[name]) for name in _ARRAYS}
        layers = {name: tuple(np.array(a) for a in config[name]) for name in _LAYERS}
        regressors, responses = (
            tuple(column_from(c) for c in config[name]) for name in ("regressors", "responses")
        )
        return cls(
            tuple(config["names"]),
            regressors,
            responses,
            arrays["location"],
            arrays["scale"],
            layers["trunk"],
            layers["branch"],
            arrays["quadratic"],
            arrays["library"],
        )


_ARRAYS = ("location", "scale", "quadratic", "library")
_LAYERS = ("trunk", "branch")


@dataclass(frozen=True)
class _Observed:
    """Members of data sets, as functions of parameters see them.

    Arguments:
        features: `(batch, obs, feature)`.
        y, there: `(batch, obs, response)`.
    """

    of: Responses
    features: np.ndarray
    y: np.ndarray
    there: np.ndarray

    def _along(self, coefficients: np.ndarray) -> np.ndarray:
        """`(batch, obs, …)` of `coefficients (batch, …, feature)`."""
        flat = coefficients.reshape(len(coefficients), -1, coefficients.shape[-1])
        told = self.features @ flat.transpose(0, 2, 1)
        return told.reshape(*told.shape[:2], *coefficients.shape[1:-1])

    def cost(self, t: np.ndarray) -> np.ndarray:
        """−2 log density of parameters, `(batch,)`."""
        mean, log_variance = (self._along(c) for c in self.of.coefficients(t))
        log_variance = _bounded(log_variance)
        fit = self.there * ((self.y - mean) ** 2 * np.exp(-log_variance) + log_variance)
        return np.asarray(fit.sum(axis=(1, 2)) + (t**2).sum(axis=1))

    def around(self, t: np.ndarray) -> scoring.Around:
        """What the next step needs."""
        parts = self.of.coefficients_and_slopes(t)
        mean, log_variance, steep, louder = (self._along(c) for c in parts)
        inside = np.abs(log_variance) < LOUDEST
        log_variance = _bounded(log_variance)
        weight = self.there * np.exp(-log_variance)
        r = self.y - mean
        batch, _, dim = steep.shape[:3]
        # (batch, dim, obs × response)
        steep = steep.transpose(0, 2, 1, 3).reshape(batch, dim, -1)
        louder = louder.transpose(0, 2, 1, 3) * (self.there * inside)[:, None]
        louder = louder.reshape(batch, dim, -1)
        weighted = steep * weight.reshape(batch, 1, -1)
        surprise = 0.5 * (weight * r**2 - self.there).reshape(batch, -1, 1)
        information = weighted @ steep.transpose(0, 2, 1) + np.eye(dim)
        information += 0.5 * louder @ louder.transpose(0, 2, 1)
        score = (weighted @ r.reshape(batch, -1, 1) + louder @ surprise)[:, :, 0] - t
        cost = (weight * r**2 + self.there * log_variance).sum(axis=(1, 2)) + (t**2).sum(axis=1)
        return scoring.Around(cost, score, information)

    def sizes(self, t: np.ndarray) -> np.ndarray:
        """Log rms residual, and of standardized ones log rms and largest, `(batch, statistic)`."""
        mean, log_variance = (self._along(c) for c in self.of.coefficients(t))
        r = np.abs(self.y - mean) * self.there
        z = r * np.exp(-0.5 * _bounded(log_variance))
        n = np.maximum(self.there.sum(axis=1), 1.0)
        return np.concatenate(
            [
                0.5 * np.log((r**2).sum(axis=1) / n + 1e-10),
                0.5 * np.log((z**2).sum(axis=1) / n + 1e-10),
                np.log(z.max(axis=1) + 1e-6),
            ],
            axis=1,
        )


LOUDEST = 14.0


def _bounded(log_variance: np.ndarray) -> np.ndarray:
    return np.clip(log_variance, -LOUDEST, LOUDEST)


def _halves(c: np.ndarray, responses: int) -> tuple[np.ndarray, np.ndarray]:
    shaped = c.reshape(*c.shape[:-1], 2, responses, -1)
    return shaped[..., 0, :, :], shaped[..., 1, :, :]


def _regressor(column: Column, members: Members) -> np.ndarray:
    return tamed(_in_units(column, members), BEYOND)


def _response(column: Column, members: Members) -> np.ndarray:
    return _in_units(column, members)


def _in_units(column: Column, members: Members) -> np.ndarray:
    return Bent(column).scaled(members) if column.bends else column.scaled(members)


def _features(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    return np.concatenate([line(x), told], axis=1)


def _drawn(
    names: Sequence[str], columns: Sequence[Column], data: Datasets, theta: np.ndarray
) -> list[bool]:
    """Which columns' mean or spread goes with parameters."""
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


def _members(
    names: Sequence[str],
    regressors: Sequence[Column],
    responses: Sequence[Column],
    data: Datasets,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all data sets one below the other: whose it is, regressors and responses.

    Only those of which all is known.
    """
    parts = []
    for rows, members in chunks(data, names):
        x = np.stack([_regressor(c, members) for c in regressors], axis=2)
        y = np.stack([_response(c, members) for c in responses], axis=2)
        there = np.isfinite(x).all(axis=2) & np.isfinite(y).all(axis=2)
        owner = np.broadcast_to(np.arange(rows.start, rows.stop)[:, None], there.shape)
        parts.append((owner[there], x[there], y[there]))
    owner, x, y = (np.concatenate(a) for a in zip(*parts, strict=True))
    return owner, x, y


def _bends(t: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether anything is not straight in the regressors, given the parameters."""
    rng = np.random.default_rng(2)
    rows = rng.permutation(len(owner))[:TESTED]
    t, x, y = t[owner[rows]], x[rows], y[rows]
    straight = _products(terms(t), line(x))
    both = np.concatenate([t, x], axis=1)
    weights = rng.normal(0, 1.0, (both.shape[1], BENDS)) / np.sqrt(t.shape[1])
    bends = np.tanh(both @ weights + rng.normal(0, 1, BENDS))
    rich = np.concatenate([straight, bends], axis=1)
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


def _trained(
    t: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[nets.Layers, nets.Layers, np.ndarray]:
    """Trunk, branch and quadratic, by Adam on the members' log density."""
    rng = np.random.default_rng(3)
    inputs, responses = x.shape[1], y.shape[1]
    width = 1 + inputs + FEATURES
    outputs = 2 * responses * width
    *rest, last = nets.begun(rng, inputs, FEATURES, NARROW)
    trunk = (*rest, rng.normal(0, 1 / np.sqrt(NARROW), last.shape))
    branch = nets.begun(rng, t.shape[1], outputs, HIDDEN)
    quadratic = _begun(t, owner, x, y, width)
    adam = nets.Adam([*trunk, *branch, quadratic], rate=RATE, steps=STEPS)
    order = np.argsort(owner, kind="stable")
    owner, x, y = owner[order], x[order], y[order]
    first = np.searchsorted(owner, np.arange(len(t)))
    size = np.searchsorted(owner, np.arange(len(t)), side="right") - first
    some = np.flatnonzero(size)
    for _ in range(STEPS):
        sets = some[rng.integers(0, len(some), SETS)]
        rows = (first[sets][:, None] + rng.integers(0, size[sets][:, None], (SETS, EACH))).ravel()
        adam.step(_gradients(trunk, branch, quadratic, t[sets], x[rows], y[rows]))
    return trunk, branch, quadratic


def _begun(
    t: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray, width: int
) -> np.ndarray:
    """The quadratic of a model that is straight in the regressors, by least squares."""
    rng = np.random.default_rng(4)
    rows = rng.permutation(len(owner))[:TESTED]
    basis, inputs = terms(t[owner[rows]]), x.shape[1]
    design, one = _products(basis, line(x[rows])), np.ones((len(rows), 1))
    coefficients = fitted(design, y[rows], one)
    left = np.log((y[rows] - design @ coefficients) ** 2 + 1e-9) + 1.27
    louder = fitted(line(t[owner[rows]]), left, one)
    quadratic = np.zeros((basis.shape[1], 2, y.shape[1], width))
    quadratic[:, 0, :, : 1 + inputs] = coefficients.reshape(
        basis.shape[1], 1 + inputs, -1
    ).transpose(0, 2, 1)
    quadratic[: len(louder), 1, :, 0] = louder
    return quadratic.reshape(len(quadratic), -1)


def _gradients(
    trunk: nets.Layers,
    branch: nets.Layers,
    quadratic: np.ndarray,
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> list[np.ndarray]:
    """Slopes of the mean minus log density of members of a few data sets."""
    sets, rows = len(t), len(x)
    of_x, of_t, basis = nets.activations(trunk, x), nets.activations(branch, t), terms(t)
    features = _features(x, of_x[-1]).reshape(sets, rows // sets, -1)
    c = basis @ quadratic + of_t[-1]
    c = c.reshape(sets, -1, features.shape[2])  # (set, 2 × response, feature)
    told = features @ c.transpose(0, 2, 1)
    responses = y.shape[1]
    log_variance = _bounded(told[:, :, responses:])
    r = (y.reshape(sets, -1, responses) - told[:, :, :responses]) * np.exp(-0.5 * log_variance)
    r = np.clip(r, -SURPRISE, SURPRISE)
    slope = np.concatenate([-r * np.exp(-0.5 * log_variance), 0.5 * (1 - r**2)], axis=2) / rows
    of_c = (slope.transpose(0, 2, 1) @ features).reshape(sets, -1)
    of_features = (slope @ c).reshape(rows, -1)[:, 1 + x.shape[1] :]
    return [
        *nets.gradients(trunk, x, of_x[0], of_x[1], of_features),
        *nets.gradients(branch, t, of_t[0], of_t[1], of_c),
        basis.T @ of_c,
    ]
