"""Surfaces of choices, beside exact posteriors on a grid."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.statistics import Statistics
from abi_cli.statistics import statistics as statistics_module
from abi_cli.statistics.chances import Chances
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.offer import Offer
from abi_cli.statistics.response_learning import PilotMembers
from abi_cli.variables import Ragged, take

GRID = np.stack(np.meshgrid(*[np.linspace(-3.5, 3.5, 71)] * 2, indexing="ij"), -1).reshape(-1, 2)


def log_odds(theta, x):
    """A value that falls with the delay x₁, hyperbolically, beside that of x₀ at once."""
    rate, bend = 1 + 0.6 * theta[..., 0], np.exp(1.2 * theta[..., 1])
    return 3 * rate * (2 / (1 + bend * x[..., 1]) - x[..., 0])


@pytest.fixture(scope="module")
def learned():
    rng = np.random.default_rng(8)
    theta = rng.normal(size=(6_000, 2))
    size = rng.integers(15, 30, size=len(theta))
    owner = np.repeat(np.arange(len(theta)), size)
    x = np.stack([rng.uniform(0, 2, len(owner)), rng.exponential(1, len(owner))], axis=1)
    chosen = rng.random(len(owner)) < 1 / (1 + np.exp(-log_odds(theta[owner], x)))
    values = {"now": x[:, 0], "delay": x[:, 1], "choice": chosen.astype(float)}
    data = {name: Ragged(value, size) for name, value in values.items()}
    return theta, data, fitted(theta, data)


def fitted(theta, data, **options):
    (group,) = groups_of(data, list(data), given=(), series=())
    pilot = PilotMembers.of(group.names, group.columns, data, theta)
    return Chances.fit(pilot, pilot.choice, **options) if pilot.choice else None


def exact(data, row):
    """Posterior mean and sd of one data set."""
    one = take(data, slice(row, row + 1))
    x = np.stack([one["now"].values, one["delay"].values], axis=1)
    eta = log_odds(GRID[:, None], x)
    log_p = -np.logaddexp(0, np.where(one["choice"].values > 0.5, -eta, eta)).sum(axis=1)
    log_p -= 0.5 * (GRID**2).sum(axis=1)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ GRID
    return mean, np.sqrt(p @ (GRID - mean) ** 2)


def test_the_corrected_mode_is_near_the_exact_posterior(learned):
    theta, data, surface = learned
    assert [c.place for c in surface.regressors] == [0, 1]
    told = surface.raw(take(data, slice(0, 200)))
    means, sds = np.array([exact(data, row) for row in range(200)]).transpose(1, 0, 2)
    centre = surface.location + surface.scale * told[:, 4:6]
    error = np.abs(centre - means) / sds
    assert np.median(error) < 0.2
    assert np.quantile(error, 0.9) < 0.6
    ratio = surface.scale * np.exp(told[:, 6:8]) / sds
    assert abs(np.median(ratio) - 1) < 0.12
    plain = np.abs(theta[:200].mean(axis=0) - means) / sds  # and what nothing was learned for says
    assert np.median(plain) > 1


def test_which_of_the_two_values_is_the_larger_does_not_matter(learned):
    theta, data, _ = learned
    few = take(data, slice(0, 1_500))
    moved = {**few, "choice": Ragged(1 + 4 * few["choice"].values, few["choice"].row_size)}
    one, other = (fitted(theta[:1_500], of, steps=500) for of in (few, moved))
    np.testing.assert_allclose(one.raw(few), other.raw(moved), rtol=1e-4, atol=1e-4)


def test_members_that_lack_a_value_count_as_absent(learned):
    _, data, surface = learned
    few = take(data, slice(0, 50))
    last = np.cumsum(few["choice"].row_size) - 1
    gaps = few["choice"].values.copy()
    gaps[last] = np.nan
    lacking = {**few, "choice": Ragged(gaps, few["choice"].row_size)}
    keep = np.ones(len(gaps), bool)
    keep[last] = False
    fewer = {name: Ragged(value.values[keep], value.row_size - 1) for name, value in few.items()}
    np.testing.assert_allclose(surface.raw(lacking), surface.raw(fewer), rtol=1e-3, atol=1e-3)


def test_nothing_is_said_of_other_responses(learned):
    theta, data, _ = learned
    rng = np.random.default_rng(2)
    three = data["choice"].values + (rng.random(len(data["choice"].values)) < 0.3)
    assert fitted(theta, {**data, "choice": Ragged(three, data["choice"].row_size)}) is None


def test_a_surface_is_stored_as_json(learned):
    _, data, surface = learned
    few = take(data, slice(0, 20))
    again = Chances.from_config(json.loads(json.dumps(surface.to_config())))
    assert np.array_equal(again.raw(few), surface.raw(few))


def test_it_is_chosen_where_it_tells_of_the_parameters_and_others_leave(learned, monkeypatch):
    for steps in ("STEPS", "LONG"):
        monkeypatch.setattr(statistics_module, steps, 2_000)
    theta, data, _ = learned
    statistics = Statistics.fit(data, list(data), theta)
    assert len(statistics.offer.surfaces) == 1
    without = Statistics.whole(data, list(data), theta)
    families = sum(len(names) for _, names in statistics.offer.groups)
    assert families < sum(len(names) for _, names in without.offer.groups)
    told = statistics.of(take(data, slice(0, 20)))
    assert np.isfinite(told).all()
    restored = Statistics.from_config(json.loads(json.dumps(statistics.to_config())))
    assert np.array_equal(restored.of(take(data, slice(0, 20))), told)
    assert len(Offer.from_config(statistics.offer.to_config()).surfaces) == 1
