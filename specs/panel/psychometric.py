"""Beta-binomial psychometric curves: correct trials y of n at nine stimuli x."""

import numpy as np
from scipy.special import betaln, gammaln, ndtr

LEVELS = np.array([-1.0, -0.25, -0.125, -0.0625, 0.0, 0.0625, 0.125, 0.25, 1.0])


def design(batch_size, rng):
    n = rng.poisson(rng.gamma(4, 20, size=(batch_size, 1)), size=(batch_size, 9)) + 5
    return {"x": np.tile(LEVELS, (batch_size, 1)), "n": n.astype(float)}


def _curve(gamma, lapse, mu, sigma, nu, x):
    def column(parameter):
        return np.reshape(parameter, (-1, 1))

    gamma, lapse, mu, sigma, nu = map(column, (gamma, lapse, mu, sigma, nu))
    p = gamma + (1 - gamma - lapse).clip(0) * ndtr((x - mu) / sigma)
    return p.clip(1e-7, 1 - 1e-7), 1 / nu.clip(1e-4, 1 - 1e-6) ** 2 - 1


def likelihood(gamma, lapse, mu, sigma, nu, x, n, batch_size, rng):
    p, k = _curve(gamma, lapse, mu, sigma, nu, x)
    return {"y": rng.binomial(n.astype(int), rng.beta(k * p, k * (1 - p)))}


def log_likelihood(gamma, lapse, mu, sigma, nu, x, n, y, batch_size):
    p, k = _curve(gamma, lapse, mu, sigma, nu, x)
    binomial = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return betaln(y + k * p, n - y + k * (1 - p)) - betaln(k * p, k * (1 - p)) + binomial
