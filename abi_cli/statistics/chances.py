"""Choices of members as smooth functions of their regressors and of parameters.

    P(y_i = 1 | x_i, θ) = 1 / (1 + exp(−η(x_i, θ))),    η = φ(x) · c(θ)

is fitted to the pilot's members as `Responses` are, by their log probability: φ are one, the
regressors and the outputs of a small network of them, c a quadratic and a small network. For each
data set the mode of θ is found by damped Fisher scoring, with the pilot's spread of θ as prior,
from a regression of θ on the members' φ and y φ. So choices between delayed or uncertain rewards,
items of tests, detections at distances are read: what is no logistic regression, and what a normal
response, with a variance that is learned beside the mean, follows badly near 0 and 1.

Of the worst parameter, without and with it: median error of the mean, that of nine in ten, in exact
sds, KL per parameter, and seconds to train. Twice as many steps, features or hidden units added
0.03 nats at most to what the pilot's statistics tell.

    discounting   0.27  0.85  0.120  540      0.08  0.21  0.023  197    choices of now or later
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from abi_cli.statistics import nets, scoring
from abi_cli.statistics.columns import Column, column_from, column_to
from abi_cli.statistics.members import Members, chunks, known
from abi_cli.statistics.response_learning import (
    STEPS,
    PilotMembers,
    chosen_slope,
    features_of,
    indifferent,
    regressor_of,
    response_of,
    trained,
)
from abi_cli.statistics.responses import LONGEST, ROUNDS
from abi_cli.statistics.surface import FAR, fitted, steepness, terms
from abi_cli.variables import Value

LEAST = 1e-4
"""Least variance of a choice."""


@dataclass(frozen=True)
class Chances:
    """A fitted surface of the log odds of one choice of the members of a group of variables.

    Arguments:
        names: Variables of the group.
        regressors: Columns of it.
        choice: The column of two values, of which the larger one is chosen with probability p.
        location, scale: Of the parameters, `(dim,)`.
        trunk: The network of regressors.
        branch: The network of parameters.
        quadratic: The rest of c, `(term, feature)`.
        start: Coefficients of a first prediction of parameters, `(term, dim)`.
    """

    names: tuple[str, ...]
    regressors: tuple[Column, ...]
    choice: Column
    location: np.ndarray
    scale: np.ndarray
    trunk: nets.Layers
    branch: nets.Layers
    quadratic: np.ndarray
    start: np.ndarray

    @classmethod
    def fit(cls, pilot: PilotMembers, choice: Column, *, steps: int = STEPS) -> Chances:
        """Learn from members of the pilot, of which `choice` is the only response."""
        chosen = (pilot.y > _middle(choice)).astype(np.float64)
        layers = trained(pilot, chosen, indifferent(pilot), chosen_slope, steps=steps)
        no_start = np.zeros((1, pilot.t.shape[1]))
        surface = cls(
            pilot.names, pilot.regressors, choice, pilot.location, pilot.scale, *layers, no_start
        )
        told = np.concatenate(
            [surface._beginnings(surface._observed(m)) for _, m in chunks(pilot.data, pilot.names)]
        )
        start = fitted(told, pilot.t, np.ones((len(told), 1)))
        return replace(surface, start=start)

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return len(self.location)

    @property
    def width(self) -> int:
        """Number of statistics."""
        return 4 * self.dim + 2

    def raw(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of all data sets, `(dataset, statistic)`."""
        return np.concatenate([self.statistics(m) for _, m in chunks(data, self.names)])

    def statistics(self, members: Members) -> np.ndarray:
        """Mode and log standard errors, both corrected, too; how good the fit is."""
        of = self._observed(members)
        begun = np.clip(self._beginnings(of) @ self.start, -FAR, FAR)
        t, at = scoring.mode(
            begun, partial(self._around, of), steps=ROUNDS, longest=LONGEST, far=FAR
        )
        errors, shift, width = scoring.corrected(t, at, partial(self._cost, of), most=1.0)
        told = [t, np.log(errors), t + errors * shift, np.log(errors) + width, self._fit(of, t)]
        return np.concatenate(told, axis=1)

    def _observed(self, members: Members) -> _Chosen:
        x = np.stack([regressor_of(c, members) for c in self.regressors], axis=2)
        y = response_of(self.choice, members)
        y, there = known(np.where(np.isfinite(x).all(axis=2), y, np.nan))
        x = np.nan_to_num(x)
        flat = x.reshape(-1, x.shape[2])
        features = features_of(flat, nets.activations(self.trunk, flat)[-1])
        features = features.reshape(*x.shape[:2], -1)
        return _Chosen(*(a.astype(np.float32) for a in (features, y > _middle(self.choice), there)))

    def _beginnings(self, of: _Chosen) -> np.ndarray:
        """One, means of φ and of (y − ½) φ, squares and products, `(batch, term)`."""
        n = np.maximum(of.there.sum(axis=1), 1.0)[:, None]
        both = np.stack([of.there, of.there * (of.y - 0.5)], axis=1)
        means = (both @ of.features).reshape(len(n), -1) / n
        return terms(np.concatenate([means[:, 1:], np.log(n)], axis=1).astype(np.float64))

    def _log_odds(self, of: _Chosen, c: np.ndarray) -> np.ndarray:
        """Values at members, `(batch, obs, …)`, of `c (batch, …, feature)`."""
        flat = c.reshape(len(c), -1, c.shape[-1]).astype(np.float32)
        told = of.features @ flat.transpose(0, 2, 1)
        return told.reshape(*told.shape[:2], *c.shape[1:-1])

    def _coefficients(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(terms(t) @ self.quadratic + nets.activations(self.branch, t)[-1])

    def _cost(self, of: _Chosen, t: np.ndarray) -> np.ndarray:
        """−2 log density of parameters, `(batch,)`."""
        eta = self._log_odds(of, self._coefficients(t))
        return np.asarray(2 * _surprise(of, eta).sum(axis=1) + (t**2).sum(axis=1))

    def _around(self, of: _Chosen, t: np.ndarray, rows: scoring.Rows) -> scoring.Around:
        """Cost, score and information at parameters `t (dataset, dim)`."""
        of = of.at(rows)
        first, second, told = nets.activations(self.branch, t)
        slopes = steepness(self.quadratic, t, self.dim)
        slopes = slopes + nets.slopes(self.branch, first, second, self.dim)
        eta = self._log_odds(of, terms(t) @ self.quadratic + told)
        steep = self._log_odds(of, slopes)
        p = _probability(eta)
        weight = of.there * np.maximum(p * (1 - p), LEAST)
        score = ((of.there * (of.y - p))[:, None] @ steep)[:, 0] - t
        information = (steep * weight[:, :, None]).transpose(0, 2, 1) @ steep + np.eye(self.dim)
        cost = 2 * _surprise(of, eta).sum(axis=1) + (t**2).sum(axis=1)
        return scoring.Around(cost, score, information)

    def _fit(self, of: _Chosen, t: np.ndarray) -> np.ndarray:
        """Mean and largest surprise at the mode, `(batch, statistic)`."""
        surprise = _surprise(of, self._log_odds(of, self._coefficients(t)))
        n = np.maximum(of.there.sum(axis=1), 1.0)
        return np.stack([surprise.sum(axis=1) / n, np.log(surprise.max(axis=1) + 1e-3)], axis=1)

    def to_config(self) -> dict[str, Any]:
        """The surface as plain JSON values."""
        return {
            "names": list(self.names),
            "regressors": [column_to(c) for c in self.regressors],
            "choice": column_to(self.choice),
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            **{name: [a.tolist() for a in getattr(self, name)] for name in _LAYERS},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Chances:
        """A surface from what `to_config` gave."""
        return cls(
            tuple(config["names"]),
            tuple(column_from(c) for c in config["regressors"]),
            column_from(config["choice"]),
            np.array(config["location"]),
            np.array(config["scale"]),
            tuple(np.array(a) for a in config["trunk"]),
            tuple(np.array(a) for a in config["branch"]),
            np.array(config["quadratic"]),
            np.array(config["start"]),
        )


_ARRAYS = ("location", "scale", "quadratic", "start")
_LAYERS = ("trunk", "branch")


@dataclass(frozen=True)
class _Chosen:
    """Members of data sets, as functions of parameters see them.

    Arguments:
        features: `(batch, obs, feature)`.
        y, there: `(batch, obs)`; 1 where chosen, and where known.
    """

    features: np.ndarray
    y: np.ndarray
    there: np.ndarray

    def at(self, rows: scoring.Rows) -> _Chosen:
        """Members of the data sets at `rows`."""
        return _Chosen(self.features[rows], self.y[rows], self.there[rows])


def _middle(choice: Column) -> float:
    """The middle between the two values of a choice, in its units."""
    return float((np.mean(choice.levels) - choice.location) / choice.scale)


def _probability(eta: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * eta)


def _surprise(of: _Chosen, eta: np.ndarray) -> np.ndarray:
    """Minus log probability of each member's choice, `(batch, obs)`."""
    wrong = (1 - 2 * of.y) * eta
    return of.there * (np.maximum(wrong, 0) + np.log1p(np.exp(-np.abs(wrong))))
