"""Waves of unknown frequency, beside least squares by another library, and by recovery."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from abi_cli.statistics.columns import REACH, Column
from abi_cli.statistics.members import Members
from abi_cli.statistics.waves import waves

LONG = 4.0
X, Y = Column(0, LONG / 2, LONG / REACH), Column(1, 0.0, 1.0)
FREQUENCY, LOG_FREQUENCY, LEVEL, COS, SIN, SIZE, NOISE = range(0, 14, 2)


def sets(many=40, noise=0.3, size=30, seed=3):
    """True frequencies, cosine and sine parts `(many,)`, and members of a wave around 2."""
    rng = np.random.default_rng(seed)
    f, a, b = rng.uniform(0.4, 3, many), rng.normal(size=many), 1 + rng.random(many)
    x = rng.uniform(0, LONG, (many, size))
    angle = 2 * np.pi * f[:, None] * x
    y = 2 + a[:, None] * np.cos(angle) + b[:, None] * np.sin(angle)
    y = y + noise * rng.normal(size=y.shape)
    return (f, a, b), Members(np.stack([x, y], axis=2), np.ones(x.shape, bool))


def test_they_end_where_least_squares_end():
    (f, a, b), members = sets(many=8, noise=0.05)
    said = waves(members, Y, X)
    for row in range(8):
        x, y = members.columns[row].T

        def residual(of, x=x, y=y):
            angle = 2 * np.pi * of[3] * x
            return of[0] + of[1] * np.cos(angle) + of[2] * np.sin(angle) - y

        best = least_squares(residual, [2, a[row], b[row], f[row]], xtol=1e-12, ftol=1e-12)
        error = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)) * 2 * best.cost / 26)
        assert said[row, FREQUENCY] / LONG == pytest.approx(best.x[3], abs=0.02 * error[3])
        assert said[row, COS] == pytest.approx(best.x[1], abs=0.05 * error[1])
        assert said[row, SIN] == pytest.approx(best.x[2], abs=0.05 * error[2])
        assert np.exp(said[row, FREQUENCY + 1]) / LONG == pytest.approx(error[3], rel=0.05)
        assert np.exp(said[row, SIN + 1]) == pytest.approx(error[2], rel=0.05)


def test_true_values_are_within_their_errors():
    (f, a, b), members = sets(many=400)
    said = waves(members, Y, X)
    for place, truth, unit in ((FREQUENCY, f, LONG), (COS, a, 1.0), (SIN, b, 1.0)):
        z = (said[:, place] / unit - truth) / (np.exp(said[:, place + 1]) / unit)
        assert np.mean(np.abs(z) < 2) == pytest.approx(0.95, abs=0.04)
    np.testing.assert_allclose(np.median(np.exp(said[:, NOISE])), 0.3, rtol=0.05)


def test_neither_order_nor_gaps_nor_company_matter():
    _, members = sets(many=3)
    told = waves(members, Y, X)
    gap = np.concatenate([members.columns[:1, ::-1], np.full((1, 4, 2), np.nan)], axis=1)
    gap[0, -1, 0] = 1.0  # a place without a value
    alone = waves(Members(gap, np.isfinite(gap).any(axis=2)), Y, X)
    np.testing.assert_allclose(alone[0], told[0], rtol=1e-6, atol=1e-6)


def test_of_few_or_equal_members_all_is_finite():
    for size in (1, 2, 5):
        for value in (1.0, np.nan):
            alike = Members(np.full((2, size, 2), value), np.ones((2, size), bool))
            assert np.isfinite(waves(alike, Y, X)).all()
            assert np.isfinite(waves(alike, Y, None)).all()


def test_of_a_series_the_frequency_is_that_along_its_places():
    t = np.arange(120)
    y = np.sin(2 * np.pi * t / 12) + 0.1 * np.random.default_rng(1).normal(size=120)
    said = waves(Members(y[None, :, None], np.ones((1, 120), bool)), Column(0, 0.0, 1.0), None)
    assert said[0, FREQUENCY] / 100 == pytest.approx(1 / 12, rel=0.01)
