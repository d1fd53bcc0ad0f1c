"""The surface of vectors: slopes are those of its mean, and it follows what no quadratic does."""

from __future__ import annotations

import numpy as np

from abi_cli.statistics import surface
from abi_cli.statistics.emulator import Emulator
from abi_cli.statistics.surface import Surface

PLACES = np.linspace(-2, 2, 12)


def bumps(datasets=6_000, seed=1):
    """A bump whose place is a parameter, and a level, with noise of sd 0.1."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(datasets, 2))
    mean = np.exp(-2 * (PLACES - theta[:, :1]) ** 2) + 0.3 * theta[:, 1:]
    return theta, mean, mean + 0.1 * rng.normal(size=mean.shape)


def test_a_network_joins_the_quadratic_where_it_tells_more(monkeypatch):
    monkeypatch.setattr(surface, "LONG", 3_000)
    theta, mean, y = bumps()
    fitted = Surface.fit(theta, y, np.ones_like(y))
    assert fitted.layers
    assert np.mean((fitted.mean(theta) - mean) ** 2) < 0.1 * 0.1**2 * 2
    straight = theta @ np.ones((2, 12)) + y - mean
    assert not Surface.fit(theta, straight, np.ones_like(y)).layers


def test_slopes_are_differences_of_the_mean(monkeypatch):
    monkeypatch.setattr(surface, "LONG", 600)
    theta, _, y = bumps()
    fitted = Surface.fit(theta, y, np.ones_like(y))
    mean, slopes = fitted.mean_and_slopes(theta[:9], 2)
    np.testing.assert_allclose(mean, fitted.mean(theta[:9]))
    for k, step in enumerate(1e-5 * np.eye(2)):
        by_hand = (fitted.mean(theta[:9] + step) - fitted.mean(theta[:9] - step)) / 2e-5
        np.testing.assert_allclose(slopes[:, k], by_hand, rtol=1e-4, atol=1e-6)


def test_the_corrected_mode_is_nearer_to_the_exact_mean(monkeypatch):
    """On a grid: the place of a bump of which a third is beyond the last channel."""
    monkeypatch.setattr(surface, "LONG", 6_000)
    theta, _, y = bumps(12_000)
    emulator = Emulator.fit(y, np.zeros((len(y), 0)), theta)
    told = emulator.statistics(y[:200], np.zeros((200, 0)))
    a, b = np.meshgrid(np.linspace(-4, 4, 801), np.linspace(-3.5, 3.5, 141), indexing="ij")
    bump = np.exp(-2 * (PLACES[:, None] - a[:, 0]) ** 2)
    mean, sd = np.empty((2, 200))
    for row in range(200):
        r = y[row][:, None, None] - bump[:, :, None] - 0.3 * b[0]
        log_p = -0.5 * (r**2).sum(axis=0) / 0.1**2 - 0.5 * (a**2 + b**2)
        p = np.exp(log_p - log_p.max())
        mean[row] = (p * a).sum() / p.sum()
        sd[row] = np.sqrt((p * a**2).sum() / p.sum() - mean[row] ** 2)
    place = emulator.location[0] + emulator.scale[0] * told[:, [0, 4]]
    error = np.abs(place - mean[:, None]) / sd[:, None]
    assert np.median(error[:, 1]) < 0.3
    assert error[:, 1].mean() < error[:, 0].mean()
    width = np.exp(told[:, 6]) * emulator.scale[0] / sd
    np.testing.assert_allclose(np.median(width), 1.0, atol=0.15)
