"""A regression with three covariates in large units, whose posterior is known in closed form.

The normal-inverse-gamma family is conjugate, so approximate posteriors can be compared with exact
ones (`tests/oracles.py`). Every function works on a whole chunk of data sets: leading axis
`dataset`.
"""

import numpy as np


def meta(rng):
    """How many observations the data sets of a chunk have, 20 to 200."""
    return {"N": rng.integers(20, 201)}


def prior(batch_size, rng):
    """Coefficients (dataset, 4): intercept, slopes; residual standard deviation (dataset,)."""
    sigma = np.sqrt(2e4 / rng.gamma(3.0, size=batch_size))
    scale = sigma[:, None] * [3.0, 0.02, 0.02, 0.02]
    return {"beta": rng.normal([200.0, 0.0, 0.0, 0.0], scale), "sigma": sigma}


def likelihood(beta, sigma, N, batch_size, rng):
    """Covariates x (dataset, obs, 3) and response y (dataset, obs)."""
    x = rng.normal(0.0, 100.0, (batch_size, N, 3))
    mean = beta[:, :1] + np.einsum("kd,knd->kn", beta[:, 1:], x)
    return {"x": x, "y": rng.normal(mean, sigma[:, None])}
