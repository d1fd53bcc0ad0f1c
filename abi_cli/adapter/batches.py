"""Rectangular arrays that networks take, made of adapted data sets: the only place that pads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from abi_cli.adapter.adapter import (
    INFERENCE_CONDITIONS,
    INFERENCE_VARIABLES,
    SUMMARY_STATISTICS,
    SUMMARY_VARIABLES,
    summarized,
)
from abi_cli.adapter.step import AdapterError, event_of
from abi_cli.variables import Ragged, Value, count

SUMMARY_MASK = "summary_mask"

NOISE = "noise"
"""The input that some networks learn from beside the data: noise."""

SMALLEST_BUCKET = 32
"""Number of members below which padding costs less than another shape to compile."""


def network_inputs(
    adapted: Mapping[str, Value], *, size: int | None = None
) -> dict[str, np.ndarray]:
    """The inputs of the networks, in single precision; a variable that is absent is left out.

    Arguments:
        adapted: Inputs of the networks, from `Adapter.forward`.
        size: Members to pad sets to; the largest set's by default.

    Returns:
        `inference_variables (batch, dim)`, `inference_conditions (batch, dim)`,
        `summary_statistics (batch, statistic)`, and where sets or
        series are summarized `summary_variables (batch, size, dim)`, zero beyond the members of a
        set, with `summary_mask (batch, size)`, 1 for members and 0 for padding; else
        `summary_variables (batch, *event)`, of numbers `(batch, 1)`. The members of a group
        likewise, under their own names and those of their masks; sets among them are padded to a
        power of two.

    Errors:
        AdapterError: A number is not finite in single precision, or only a set can be given.
        ValueError: A set has more than `size` members.
    """
    inputs = {}
    for name in (INFERENCE_VARIABLES, INFERENCE_CONDITIONS, SUMMARY_STATISTICS):
        if name in adapted:
            inputs[name] = _flat(name, adapted[name])
    for name in summarized(adapted):
        value = adapted[name]
        if isinstance(value, Ragged):
            alone = name == SUMMARY_VARIABLES
            inputs[name], inputs[mask_of(name)] = _padded(
                name, value, size if alone else _power_of_two(value.row_size)
            )
        else:
            single = _single(name, value)
            inputs[name] = single if single.ndim > 1 else single[:, None]
    return inputs


def mask_of(name: str) -> str:
    """The name of the mask of what is summarized."""
    return SUMMARY_MASK + name.removeprefix(SUMMARY_VARIABLES)


def _power_of_two(row_size: np.ndarray) -> int:
    """A size that holds all sets and that others are padded to as well: few shapes to compile."""
    return 1 << max(3, int(row_size.max(initial=1) - 1).bit_length())


def bucket_sizes(row_size: np.ndarray, *, most: int = 8) -> tuple[int, ...]:
    """Sizes to pad to, ascending, so that few shapes are compiled and little is wasted.

    The largest set's size, and downwards half of it, a quarter, … as long as sets are that small
    and the networks gain by it. Where that would take more than `most` the ratio is larger.

    Arguments:
        row_size: `(dataset,)`, members of each pilot data set.
    """
    largest, smallest = int(row_size.max()), int(row_size.min())
    floor = max(smallest, SMALLEST_BUCKET)
    ratio = max(2.0, (largest / floor) ** (1.0 / most))
    sizes = [largest]
    while len(sizes) < most and largest / ratio ** len(sizes) >= floor:
        sizes.append(int(np.ceil(largest / ratio ** len(sizes))))
    candidates = np.array(sorted(sizes))
    return tuple(int(size) for size in np.unique(bucket_of(row_size, candidates)))


def bucket_of(row_size: np.ndarray, sizes: np.ndarray | tuple[int, ...]) -> np.ndarray:
    """The size that each set is padded to, `(dataset,)`: the smallest that holds it.

    Sets beyond the largest get that doubled as often as it takes.

    Arguments:
        row_size: `(dataset,)`, members of each data set.
        sizes: `(bucket,)`, ascending, as `bucket_sizes` gives them.
    """
    known = np.asarray(sizes, dtype=np.int64)
    largest = max(int(known[-1]), 1)
    bucket = known[np.minimum(np.searchsorted(known, row_size), len(known) - 1)]
    doublings = np.ceil(np.log2(np.maximum(row_size, 1) / largest)).astype(np.int64)
    return np.where(row_size > known[-1], largest << np.maximum(doublings, 0), bucket)


def in_buckets(
    adapted: Mapping[str, Value], buckets: tuple[int, ...], at_once: int
) -> Iterator[tuple[int | None, np.ndarray]]:
    """All data sets, each once: the size to pad sets to (None without sets) and rows of that size.

    Arguments:
        adapted: Inputs of the networks, from `Adapter.forward`.
        buckets: Sizes to pad to, from `bucket_sizes`.
        at_once: Rows at most.
    """
    size = np.zeros(count(adapted), np.int64)
    alone = adapted.get(SUMMARY_VARIABLES)
    if isinstance(alone, Ragged):
        size = bucket_of(alone.row_size, buckets)
    for bucket in np.unique(size):
        rows = np.flatnonzero(size == bucket)
        for first in range(0, len(rows), at_once):
            yield int(bucket) or None, rows[first : first + at_once]


def _flat(name: str, value: Value) -> np.ndarray:
    """The numbers of an event in C order, `(batch, dim)`."""
    if isinstance(value, Ragged):
        raise AdapterError(
            f"Expected {name} to have one shape in every data set; got a set or series",
            hint=f"Sets and series go into {SUMMARY_VARIABLES}.",
            place="adapter",
            variable=name,
        )
    array = _single(name, value)
    return array.reshape(len(array), int(np.prod(event_of(array))))


def _padded(name: str, ragged: Ragged, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Members of sets, padded to `(batch, size, dim)`, and their mask `(batch, size)`."""
    event = event_of(ragged)
    if len(event) > 1:
        raise AdapterError(
            f"Expected the members of {name} to be numbers or vectors; got shape {event}",
            place="adapter",
            variable=name,
        )
    largest = int(ragged.row_size.max(initial=0))
    size = largest if size is None else size
    if size < largest:
        raise ValueError(f"Expected sets of at most {size} members; got {largest}")
    values = _single(name, ragged.values, ragged.row_size)
    member = np.arange(size) < ragged.row_size[:, None]
    padded = np.zeros((len(ragged), size, *(event or (1,))), dtype=np.float32)
    # A mask walks through a padded array in the order in which members lie. Seen as one item each
    # they are copied several times faster than number by number.
    item = np.dtype((np.void, padded.itemsize * padded.shape[-1]))
    padded.view(item)[..., 0][member] = values.reshape(-1, padded.shape[-1]).view(item)[:, 0]
    return padded, member.astype(np.float32)


