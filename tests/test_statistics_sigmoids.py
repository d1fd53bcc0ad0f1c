"""Psychometric functions: the mode is an independent optimizer's, the mean nearer to exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import expit, ndtr

from abi_cli.statistics.columns import Column
from abi_cli.statistics.members import Members
from abi_cli.statistics.sigmoids import CENTRE, PRECISION, sigmoid

X = Column(0, 0.0, 1.0, response=False)
M = Column(1, 0.0, 1.0, counts=True, response=False)
Y = Column(2, 0.0, 1.0, counts=True)
LEVELS = np.array([-2, -1, -0.5, -0.2, 0, 0.2, 0.5, 1, 2.0])


def sessions(datasets=40, seed=5):
    rng = np.random.default_rng(seed)
    g, lapse = rng.beta(1, 10, size=(2, datasets, 1))
    c, k = rng.normal(0, 0.4, (datasets, 1)), np.exp(rng.normal(1, 0.5, (datasets, 1)))
    m = rng.integers(20, 120, (datasets, 9)).astype(float)
    y = rng.binomial(m.astype(int), g + (1 - g - lapse) * ndtr((LEVELS - c) * k))
    columns = np.stack([np.tile(LEVELS, (datasets, 1)), m, y], axis=2)
    return Members(columns, np.ones((datasets, 9), bool))


def minus_log_density(theta, m, y, inner):
    g, lapse = expit(theta[0]), expit(theta[1])
    p = g + (1 - g - lapse) * inner((LEVELS - theta[2]) * np.exp(theta[3]))
    fit = stats.binom.logpmf(y, m, np.clip(p, 1e-4, 1 - 1e-4)).sum()
    return -fit + 0.5 * (PRECISION * (theta - CENTRE) ** 2).sum()


@pytest.mark.parametrize(("link", "inner"), [("normal", ndtr), ("logistic", expit)])
def test_the_mode_is_found(link, inner):
    members = sessions()
    told = sigmoid(members, Y, X, M, link=link)
    for row in range(12):
        m, y = members.columns[row, :, 1], members.columns[row, :, 2]
        found = minus_log_density(told[row, :4], m, y, inner)
        best = min(
            optimize.minimize(minus_log_density, start, (m, y, inner)).fun
            for start in (told[row, :4], CENTRE)
        )
        assert found < best + 0.01


def test_the_middle_is_nearer_to_the_posterior_mean_when_corrected():
    members = sessions()
    told = sigmoid(members, Y, X, M, link="normal")
    rng = np.random.default_rng(1)
    off = []
    for row in range(20):
        m, y = members.columns[row, :, 1], members.columns[row, :, 2]
        theta = told[row, :4] + 1.3 * np.exp(told[row, 4:8]) * rng.standard_t(5, (20_000, 4))
        proposed = stats.t(5).logpdf((theta - told[row, :4]) / (1.3 * np.exp(told[row, 4:8])))
        g, lapse = expit(theta[:, :2]).T[:, :, None]
        p = g + (1 - g - lapse) * ndtr((LEVELS - theta[:, 2:3]) * np.exp(theta[:, 3:]))
        fit = stats.binom.logpmf(y, m, np.clip(p, 1e-4, 1 - 1e-4)).sum(axis=1)
        log_w = fit - 0.5 * ((theta - CENTRE) ** 2 * PRECISION).sum(axis=1) - proposed.sum(axis=1)
        w = np.exp(log_w - log_w.max())
        mean = (w @ theta) / w.sum()
        sd = np.sqrt((w @ (theta - mean) ** 2) / w.sum())
        off.append([(told[row, :4] - mean) / sd, (told[row, 8:12] - mean) / sd])
    mode, corrected = np.median(np.abs(np.array(off)), axis=0)
    assert (corrected < 0.25).all()
    assert corrected.sum() < 0.7 * mode.sum()


def test_a_falling_curve_is_a_rising_one_seen_from_the_other_side():
    members = sessions()
    flipped = members.columns.copy()
    flipped[:, :, 0] *= -1
    rising, falling = (
        sigmoid(Members(columns, members.inside), Y, X, M, link="normal")
        for columns in (members.columns, flipped)
    )
    np.testing.assert_allclose(falling[:, 2], -rising[:, 2], atol=1e-6)
    np.testing.assert_allclose(falling[:, [0, 1, 3, 6]], rising[:, [0, 1, 3, 6]], atol=1e-6)


def test_gaps_and_empty_sets_have_numbers():
    columns = sessions(3).columns.copy()
    columns[0, 2:5, 2], columns[1] = np.nan, np.nan
    columns[2, :, 2] = columns[2, :, 1]
    assert np.isfinite(
        sigmoid(Members(columns, np.ones((3, 9), bool)), Y, X, M, link="normal")
    ).all()
