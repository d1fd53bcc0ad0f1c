"""Counts that go with a covariate, with more zeros than a Poisson distribution has."""

import numpy as np
from scipy.special import gammaln


def likelihood(b0, b1, zero, N, batch_size, rng):
    x = rng.uniform(-1, 1, size=(batch_size, N))
    counts = rng.poisson(np.exp(b0[:, None] + b1[:, None] * x))
    return {"x": x, "y": np.where(rng.random(x.shape) < zero[:, None], 0, counts)}


def log_likelihood(b0, b1, zero, x, y, batch_size):
    b0, b1, zero = (np.reshape(p, (-1, 1)) for p in (b0, b1, zero))
    eta = b0 + b1 * x
    log_p = y * eta - np.exp(eta) - gammaln(np.asarray(y, float) + 1)
    log_p = np.log1p(-zero) + log_p
    return np.where(np.asarray(y) == 0, np.logaddexp(np.log(zero), log_p), log_p)
