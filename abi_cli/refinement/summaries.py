"""Statistics of weighted candidates, by the names that `data.statistics` gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from abi_cli.data.statistics import statistics
from abi_cli.refinement.weights import moments, quantiles, resampled

_MANY = 4096
"""Draws from which a shortest interval is found."""


def weighted(
    values: np.ndarray, weights: np.ndarray, names: Sequence[str], *, ess: float
) -> np.ndarray:
    """Statistics `(statistic, dim)` of `values (candidate, dim)`.

    Arguments:
        weights: `(candidate,)`, sum to 1.
        ess: Independent draws that they say as much as, for `mcse`.
    """
    mean, sd = moments(values, weights)
    found = np.empty((len(names), values.shape[1]))
    for place, name in enumerate(names):
        if name == "mean":
            found[place] = mean
        elif name in ("sd", "mcse"):
            found[place] = sd if name == "sd" else sd / math.sqrt(max(ess, 1.0))
        elif name == "median" or name.startswith("q"):
            share = 0.5 if name == "median" else float(name[1:]) / 100
            found[place] = quantiles(values, weights, (share,))[0]
        else:
            draws = values[resampled(weights, _MANY, 0.5)]
            found[place] = statistics(draws[None], (name,))[0][0]
    return found
