"""Two regimes of a series: what is simulated is found, and the likelihood is the forward one."""

from __future__ import annotations

import numpy as np
from scipy import stats

from abi_cli.statistics.regimes import _smoothed, regimes


def switching(steps, *, low=-1.0, high=2.5, sd=0.8, stay=(0.95, 0.85), seed=3):
    rng = np.random.default_rng(seed)
    state, y = 0, []
    for _ in range(steps):
        y.append((low, high)[state] + sd * rng.normal())
        state = state if rng.random() < stay[state] else 1 - state
    return np.array(y)


def test_levels_noise_and_odds_to_stay_are_found_also_through_gaps():
    whole = switching(6_000)
    gaps = np.where(np.random.default_rng(1).random(6_000) < 0.2, np.nan, whole)
    for y in (whole, gaps):
        found = regimes(np.stack([y, 10 + 5 * y]))
        low, high, log_sd, stay_low, stay_high = found[0, :5]
        np.testing.assert_allclose([low, high, np.exp(log_sd)], [-1, 2.5, 0.8], atol=0.08)
        np.testing.assert_allclose(
            1 / (1 + np.exp([-stay_low, -stay_high])), [0.95, 0.85], atol=0.03
        )
        np.testing.assert_allclose(found[1, :2], [10 + 5 * low, 10 + 5 * high], rtol=1e-6)


def test_the_likelihood_is_that_of_every_path():
    y = switching(7)
    densities = np.stack([stats.norm(m, 0.8).pdf(y) for m in (-1.0, 2.5)])
    move = np.array([[0.9, 0.1], [0.2, 0.8]])
    total, upper = 0.0, np.zeros(7)
    for path in np.ndindex(*(2,) * 7):
        p = 0.5 * densities[path[0], 0]
        for t in range(1, 7):
            p *= move[path[t - 1], path[t]] * densities[path[t], t]
        total += p
        upper += p * np.array(path)
    ratio = (densities[1] / densities[0])[:, None]
    share, _, fit = _smoothed(ratio, np.ones((6, 1)), np.array([0.9]), np.array([0.8]))
    np.testing.assert_allclose(share[:, 0], upper / total, rtol=1e-9)
    np.testing.assert_allclose(fit[0] + np.log(densities[0]).sum(), np.log(total), rtol=1e-9)
