"""Members of sets and steps of series, side by side: the arrays that statistics are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.variables import Ragged, Value, count

FLOOR = 1e-12
"""Least variance, relative to that over the pilot."""

AT_ONCE = 2_000_000
"""Numbers that are worked on together; more only takes memory."""


@dataclass(frozen=True)
class Members:
    """Data sets padded to one size.

    Arguments:
        columns: `(batch, obs, column)`, float64, NaN where padded or missing.
        inside: `(batch, obs)`, whether there is such a member.
    """

    columns: np.ndarray
    inside: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Members of each data set, `(batch,)`."""
        return self.inside.sum(axis=1)

    def __getitem__(self, column: int) -> np.ndarray:
        """Column at `place`, `(batch, obs)`."""
        return self.columns[:, :, column]


def chunks(data: Mapping[str, Value], names: Sequence[str]) -> Iterator[tuple[slice, Members]]:
    """Data sets a few at a time, those of like size together where they are ragged.

    Arguments:
        names: Variables that share the axis of members; members are numbers or vectors.
    """
    total = count(data)
    for rows in _pieces(data[names[0]], total):
        yield rows, padded(data, names, rows)


def _pieces(first: Value, total: int) -> Iterator[slice]:
    size = first.row_size if isinstance(first, Ragged) else np.full(total, np.size(first) // total)
    begin = 0
    while begin < total:
        largest = np.maximum.accumulate(size[begin : begin + 4_096])
        numbers = largest * np.arange(1, len(largest) + 1)
        many = max(1, int(np.searchsorted(numbers, AT_ONCE // 8)))
        yield slice(begin, min(begin + many, total))
        begin += many


def padded(data: Mapping[str, Value], names: Sequence[str], rows: slice) -> Members:
    """Members of some data sets, all their variables side by side."""
    parts, inside = [], None
    for name in names:
        value = data[name]
        if isinstance(value, Ragged):
            size = value.row_size[rows]
            first = int(value.row_size[: rows.start].sum())
            flat = value.values[first : first + int(size.sum())]
            flat = flat.reshape(len(flat), -1)
            inside = np.arange(int(size.max(initial=1))) < size[:, None]
            part = np.full((*inside.shape, flat.shape[1]), np.nan)
            part[inside] = flat
        else:
            some = np.asarray(value[rows], np.float64)
            part = some.reshape(len(some), some.shape[1] if some.ndim > 1 else 1, -1)
            inside = np.ones(part.shape[:2], bool)
        parts.append(part)
    if inside is None:
        raise ValueError("Expected variables; got none")
    return Members(np.concatenate(parts, axis=-1), inside)


Weights = np.ndarray


def mean_of(x: np.ndarray, there: Weights) -> np.ndarray:
    """Mean over members, `(batch, …)`, of `x (batch, obs, …)` where it is `there`; 0 where none is.

    What lies where nothing is must be finite.
    """
    return (x * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1.0)


def known(x: np.ndarray) -> tuple[np.ndarray, Weights]:
    """Numbers with 0 in gaps, and where they are, as 0 and 1."""
    there = np.isfinite(x)
    return np.where(there, x, 0.0), there.astype(np.float64)


def moments_of(x: np.ndarray, there: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over members, `(batch,)` each."""
    mean = mean_of(x, there)
    return mean, mean_of((x - mean[:, None]) ** 2, there)


def mixed(
    weight: Weights, values: np.ndarray, variance: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log sd of mixtures, `(batch,)` each.

    Arguments:
        weight: Of components, `(batch, component)`, which sum to 1.
        values, variance: Mean and variance of each.
    """
    mean = (weight * values).sum(axis=1)
    spread = (weight * ((values - mean[:, None]) ** 2 + variance)).sum(axis=1)
    return mean, 0.5 * np.log(spread + FLOOR)


def weighed(log_p: np.ndarray, *, most: float = 40.0) -> tuple[Weights, np.ndarray]:
    """Weights of the places of a grid, which sum to 1, and how far each is below the best.

    The second is √(max log p − log p), about the distance in sds, up to √most.

    Arguments:
        log_p: Their log likelihoods, `(batch, place)`; −inf where there is none.
    """
    below = log_p - log_p.max(axis=1, keepdims=True)
    weight = np.exp(below)
    weight /= weight.sum(axis=1, keepdims=True)
    return weight, np.sqrt(-np.maximum(below, -most))


def side_by_side(
    of: Callable[..., np.ndarray], *arrays: np.ndarray, number: int = 128
) -> np.ndarray:
    """Statistics of so many data sets at a time: arrays of theirs, and of a grid, fit in a cache.

    Arguments:
        arrays: `(batch, …)` each, which `of` takes.
    """
    begins = range(0, max(len(arrays[0]), 1), number)
    return np.concatenate([of(*(a[k : k + number] for a in arrays)) for k in begins])


def tamed(x: np.ndarray, most: float) -> np.ndarray:
    """The identity up to `most` in size, logarithmic beyond."""
    beyond = np.maximum(np.abs(x) - most, 0.0)
    return np.sign(x) * (np.minimum(np.abs(x), most) + np.log1p(beyond))


Statistic = Callable[[Members], np.ndarray]
