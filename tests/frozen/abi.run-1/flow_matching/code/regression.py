"""Linear regression with one predictor, simulated one data set at a time.

    beta[0] ~ normal(2, 3)    beta[1] ~ normal(0, 1)    sigma ~ gamma(1, 1)
    x ~ normal(0, 1)          y ~ normal(beta[0] + beta[1] x, sigma)

The number of observations N differs between data sets, so one training serves data of any size in
its range.
"""
# ruff: noqa: NPY002  abi seeds NumPy's global generator before every call, so it may be used here

import numpy as np


def meta():
    """Draw the context: a data set has 5 to 14 observations."""
    return {"N": np.random.randint(5, 15)}


def prior():
    """Draw the parameters: intercept and slope `beta`, residual standard deviation `sigma`."""
    return {
        "beta": np.random.normal([2, 0], [3, 1]),
        "sigma": np.random.gamma(1, 1),
    }


def likelihood(beta, sigma, N):
    """Draw N pairs of a predictor `x` and a response `y`."""
    intercept, slope = beta
    x = np.random.normal(0, 1, size=N)
    y = np.random.normal(intercept + slope * x, sigma)
    return {"x": x, "y": y}
