"""A parabola with normal noise."""

import numpy as np


def likelihood(beta, sigma, N, batch_size, rng):
    x = rng.normal(size=(batch_size, N))
    mean = beta[:, :1] + beta[:, 1:2] * x + beta[:, 2:] * x**2
    return {"x": x, "y": rng.normal(mean, sigma[:, None])}


def log_likelihood(beta, sigma, x, y, batch_size):
    mean = beta[:, :1] + beta[:, 1:2] * x + beta[:, 2:] * x**2
    z = (y - mean) / sigma[:, None]
    return -0.5 * z**2 - np.log(sigma[:, None]) - 0.5 * np.log(2 * np.pi)
