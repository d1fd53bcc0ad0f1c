"""Changes of level beside marginal likelihoods of each place, one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from abi_cli.statistics.breaks import SHARES, breaks
from abi_cli.statistics.columns import column_of
from abi_cli.statistics.members import Members

RNG = np.random.default_rng(8)


def found(x, *, counts):
    there = x[np.isfinite(x)]
    column = column_of(0, there, response=True)
    members = Members(x[:, :, None], np.ones(x.shape, bool))
    return breaks(members, column=column, counts=counts), column


def of_rate(y):
    """Likelihood of counts, their rate integrated under λ^(−½), without factorials."""

    def integrand(rate):
        return np.exp(
            stats.poisson.logpmf(y, rate).sum() + 0.5 * np.log(rate) + LARGE
        )  # dλ = λ dlogλ

    return np.log(integrate.quad(lambda u: integrand(np.exp(u)), -12, 5, limit=400)[0]) - LARGE


LARGE = 20.0


def of_means(y, number):
    """Log likelihood of normal values in two parts, means and sd integrated under flat priors."""
    design = np.zeros((len(y), 2))
    design[:number, 0] = design[number:, 1] = 1
    design = design[:, design.any(axis=0)]
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    power = len(y) - design.shape[1] - 1
    return -np.linalg.slogdet(design.T @ design)[1] / 2 - power / 2 * np.log(residual @ residual)


@pytest.mark.parametrize("counts", [True, False])
def test_places_are_weighted_by_their_marginal_likelihood(counts):
    x = RNG.poisson(np.repeat([[1.0, 4.0]], 12, axis=1), size=(2, 24)).astype(float)
    x[1, [3, 11, 12]] = np.nan
    if not counts:
        x = x + RNG.normal(size=x.shape)
    told, column = found(x, counts=counts)
    for row in range(2):
        at = np.flatnonzero(np.isfinite(x[row]))
        y = x[row, at]
        likelihood = np.array(
            [
                of_rate(y[:k]) + of_rate(y[k:]) if counts else of_means(column_of_y(column, y), k)
                for k in range(1, len(y))
            ]
        )
        weight = np.exp(likelihood - likelihood.max())
        weight /= weight.sum()
        place = at[1:] / at[-1]
        mean = weight @ place
        assert told[row, 0] == pytest.approx(mean, abs=1e-4)
        assert np.exp(told[row, 1]) ** 2 == pytest.approx(weight @ (place - mean) ** 2, abs=1e-4)
        assert told[row, 2] == pytest.approx(place[likelihood.argmax()])
        quantiles = [place[np.searchsorted(weight.cumsum(), share)] for share in SHARES]
        np.testing.assert_allclose(told[row, 3:10], quantiles)
        if counts:
            early = [y[:k].sum() + 0.5 for k in range(1, len(y))]
            rates = np.log(np.array(early) / np.arange(1, len(y)))
            assert told[row, 10] == pytest.approx(weight @ rates, abs=1e-4)
        else:
            z = column_of_y(column, y)
            assert told[row, 10] == pytest.approx(
                weight @ [z[:k].mean() for k in range(1, len(z))], abs=1e-4
            )
            gain = np.log(np.exp(likelihood - of_means(z, len(z))).sum())
            assert told[row, 15] == pytest.approx(np.sign(gain) * np.log1p(abs(gain)), abs=1e-4)


def column_of_y(column, y):
    return (y - column.location) / column.scale


@pytest.mark.parametrize("counts", [True, False])
def test_short_and_empty_series_have_finite_ones(counts):
    x = RNG.poisson(2.0, size=(5, 6)).astype(float)
    x[0], x[1, 1:], x[2], x[3, :-1] = np.nan, np.nan, 2.0, np.nan
    told, _ = found(x, counts=counts)
    assert np.isfinite(told).all()
    alone, _ = found(np.arange(3.0)[:, None], counts=counts)
    assert alone.shape[1] == told.shape[1]
    assert np.isfinite(alone).all()
