"""Logistic regression on three correlated covariates."""

import numpy as np


def covariates(N, batch_size, rng):
    mixing = np.eye(3) + rng.uniform(0, 1, (batch_size, 1, 1)) * rng.normal(size=(batch_size, 3, 3))
    x = np.einsum("bni,bij->bnj", rng.normal(size=(batch_size, N, 3)), mixing)
    return {"x": (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)}


def likelihood(beta, x, batch_size, rng):
    eta = beta[:, :1] + np.einsum("bnj,bj->bn", x, beta[:, 1:])
    return {"y": (rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(float)}


def log_likelihood(beta, x, y, batch_size):
    eta = beta[:, :1] + beta[:, 1:] @ np.reshape(x, (-1, 3)).T
    return y * eta - np.logaddexp(0, eta)
