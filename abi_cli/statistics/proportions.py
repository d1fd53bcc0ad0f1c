"""Beta regression within each data set: numbers between 0 and 1 on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from abi_cli.statistics import scoring
from abi_cli.statistics.columns import Column
from abi_cli.statistics.members import FLOOR, Members, mean_of
from abi_cli.statistics.regressions import MOST, PRIOR, augmented, conditioned
from abi_cli.statistics.scoring import Around, Rows

STEPS = 12

LONGEST = 2.0
"""Longest step along a coefficient or the log precision."""

LOOSE = 0.05
"""Precision of the prior of the log precision, about that which the moments give."""


def proportions(
    members: Members, response: Column, regressors: Sequence[Column], *, squares: bool
) -> np.ndarray:
    """Mode of coefficients b and log precision log φ, and the log of their standard errors.

    y ~ Beta(μφ, (1 − μ)φ) with logit μ = b · x (Ferrari & Cribari-Neto 2004, Beta regression for
    modelling rates and proportions), weak normal priors, by Fisher scoring.

    Of a beta regression of 30 to 100 members the worst parameter's mean was 0.16 posterior sds off
    (0.49 in nine of ten data sets) without logits and this, and is 0.04 (0.19) with them; nats lost
    per parameter 0.058 and 0.017.
    """
    x, there = augmented(members, regressors, squares=squares)
    raw = members[response.place]
    w = (there & np.isfinite(raw)).astype(np.float64)
    y = response.inside(np.where(w > 0, raw, 0.5))
    begin = _by_moments(x, y, w)
    about = begin[:, -1]
    theta, at = scoring.mode(
        begin, _around(x, y, w, about), steps=STEPS, longest=LONGEST, far=2 * MOST
    )
    return np.concatenate([theta, np.log(scoring.errors(at.information))], axis=1)


def _by_moments(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Coefficients by least squares of logits, and the log precision by the variance about them."""
    weighted = (x * w[:, :, None]).transpose(0, 2, 1)
    information = conditioned(weighted @ x + PRIOR * np.eye(x.shape[2]))
    logit = np.log(y) - np.log1p(-y)
    b = np.linalg.solve(information, weighted @ logit[:, :, None])[:, :, 0]
    mu = _mean(x, b)
    noise = mean_of((y - mu) ** 2, w) + FLOOR
    precision = np.clip(mean_of(mu * (1 - mu), w) / noise - 1, np.exp(-3), np.exp(10))
    return np.concatenate([np.clip(b, -MOST, MOST), np.log(precision)[:, None]], axis=1)


def _mean(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean of each member, `(batch, obs)`."""
    eta = np.clip((x @ b[:, :, None])[:, :, 0], -MOST, MOST)
    return 1 / (1 + np.exp(-eta))


def _around(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, about: np.ndarray
) -> Callable[[np.ndarray, Rows], Around]:
    """Value and derivatives of the log posterior, as `scoring.mode` asks for them."""
    from scipy.special import gammaln, psi, zeta  # adapters need NumPy alone where none are

    log_y, log_rest = np.log(y), np.log1p(-y)
    prior = np.full(x.shape[2] + 1, PRIOR)
    prior[-1] = LOOSE

    def around(theta: np.ndarray, rows: Rows) -> Around:
        own, weight = x[rows], w[rows]
        mu, phi = _mean(own, theta[:, :-1]), np.exp(theta[:, -1:])
        first, second = mu * phi, (1 - mu) * phi
        log_p = gammaln(phi) - gammaln(first) - gammaln(second)
        log_p = log_p + (first - 1) * log_y[rows] + (second - 1) * log_rest[rows]
        away = theta.copy()
        away[:, -1] -= about[rows]
        cost = -2 * (weight * log_p).sum(axis=1) + (prior * away**2).sum(axis=1)
        # Of each member, by its linear predictor and by the log precision.
        more, rest = log_y[rows] - psi(first), log_rest[rows] - psi(second)
        slope = mu * (1 - mu) * phi
        by_eta = weight * slope * (more - rest)
        by_phi = weight * (mu * more + (1 - mu) * rest + psi(phi)) * phi
        one, two = zeta(2, first), zeta(2, second)  # the trigamma function
        eta_eta = weight * slope**2 * (one + two)
        eta_phi = weight * slope * phi * (mu * one - (1 - mu) * two)
        phi_phi = weight * phi**2 * (mu**2 * one + (1 - mu) ** 2 * two - zeta(2, phi))
        turned = own.transpose(0, 2, 1)
        score = np.concatenate(
            [(turned @ by_eta[:, :, None])[:, :, 0], by_phi.sum(axis=1, keepdims=True)], axis=1
        )
        information = np.empty((len(theta), x.shape[2] + 1, x.shape[2] + 1))
        information[:, :-1, :-1] = turned @ (own * eta_eta[:, :, None])
        information[:, :-1, -1] = information[:, -1, :-1] = (turned @ eta_phi[:, :, None])[:, :, 0]
        information[:, -1, -1] = phi_phi.sum(axis=1)
        return Around(cost, score - prior * away, conditioned(information) + np.diag(prior))

    return around
