"""Densities that are the simulator's agree with it, and others don't."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from abi_cli.refinement.agreement import disagreement, proposals

DATASETS = 1_000


def normal_model(seed: int):
    """θ = (mean, log sd) with a normal prior each, and eight members of a normal likelihood."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(DATASETS, 2))
    y = rng.normal(theta[:, :1], np.exp(theta[:, 1:]), size=(DATASETS, 8))
    return theta, y, rng


def log_joint(theta, y):
    prior = stats.norm.logpdf(theta).sum(axis=1)
    return prior + stats.norm.logpdf(y, theta[:, :1], np.exp(theta[:, 1:])).sum(axis=1)


def found(density, seed):
    theta, y, rng = normal_model(seed)
    proposed = proposals(theta, rng)
    every = [theta, *np.moveaxis(proposed, 1, 0)]
    log_p = np.stack([density(one, y) for one in every], axis=1)
    return disagreement(log_p, theta, proposed)


def test_the_right_density_agrees():
    assert [found(log_joint, seed) for seed in range(20)] == [None] * 20


def test_terms_of_the_data_alone_are_none_of_its_business():
    assert found(lambda theta, y: log_joint(theta, y) + (y**2).sum(axis=1), 0) is None


def test_nor_are_data_left_unread_which_make_a_posterior_of_the_rest():
    assert found(lambda theta, y: log_joint(theta, y[:, :4]), 0) is None


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda t, y: 2 * log_joint(t, y), id="a temperature"),
        pytest.param(lambda t, y: log_joint(t, y) / 2, id="another temperature"),
        pytest.param(lambda t, y: log_joint(t, y) + t[:, 1], id="a term of the sd less"),
        pytest.param(lambda t, y: log_joint(t, y) + 8 * t[:, 1], id="no term of the sd"),
        pytest.param(lambda t, y: log_joint(t * [-1, 1], y), id="a sign"),
        pytest.param(
            lambda t, y: log_joint(t, y) + 4 * stats.norm.logpdf(t).sum(axis=1), id="a prior"
        ),
    ],
)
def test_a_wrong_density_does_not(wrong):
    assert all(found(wrong, seed) for seed in range(3))


def test_the_parameter_is_named_where_it_tells():
    told = found(lambda t, y: log_joint(t, y) + 8 * t[:, 1], 0)
    assert told is not None
    assert told.coordinate == 1


def test_data_that_can_not_be_are_counted():
    told = found(lambda t, y: np.where(y[:, 0] > 3, -np.inf, log_joint(t, y)), 1)
    assert told is not None
    assert told.impossible > 0
    assert told.datasets == DATASETS
