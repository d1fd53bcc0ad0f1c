"""A level that walks, observed with noise: 50 to 120 years of a river's flow."""

import numpy as np


def likelihood(mu0, s_eta, s_eps, T, batch_size, rng):
    steps = s_eta[:, None] * rng.normal(size=(batch_size, T))
    level = mu0[:, None] + np.cumsum(steps, axis=1)
    return {"flow": rng.normal(level, s_eps[:, None])}


def log_likelihood(mu0, s_eta, s_eps, flow, batch_size):
    """By the Kalman filter."""
    level, variance, total = mu0 * 1.0, np.zeros_like(mu0), np.zeros_like(mu0)
    for y in flow:
        variance = variance + s_eta**2
        if np.isnan(y):
            continue
        spread = variance + s_eps**2
        surprise = y - level
        total = total - 0.5 * (np.log(2 * np.pi * spread) + surprise**2 / spread)
        gain = variance / spread
        level, variance = level + gain * surprise, variance * (1 - gain)
    return total
