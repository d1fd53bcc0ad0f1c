"""A first prediction of the parameters, and what of it is passed on beside the statistics.

The posterior mean of most models bends in the statistics: a slope is a product over a sum of
squares, an error is larger where a parameter is. So the Gaussian of `gaussian.fit` is fitted, its
means are told as splines and products, and as products with the statistics that they were made of;
the next prediction, which reads these too, can follow a surface that is curved. Tried on the
panel's models for choosing, in nats of the parameters' log density on data sets that the fit hadn't
seen, beyond splines and products of one prediction alone:

    psychometric 0.14, zeros 0.06, quadratic 0.22, logistic 0.08, intercepts 0.57, cauchy_line 0.22,
    drift_diffusion 0.14, arma 0.06, local_level 0.23, dose 0.03 (of 3 to 9 in all)

A third round added up to 0.04 more on one of them and took as much away on another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.statistics.each import fit_each

KNOTS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)

MOST_PRODUCTS = 8
"""Most parameters whose predictions are multiplied with each other."""

FACTORS = 24
"""Statistics that predictions are multiplied with."""

MULTIPLIED = 120
"""Most products of predictions and statistics."""

FAR = 5.0
"""Units up to which predictions and factors count in products."""


@dataclass(frozen=True)
class Prediction:
    """The mean of parameters as a linear function of statistics, and what is made of it.

    Arguments:
        mean: Coefficients, `(1 + regressor, dim)`.
        knots: Of the splines, `(knot, dim)`.
        factors: Statistics that predictions are multiplied with, `(factor,)`.
    """

    mean: np.ndarray
    knots: np.ndarray
    factors: np.ndarray

    @classmethod
    def fit(cls, regressors: np.ndarray, statistics: int, theta: np.ndarray) -> Prediction:
        """Learn from `regressors (dataset, regressor)`, the first of which are the statistics."""
        u = _with_one(regressors)
        mean, log_sd = fit_each(u, theta)
        weight = _relative(mean[1 : 1 + statistics]) + 0.5 * _relative(log_sd[1 : 1 + statistics])
        number = min(FACTORS, max(1, MULTIPLIED // theta.shape[1]))
        factors = np.argsort(-weight, kind="stable")[:number]
        factors = np.sort(factors[weight[factors] > 0])
        return cls(mean, np.quantile(u @ mean, KNOTS, axis=0), factors)

    def of(self, regressors: np.ndarray) -> np.ndarray:
        """The parameters' means, `(dataset, dim)`."""
        return _with_one(regressors) @ self.mean

    @property
    def width(self) -> int:
        """Number of features."""
        dim = self.mean.shape[1]
        pairs = dim * (dim - 1) // 2 if dim <= MOST_PRODUCTS else 0
        return dim * (2 + len(KNOTS) + len(self.factors)) + pairs

    def bent(self, regressors: np.ndarray) -> np.ndarray:
        """Splines of the predictions, and products, `(dataset, feature)`."""
        m = self.of(regressors)
        middle = self.knots[len(KNOTS) // 2]
        width = np.maximum(self.knots[-1] - self.knots[0], 1e-9)
        t = np.clip((m - middle) / width * 2, -FAR, FAR)
        at = (self.knots - middle) / width * 2
        parts = [t, t**2, *(np.maximum(t - knot, 0) ** 3 for knot in at)]
        if t.shape[1] <= MOST_PRODUCTS:
            i, j = np.triu_indices(t.shape[1], 1)
            parts.append(t[:, i] * t[:, j])
        factors = np.clip(regressors[:, self.factors], -FAR, FAR)
        parts.append((t[:, :, None] * factors[:, None, :]).reshape(len(t), -1))
        return np.concatenate(parts, axis=1)

    def to_config(self) -> dict[str, Any]:
        """The prediction as plain JSON values."""
        return {name: getattr(self, name).tolist() for name in ("mean", "knots", "factors")}

    @classmethod
    def from_config(cls, config: Mapping[str, Sequence[Any]]) -> Prediction:
        """A prediction from what `to_config` gave."""
        factors = np.array(config.get("factors", ()), np.int64)
        return cls(np.array(config["mean"]), np.array(config["knots"]), factors)


def _with_one(u: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(u), 1)), u], axis=1)


def _relative(coefficients: np.ndarray) -> np.ndarray:
    """Sizes of coefficients `(statistic, dim)` as shares of each column's largest, summed."""
    size = np.abs(coefficients)
    largest = size.max(axis=0, initial=0.0)
    return np.asarray((size / np.where(largest > 0, largest, 1.0)).sum(axis=1))
