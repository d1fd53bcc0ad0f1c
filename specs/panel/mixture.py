"""A thousand numbers from two normals, the lower of which comes first."""

import numpy as np

SIZE = 1_000


def prior(batch_size, rng):
    low, high = np.sort(rng.normal(0, 5, size=(2, batch_size)), axis=0)
    share = rng.beta(5, 5, size=batch_size)
    return {"low": low, "high": high, "share": share, "sd": rng.gamma(2, 0.5, size=batch_size)}


def log_prior(low, high, share, sd):
    log_p = -(low**2 + high**2) / 50 + 4 * np.log(share) + 4 * np.log1p(-share)
    log_p = log_p + np.log(sd) - 2 * sd
    return np.where((low < high) & (sd > 0) & (share > 0) & (share < 1), log_p, -np.inf)


def likelihood(low, high, share, sd, batch_size, rng):
    first = rng.random((batch_size, SIZE)) < share[:, None]
    mean = np.where(first, low[:, None], high[:, None])
    return {"y": rng.normal(mean, sd[:, None])}


def log_likelihood(low, high, share, sd, y, batch_size):
    low, high, share, sd = (np.reshape(p, (-1, 1)) for p in (low, high, share, sd))
    one = np.log(share) - 0.5 * ((y - low) / sd) ** 2
    two = np.log1p(-share) - 0.5 * ((y - high) / sd) ** 2
    return np.logaddexp(one, two) - np.log(sd) - 0.5 * np.log(2 * np.pi)
