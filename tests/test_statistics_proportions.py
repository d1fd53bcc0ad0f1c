"""Beta regression: its mode and errors beside an optimizer's, and what it is offered for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from abi_cli.statistics import proportions
from abi_cli.statistics.columns import column_of
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.members import chunks
from abi_cli.variables import Ragged

RNG = np.random.default_rng(5)
NUMBER = 12
SIZES = RNG.integers(20, 60, NUMBER)
OF = np.repeat(np.arange(NUMBER), SIZES)
X = RNG.normal(size=len(OF))
B, PHI = RNG.normal(size=(NUMBER, 2)), RNG.gamma(3, 6, NUMBER)
MU = 1 / (1 + np.exp(-(B[OF, 0] + B[OF, 1] * X)))
Y = RNG.beta(MU * PHI[OF], (1 - MU) * PHI[OF])
DATA = {"x": Ragged(X, SIZES), "y": Ragged(Y, SIZES)}
(GROUP,) = groups_of(DATA, ["x", "y"], given=("x",), series=())


def negative_log_posterior(theta, x, y, about):
    """By scipy's density."""
    mu, phi = 1 / (1 + np.exp(-x @ theta[:-1])), np.exp(theta[-1])
    away = np.append(theta[:-1], theta[-1] - about)
    return -stats.beta.logpdf(y, mu * phi, (1 - mu) * phi).sum() + 0.025 * (away**2).sum()


@pytest.mark.parametrize("alone", [False, True], ids=["regression", "no regressor"])
def test_mode_and_errors_are_those_of_the_beta_density(alone):
    x_column, y_column = GROUP.columns
    members = next(chunks(DATA, GROUP.names))[1]
    regressors = [] if alone else [x_column]
    found = proportions.proportions(members, y_column, regressors, squares=False)
    dim = found.shape[1] // 2
    for k in range(NUMBER):
        own = k == OF
        columns = [np.ones(SIZES[k])]
        columns += [] if alone else [(X[own] - x_column.location) / x_column.scale]
        x, y = np.stack(columns, 1), np.clip(Y[own], y_column.edge, 1 - y_column.edge)
        # The prior's centre is by moments; it moves the mode by a hundredth of an error.
        best = optimize.minimize(
            negative_log_posterior, found[k, :dim], args=(x, y, found[k, dim - 1]), tol=1e-8
        )
        errors = np.exp(found[k, dim:])
        np.testing.assert_allclose(found[k, :dim], best.x, atol=0.05 * errors.min())
    # The truth is within four errors, and not far nearer than it should be.
    if not alone:
        slope = (found[:, 1] / x_column.scale - B[:, 1]) / (np.exp(found[:, 4]) / x_column.scale)
        assert 0.4 < np.sqrt((slope**2).mean()) < 1.7


def test_they_are_offered_for_numbers_from_0_to_1_that_the_model_draws():
    assert "proportions1" in families_of(GROUP)
    assert not any(name.startswith("proportions0") for name in families_of(GROUP))
    (given,) = groups_of(DATA, ["x", "y"], given=("x", "y"), series=())
    assert not any(name.startswith("proportions") for name in families_of(given))


@pytest.mark.parametrize(
    ("values", "is_one"),
    [
        (RNG.beta(0.5, 0.9, 1000), True),
        (np.append(RNG.random(1000), [0.0, 1.0]), True),
        (RNG.beta(9, 90, 1000), False),
        (RNG.normal(0.5, 0.1, 1000) * 1.2, False),
        (RNG.integers(0, 2, 1000).astype(float), False),
        (-RNG.random(1000), False),
    ],
    ids=["beta", "with ends", "far from one", "beyond", "choices", "negative"],
)
def test_proportions_are_told_from_other_numbers(values, is_one):
    column = column_of(0, values, response=True)
    assert (column.edge is not None) == is_one
    bent = column.bend(np.array([0.0, 1.0, 0.3]))
    assert np.isfinite(bent).all()
    if is_one:
        assert bent[2] == pytest.approx(np.log(0.3 / 0.7))
