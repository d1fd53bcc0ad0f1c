"""Returns whose variance follows a GARCH(1,1), 200 days."""

import numpy as np

DAYS = 200


def likelihood(mu, scale, alpha, beta, batch_size, rng):
    level = scale**2
    variance, y = level * 1.0, []
    omega = level * (1 - alpha - beta * (1 - alpha))
    b = beta * (1 - alpha)
    for noise in rng.normal(size=(DAYS, batch_size)):
        e = np.sqrt(variance) * noise
        y.append(mu + e)
        variance = omega + alpha * e**2 + b * variance
    return {"y": np.stack(y, axis=1)}


def log_likelihood(mu, scale, alpha, beta, y, batch_size):
    level = scale**2
    variance, total = level * 1.0, np.zeros_like(mu)
    omega = level * (1 - alpha - beta * (1 - alpha))
    b = beta * (1 - alpha)
    for value in np.reshape(y, -1):
        e = value - mu
        total = total - 0.5 * (np.log(2 * np.pi * variance) + e**2 / variance)
        variance = omega + alpha * e**2 + b * variance
    return total
