"""A line whose residual sd has a half-Cauchy prior."""

import numpy as np


def likelihood(beta, sigma, N, batch_size, rng):
    x = rng.normal(size=(batch_size, N))
    return {"x": x, "y": rng.normal(beta[:, :1] + beta[:, 1:] * x, sigma[:, None])}


def log_likelihood(beta, sigma, x, y, batch_size):
    z = (y - beta[:, :1] - beta[:, 1:] * x) / sigma[:, None]
    return -0.5 * z**2 - np.log(sigma[:, None]) - 0.5 * np.log(2 * np.pi)
