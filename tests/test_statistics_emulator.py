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


def test_noise_tells_of_its_own_parameter():
    """y_j ~ N(a, exp(b)²) twenty times: the mode of b is that of a grid."""
    theta = RNG.normal(size=(6_000, 2)) * [1.0, 0.5]
    y = theta[:, :1] + np.exp(theta[:, 1:]) * RNG.normal(size=(6_000, 20))
    emulator = Emulator.fit(y, np.zeros((6_000, 0)), theta)
    told = emulator.statistics(y[:100], np.zeros((100, 0)))
    a, b = np.meshgrid(np.linspace(-5, 5, 301), np.linspace(-2.5, 2.5, 201), indexing="ij")
    for row in range(100):
        square = ((y[row] - y[row].mean()) ** 2).sum() + 20 * (y[row].mean() - a) ** 2
        log_p = -0.5 * square * np.exp(-2 * b) - 20 * b - 0.5 * a**2 - 2 * b**2
        p = np.exp(log_p - log_p.max())
        mean = (p * b).sum() / p.sum()
        sd = np.sqrt((p * b**2).sum() / p.sum() - mean**2)
        mode = b[np.unravel_index(log_p.argmax(), b.shape)]
        assert abs(emulator.scale[1] * told[row, 1] + emulator.location[1] - mode) < 0.35 * sd
        assert 0.75 < np.exp(told[row, 3]) * emulator.scale[1] / sd < 1.3
