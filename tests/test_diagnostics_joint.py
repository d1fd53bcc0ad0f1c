"""Joint quantities: uniform for exact posteriors, and what each of them sees."""

import numpy as np
import pytest

from abi_cli.diagnostics import flatten
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.diagnostics.losses import features_and_statistics, learn
from abi_cli.diagnostics.uniformity import uniformity

A = np.array([[1.0, 0.8], [0.3, 1.0]])
NOISE = 0.6
PRECISION = np.eye(2) + A.T @ A / NOISE**2
COVARIANCE = np.linalg.inv(PRECISION)


def pits_of(scalars, data, *, seed=1):
    features = features_and_statistics(data)
    learned = learn(scalars, features, seed=seed)
    return joint_pits(scalars, features.plain, seed=seed, learned=learned)


def scores(change, *, seed=1, datasets=1_000, draws=200):
    """Quantity → its uniformity, where exact draws `(dataset, draw, 2)` are changed.

    `change` is given means, draws minus these, and the data.

    θ ~ N(0, I), y ~ N(A θ, NOISE² I), so that posteriors are correlated normals.
    """
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((datasets, 2))
    y = theta @ A.T + NOISE * rng.standard_normal((datasets, 2))
    mean = y @ A @ COVARIANCE / NOISE**2
    residual = rng.standard_normal((datasets, draws, 2)) @ np.linalg.cholesky(COVARIANCE).T
    drawn = change(mean[:, None], residual, y)
    scalars = flatten({"theta": drawn.astype(np.float32)}, {"theta": theta}, labels={})
    pits = pits_of(scalars, {"y": y}, seed=seed)
    return {name: uniformity(pit) for name, pit in pits.items()}


def exact(mean, residual, _y):
    return mean + residual


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exact_posteriors_rank_uniformly(seed):
    for name, found in scores(exact, seed=seed).items():
        assert found.p > 0.003, name
        assert abs(found.mean_score) < 0.12


def test_no_truth_has_a_part_in_what_the_classifier_has_learned():
    """Of twenty features that say nothing there is much to be learned by heart."""
    rng = np.random.default_rng(4)
    truth, draws = rng.standard_normal((200, 4)), rng.standard_normal((200, 100, 4))
    scalars = flatten({"theta": draws}, {"theta": truth}, labels={})
    pits = pits_of(scalars, {"y": rng.standard_normal((200, 20))})
    assert abs(uniformity(pits["classifier"]).mean_score) < 0.25


def test_uncorrelated_draws_are_too_wide_where_no_margin_shows_it():
    def independent(mean, residual, _y):
        other = np.roll(residual[..., 1], 1, axis=1)
        return mean + np.stack([residual[..., 0], other], axis=-1)

    found = scores(independent)
    assert found["spread"].p < 1e-4 or found["classifier"].p < 1e-4


def test_the_prior_knows_less_than_the_data_tell():
    def prior(_mean, residual, _y):
        return np.random.default_rng(9).standard_normal(residual.shape)

    found = scores(prior)
    assert found["reference"].mean_score < -0.5
    assert found["classifier"].mean_score > 0.5
    assert abs(found["spread"].mean_score) < 0.12  # it can't see that


def test_a_width_that_is_wrong_only_given_the_data_is_told_by_the_classifier():
    def uneven(mean, residual, y):
        return mean + residual * np.where(y[:, None, :1] > 0, 1.5, 1 / 1.5)

    found = scores(uneven)
    assert found["classifier"].mean_score > 0.2
    assert found["classifier"].p < 1e-6


def test_without_data_only_the_spread_is_left():
    rng = np.random.default_rng(0)
    draws, truth = rng.standard_normal((50, 40, 2)), rng.standard_normal((50, 2))
    scalars = flatten({"theta": draws}, {"theta": truth}, labels={})
    assert set(joint_pits(scalars, None, seed=1)) == {"spread"}
    alone = scalars.take([0])
    assert joint_pits(alone, None, seed=1) == {}


def test_parameters_that_sum_to_one_have_a_spread():
    rng = np.random.default_rng(0)
    draws = rng.dirichlet([2.0, 1.0, 1.0], size=(300, 100)).astype(np.float32)
    truth = rng.dirichlet([2.0, 1.0, 1.0], size=300)
    pits = joint_pits(flatten({"p": draws}, {"p": truth}, labels={}), None, seed=1)
    assert uniformity(pits["spread"]).p > 0.003


def test_draws_that_do_not_vary_are_ranked_all_the_same():
    rng = np.random.default_rng(0)
    draws, truth = rng.standard_normal((160, 40, 2)), rng.standard_normal((160, 2))
    draws[:5] = 1.5
    scalars = flatten({"theta": draws}, {"theta": truth}, labels={})
    pits = pits_of(scalars, {"y": rng.standard_normal((160, 3))})
    assert pits.keys() == {"spread", "reference", "classifier"}
    assert all(((pit > 0) & (pit < 1)).all() for pit in pits.values())
