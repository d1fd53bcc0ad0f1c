"""Ozone and temperature: a line through the days of a month, on the log scale."""

import numpy as np


def temperatures(N, rng):
    """Daily maxima of a month, °F: months differ, and so do days."""
    return {"temp": rng.normal(rng.normal(78, 9), rng.uniform(4, 9), size=N)}


def measured(log_ozone):
    """The monitor reports whole ppb, from 1 to 1,000."""
    ppb = np.round(np.exp(np.clip(log_ozone, 0, np.log(1000))))
    return {"log_ozone": np.log(ppb)}


def likelihood(level, slope, sigma, temp, rng):
    """Normal about the line."""
    return measured(rng.normal(level + slope * (temp - 78) / 10, sigma))


def heavy_tailed(level, slope, sigma, dof, temp, rng):
    """Student's t about the line: some days may lie far out."""
    noise = rng.standard_t(dof, size=len(temp))
    return measured(level + slope * (temp - 78) / 10 + sigma * noise)
