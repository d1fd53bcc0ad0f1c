"""A line with uniform priors, some thirty times wider than the posterior."""

import numpy as np


def likelihood(a, b, sigma, N, batch_size, rng):
    x = rng.uniform(0, 10, size=(batch_size, N))
    return {"x": x, "y": rng.normal(a[:, None] + b[:, None] * x, sigma[:, None])}


def log_likelihood(a, b, sigma, x, y, batch_size):
    z = (y - a[:, None] - b[:, None] * x) / sigma[:, None]
    return -0.5 * z**2 - np.log(sigma[:, None]) - 0.5 * np.log(2 * np.pi)
