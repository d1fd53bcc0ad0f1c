"""An outbreak in a school: cases on 14 days, negative binomial about an SIR model."""

import numpy as np
from scipy.special import gammaln

POPULATION, DAYS, STEPS = 763, 14, 10


def infected(beta, gamma):
    """Infected on days 1 to 14, `(batch, day)`, from one on day 0."""

    def slope(s, i):
        new = beta * s * i / POPULATION
        return -new, new - gamma * i

    s, i, h, days = POPULATION - 1.0 + 0 * beta, 1.0 + 0 * beta, 1 / STEPS, []
    for _ in range(DAYS):
        for _ in range(STEPS):
            a1, b1 = slope(s, i)
            a2, b2 = slope(s + h / 2 * a1, i + h / 2 * b1)
            a3, b3 = slope(s + h / 2 * a2, i + h / 2 * b2)
            a4, b4 = slope(s + h * a3, i + h * b3)
            s = s + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            i = i + h / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
        days.append(np.maximum(i, 1e-6))
    return np.stack(days, -1)


def likelihood(beta, gamma, phi_inv, batch_size, rng):
    phi = 1 / phi_inv[:, None]
    return {"cases": rng.poisson(rng.gamma(phi, infected(beta, gamma) / phi))}


def log_likelihood(beta, gamma, phi_inv, cases, batch_size):
    mean, phi = infected(beta, gamma), 1 / phi_inv[:, None]
    cases = np.reshape(cases, (1, -1)).astype(float)
    choose = gammaln(cases + phi) - gammaln(phi) - gammaln(cases + 1)
    log_p = choose + phi * np.log(phi / (phi + mean)) + cases * np.log(mean / (phi + mean))
    return np.where(np.isfinite(log_p), log_p, -np.inf)
