"""A shard: rows of simulations in a file of HDF5 that is whole, or not there at all.

    rows/sigma              (dataset, *event)
    rows/x/values           (obs, *event), the members of all data sets end to end
    rows/x/row_size         (dataset,)
    failures                JSON, a line for each draw that failed, as bytes

Each chunk has a sum (Fletcher 1982) that is looked at whenever it is read. Nothing is compressed:
what a simulator draws is mostly noise, and a bank is written as fast as the disk takes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli import placing
from abi_cli.bank.spans import Span
from abi_cli.data.hdf5 import UNREADABLE, entries, entry, looked_over
from abi_cli.errors import DataError
from abi_cli.model.failures import Failure
from abi_cli.variables import Datasets, Ragged, Value, count

if TYPE_CHECKING:
    import h5py

_ROWS, _VALUES, _SIZES, _FAILURES = "rows", "values", "row_size", "failures"

_CHUNK = 1 << 18
"""Bytes that are read and summed together."""

_NAME = re.compile(r"(\d{10,15})-(\d{10,15})\.h5")


def name_of(span: Span) -> str:
    """The name of the file of these rows."""
    return f"{span[0]:010d}-{span[1]:010d}.h5"


def span_of(name: str) -> Span | None:
    """The rows that a file of this name holds; None where it is no shard's."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def write_shard(folder: Path, start: int, rows: Datasets, failures: Sequence[Failure] = ()) -> None:
    """Write rows from `start` on as a shard.

    Arguments:
        folder: The folder of the shards.
        failures: Draws that failed on the way to these rows.

    Errors:
        OutputError: It can't be written.
    """
    import h5py

    with (
        placing.replacing(folder / name_of((start, start + count(rows)))) as place,
        h5py.File(place, "w") as root,
    ):
        group = root.create_group(_ROWS, track_order=True)
        for name, value in rows.items():
            if isinstance(value, Ragged):
                own = group.create_group(name)
                _write(own, _VALUES, value.values)
                _write(own, _SIZES, value.row_size)
            else:
                _write(group, name, value)
        if failures:
            lines = "\n".join(json.dumps(failure.document()) for failure in failures)
            _write(root, _FAILURES, np.frombuffer(lines.encode(), np.uint8))


def _write(group: h5py.Group, name: str, values: np.ndarray) -> None:
    if not values.size:
        group.create_dataset(name, data=values)
        return
    row = max(1, values[:1].nbytes)
    chunks = (max(1, min(len(values), _CHUNK // row)), *values.shape[1:])
    group.create_dataset(name, data=values, chunks=chunks, fletcher32=True)


def read_shard(file: Path, span: Span, wanted: Span) -> Datasets:
    """The rows `wanted` of a shard.

    Arguments:
        span: The rows that it holds.
        wanted: Those to read.

    Errors:
        DataError: It is damaged, or no shard.
    """
    import h5py

    first, last = wanted[0] - span[0], wanted[1] - span[0]
    try:
        with h5py.File(file, "r") as root:
            rows = {
                name: _read(item, first, last, span[1] - span[0])
                for name, item in entries(entry(root, _ROWS))
            }
    except UNREADABLE as error:
        raise _damaged(file, error) from None
    if not rows:
        raise _damaged(file, "there are no variables in it")
    return rows


def read_failures(file: Path) -> list[dict[str, Any]]:
    """Failures of simulations on the way to a shard's rows: documents of `Failure`.

    Errors:
        DataError: It is damaged, or no shard.
    """
    import h5py

    try:
        with h5py.File(file, "r") as root:
            found = entry(root, _FAILURES)
            if found is None:
                return []
            text = np.asarray(looked_over(found)[...], np.uint8).tobytes().decode()
            return [dict(json.loads(line)) for line in text.splitlines()]
    except UNREADABLE as error:
        raise _damaged(file, error) from None


def _read(item: Any, first: int, last: int, rows: int) -> Value:
    """Rows first … last − 1 of a variable."""
    import h5py

    if not isinstance(item, h5py.Group):
        return _slice(item, first, last, rows)
    sizes = _slice(entry(item, _SIZES), 0, last, rows).astype(np.int64)
    begin, end = int(sizes[:first].sum()), int(sizes.sum())
    values = entry(item, _VALUES)
    return Ragged(_slice(values, begin, end, None), sizes[first:])


def _slice(dataset: Any, first: int, last: int, rows: int | None) -> np.ndarray:
    """A part of a data set of numbers that has as many rows as it must have, or enough of them."""
    there = len(looked_over(dataset))
    if dataset.dtype.kind not in "if" or there < last or rows not in (None, there):
        raise ValueError(f"{dataset.name} has {there} rows of {dataset.dtype}")
    return np.asarray(dataset[first:last])


def _damaged(file: Path, error: object) -> DataError:
    return DataError(
        f"this shard of a bank is damaged: {error}",
        place=str(file),
        hint="Remove it; the command that made the bank makes its rows again.",
    )
