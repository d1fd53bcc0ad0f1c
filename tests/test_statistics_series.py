"""Statistics of series beside plain loops, one for each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from abi_cli.statistics import series

RNG = np.random.default_rng(12)


def test_moving_averages_profile_the_sum_of_squares():
    x = RNG.normal(size=(3, 80)).cumsum(axis=1)
    found = series.moving_averages(x)
    z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    number = len(series.AVERAGES)
    for row in range(3):
        for k, theta in enumerate(series.AVERAGES):
            f = signal.lfilter([1.0], [1.0, theta], z[row])
            now, past = f[1:], f[:-1]
            phi = now @ past / (past @ past)
            assert found[row, 3 + k] == pytest.approx(phi, abs=1e-3)
            at_one = np.log(np.mean((now - past) ** 2))
            assert found[row, 3 + number + k] == pytest.approx(at_one, abs=2e-3)


def test_smoothers_are_kalman_filters_of_a_level_whose_information_decays():
    x = RNG.normal(size=(2, 30)).cumsum(axis=1)
    x[:, [5, 6, 17]] = np.nan
    found = series.smoothers(x)
    number = len(series.DECAYS)
    for row in range(2):
        for k, keep in enumerate(series.DECAYS):
            level, variance, terms = x[row, 0], 1.0, []
            for value in x[row, 1:]:
                variance /= keep
                if np.isnan(value):
                    continue
                terms.append(((value - level) ** 2 / (variance + 1), np.log(variance + 1)))
                gain = variance / (variance + 1)
                level, variance = level + gain * (value - level), variance * (1 - gain)
            squares, logs = np.mean(terms, axis=0)
            assert found[row, k] == pytest.approx(level, rel=1e-5)
            loss = found[row, 4 * number + 4 + k]
            assert loss == pytest.approx(np.log(squares) + logs, rel=1e-5)


def test_levels_are_the_profile_likelihood_of_a_local_level_with_gaps():
    """Beside the density of all values together: λ min(s, t) + 1 where s = t, from a flat start."""
    x = RNG.normal(size=(3, 25)).cumsum(axis=1) + RNG.normal(size=(3, 25))
    x[0, [4, 5, 6, 17]] = np.nan
    x[1, [0, 1, 24]] = np.nan
    found = series.levels(x)
    number = len(series.RATIOS)
    for row in range(3):
        at = np.flatnonzero(np.isfinite(x[row]))
        best, likelihood, noise, ends = [], [], [], []
        for ratio in series.RATIOS:
            walk = ratio * np.minimum.outer(at, at) + np.eye(len(at))
            # A flat prior of the first level: differences from the first value say all.
            differ = np.eye(len(at))[1:] - np.eye(len(at))[0]
            covariance = differ @ walk @ differ.T
            z = differ @ x[row, at]
            square = z @ np.linalg.solve(covariance, z) / len(z)
            best.append(np.log(square) + np.linalg.slogdet(covariance)[1] / len(z))
            noise.append(square)
            ends.append([_end(x[row, ::way], ratio) for way in (1, -1)])
        likelihood = np.exp(-0.5 * len(z) * (np.array(best) - min(best)))
        weight = likelihood / likelihood.sum()
        np.testing.assert_allclose(found[row, 12 : 12 + number], best, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[row, 12 + 2 * number :], likelihood, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(found[row, 0], weight @ np.log(noise) / 2, atol=1e-3)
        mean, spread = np.array(ends).transpose(2, 1, 0)
        np.testing.assert_allclose(found[row, [4, 6]], mean @ weight, rtol=1e-4, atol=1e-4)
        variance = (spread * noise + (mean - (mean @ weight)[:, None]) ** 2) @ weight
        np.testing.assert_allclose(found[row, [5, 7]], np.log(variance) / 2, atol=1e-3)


def _end(x: np.ndarray, ratio: float) -> tuple[float, float]:
    """The level at the last value by generalized least squares; variance in the noise's units."""
    at = np.flatnonzero(np.isfinite(x))
    ago = at[-1] - at
    precision = np.linalg.inv(ratio * np.minimum.outer(ago, ago) + np.eye(len(at)))
    return precision.sum(axis=0) @ x[at] / precision.sum(), 1 / precision.sum()


def test_autoregressions_are_regressions_on_what_came_before():
    x = np.exp(RNG.normal(size=(3, 60)).cumsum(axis=1) / 4)
    found = series.autoregressions(x)
    z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    for row in range(3):
        for place, order in ((0, 1), (3, 2), (8, 3)):
            past = np.stack([z[row, order - k : 60 - k] for k in range(1, order + 1)], axis=1)
            gram = past.T @ past + 1e-4 * len(past) * np.eye(order)
            b = np.linalg.solve(gram, past.T @ z[row, order:])
            np.testing.assert_allclose(found[row, place : place + order], b, rtol=1e-6)


def test_variances_are_predicted_from_squares_before():
    x = RNG.normal(size=(2, 40))
    x[:, [3, 20, 21]] = np.nan
    found = series.volatility(x)
    z = (x - np.nanmean(x, axis=1, keepdims=True)) / np.nanstd(x, axis=1, keepdims=True)
    for row, squares in enumerate(z**2):
        told, means = [], []
        for keep in series.DECAYS:
            for share in (0.3, 0.6, 0.9):
                level, density, weights = 1.0, [], []
                for square in squares[np.isfinite(squares)]:
                    weights.append(1 / (1 - share + share * level))
                    density.append(
                        stats.norm.logpdf(square**0.5, 0, (1 - share + share * level) ** 0.5)
                    )
                    level = keep * level + (1 - keep) * square
                told.append(np.mean(density) + 0.5 * np.log(2 * np.pi))
                means.append(np.average(x[row, np.isfinite(x[row])], weights=weights))
        np.testing.assert_allclose(found[row, -len(told) - 6 : -6], told, rtol=1e-6)
        likelihood = np.exp(len(weights) * np.array(told))
        mean = np.average(means, weights=likelihood)
        np.testing.assert_allclose(found[row, -6], mean, rtol=1e-6)


def test_a_path_has_ends_extremes_and_crossings():
    found = series.path(np.array([[2.0, -1.0, -3.0, np.nan, 4.0, -5.0]]))[0]
    np.testing.assert_allclose(found[:6], [2, -5, 4, -5, 0.8, 1])
    np.testing.assert_allclose(found[8:], [2 / 3, np.log(5)])


def test_autocovariances_leave_gaps_out():
    x = RNG.normal(size=(2, 400))
    x[:, 1:] += 0.9 * x[:, :-1]
    found = series.autocovariances(np.where(RNG.random(x.shape) < 0.3, np.nan, x))
    whole = series.autocovariances(x)
    assert np.abs(found[:, 1:3] - whole[:, 1:3]).max() < 0.15
