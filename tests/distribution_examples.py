"""Every distribution beside scipy's of the same law, for `test_model_distributions.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

COVARIANCE = ((2.0, 0.6), (0.6, 0.5))


@dataclass(frozen=True)
class Example:
    """Options of a distribution and the same law of scipy's.

    Arguments:
        exact: A frozen scipy distribution.
        mass: Whether it has a probability mass function.
    """

    options: dict[str, Any]
    exact: Any
    mass: bool = False


class LogUniformIntegers:
    """P(x) = log(1 + 1/x) / log(high/low), as a table."""

    def __init__(self, low: int, high: int) -> None:
        self.x = np.arange(low, high)
        self.p = np.log1p(1 / self.x) / np.log(high / low)

    def cdf(self, x):
        return np.sum(self.p * (self.x <= np.asarray(x)[..., None]), axis=-1)

    def logpmf(self, x):
        return np.log(np.sum(self.p * (self.x == np.asarray(x)[..., None]), axis=-1))

    def mean(self):
        return np.nan

    std = mean


EXAMPLES = {
    "normal": [Example({"loc": 1.0, "scale": 2.0}, stats.norm(1, 2)), Example({}, stats.norm())],
    "laplace": [Example({"loc": -1.0, "scale": 0.5}, stats.laplace(-1, 0.5))],
    "logistic": [Example({"loc": 3.0, "scale": 2.0}, stats.logistic(3, 2))],
    "student_t": [Example({"df": 3.0, "loc": 1.0, "scale": 0.1}, stats.t(3, 1, 0.1))],
    "standard_t": [Example({"df": 5.0}, stats.t(5)), Example({"df": 0.7}, stats.t(0.7))],
    "cauchy": [Example({"loc": 2.0, "scale": 3.0}, stats.cauchy(2, 3))],
    "exponential": [Example({"scale": 3.0}, stats.expon(scale=3))],
    "gamma": [
        Example({"shape": 2.5, "scale": 3.0}, stats.gamma(2.5, scale=3)),
        Example({"shape": 0.01}, stats.gamma(0.01)),
    ],
    "inverse_gamma": [Example({"shape": 3.5, "scale": 2.0}, stats.invgamma(3.5, scale=2))],
    "lognormal": [
        Example({"mean": 1.0, "sigma": 0.5}, stats.lognorm(0.5, scale=np.exp(1))),
    ],
    "half_normal": [Example({"scale": 2.0}, stats.halfnorm(scale=2))],
    "half_cauchy": [Example({"scale": 2.0}, stats.halfcauchy(scale=2))],
    "uniform": [Example({"low": -1.0, "high": 3.0}, stats.uniform(-1, 4))],
    "loguniform": [Example({"low": 0.01, "high": 10.0}, stats.loguniform(0.01, 10))],
    "beta": [
        Example({"a": 2.0, "b": 0.5}, stats.beta(2, 0.5)),
        Example({"a": 0.4, "b": 0.4}, stats.beta(0.4, 0.4)),
    ],
    "truncated_normal": [
        Example(
            {"loc": 1.0, "scale": 2.0, "low": 0.0, "high": 4.0}, stats.truncnorm(-0.5, 1.5, 1, 2)
        ),
        Example({"loc": -1.0, "low": 6.0}, stats.truncnorm(7, np.inf, -1, 1)),
        Example({"high": -9.0}, stats.truncnorm(-np.inf, -9)),
    ],
    "dirichlet": [Example({"alpha": (0.5, 2.0, 3.0)}, stats.dirichlet((0.5, 2, 3)))],
    "multivariate_normal": [
        Example(
            {"mean": (1.0, -1.0), "cov": COVARIANCE},
            stats.multivariate_normal((1, -1), COVARIANCE),
        )
    ],
    "integers": [Example({"low": 5, "high": 15}, stats.randint(5, 15), mass=True)],
    "loguniform_integers": [Example({"low": 3, "high": 40}, LogUniformIntegers(3, 40), mass=True)],
    "choice": [
        Example(
            {"a": (1, 5, 20), "p": (0.2, 0.5, 0.3)},
            stats.rv_discrete(values=((1, 5, 20), (0.2, 0.5, 0.3))),
            mass=True,
        ),
        Example({"a": (2, 4)}, stats.rv_discrete(values=((2, 4), (0.5, 0.5))), mass=True),
    ],
    "poisson": [Example({"lam": 3.5}, stats.poisson(3.5), mass=True)],
    "binomial": [Example({"n": 12, "p": 0.3}, stats.binom(12, 0.3), mass=True)],
}
