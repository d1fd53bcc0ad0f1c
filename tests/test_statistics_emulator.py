"""The emulator of vectors beside the exact posterior of a linear model."""

from __future__ import annotations

import json

import numpy as np

from abi_cli.statistics import Statistics
from abi_cli.statistics.emulator import Emulator
from abi_cli.variables import Ragged

RNG = np.random.default_rng(4)


def curves(datasets=4_000):
    """Linear in two parameters and a scalar, with noise of known size."""
    theta, given = RNG.normal(size=(datasets, 2)), RNG.normal(size=datasets)
    slopes = np.array([[1.0, 0.5], [0.3, -1.0], [0.8, 0.2], [0.1, 0.4], [-0.6, 0.9]])
    y = theta @ slopes.T + given[:, None] + 0.5 * RNG.normal(size=(datasets, 5))
    return theta, slopes, {"y": y, "given": given}


def test_the_emulator_finds_the_posterior_of_a_linear_model():
    theta, slopes, data = curves()
    emulator = Emulator.fit(data["y"], data["given"][:, None], theta)
    y = data["y"].copy()
    y[:50, 2] = np.nan
    found = emulator.statistics(y, data["given"][:, None])
    for row in (0, 60):
        there = np.isfinite(y[row])
        a = slopes[there] / 0.5
        covariance = np.linalg.inv(a.T @ a + np.eye(2))
        mean = covariance @ a.T @ (y[row, there] - data["given"][row]) / 0.5
        np.testing.assert_allclose(found[row, :2], mean, atol=0.1)
        np.testing.assert_allclose(np.exp(found[row, 2:4]), np.sqrt(np.diag(covariance)), rtol=0.1)


def test_vectors_with_a_curve_have_an_emulator_and_tables_of_noise_have_none():
    theta, _, data = curves()
    noise = {"y": RNG.normal(size=(4_000, 5)), "given": data["given"]}
    seen, unseen = (
        Statistics.fit(d, ["given", "y"], theta, given=["given"]) for d in (data, noise)
    )
    assert seen.offer.emulator is not None
    assert unseen.offer.emulator is None
    again = Statistics.from_config(json.loads(json.dumps(seen.to_config())))
    np.testing.assert_array_equal(again.of(data), seen.of(data))
    gap = {**data, "y": np.where(RNG.random((4_000, 5)) < 0.2, np.nan, data["y"])}
    assert np.isfinite(seen.of(gap)).all()


def test_sets_of_one_design_are_emulated_and_others_are_not():
    theta, slopes, _ = curves()
    times = np.tile(np.linspace(0, 1, 5), (4_000, 1))
    y = theta @ slopes.T + 0.5 * RNG.normal(size=(4_000, 5))
    fixed = {"t": times, "y": y}
    moving = {"t": RNG.random((4_000, 5)), "y": y}
    for seen, emulated in ((fixed, True), (moving, False)):
        size = np.full(4_000, 5)
        sets = {n: Ragged(v.reshape(-1), size) for n, v in seen.items()}
        found = Statistics.fit(sets, ["t", "y"], theta, given=["t"])
        assert (found.offer.emulator is not None) == emulated
