"""Posteriors that know less than their data tell are found, exact ones are not accused."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.diagnostics import Outcome, flatten, measure
from abi_cli.diagnostics.dependence import cross_fitted, data_pit
from abi_cli.diagnostics.features import features_of
from abi_cli.variables import Ragged, take
from tests.diagnostics_examples import read


def segments(sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


def judged(kind, *, seed=0, datasets=500, draws=200):
    """θ ~ N(0, 1), members y ~ N(θ, 1): posteriors that read all of them, half of them or none."""
    rng = np.random.default_rng([seed, 5])
    theta, sizes = rng.normal(size=datasets), rng.integers(3, 12, size=datasets)
    y = np.repeat(theta, sizes) + rng.normal(size=sizes.sum())
    read_members = {
        "exact": np.ones(len(y)),
        "half": np.concatenate([np.arange(size) < (size + 1) // 2 for size in sizes]),
        "prior": np.zeros(len(y)),
    }[kind]
    number = np.bincount(segments(sizes), read_members)
    mean = np.bincount(segments(sizes), y * read_members) / (number + 1)
    noise = rng.normal(size=(datasets, draws))
    estimates = (mean[:, None] + noise / np.sqrt(number + 1)[:, None]).astype(np.float32)
    scalars = flatten({"theta": estimates}, {"theta": theta}, labels={})
    ranks = data_pit(scalars, features_of({"y": Ragged(y, sizes)}), seed=1)
    return ranks, measure(scalars, read(scalars), data_ranks=ranks)


@pytest.mark.parametrize("kind", ["half", "prior"])
def test_posteriors_that_read_too_little_fail(kind):
    ranks, metrics = judged(kind)
    assert metrics.verdict.outcome is Outcome.FAIL
    assert "theta is less informed than the data allow" in metrics.verdict.sentence
    assert ranks.mean() < 0.45
    # which ranks of the parameter itself can't see
    assert metrics.parameters["theta"].uniformity.p > 1e-3
    config = metrics.to_config()["parameters"]["theta"]
    assert config["given_data"]["p_location"] < 1e-6


def test_ranks_of_exact_posteriors_are_uniform_whatever_the_prediction():
    ranks = np.concatenate([judged("exact", seed=seed)[0][0] for seed in range(8)])
    covered = np.searchsorted(np.sort(ranks), np.linspace(0.1, 0.9, 9)) / len(ranks)
    np.testing.assert_allclose(covered, np.linspace(0.1, 0.9, 9), atol=1.95 / np.sqrt(len(ranks)))
    outcomes = [judged("exact", seed=seed)[1].verdict.outcome for seed in range(20)]
    assert outcomes.count(Outcome.FAIL) + outcomes.count(Outcome.WARN) <= 3


def test_no_truth_has_a_part_in_its_own_prediction():
    rng = np.random.default_rng(2)
    features, targets = rng.normal(size=(80, 30)), rng.normal(size=(80, 1))
    before = cross_fitted(features, targets, np.random.default_rng(0))
    targets[7] += 100
    after = cross_fitted(features, targets, np.random.default_rng(0))
    changed = np.flatnonzero((before != after).any(axis=1))
    assert len(changed) == 40
    assert 7 not in changed


def test_a_regression_finds_what_is_linear():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(400, 5))
    targets = features @ rng.normal(size=(5, 2)) + 3.0
    predicted = cross_fitted(features, targets, np.random.default_rng(0))
    np.testing.assert_allclose(predicted, targets, atol=0.01)
    noise = rng.normal(size=(400, 1))
    assert np.abs(cross_fitted(features, noise, np.random.default_rng(0))).mean() < 0.2


def test_features_tell_what_a_data_set_is():
    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 9, size=300)
    slope, sd = rng.normal(size=300), rng.gamma(4.0, size=300)
    x = rng.normal(size=sizes.sum())
    y = np.repeat(slope, sizes) * x
    z = np.repeat(sd, sizes) * rng.normal(size=len(x))
    z[::7] = np.nan
    data = {
        "x": Ragged(x, sizes),
        "y": Ragged(y, sizes),
        "z": Ragged(z, sizes),
        "u": rng.normal(size=(300, 2)),
        "constant": np.ones(300),
    }
    features = features_of(data)
    assert np.isfinite(features).all()
    assert (np.ptp(features, axis=0) > 0).all()
    several = sizes > 2
    for target in (slope, np.log(sd), sizes, data["u"][:, 1]):
        correlations = np.abs(np.corrcoef(features[several].T, target[several])[-1, :-1])
        assert correlations.max() > 0.7
    empty = {"x": Ragged(np.zeros(0), np.zeros(4, np.int64))}
    assert features_of(empty).shape == (4, 0)
    # the numbers of a data set don't depend on the order of its members, but for neighbours
    one = take(data, slice(0, 1))
    assert features_of(one).shape[1] == 0
