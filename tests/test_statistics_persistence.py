"""Regressions with persistent errors, beside generalized least squares by their covariance."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.statistics.columns import Column
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.members import padded
from abi_cli.statistics.persistence import PRIOR, RHO, persistent
from abi_cli.variables import Ragged

X, Y = Column(0, 0.0, 1.0), Column(1, 0.0, 1.0)
SIZES = np.array([40, 25])


def series():
    """Two series of x and y, with errors of persistence 0.7 and −0.4."""
    rng = np.random.default_rng(4)
    found = []
    for size, rho in zip(SIZES, (0.7, -0.4), strict=True):
        x, e = rng.normal(size=size), rng.normal(size=size)
        for t in range(1, size):
            e[t] += rho * e[t - 1]
        found.append(np.stack([x, 1.5 - 2 * x + 0.5 * e], axis=1))
    return found


def members_of(found):
    size = np.array([len(of) for of in found])
    data = {name: Ragged(np.concatenate(found)[:, k], size) for k, name in enumerate("xy")}
    return padded(data, ["x", "y"], slice(0, 2))


def exact(of):
    """Posterior mean and sd of ρ's place, log σ and coefficients, by whole covariance matrices."""
    of = of[np.isfinite(of).all(axis=1)]
    x, y = np.column_stack([np.ones(len(of)), of[:, 0]]), of[:, 1]
    free = len(y) - 3
    log_p, told, within = [], [], []
    for rho in RHO:
        lag = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
        inverse = np.linalg.inv(rho**lag / (1 - rho**2))
        a = x.T @ inverse @ x + PRIOR * np.eye(2)
        b = np.linalg.solve(a, x.T @ inverse @ y)
        left = y @ inverse @ y - b @ x.T @ inverse @ y
        determinant = np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(a)[1]
        log_p.append(0.5 * determinant - 0.5 * free * np.log(left))
        told.append([np.arctanh(rho), 0.5 * np.log(left / free), *b])
        within.append([0, 0.5 / free, *np.diag(np.linalg.inv(a)) * left / free])
    p = np.exp(np.array(log_p) - max(log_p))
    p /= p.sum()
    told = np.array(told)
    mean = p @ told
    return mean, np.sqrt(p @ (np.array(within) + (told - mean) ** 2))


def test_they_are_those_of_generalized_least_squares():
    found = series()
    told = persistent(members_of(found), Y, [X])
    for row, of in enumerate(found):
        mean, sd = exact(of)
        np.testing.assert_allclose(told[row, :4], mean, rtol=1e-6)
        np.testing.assert_allclose(told[row, 4:8], np.log(sd), atol=1e-3)
    ols = np.polyfit(found[0][:, 0], found[0][:, 1], 1)[0]
    assert abs(told[0, 3] + 2) < abs(ols + 2)  # nearer to the truth here, too


def test_a_gap_at_the_end_is_as_if_the_series_were_shorter():
    found = series()
    gap = found[0].copy()
    gap[-3:, 1] = np.nan
    told = persistent(members_of([gap, found[1]]), Y, [X])
    shorter = persistent(members_of([found[0][:-3], found[1]]), Y, [X])
    np.testing.assert_allclose(told, shorter, rtol=1e-9, atol=1e-12)


def test_without_regressors_there_is_a_mean():
    told = persistent(members_of(series()), Y, [])
    assert told.shape[1] == 3 * 2 + 2 + len(RHO)
    assert np.isfinite(told).all()


@pytest.mark.parametrize("ordered", [True, False])
def test_it_is_offered_where_there_is_an_order(ordered):
    rng = np.random.default_rng(5)
    size = rng.integers(20, 30, size=50)
    data = {name: Ragged(rng.normal(size=size.sum()), size) for name in ("x", "y")}
    (group,) = groups_of(data, ["x", "y"], given=(), series=("x", "y") if ordered else ())
    assert ("persistent1" in families_of(group)) == ordered
