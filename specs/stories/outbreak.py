"""An outbreak of influenza in a school: boys in bed on 14 days, counted about an SIR model."""

import numpy as np
from scipy.special import gammaln

BOYS, DAYS, STEPS = 763, 14, 10


def infectious(beta, gamma):
    """How many are ill on days 1 to 14, of whom one was on day 0: `(batch, day)`."""
    s, i = BOYS - 1 + 0 * beta, 1 + 0 * beta
    days = []
    for _ in range(DAYS):
        for _ in range(STEPS):
            infected = s * (1 - np.exp(-beta * i / BOYS / STEPS))
            recovered = i * (1 - np.exp(-gamma / STEPS))
            s, i = s - infected, i + infected - recovered
        days.append(np.maximum(i, 1e-6))
    return np.stack(days, axis=-1)


def likelihood(beta, gamma, dispersion, batch_size, rng):
    """Negative binomial counts."""
    k = 1 / np.maximum(dispersion, 1e-6)[:, None]
    return {"cases": rng.poisson(rng.gamma(k, infectious(beta, gamma) / k))}


def log_likelihood(beta, gamma, dispersion, cases, batch_size):
    """Their log density, a number for each day."""
    mean, k = infectious(beta, gamma), 1 / np.maximum(dispersion, 1e-6)[:, None]
    cases = np.reshape(cases, (1, -1))
    choose = gammaln(cases + k) - gammaln(k) - gammaln(cases + 1)
    return choose + k * np.log(k / (k + mean)) + cases * np.log(mean / (k + mean))


def reproduction_number(beta, gamma, batch_size):
    """How many the first one infects."""
    return beta / gamma


def days_ill(gamma, batch_size):
    """For how long one is ill, on average."""
    return 1 / gamma
