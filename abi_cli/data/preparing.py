"""Preparations of a variable of real data within each data set, before anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Ragged, Value

Preparation = Literal["centre_within", "standardize_within"]
PREPARATIONS: tuple[Preparation, ...] = get_args(Preparation)
"""The preparations: subtract the mean over the members of a data set; divide by their sd, too."""


def in_order(
    values: Mapping[str, Value], series: Sequence[str], column: str, labels: Sequence[str]
) -> tuple[Datasets, np.ndarray]:
    """The series with their steps in the order of their times, and the times themselves.

    Arguments:
        column: The times, one for each step.

    Returns:
        Them, and where each step was before, `(obs,)`.

    Errors:
        DataError: There are more or fewer times than steps, or two are the same.
    """
    times = values[column]
    sorted_values: Datasets = {}
    for name in (*series, column):
        value = values[name]
        if not (isinstance(value, Ragged) and isinstance(times, Ragged)):
            raise DataError(f"expected a time {column} for each step of {name}; got one in all")
        if not np.array_equal(value.row_size, times.row_size):
            at = int(np.argmax(value.row_size != times.row_size))
            raise DataError(
                f"expected a time {column} for each step of {name}; got {times.row_size[at]} for "
                f"{value.row_size[at]} in data set {labels[at]}"
            )
        dataset = np.repeat(np.arange(len(times)), times.row_size)
        order = np.lexsort((times.values, dataset))
        own = times.values[order]
        again = np.flatnonzero((np.diff(own) == 0) & (np.diff(dataset) == 0))
        if len(again):
            at = int(again[0])
            raise DataError(
                f"expected each {column} of a series once; got {own[at]:g} twice in data set "
                f"{labels[dataset[at]]}"
            )
        sorted_values[name] = Ragged(value.values[order], value.row_size)
    return sorted_values, order


def prepared(name: str, value: Value, how: str, labels: list[str]) -> Value:
    """The set or series with each data set on a scale of its own.

    Arguments:
        name: Name of the variable.
        how: One of `PREPARATIONS`.
        labels: Labels of the data sets.

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
    low, high = (f.reduceat(value.values, starts, axis=0) for f in (np.fmin, np.fmax))
    # The sd of equal numbers can be off zero by rounding.
    equal = (sd == 0) | np.repeat(low == high, size, axis=0)
    if equal.any():
        member = int(np.argwhere(equal.reshape(len(equal), -1).any(axis=1))[0, 0])
        row = value.dataset_of(member)
        raise DataError(
            f"expected values of {name} that differ within data set {labels[row]}, to standardize "
            "them; got equal ones"
        )
    return Ragged(centred / sd, size)
