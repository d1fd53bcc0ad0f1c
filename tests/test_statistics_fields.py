"""Gaussian processes along a regressor, beside their whole covariance matrices."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.statistics.columns import REACH, Column
from abi_cli.statistics.families import families_of
from abi_cli.statistics.fields import LENGTHS, NOISES, fields
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.members import padded
from abi_cli.variables import Ragged

X, Y = Column(0, 0.0, 1 / REACH), Column(1, 0.0, 1.0)  # a reach of 1
GRID = [(length, noise) for length in LENGTHS for noise in NOISES]


def sets():
    """Two sets of x and y, in no order of x."""
    rng = np.random.default_rng(8)
    found = []
    for size in (9, 14):
        x = rng.uniform(size=size)
        found.append(np.stack([x, 1 + np.sin(7 * x) + 0.3 * rng.normal(size=size)], axis=1))
    return found


def members_of(found):
    size = np.array([len(of) for of in found])
    data = {name: Ragged(np.concatenate(found)[:, k], size) for k, name in enumerate("xy")}
    return padded(data, ["x", "y"], slice(0, len(found)))


def covariance(x, length, noise):
    d = np.sqrt(3) * np.abs(np.subtract.outer(x, x)) / length
    return (1 + d) * np.exp(-d) + noise * np.eye(len(x))


def exact(of):
    """Posterior mean and sd of the log length scale, and of the log scale, by a grid over all."""
    x, y = of.T
    level, scale = np.linspace(-30, 30, 1201)[:, None], np.linspace(-3, 5, 201)
    log_p = []
    for length, noise in GRID:
        root = np.linalg.cholesky(covariance(x, length, noise))
        z = np.linalg.solve(root, (y - level).T)
        square = (z**2).sum(axis=0)[:, None]
        log_p.append(-np.log(np.diag(root)).sum() - len(y) * scale - square / 2 / np.exp(2 * scale))
    p = np.exp(np.array(log_p) - np.max(log_p))
    p /= p.sum()
    found = []
    for weight, value in (
        (p.sum(axis=(1, 2)), np.log([length for length, _ in GRID])),
        (p.sum(axis=(0, 1)), scale),
    ):
        mean = weight @ value
        found.append((mean, np.sqrt(weight @ (value - mean) ** 2)))
    return found


def test_they_are_those_of_whole_covariance_matrices():
    said = fields(members_of(sets()), Y, X)
    for row, of in enumerate(sets()):
        x, y = of.T
        for k, (length, noise) in enumerate(GRID):
            inverse = np.linalg.inv(covariance(x, length, noise))
            left = y @ inverse @ y
            fall = 0.5 * np.linalg.slogdet(inverse)[1] - 0.5 * len(y) * np.log(left)
            if k == 0:
                first = fall
            found = -(said[row, -len(GRID) + k] ** 2) + said[row, -len(GRID)] ** 2
            if said[row, -len(GRID) + k] < 6 and said[row, -len(GRID)] < 6:
                assert found == pytest.approx(fall - first, abs=1e-3)


def test_means_and_sds_are_those_of_a_grid_over_the_scale():
    of = sets()[0]
    said = fields(members_of([of]), Y, X)[0]
    length, scale = exact(of)
    assert said[0] == pytest.approx(length[0], abs=0.02)
    assert np.exp(said[1]) == pytest.approx(length[1], rel=0.02)
    assert said[2] == pytest.approx(scale[0], abs=0.2 * scale[1])
    assert np.exp(said[3]) == pytest.approx(scale[1], rel=0.1)


def test_neither_order_nor_gaps_nor_company_matter():
    found = sets()
    rng = np.random.default_rng(1)
    shuffled = [rng.permutation(of) for of in found]
    gap = np.concatenate([found[0], [[0.5, np.nan], [np.nan, 3.0]]])
    told = fields(members_of(found), Y, X)
    np.testing.assert_allclose(fields(members_of(shuffled), Y, X), told, rtol=1e-4, atol=1e-4)
    alone = fields(members_of([gap]), Y, X)
    np.testing.assert_allclose(alone[0], told[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_few_or_equal_members_all_is_finite(size):
    assert np.isfinite(fields(members_of([np.ones((size, 2))]), Y, X)).all()
    assert np.isfinite(fields(members_of([np.full((size, 2), np.nan)]), Y, X)).all()


def test_they_are_offered_along_numbers_and_along_an_order():
    rng = np.random.default_rng(5)
    size = rng.integers(20, 30, size=50)
    data = {name: Ragged(rng.normal(size=size.sum()), size) for name in ("x", "y")}
    (group,) = groups_of(data, ["x", "y"], given=("x",), series=("x", "y"))
    names = families_of(group)
    assert {"fields1on0", "fields1", "waves1on0", "waves1"} <= set(names)
    assert "fields0on1" not in names
    (group,) = groups_of(data, ["x", "y"], given=("x",), series=())
    assert "fields1" not in families_of(group)
