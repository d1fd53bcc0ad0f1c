"""Posteriors that are wrong for some data: p-values of exact ones are uniform, places are named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from abi_cli.diagnostics import flatten
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, by_strata
from abi_cli.diagnostics.strata import PLACE, WIDTH, Stratum, strata_of
from abi_cli.diagnostics.uniformity import Uniformity
from tests.diagnostics_examples import read


def strata(seed, *, datasets=1_000, draws=99, change=lambda m, r, _: m + r):
    """θ ~ N(0, 1), y ~ N(θ, noise²) with a known noise: the posterior's sd varies."""
    rng = np.random.default_rng([seed, 3])
    theta, noise = rng.standard_normal(datasets), rng.uniform(0.2, 2, datasets)
    y = theta + noise * rng.standard_normal(datasets)
    sd = 1 / np.sqrt(1 + noise**-2)
    residual = sd[:, None] * rng.standard_normal((datasets, draws))
    made = change((y * sd**2 / noise**2)[:, None], residual, noise[:, None])
    summary = read(flatten({"t": made}, {"t": theta}, labels={}))
    (found,) = strata_of(summary, {"noise": noise}, {"component 1 of the data": y})
    return {one.covariate: one for one in found}


def test_p_values_of_exact_posteriors_are_uniform():
    """Also where draws are few and the prior is the posterior, so that all of c is their noise."""
    found = [strata(seed, datasets=400) for seed in range(150)]
    rng = np.random.default_rng(7)
    idle = []
    for _ in range(150):
        drawn, truth = rng.standard_normal((400, 20)), rng.standard_normal(400)
        summary = read(flatten({"t": drawn}, {"t": truth}, labels={}))
        idle.append({one.covariate: one for one in strata_of(summary, {}, {})[0]})
    for cases in (found, idle):
        for covariate in cases[0]:
            for p in ("p_place", "p_width"):
                values = [getattr(case[covariate], p) for case in cases]
                assert stats.kstest(values, "uniform").pvalue > 1e-3, (covariate, p)


@pytest.mark.parametrize(
    ("change", "p", "low", "high"),
    [
        (lambda m, r, noise: m + r * np.where(noise < 0.5, 1.7, 1.0), "p_width", 0.2, 0.5),
        (lambda m, r, noise: m + r + np.where(noise > 1.4, 0.5, 0.0), "p_place", 1.4, 2.0),
    ],
)
def test_where_posteriors_are_off_is_named(change, p, low, high):
    found = strata(0, datasets=2_000, change=change)
    own = found["noise"]
    assert getattr(own, p) < 1e-8
    assert (own.low, own.high) == pytest.approx((low, high), abs=0.25)
    assert str(own).startswith("noise is ")


def test_what_does_not_vary_is_no_stratum():
    rng = np.random.default_rng(0)
    drawn, truth = rng.normal(size=(300, 50)), rng.normal(size=300)
    summary = read(flatten({"t": drawn}, {"t": truth}, labels={}))
    names = {one.covariate for one in strata_of(summary, {"N": np.ones(300)}, {})[0]}
    assert names == {PLACE, WIDTH}
    few = read(flatten({"t": drawn[:50]}, {"t": truth[:50]}, labels={}))
    assert strata_of(few, {}, {}) == [()]


@pytest.mark.parametrize(
    ("ratio", "score", "large"),
    [(1.15, 0.0, False), (1.25, 0, True), (1, 0.15, False), (1, -0.25, True)],
)
def test_some_of_the_data_may_be_twice_as_far_off_before_that_is_a_failure(ratio, score, large):
    ranks = Uniformity(score, (score, score), ratio, (ratio, ratio), 1.0, 1e-9, 1e-9, 1e-9)
    stratum = Stratum("N", 1e-9, 1e-9, 5.0, 9.0, ranks)
    fault = by_strata([stratum], level=1e-3, limits=DEFAULT_LIMITS)
    assert fault is not None
    assert fault.large is large
