"""A shard: rows of simulations in a file of HDF5 that is whole, or not there at all.

    rows/sigma              (dataset, *event)
    rows/x/values           (obs, *event), the members of all data sets end to end
    rows/x/row_size         (dataset,)
    failures                JSON, a line for each draw that failed, as bytes

Each array has an attribute crc32 (chunk,), the sums of its chunks, which are looked at whenever
something is read. (HDF5's own, Fletcher's of 1982, cost as much as
the simulations of a quick function. Shards of before have them, and HDF5 looks at them itself.)
Nothing is compressed: what a simulator draws is mostly noise, and a bank is written as fast as the
disk takes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

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
_SUMS = "crc32"

_CHUNK = 1 << 18
"""Bytes that are written, read and summed together. The system takes longer over larger pieces."""

_MOST_CHUNKS = 8_000
"""An attribute may be 64 kB long."""

_NAME = re.compile(r"(\d{10,15})-(\d{10,15})\.h5")


def name_of(span: Span) -> str:
    """The name of the file of these rows."""
    return f"{span[0]:010d}-{span[1]:010d}.h5"


def span_of(name: str) -> Span | None:
    """The rows that a file of this name holds; None where it is no shard's."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def write_shard(
    folder: Path, start: int, parts: Sequence[Datasets], failures: Sequence[Failure] = ()
) -> None:
    """Write rows from `start` on as a shard.

    Arguments:
        folder: The folder of the shards.
        parts: The rows, one part after the other, all of the same variables.
        failures: Draws that failed on the way to these rows.

    Errors:
        OutputError: It can't be written.
    """
    import h5py

    stop = start + sum(map(count, parts))
    with (
        placing.replacing(folder / name_of((start, stop))) as place,
        h5py.File(place, "w") as root,
    ):
        rows = root.create_group(_ROWS, track_order=True)
        for name in parts[0]:
            values = [part[name] for part in parts]
            if ragged := [value for value in values if isinstance(value, Ragged)]:
                rows.create_group(name)
                _write(root, f"{_ROWS}/{name}/{_VALUES}", [value.values for value in ragged])
                _write(root, f"{_ROWS}/{name}/{_SIZES}", [value.row_size for value in ragged])
            else:
                _write(root, f"{_ROWS}/{name}", [np.asarray(value) for value in values])
        if failures:
            lines = "\n".join(json.dumps(failure.document()) for failure in failures)
            _write(root, _FAILURES, [np.frombuffer(lines.encode(), np.uint8)])


def _write(root: h5py.File, path: str, parts: Sequence[np.ndarray]) -> None:
    """Arrays, one behind the other, chunk by chunk as they lie in memory, with their sums."""
    dtype, event = np.result_type(*parts), parts[0].shape[1:]
    shape = (sum(map(len, parts)), *event)
    if not math.prod(shape):
        root.create_dataset(path, shape=shape, dtype=dtype)
        return
    rows = max(1, _CHUNK // (dtype.itemsize * math.prod(event)), -(-shape[0] // _MOST_CHUNKS))
    rows = min(shape[0], rows)
    dataset = root.create_dataset(path, shape=shape, dtype=dtype, chunks=(rows, *event))
    sums = []
    for start, chunk in enumerate(_in_chunks(parts, rows, dtype)):
        sums.append(crc32(chunk.data))
        lacking = np.zeros((rows - len(chunk), *event), dtype)
        whole = np.concatenate([chunk, lacking]) if len(lacking) else chunk
        dataset.id.write_direct_chunk((start * rows, *(0 for _ in event)), whole)
    dataset.attrs[_SUMS] = np.array(sums, np.uint32)


def _in_chunks(parts: Sequence[np.ndarray], rows: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    """Arrays, one behind the other, so many rows at a time; the last ones may be fewer."""
    left = np.empty((0, *parts[0].shape[1:]), dtype)
    for part in parts:
        own, at = np.ascontiguousarray(part, dtype), 0
        if len(left):
            at = rows - len(left)
            left = np.concatenate([left, own[:at]])
            if len(left) < rows:
                continue
            yield left
        end = at + (len(own) - at) // rows * rows
        for start in range(at, end, rows):
            yield own[start : start + rows]
        left = own[end:]
    if len(left):
        yield left


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
            text = _checked(found, 0, len(looked_over(found))).tobytes().decode()
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
    return _checked(dataset, first, last)


def _checked(dataset: Any, first: int, last: int) -> np.ndarray:
    """A part of a data set, read with all of the chunks that it lies in.

    Errors:
        ValueError: One is not as it was written.
    """
    if dataset.fletcher32 or first == last or not dataset.size:
        return np.asarray(dataset[first:last])
    rows, sums = _sums_of(dataset)
    begin = first // rows * rows
    read = np.asarray(dataset[begin : -(-last // rows) * rows])
    for number, start in enumerate(range(0, len(read), rows), begin // rows):
        if crc32(read[start : start + rows].data) != sums[number]:
            raise ValueError(f"chunk {number} of {dataset.name} is not as it was written")
    return read[first - begin : last - begin]


def _sums_of(dataset: Any) -> tuple[int, list[int]]:
    """The rows of a chunk of a data set, and the sum of each chunk.

    Errors:
        ValueError: They are not there.
    """
    import h5py

    rows = dataset.chunks[0] if dataset.chunks else len(dataset)
    stored = h5py.h5a.open(dataset.id, _SUMS.encode())
    if stored.shape != (-(-len(dataset) // rows),) or stored.dtype != np.uint32:
        raise ValueError(f"the sums of {dataset.name} are not those of its chunks")
    return rows, dataset.attrs[_SUMS].tolist()


def _damaged(file: Path, error: object) -> DataError:
    return DataError(
        f"this shard of a bank is damaged: {error}",
        place=str(file),
        hint="Remove it; the command that made the bank makes its rows again.",
    )
