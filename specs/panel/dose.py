"""A drug's concentration after one dose: first-order in and out, lognormal noise, 12 times."""

import numpy as np

TIMES = np.array([0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24])


def concentration(absorb, clear, volume, dose):
    k, v = absorb[:, None], volume[:, None]
    out = clear[:, None] / v
    k = np.where(np.abs(k - out) < 1e-6, out + 1e-6, k)
    return dose[:, None] * k / (v * (k - out)) * (np.exp(-out * TIMES) - np.exp(-k * TIMES))


def likelihood(absorb, clear, volume, noise, dose, batch_size, rng):
    c = np.maximum(concentration(absorb, clear, volume, dose), 1e-9)
    return {"y": c * np.exp(noise[:, None] * rng.normal(size=c.shape))}


def log_likelihood(absorb, clear, volume, noise, dose, y, batch_size):
    c = np.maximum(concentration(absorb, clear, volume, np.full(len(absorb), float(dose))), 1e-9)
    z = (np.log(y) - np.log(c)) / noise[:, None]
    return -0.5 * z**2 - np.log(noise[:, None]) - np.log(y) - 0.5 * np.log(2 * np.pi)
