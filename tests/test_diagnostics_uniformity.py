"""Bands and tests of uniform ranks, against theory and simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from abi_cli.diagnostics.bands import (
    ecdf_at,
    ecdf_band,
    histogram_band,
    histogram_bins,
    probability_inside,
)
from abi_cli.diagnostics.uniformity import anderson_darling, anderson_darling_sf, uniformity


@pytest.mark.parametrize("count", [5, 200, 1_000, 10_000])
def test_uniform_values_stay_in_the_band_95_times_of_100(count):
    band = ecdf_band(count)
    rng = np.random.default_rng(2)
    shares = np.diff(band.at, prepend=0.0)
    ecdf = np.cumsum(rng.multinomial(count, shares, size=20_000), axis=1) / count
    inside = (ecdf >= band.lower - 1e-9) & (ecdf <= band.upper + 1e-9)
    assert 0.945 < inside.all(axis=1).mean() < (0.96 if count > 5 else 1)


def test_the_probability_of_staying_inside_is_exact():
    """Two points, three values: P(1 ≤ count below ½ ≤ 2) = 1 − 2/8."""
    inside = probability_inside(np.array([1, 3]), np.array([2, 3]), count=3)
    assert inside == pytest.approx(0.75, rel=1e-12)


def test_what_can_not_be_has_no_probability():
    assert probability_inside(np.array([3, 1]), np.array([3, 1]), count=3) == 0


def test_band_contains():
    band = ecdf_band(100)
    assert band.contains((np.arange(100) + 0.5) / 100)
    assert not band.contains((np.arange(100) + 0.5) / 100 * 0.7)


def test_ecdf():
    np.testing.assert_array_equal(ecdf_at(np.array([0.1, 0.5]), np.array([0.05, 0.5])), [0, 1])


def test_histogram_counts_stay_in_their_band_95_times_of_100():
    low, high = histogram_band(200, bins=10)
    rng = np.random.default_rng(3)
    counts = rng.multinomial(200, np.full(10, 0.1), size=20_000)
    assert 0.945 < ((counts >= low) & (counts <= high)).all(axis=1).mean() < 0.98


def test_bins_are_filled():
    assert [histogram_bins(n) for n in (20, 200, 10_000)] == [5, 10, 20]


def test_anderson_darling_is_a_weighted_sum_of_squares():
    """Σⱼ χ²₁ / (j(j + 1)): its characteristic function, inverted numerically (Gil-Pelaez)."""
    step = 0.01
    t = np.arange(step / 2, 500, step)
    log_phi = 1j * t / 151  # the terms beyond 150 are as good as constant
    for j in range(1, 151):
        log_phi -= 0.5 * np.log1p(-2j * t / (j * (j + 1)))
    for statistic in (0.2, 0.5, 1.0, 2.4924, 3.8781, 8.0):
        integrand = np.imag(np.exp(log_phi - 1j * t * statistic)) / t
        expected = 0.5 + integrand.sum() * step / np.pi
        assert anderson_darling_sf(statistic) == pytest.approx(expected, abs=5e-6)


def test_the_two_branches_of_anderson_darling_meet():
    assert anderson_darling_sf(12.001) / anderson_darling_sf(11.999) == pytest.approx(1, abs=0.05)
    ordered = [anderson_darling_sf(a) for a in np.linspace(0.01, 11.9, 200)]
    assert all(a >= b for a, b in pairwise(ordered))


def test_p_values_of_uniform_ranks_are_uniform():
    rng = np.random.default_rng(4)
    tests = [uniformity(rng.random(200)) for _ in range(1_000)]
    for p in (
        [t.p_location for t in tests],
        [t.p_spread for t in tests],
        [t.p_shape for t in tests],
    ):
        assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean([t.p < 0.05 for t in tests]) < 0.07


def test_sizes_and_their_intervals():
    """Scores N(−0.3/1.25, 1/1.25²): posteriors 25 % too wide and 0.3 exact sds too high."""
    rng = np.random.default_rng(5)
    hit = []
    for _ in range(300):
        found = uniformity(stats.norm.cdf(rng.normal(-0.24, 0.8, 400)))
        hit.append(
            (
                found.mean_score_interval[0] < -0.24 < found.mean_score_interval[1],
                found.sd_ratio_interval[0] < 1.25 < found.sd_ratio_interval[1],
            )
        )
    assert found.sd_ratio == pytest.approx(1.25, rel=0.12)
    np.testing.assert_allclose(np.mean(hit, axis=0), 0.9, atol=0.05)


def test_the_shape_test_sees_what_the_others_do_not():
    """Scores of ±1: mean 0, sd 1, and nothing like normal."""
    pit = stats.norm.cdf(np.tile([-1.0, 1.0], 200) * np.sqrt(399 / 400))
    found = uniformity(pit)
    assert found.p_location > 0.9
    assert found.p_spread > 0.9
    assert found.p_shape < 1e-6
    assert anderson_darling(pit) > anderson_darling((np.arange(400) + 0.5) / 400)
