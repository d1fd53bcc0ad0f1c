"""A regression on eight covariates: ten parameters."""

import numpy as np


def covariates(N, batch_size, rng):
    return {"x": rng.normal(size=(batch_size, N, 8))}


def likelihood(intercept, beta, sigma, x, batch_size, rng):
    mean = intercept[:, None] + np.einsum("bnj,bj->bn", x, beta)
    return {"y": rng.normal(mean, sigma[:, None])}


def log_likelihood(intercept, beta, sigma, x, y, batch_size):
    mean = intercept[:, None] + beta @ np.reshape(x, (-1, 8)).T
    z = (y - mean) / sigma[:, None]
    return -0.5 * z**2 - np.log(sigma[:, None]) - 0.5 * np.log(2 * np.pi)
