"""An ARMA(1,1) of 200 steps."""

import numpy as np
from scipy.signal import lfilter

STEPS, BEFORE = 200, 50


def likelihood(mu, phi, theta, sigma, batch_size, rng):
    e = sigma[:, None] * rng.normal(size=(batch_size, STEPS + BEFORE))
    moved = e.copy()
    moved[:, 1:] += theta[:, None] * e[:, :-1]
    y = np.stack([lfilter([1.0], [1.0, -p], row) for p, row in zip(phi, moved, strict=True)])
    return {"y": mu[:, None] + y[:, BEFORE:]}


def log_likelihood(mu, phi, theta, sigma, y, batch_size):
    """By the Kalman filter of the state (y − mu, theta e), from the stationary distribution."""
    v = sigma**2
    a, b = np.zeros_like(mu), np.zeros_like(mu)
    p11 = v * (1 + theta**2 + 2 * phi * theta) / (1 - phi**2)
    p12, p22 = v * theta, v * theta**2
    total = np.zeros_like(mu)
    for value in np.reshape(y, -1):
        surprise = value - mu - a
        total = total - 0.5 * (np.log(2 * np.pi * p11) + surprise**2 / p11)
        k2 = p12 / p11
        b_now, p22_now = b + k2 * surprise, p22 - k2 * p12
        a = phi * (a + surprise) + b_now
        b = np.zeros_like(b)
        p11 = p22_now + v
        p12, p22 = v * theta, v * theta**2
    return total
