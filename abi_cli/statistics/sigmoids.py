"""Choices along one regressor as a curve with two ends that are neither 0 nor 1.

    y_i ~ Binomial(m_i, p_i),    p = g + (1 − g − l) F((x − c) exp(κ)),    F normal or logistic

is the psychometric function with guesses g and lapses l (Wichmann & Hill 2001, Perception &
Psychophysics 63:1293), or a bioassay with natural mortality. Its mode under weak normal priors of
logit g, logit l, c and κ is found by damped Fisher scoring from the likeliest of some curves. A
logistic regression, which has ends at 0 and 1, is drawn away from the middle by each lapse.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from abi_cli.statistics import scoring
from abi_cli.statistics.columns import Column
from abi_cli.statistics.members import Members, mean_of

CENTRE = np.array([-2.5, -2.5, 0.0, 1.0])
"""Centres of the priors of logit g, logit l, c and κ, for x of unit scale."""

PRECISION = 1 / np.array([1.2, 1.2, 2.0, 1.5]) ** 2

STEPS = 10
LONGEST = 1.0
LEAST_SHARE = 1e-4
"""Least distance of a probability from 0 and 1."""

Link = Literal["normal", "logistic"]


class _Trials(NamedTuple):
    """Trials of members: x, the numbers of trials and of successes, `(batch, obs)`."""

    x: np.ndarray
    m: np.ndarray
    y: np.ndarray
    falls: np.ndarray
    """True where fewer succeed at larger x, `(batch, 1)`; then x is −x."""

    def at(self, rows: scoring.Rows) -> _Trials:
        """Trials of the data sets at `rows`."""
        return _Trials(*(array[rows] for array in self))


def sigmoid(
    members: Members, response: Column, regressor: Column, trials: Column | None, *, link: Link
) -> np.ndarray:
    """Ends, middle and steepness, log standard errors, both corrected, and how good the fit is.

    Arguments:
        trials: Column of the numbers of trials; None where each member is one.
    """
    of = _trials(members, response, regressor, trials)
    theta, at = scoring.mode(
        _likeliest(of, link),
        lambda theta, rows: _around(theta, of.at(rows), link),
        steps=STEPS,
        longest=LONGEST,
    )
    errors, shift, width = scoring.corrected(theta, at, partial(_cost, of=of, link=link), most=0.5)
    p, _ = _curve(theta, of, link)
    there = (of.m > 0).astype(np.float64)
    pearson = (of.y - of.m * p) ** 2 / np.maximum(of.m * p * (1 - p), 1e-9)
    spread = mean_of(pearson, there)
    overdispersed = mean_of((pearson - 1) * np.maximum(of.m - 1, 0), there)
    overdispersed = overdispersed / np.maximum(mean_of(np.maximum(of.m - 1, 0) ** 2, there), 1e-9)
    sign = np.where(of.falls[:, 0], -1.0, 1.0)
    middle, moved = theta.copy(), theta + errors * shift
    middle[:, 2], moved[:, 2] = middle[:, 2] * sign, moved[:, 2] * sign
    n = np.maximum(there.sum(axis=1), 1.0)
    rest = [
        _logistic(moved[:, 0]),
        _logistic(moved[:, 1]),
        np.exp(-np.clip(moved[:, 3], -5, 5)),
        sign,
        np.log(spread + 1e-3),
        np.log(spread * n / np.maximum(n - 3, 1.0) + 1e-3)
        - np.log(np.maximum(of.m.max(axis=1), 1)),
        np.arcsinh(20 * overdispersed),
        at.cost / n,
        np.log(of.m.sum(axis=1) + 1),
    ]
    told = [middle, np.log(errors), moved, np.log(errors) + width, np.stack(rest, axis=1)]
    return np.concatenate(told, axis=1)


def _trials(
    members: Members, response: Column, regressor: Column, trials: Column | None
) -> _Trials:
    x, y = regressor.scaled(members), members[response.place]
    if len(response.levels) == 2:
        y = np.where(np.isfinite(y), y == response.levels[1], np.nan)
    m = np.ones_like(y) if trials is None else members[trials.place]
    there = np.isfinite(x) & np.isfinite(y) & np.isfinite(m)
    x, m, y = (np.where(there, a, 0.0) for a in (x, m, y))
    m = np.maximum(m, 0.0)
    y = np.clip(y, 0.0, m)
    centre = (m * x).sum(axis=1, keepdims=True) / np.maximum(m.sum(axis=1, keepdims=True), 1e-9)
    share = y.sum(axis=1, keepdims=True) / np.maximum(m.sum(axis=1, keepdims=True), 1e-9)
    falls = ((x - centre) * (y - m * share)).sum(axis=1, keepdims=True) < 0
    return _Trials(np.where(falls, -x, x), m, y, falls)


def _likeliest(of: _Trials, link: Link) -> np.ndarray:
    """The curve of a few that fits best, `(batch, 4)`."""
    best = np.tile(CENTRE, (len(of.x), 1))
    cost = _cost(best, of, link)
    for c in np.linspace(-1.5, 1.5, 7):
        for kappa in (-0.5, 1.0, 2.5):
            tried = np.tile([-2.5, -2.5, c, kappa], (len(of.x), 1))
            its = _cost(tried, of, link)
            best = np.where((its < cost)[:, None], tried, best)
            cost = np.minimum(its, cost)
    return best


def _curve(theta: np.ndarray, of: _Trials, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `(batch, obs)`, and F there."""
    g, lapse = _logistic(theta[:, :2]).T[:, :, None]
    eta = (of.x - theta[:, 2:3]) * np.exp(np.clip(theta[:, 3:4], -5, 5))
    inner = _normal(eta) if link == "normal" else _logistic(eta)
    return np.clip(g + (1 - g - lapse) * inner, LEAST_SHARE, 1 - LEAST_SHARE), inner


def _logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(eta, -40, 40)))


def _normal(eta: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr  # adapters need NumPy alone where there are no choices

    return np.asarray(ndtr(eta))


def _cost(theta: np.ndarray, of: _Trials, link: Link) -> np.ndarray:
    """−2 log density, `(batch,)`."""
    p, _ = _curve(theta, of, link)
    fit = (of.y * np.log(p) + (of.m - of.y) * np.log1p(-p)).sum(axis=1)
    return np.asarray(-2 * fit + ((theta - CENTRE) ** 2 * PRECISION).sum(axis=1))


def _around(theta: np.ndarray, of: _Trials, link: Link) -> scoring.Around:
    p, inner = _curve(theta, of, link)
    g, lapse = _logistic(theta[:, :2]).T[:, :, None]
    steep = np.exp(np.clip(theta[:, 3:4], -5, 5))
    eta = (of.x - theta[:, 2:3]) * steep
    density = (
        np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi) if link == "normal" else inner * (1 - inner)
    )
    density = (1 - g - lapse) * density
    slopes = np.stack(
        [
            g * (1 - g) * (1 - inner),
            -lapse * (1 - lapse) * inner,
            -density * steep,
            density * eta,
        ],
        axis=1,
    )
    variance = p * (1 - p)
    weighted = slopes * (of.m / variance)[:, None, :]
    information = weighted @ slopes.transpose(0, 2, 1) + np.diag(PRECISION)
    rest = (of.y - of.m * p) / variance
    score = (slopes @ rest[:, :, None])[:, :, 0] - (theta - CENTRE) * PRECISION
    return scoring.Around(_cost(theta, of, link), score, information)
