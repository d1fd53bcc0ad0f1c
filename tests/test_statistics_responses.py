"""Surfaces of members along their regressors, beside exact posteriors of curves."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from abi_cli.statistics import Statistics, statistics
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.members import padded
from abi_cli.statistics.response_learning import PilotMembers
from abi_cli.statistics.responses import Responses
from abi_cli.variables import Ragged

NOISE = 0.3


def sets(size, x, y):
    return {"x": Ragged(x, size), "y": Ragged(y, size)}


def bent(datasets=4_000, *, curve=lambda x: np.cos(2 * x)):
    """y = a curve(x) + b + noise, at places of each data set's own."""
    rng = np.random.default_rng(3)
    theta = rng.normal(size=(datasets, 2))
    size = rng.integers(6, 12, size=datasets)
    owner, x = np.repeat(np.arange(datasets), size), rng.normal(size=size.sum())
    mean = theta[owner, 0] * curve(x) + theta[owner, 1]
    return theta, sets(size, x, mean + NOISE * rng.normal(size=len(x)))


def fitted(theta, data, **options):
    (group,) = groups_of(data, ["x", "y"], given=(), series=())
    pilot = PilotMembers.of(group.names, group.columns, data, theta)
    return pilot and Responses.fit(pilot, **options)


@pytest.fixture(scope="module")
def learned():
    theta, data = bent()
    return theta, data, fitted(theta, data, steps=2_500)


def test_the_mode_is_that_of_the_exact_posterior(learned):
    _, data, surface = learned
    assert [c.place for c in surface.regressors] == [0]
    told = surface.raw(data)[:300]
    edges = np.cumsum(data["x"].row_size)
    errors, widths = [], []
    for row in range(300):
        inside = slice(edges[row] - data["x"].row_size[row], edges[row])
        x, y = data["x"].values[inside], data["y"].values[inside]
        design = np.column_stack([np.cos(2 * x), np.ones(len(x))]) / NOISE
        covariance = np.linalg.inv(design.T @ design + np.eye(2))
        mean, sd = covariance @ design.T @ (y / NOISE), np.sqrt(np.diag(covariance))
        mode = surface.location + surface.scale * told[row, :2]
        errors.append(np.abs(mode - mean) / sd)
        widths.append(surface.scale * np.exp(told[row, 2:4]) / sd)
    assert np.median(errors, axis=0).max() < 0.1
    assert np.quantile(errors, 0.9, axis=0).max() < 0.35
    np.testing.assert_allclose(np.median(widths, axis=0), 1, atol=0.05)


def test_scores_are_slopes_of_the_log_density(learned):
    _, data, surface = learned
    of = surface._observed(padded(data, ["x", "y"], slice(0, 9)))
    double = {name: getattr(of, name).astype(float) for name in ("features", "y", "there")}
    of = dataclasses.replace(of, **double)
    t = np.random.default_rng(1).normal(size=(9, 2))
    at = of.around(t)
    np.testing.assert_allclose(at.cost, of.cost(t))
    for k, step in enumerate(1e-5 * np.eye(2)):
        by_hand = -(of.cost(t + step) - of.cost(t - step)) / 4e-5
        np.testing.assert_allclose(at.score[:, k], by_hand, rtol=1e-4, atol=1e-4)


def test_order_and_company_of_members_and_gaps_change_nothing(learned):
    _, data, surface = learned
    x, y = (data[name].values[: data[name].row_size[0]] for name in ("x", "y"))
    alone = surface.raw(sets(np.array([len(x)]), x, y))
    np.testing.assert_allclose(alone[0], surface.raw(data)[0], atol=1e-4)
    turned = surface.raw(sets(np.array([len(x)]), x[::-1], y[::-1]))
    np.testing.assert_allclose(turned, alone, atol=1e-4)
    more = np.array([len(x) + 2])
    gaps = surface.raw(sets(more, np.append(x, [0.5, np.nan]), np.append(y, [np.nan, 9.0])))
    np.testing.assert_allclose(gaps, alone, atol=1e-4)


def test_what_is_straight_needs_none_and_what_is_kept_comes_back(monkeypatch):
    for steps in ("STEPS", "LONG"):
        monkeypatch.setattr(statistics, steps, 1_000)
    assert fitted(*bent(curve=lambda x: x)) is None
    theta, data = bent()
    unrelated = {**data, "y": data["x"]}
    assert fitted(theta, unrelated) is None
    seen = Statistics.fit(data, ["x", "y"], theta)
    assert len(seen.offer.surfaces) == 1
    again = Statistics.from_config(json.loads(json.dumps(seen.to_config())))
    np.testing.assert_array_equal(again.of(data), seen.of(data))
