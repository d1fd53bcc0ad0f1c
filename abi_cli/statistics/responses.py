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
fitting, and 40 µs a data set of 20 members; of 60 with two responses 130 µs, 280 before data sets
left the scoring as they arrive and members were passed over in single precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.statistics import nets, scoring
from abi_cli.statistics.columns import Column, column_from, column_to
from abi_cli.statistics.members import Members, chunks, known
from abi_cli.statistics.response_learning import (
    LOUDEST,
    STEPS,
    PilotMembers,
    bends,
    bounded,
    features_of,
    measured_slope,
    regressor_of,
    response_of,
    straight,
    trained,
)
from abi_cli.statistics.surface import FAR, steepness, terms
from abi_cli.variables import Value

LIBRARY = 512
"""Parameters among which a start is looked for."""

ROUNDS = 8
LONGEST = 0.8
"""Longest step towards the mode, in pilot sds."""


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
    def fit(cls, pilot: PilotMembers, *, steps: int = STEPS) -> Responses | None:
        """Learn from members of the pilot; None where nothing bends."""
        if not bends(pilot):
            return None
        layers = trained(pilot, pilot.y, straight(pilot), measured_slope, steps=steps)
        return cls(
            pilot.names,
            pilot.regressors,
            pilot.responses,
            pilot.location,
            pilot.scale,
            *layers,
            pilot.t[:LIBRARY],
        )

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return len(self.location)

    @property
    def width(self) -> int:
        """Number of statistics."""
        return 4 * self.dim + 3 * len(self.responses)

    def raw(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of all data sets, `(dataset, statistic)`."""
        return np.concatenate([self.statistics(m) for _, m in chunks(data, self.names)])

    def statistics(self, members: Members) -> np.ndarray:
        """Mode and log standard errors, both corrected, too, and sizes of what is left."""
        of = self._observed(members)
        t, at = scoring.mode(
            self._started(of),
            lambda theta, rows: of.at(rows).around(theta),
            steps=ROUNDS,
            longest=LONGEST,
            far=FAR,
        )
        errors, shift, width = scoring.corrected(t, at, of.cost, most=1.0)
        sizes = of.sizes(t)
        told = [t, np.log(errors), t + errors * shift, np.log(errors) + width, sizes]
        return np.concatenate(told, axis=1)

    def _observed(self, members: Members) -> _Observed:
        x = np.stack([regressor_of(c, members) for c in self.regressors], axis=2)
        y = np.stack([response_of(c, members) for c in self.responses], axis=2)
        y, there = known(np.where(np.isfinite(x).all(axis=2)[:, :, None], y, np.nan))
        x = np.nan_to_num(x)
        flat = x.reshape(-1, x.shape[2])
        features = features_of(flat, nets.activations(self.trunk, flat)[-1])
        features = features.reshape(*x.shape[:2], -1)
        # In single precision, which is what passing over members takes its time by.
        return _Observed(self, *(a.astype(np.float32) for a in (features, y, there)))

    def _started(self, of: _Observed) -> np.ndarray:
        """The likeliest of the library, were the noise as in its middle at all members."""
        c, louder = self.coefficients(self.library)  # (entry, response, feature)
        some = of.features.reshape(-1, of.features.shape[2])[:4_096].mean(axis=0)
        log_variance = bounded(louder @ some)
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
        """Coefficients of mean and log variance, `(row, response, feature)` each."""
        c = terms(t) @ self.quadratic + nets.activations(self.branch, t)[-1]
        return _halves(c, len(self.responses))

    def coefficients_and_slopes(self, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """Coefficients, and their slopes along parameters, `(row, dim, response, feature)` each."""
        first, second, told = nets.activations(self.branch, t)
        c = terms(t) @ self.quadratic + told
        slopes = steepness(self.quadratic, t, self.dim)
        slopes = slopes + nets.slopes(self.branch, first, second, self.dim)
        return *_halves(c, len(self.responses)), *_halves(slopes, len(self.responses))

    def to_config(self) -> dict[str, Any]:
        """The surface as plain JSON values."""
        return {
            "names": list(self.names),
            "regressors": [column_to(c) for c in self.regressors],
            "responses": [column_to(c) for c in self.responses],
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            **{name: [a.tolist() for a in getattr(self, name)] for name in _LAYERS},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Responses:
        """A surface from what `to_config` gave."""
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

    def at(self, rows: scoring.Rows) -> _Observed:
        """Members of the data sets at `rows`."""
        return _Observed(self.of, self.features[rows], self.y[rows], self.there[rows])

    def _along(self, coefficients: np.ndarray) -> np.ndarray:
        """Values at members, `(batch, obs, …)`, of `coefficients (batch, …, feature)`."""
        flat = coefficients.reshape(len(coefficients), -1, coefficients.shape[-1])
        told = self.features @ flat.transpose(0, 2, 1).astype(self.features.dtype)
        return told.reshape(*told.shape[:2], *coefficients.shape[1:-1])

    def cost(self, t: np.ndarray) -> np.ndarray:
        """−2 log density of parameters, `(batch,)`."""
        mean, log_variance = (self._along(c) for c in self.of.coefficients(t))
        log_variance = bounded(log_variance)
        fit = self.there * ((self.y - mean) ** 2 * np.exp(-log_variance) + log_variance)
        return np.asarray(fit.sum(axis=(1, 2)) + (t**2).sum(axis=1))

    def around(self, t: np.ndarray) -> scoring.Around:
        """Cost, score and information at parameters `t (dataset, dim)`."""
        parts = self.of.coefficients_and_slopes(t)
        mean, log_variance, steep, louder = (self._along(c) for c in parts)
        inside = np.abs(log_variance) < LOUDEST
        log_variance = bounded(log_variance)
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
        z = r * np.exp(-0.5 * bounded(log_variance))
        n = np.maximum(self.there.sum(axis=1), 1.0)
        return np.concatenate(
            [
                0.5 * np.log((r**2).sum(axis=1) / n + 1e-10),
                0.5 * np.log((z**2).sum(axis=1) / n + 1e-10),
                np.log(z.max(axis=1) + 1e-6),
            ],
            axis=1,
        )


def _halves(c: np.ndarray, responses: int) -> tuple[np.ndarray, np.ndarray]:
    shaped = c.reshape(*c.shape[:-1], 2, responses, -1)
    return shaped[..., 0, :, :], shaped[..., 1, :, :]
