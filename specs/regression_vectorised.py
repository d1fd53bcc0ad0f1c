"""Linear regression with one predictor, simulated a whole chunk of data sets at a time.

The model is that of `regression.py`. Functions that take `batch_size` return arrays with a leading
axis of that length, one entry per data set; `rng` is the generator that abi hands them.
"""


def meta(rng):
    """Draw the context, once per chunk: a data set has 5 to 14 observations."""
    return {"N": rng.integers(5, 15)}


def prior(batch_size, rng):
    """Draw the parameters: `beta (batch, 2)`, intercept and slope, and `sigma (batch,)`."""
    return {
        "beta": rng.normal([2, 0], [3, 1], size=(batch_size, 2)),
        "sigma": rng.gamma(1, 1, size=batch_size),
    }


def likelihood(beta, sigma, N, batch_size, rng):
    """Draw N pairs of a predictor `x (batch, N)` and a response `y (batch, N)`."""
    intercept, slope = beta[:, :1], beta[:, 1:]
    x = rng.normal(0, 1, size=(batch_size, N))
    y = rng.normal(intercept + slope * x, sigma[:, None])
    return {"x": x, "y": y}
