"""Series whose variance follows its own past: GARCH(1,1), by likelihood.

    y_t = μ + N(0, h_t),    h_t = ω + α (y_{t−1} − μ)² + β h_{t−1},    ω = s² (1 − α − β)

(Bollerslev 1986, Generalized autoregressive conditional heteroskedasticity, J. Econometrics 31).
h is linear in s² and in the squares, so that one pass over time serves all s². The likelihood is
summed over a grid of the persistence α + β, of the share of α in it, and of s²; μ is the plain mean
while h is computed, and what is told of it is the mean weighted by 1/h.
"""

from __future__ import annotations

import numpy as np

from abi_cli.statistics.members import FLOOR, known, mixed, moments_of, side_by_side, weighed

PERSISTENCES = (0.2, 0.5, 0.75, 0.88, 0.95, 0.985)
SHARES = (0.04, 0.1, 0.2, 0.35, 0.6, 0.9)
LEVELS = (0.4, 0.65, 1.0, 1.5, 2.6)
"""s², in units of the series' own variance."""

MOST_SQUARE = 1e6
"""Largest square, in units of the series' variance, that moves the next variance."""


def garch(x: np.ndarray) -> np.ndarray:
    """Persistence, share, level, ω, α, β and mean: posterior means and log sds; the likelihood.

    Arguments:
        x: `(batch, time)`, NaN in gaps.
    """
    return side_by_side(_told, x)


def _told(x: np.ndarray) -> np.ndarray:
    y, there = known(x)
    mean, variance = moments_of(y, there)
    sd = np.sqrt(variance + FLOOR)
    z = np.where(there > 0, (y - mean[:, None]) / sd[:, None], 0.0)
    persistence, share = (of.ravel() for of in np.meshgrid(PERSISTENCES, SHARES, indexing="ij"))
    log_p, precision, weighted = _filtered(z, there, persistence, share)
    weight, fall = weighed(log_p)
    level, persistence, share = (
        np.broadcast_to(of, (len(LEVELS), len(share))).ravel()
        for of in (np.array(LEVELS)[:, None], persistence, share)
    )
    log_level = np.log(level) + np.log(variance + FLOOR)[:, None]
    alpha, beta = persistence * share, persistence * (1 - share)
    precision = precision + 1e-6
    centre = mean[:, None] + sd[:, None] * weighted / precision
    parts: list[np.ndarray] = []
    for value, of in (
        (np.log(persistence / (1 - persistence)), 0.0),
        (np.log(share / (1 - share)), 0.0),
        (log_level, 0.0),
        (log_level + np.log(1 - persistence), 0.0),
        (alpha, 0.0),
        (beta, 0.0),
        (centre, (variance + FLOOR)[:, None] / precision),
    ):
        parts += mixed(weight, np.broadcast_to(value, weight.shape), of)
    return np.concatenate([np.stack(parts, axis=1), fall], axis=1)


def _filtered(
    z: np.ndarray, there: np.ndarray, persistence: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood, sum of 1/h and of z/h, `(batch, level × place)` each.

    In single precision, which takes half as long.

    Arguments:
        z: In units of the series' own sd, `(batch, time)`, 0 in gaps.
        persistence, share: `(place,)`.
    """
    squares = np.minimum(z**2, MOST_SQUARE)
    followed = np.where(there > 0, squares, 1.0).astype(np.float32)
    z, squares, there, persistence, share = (
        of.astype(np.float32) for of in (z, squares, there, persistence, share)
    )
    levels = np.array(LEVELS, np.float32)[:, None]
    own = np.ones(len(share), np.float32)  # the part of h that is proportional to s²
    moved = np.zeros((len(z), len(share)), np.float32)  # and the squares' part
    shape = len(z), len(LEVELS), len(share)
    log_p, precision, weighted = np.zeros((3, *shape), np.float32)
    for t in range(z.shape[1]):
        h = levels * own + moved[:, None]
        inverse = there[:, t, None, None] / h
        log_p -= there[:, t, None, None] * np.log(h) + squares[:, t, None, None] * inverse
        precision += inverse
        weighted += z[:, t, None, None] * inverse
        own = 1 - persistence + persistence * (1 - share) * own
        moved = persistence * (share * followed[:, t, None] + (1 - share) * moved)
    sums = [of.reshape(len(z), -1).astype(np.float64) for of in (log_p, precision, weighted)]
    return 0.5 * sums[0], sums[1], sums[2]
