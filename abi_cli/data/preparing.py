"""What can be done with a variable of real data within each data set, before anything else."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from abi_cli.errors import DataError
from abi_cli.variables import Ragged, Value

Preparation = Literal["centre_within", "standardize_within"]
PREPARATIONS: tuple[Preparation, ...] = get_args(Preparation)
"""Subtract the mean over the members of a data set; divide by their sd, too."""


def prepared(name: str, value: Value, how: str, labels: list[str]) -> Value:
    """A set or series, each data set on a scale of its own.

    Arguments:
        name: Of the variable.
        how: One of `PREPARATIONS`.
        labels: Of the data sets.

    Errors:
        DataError: It has no members, or all members of a data set are equal.
    """
    if not isinstance(value, Ragged):
        raise DataError(
            f"expected a set or series to {how}; got {name}, of which a data set has one value",
            hint=f"Take {name} out of `prepare:` in the spec of the run.",
        )
    starts, size = value.starts(), value.row_size

    def mean(members: np.ndarray) -> np.ndarray:
        there = ~np.isnan(members)  # what is missing does not count
        sums = np.add.reduceat(np.where(there, members, 0.0), starts, axis=0)
        counts = np.maximum(np.add.reduceat(there.astype(np.int64), starts, axis=0), 1)
        return np.repeat(sums / counts, size, axis=0)

    centred = value.values - mean(value.values)
    if how == "centre_within":
        return Ragged(centred, size)
    sd = np.sqrt(mean(centred**2))
    if (sd == 0).any():
        member = int(np.argwhere((sd == 0).reshape(len(sd), -1).any(axis=1))[0, 0])
        row = value.dataset_of(member)
        raise DataError(
            f"expected values of {name} that differ within data set {labels[row]}, to standardize "
            "them; got equal ones"
        )
    return Ragged(centred / sd, size)
