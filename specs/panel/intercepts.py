"""Random intercepts: a line for each subject over ten days, some of which are missing."""

import numpy as np

DAYS = np.arange(10)


def likelihood(b0, b1, sd_u, sigma, J, rng):
    subject = rng.normal(0, sd_u, size=(J, 1))
    y = b0 + subject + b1 * DAYS + rng.normal(0, sigma, size=(J, 10))
    kept = rng.uniform(0.3, 1.0, size=(J, 1))
    y[rng.random((J, 10)) > kept] = np.nan
    return {"y": y}


def log_likelihood(b0, b1, sd_u, sigma, y, batch_size):
    b0, b1, sd_u, sigma = (np.reshape(p, (-1, 1)) for p in (b0, b1, sd_u, sigma))
    there = np.isfinite(y)
    m = there.sum(axis=-1)
    total = np.zeros((len(b0), len(y)))
    squares = np.zeros((len(b0), len(y)))
    for day in DAYS:
        r = np.where(there[:, day], np.nan_to_num(y[:, day]) - b0 - b1 * day, 0.0)
        total, squares = total + r, squares + r**2
    v, u = sigma**2, sd_u**2
    log_det = (m - 1) * np.log(v) + np.log(v + m * u)
    quadratic = squares / v - u * total**2 / (v * (v + m * u))
    return -0.5 * (log_det + quadratic + m * np.log(2 * np.pi)) * (m > 0)
