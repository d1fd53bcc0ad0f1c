"""Gaussians of many parameters: bounded work, and the statistics that matter are still found."""

from __future__ import annotations

import numpy as np

from abi_cli.statistics import each, gaussian

RNG = np.random.default_rng(7)


def with_one(u: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(u), 1)), u], axis=1)


def test_of_few_parameters_each_is_fitted_to_everything():
    u = with_one(RNG.normal(size=(2_000, 12)))
    theta = u[:, 1:4] + RNG.normal(size=(2_000, 3))
    mean, log_sd = each.fit_each(u, theta)
    for k in range(3):
        alone = gaussian.fit(u, theta[:, k])
        np.testing.assert_array_equal(mean[:, k], alone[0])
        np.testing.assert_array_equal(log_sd[:, k], alone[1])


def test_of_many_parameters_each_finds_its_own_among_few_statistics(monkeypatch):
    monkeypatch.setattr(each, "FEWEST_SETS", 1_000)
    dim, statistics = 60, 300
    u = with_one(RNG.normal(size=(20_000, statistics)))
    width = np.exp(0.5 * u[:, 2 : 2 + dim])
    theta = u[:, 1 : 1 + dim] + 0.3 * width * RNG.normal(size=(len(u), dim))
    mean, log_sd = each.fit_each(u, theta)
    own = np.arange(dim)
    assert (mean != 0).sum(axis=0).max() <= 6_666 // gaussian.ROWS_EACH
    np.testing.assert_allclose(mean[1 + own, own], 1, atol=0.05)
    np.testing.assert_allclose(log_sd[2 + own, own], 0.5, atol=0.15)
    others = np.abs(mean).sum(axis=0) - np.abs(mean[1 + own, own])
    assert np.median(others) < 0.1
