"""The likelihood of variances that follow their own past, beside a recursion in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from abi_cli.statistics.garch import LEVELS, PERSISTENCES, SHARES, garch

PLACES = [(s, p, a) for s in LEVELS for p in PERSISTENCES for a in SHARES]


def series(many=1, steps=80, seed=2):
    """Returns of mean 0.3, s² = 2, α = 0.25 and β = 0.6, `(series, time)`."""
    rng = np.random.default_rng(seed)
    found = np.empty((many, steps))
    for row in found:
        h = 2.0
        for t in range(steps):
            row[t] = 0.3 + math.sqrt(h) * rng.normal()
            h = 2 * 0.15 + 0.25 * (row[t] - 0.3) ** 2 + 0.6 * h
    return found


def log_likelihood(y, level, persistence, share):
    mean, variance = np.nanmean(y), np.nanvar(y)
    h = own = level * variance
    total = 0.0
    for value in y:
        gap = math.isnan(value)
        square = variance if gap else (value - mean) ** 2
        if not gap:
            total -= 0.5 * (math.log(h) + square / h)
        h = own * (1 - persistence) + persistence * (share * square + (1 - share) * h)
    return total


@pytest.mark.parametrize("gap", [False, True])
def test_it_is_that_of_the_recursion(gap):
    y = series()
    if gap:
        y[0, [5, 6, 40]] = np.nan
    exact = np.array([log_likelihood(y[0], *place) for place in PLACES])
    told = garch(y)[0]
    fall = exact - exact.max()
    near = fall > -30
    assert near.sum() > 50
    np.testing.assert_allclose(-(told[14:][near] ** 2), fall[near], atol=2e-3)
    p = np.exp(fall) / np.exp(fall).sum()
    level, persistence, share = np.array(PLACES).T
    for place, value in ((4, np.log(level * np.nanvar(y))), (8, persistence * share)):
        mean = p @ value
        assert told[place] == pytest.approx(mean, abs=1e-3)
        assert np.exp(told[place + 1]) == pytest.approx(np.sqrt(p @ (value - mean) ** 2), rel=1e-2)


def test_it_finds_what_the_series_were_made_with():
    told = garch(series(many=40, steps=2000))
    for place, truth, off in (
        (4, math.log(2), 0.1),
        (8, 0.25, 0.06),
        (10, 0.6, 0.06),
        (12, 0.3, 0.02),
    ):
        assert np.mean(told[:, place]) == pytest.approx(truth, abs=off)


def test_of_series_of_nothing_all_is_finite():
    for value in (np.nan, 1.0, 1e200):
        assert np.isfinite(garch(np.full((2, 3), value))).all()