def _single(name: str, array: np.ndarray, row_size: np.ndarray | None = None) -> np.ndarray:
    """The array in single precision, in which every number has to be finite.

    Arguments:
        row_size: `(dataset,)`, where the array's rows are members of sets.

    Errors:
        AdapterError: A number is not finite.
    """
    with np.errstate(over="ignore"):
        single = array.astype(np.float32, order="C")
    finite = np.isfinite(single)
    if not finite.all():
        index = np.unravel_index(int(finite.argmin()), finite.shape)
        row = int(index[0])
        if row_size is not None:
            row = int(np.searchsorted(np.cumsum(row_size), row, side="right"))
        raise AdapterError(
            f"Expected finite numbers in {name}; got {array[index]:.6g} in data set {row}",
            place="adapter",
            variable=name,
            row=row,
        )
    return single


def summary_inputs(inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """The inputs of the summary network and their mask or None; of a group, both by member."""
    if SUMMARY_VARIABLES in inputs:
        return inputs[SUMMARY_VARIABLES], inputs.get(mask_of(SUMMARY_VARIABLES))
    group = {name: inputs[name] for name in summarized(inputs)}
    return bare(group), bare({name: inputs.get(mask_of(name)) for name in group})


def bare(group: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the group `summary_variables` under the names that they have in it."""
    return {name.removeprefix(f"{SUMMARY_VARIABLES}."): value for name, value in group.items()}
