"""Lower bounds of a divergence: against closed forms, and what can't be proved of exact draws."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.diagnostics import flatten
from abi_cli.diagnostics.losses import Features, features_and_statistics, learn
from abi_cli.diagnostics.ratio import bound, detectable, fit


def learned(case, *, datasets=2_000, seed=1):
    rng = np.random.default_rng([seed, 9])
    theta, y, draws = case(rng, datasets)
    scalars = flatten({"theta": draws.astype(np.float32)}, {"theta": theta}, labels={})
    return learn(scalars, features_and_statistics({"y": y}), seed=seed)


def shifted(by):
    """Draws of N(y₀, 1), truths of N(y₀ + by · y₁, 1): KL = by² / 2 on average."""

    def case(rng, datasets):
        y = rng.standard_normal((datasets, 2))
        theta = y[:, 0] + by * y[:, 1] + rng.standard_normal(datasets)
        return theta, y, y[:, :1] + rng.standard_normal((datasets, 150))

    return case


def test_the_true_ratio_proves_the_divergence():
    """Of N(δ, 1) from N(0, 1): T = δ z, KL = δ² / 2; and nothing proves more."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20_000, 200))
    z[:, 0] += 0.7
    found = bound(0.7 * z)
    assert found.nats == pytest.approx(0.245, abs=0.02)
    assert found.interval[0] < 0.245 < found.interval[1] + 0.01
    assert found.p < 1e-100
    for wrong in (0.3, 1.5):
        assert bound(wrong * z).nats < found.nats


def test_a_regression_finds_the_ratio_and_leaves_out_what_says_nothing():
    rng = np.random.default_rng(1)
    terms = rng.standard_normal((3_000, 20, 12))
    terms[:, 0, 0] += 0.6
    weights = fit(terms, np.array([0] + [1] * 11))
    assert weights[0] == pytest.approx(0.6, abs=0.05)
    assert np.abs(weights[1:]).max() < 0.03


@pytest.mark.parametrize("by", [0.4, 0.8])
def test_as_many_nats_are_lost_as_the_closed_form_says(by):
    found = learned(shifted(by))
    own = found.each["theta"]
    assert own.nats > 0.75 * by**2 / 2
    assert own.interval[0] < by**2 / 2  # a lower bound, to the noise of so many data sets
    assert own.by_data
    assert own.p < 1e-10
    assert np.mean(found.ranks) > 0.57


def test_nothing_is_proved_of_exact_posteriors():
    found = [learned(shifted(0.0), datasets=400, seed=seed) for seed in range(12)]
    assert max(one.together.nats for one in found) < 0.05
    assert min(one.together.p for one in found) > 0.003
    assert not any(one.each["theta"].by_data for one in found)
    ranks = np.concatenate([one.ranks for one in found])
    assert ranks.mean() == pytest.approx(0.5, abs=3 * 12**-0.5 / np.sqrt(len(ranks)))


def test_draws_are_judged_by_truths_that_had_no_part_in_the_score():
    """With as many statistics of noise as data sets there is everything to be learned by heart."""
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((300, 150))
    scalars = flatten(
        {"t": rng.standard_normal((300, 100))}, {"t": rng.standard_normal(300)}, labels={}
    )
    found = learn(scalars, Features(noise[:, :40], noise), seed=1)
    assert found.together.nats < 0.03


def test_few_data_sets_teach_nothing_and_more_see_smaller_losses():
    assert learned(shifted(0.5), datasets=80) is None
    assert detectable(2_000, level=1e-3) == pytest.approx(
        2 * (3.09 + 1.2816) ** 2 / 2_000, rel=1e-3
    )
    assert detectable(500, level=1e-3) == pytest.approx(4 * detectable(2_000, level=1e-3))


def test_few_draws_are_as_many_rivals():
    """Of five draws each, fewer than it learns from, what is lost is found all the same."""
    theta, y, draws = shifted(0.8)(np.random.default_rng(7), 600)
    scalars = flatten({"theta": draws[:, :5]}, {"theta": theta}, labels={})
    found = learn(scalars, features_and_statistics({"y": y}), seed=1)
    assert found is not None
    assert found.together.p < 1e-6
