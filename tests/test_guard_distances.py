"""The guard's tails, distances and departures of replicated data: as rare as they say they are."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.guard.distance import Distance
from abi_cli.guard.plain import Plain, Table, families_of
from abi_cli.guard.replicated import Calibration, departures
from abi_cli.guard.tails import SMALLEST, Tails, TwoSided, _pareto
from abi_cli.variables import Datasets, Layout, Ragged, Variable


class TestTails:
    def test_far_beyond_all_it_is_what_the_distribution_says(self):
        rng = np.random.default_rng(16)
        found = np.median(
            [Tails.of(rng.exponential(size=(2_000, 1)))(np.array([[12.0]])) for _ in range(20)]
        )
        assert np.log(found) == pytest.approx(-12, abs=1.5)
        heavy = np.median(
            [Tails.of(rng.pareto(1, size=(2_000, 1)))(np.array([[1e4]])) for _ in range(20)]
        )
        assert np.log(heavy) == pytest.approx(np.log(1e-4), abs=1.5)

    def test_of_its_own_numbers_it_is_their_rank(self):
        numbers = np.random.default_rng(17).normal(size=(999, 2))
        p = TwoSided.of(numbers)(numbers)
        assert np.quantile(p, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)

    def test_what_differs_from_a_constant_is_as_rare_as_can_be(self):
        constant = np.full((500, 1), 0.1)
        tails = TwoSided.of(constant)
        single = np.float32(0.1).astype(np.float64)
        p = tails(np.array([[0.1], [single], [0.1001], [0.0999], [np.nan]]))[:, 0]
        assert p.tolist() == [1, 1, 2 * SMALLEST, 2 * SMALLEST, 1]


class TestDistance:
    def test_simulated_ones_lie_as_far_as_if_they_had_not_been_seen(self):
        rng = np.random.default_rng(18)
        features = np.concatenate([np.ones((120, 1)), rng.normal(size=(120, 2))], axis=1)
        y = features @ rng.normal(size=(3, 5)) + rng.normal(size=(120, 5)) @ rng.normal(size=(5, 5))
        whole = Distance.fit(features, y)
        for i in range(0, 120, 10):
            rest = np.delete(np.arange(120), i)
            without = Distance.fit(features[rest], y[rest])
            _, squared = without(features[[i]], y[[i]])
            assert whole.squared[i] == pytest.approx(squared[0], rel=0.2)
        _, seen = whole(features, y)
        assert (seen < whole.squared).all()


class TestReplicated:
    """With exact posteriors: y ~ N(mu, 1), mu ~ N(0, 3²), 20 members."""

    LAYOUT = Layout((Variable("y", "observable", True, ()),))

    def departed(self, rng: np.random.Generator, y: np.ndarray) -> tuple[Table, np.ndarray]:
        """The context of data sets `y (dataset, member)`, and z with 40 replicated ones of each."""
        n, size = y.shape
        variance = 1 / (size + 1 / 9)
        mu = variance * y.sum(axis=1)[:, None] + np.sqrt(variance) * rng.normal(size=(n, 40))
        made = mu[:, :, None] + rng.normal(size=(n, 40, size))
        own: Datasets = {"y": Ragged(y.ravel(), np.full(n, size))}
        replicated: Datasets = {"y": Ragged(made.ravel(), np.full(n * 40, size))}
        plain = Plain(self.LAYOUT, tuple(families_of(self.LAYOUT, own, ())))
        z = departures(plain.statistics(own), plain.statistics(replicated))
        return plain.context(own), z

    def of_the_model(self, rng: np.random.Generator, number: int) -> np.ndarray:
        return 3 * rng.normal(size=(number, 1)) + rng.normal(size=(number, 20))

    def test_of_the_model_as_many_are_strange_as_should_be(self):
        rng = np.random.default_rng(21)
        calibration = Calibration.of(*self.departed(rng, self.of_the_model(rng, 1_000)))
        p = calibration(*self.departed(rng, self.of_the_model(rng, 3_000))).p
        assert 0.03 < (p < 0.05).mean() < 0.07  # a thousand tell no better
        assert 0.4 < (p < 0.5).mean() < 0.6

    def test_what_the_model_would_not_generate_is_strange_and_by_which_statistic(self):
        rng = np.random.default_rng(22)
        calibration = Calibration.of(*self.departed(rng, self.of_the_model(rng, 1_000)))
        wide = self.of_the_model(rng, 100) * 2
        found = calibration(*self.departed(rng, wide))
        assert (found.p < 0.05).mean() > 0.9
        assert (found.adjusted[:, 1] < 0.05).mean() > 0.9  # the sd
        assert (found.each <= 1).all()


def test_a_tail_is_fitted_where_a_shape_on_the_way_is_exponential():
    """Of 64 excesses with a quartile of 1 and a largest of 3, one of the grid's b is exactly 0."""
    x = np.concatenate([np.linspace(0.05, 1, 16), np.geomspace(1.02, 3, 48)])
    x[-1] = 3.0
    with np.errstate(invalid="raise", divide="raise"):
        sigma, xi = _pareto(x[:, None])
    x[-1] = 3.0 + 1e-7
    near = _pareto(x[:, None])
    np.testing.assert_allclose([sigma, xi], near, rtol=1e-4, atol=1e-6)


def test_what_context_alone_decides_says_nothing_between_contexts_that_were_simulated():
    """Batches share their N: of 5 to 200 some values are never simulated, and √N goes on there."""
    rng = np.random.default_rng(1)

    def simulated(n):
        own = np.stack([np.sqrt(n), rng.normal(size=len(n)) / np.sqrt(n)], axis=1)
        u = (n - 100) / 60
        return np.stack([np.ones(len(n)), u, u**2 - 1], axis=1), own

    few = np.repeat(np.setdiff1d(rng.integers(60, 140, 40), np.arange(110, 125)), 32)
    found = Distance.fit(*simulated(few))
    assert found.squared.mean() < 2
    _, between = found(*simulated(rng.integers(110, 125, 4000)))
    assert np.median(between) == pytest.approx(np.median(found.squared), rel=0.2)
    # What is far from the curve is far off all the same.
    features, own = simulated(np.full(10, 100))
    _, away = found(features, own + np.array([1.0, 0.0]))
    assert (away > 50).all()
