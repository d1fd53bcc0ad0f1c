"""Two components of a set: those simulated are found, and an independent fit is equalled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from abi_cli.statistics.components import components


def mixture(size, *, low=-2.0, high=1.5, sds=(0.5, 1.0), share=0.35, seed=2):
    rng = np.random.default_rng(seed)
    upper = rng.random(size) < share
    return np.where(upper, rng.normal(high, sds[1], size), rng.normal(low, sds[0], size))


def minus_log_likelihood(theta, y):
    low, high, log_low, log_high, odds = theta
    share = 1 / (1 + np.exp(-odds))
    one = np.log1p(-share) + stats.norm.logpdf(y, low, np.exp(log_low))
    two = np.log(share) + stats.norm.logpdf(y, high, np.exp(log_high))
    return -np.logaddexp(one, two).sum()


@pytest.mark.parametrize("size", [200, 3_000])
def test_the_maximum_of_the_likelihood_is_found(size):
    y = mixture(size)
    found = components(y[None])[0]
    one, two = found[:14], found[14:]
    best = optimize.minimize(minus_log_likelihood, [-2, 1.5, -0.7, 0, -0.6], (y,))
    errors = np.sqrt(np.diag(best.hess_inv))
    np.testing.assert_allclose(two[:5], best.x, atol=0.25 * errors.max())
    np.testing.assert_allclose(np.exp(two[8:11]), errors[:3], rtol=0.25)

    def equal(theta):
        return minus_log_likelihood([*theta[:2], theta[2], *theta[2:]], y)

    best = optimize.minimize(equal, [-2, 1.5, -0.3, -0.6])
    errors = np.sqrt(np.diag(best.hess_inv))
    np.testing.assert_allclose(one[[0, 1, 2, 4]], best.x, atol=0.25 * errors.max())


def test_order_padding_place_and_scale_change_nothing():
    y = mixture(150)
    padded = np.full((3, 160), np.nan)
    padded[0, :150], padded[1, 10:], padded[2, :150] = y, y[::-1], 7 + 3 * y
    found = components(padded)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found[2, [0, 1, 14, 15]], 7 + 3 * found[0, [0, 1, 14, 15]])
    np.testing.assert_allclose(found[2, [4, 18]], found[0, [4, 18]], rtol=1e-6)


@pytest.mark.parametrize("y", [[], [2.0], [2.0, 2.0, 2.0], [1.0, 5.0], [0.0] * 40 + [1.0]])
def test_sets_that_are_no_mixture_have_numbers(y):
    assert np.isfinite(components(np.array([[*y, np.nan]]))).all()
