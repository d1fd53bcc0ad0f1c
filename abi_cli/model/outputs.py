"""Results of functions, row by row or chunk by chunk, as arrays and `Ragged`s.

Whole numbers become int64, and so do truth values; all other numbers become float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from abi_cli.variables import Ragged, Value, array_of


class UnusableOutputError(ValueError):
    """The values of a variable are not numbers, not of one shape, or not finite.

    Arguments:
        message: A sentence about the variable.
        row: Which of the rows shows it.
        varies: Whether the trouble is that the shape is another in each row.
        lacks: Whether it is that a value is missing.
    """

    def __init__(self, message: str, *, row: int = 0, varies: bool = False, lacks: bool = False):
        super().__init__(message)
        self.message, self.row, self.varies, self.lacks = message, row, varies, lacks


def stack(name: str, values: Sequence[Any], *, ragged: bool, first_row: int) -> Value:
    """One value a row as an array `(row, *event)`, or as a `Ragged` of their members.

    Numbers make an array `(row,)` even where `ragged` is asked for: they have no members.

    Errors:
        UnusableOutputError: The values are not numbers, or not of one shape.
    """
    if ragged:
        try:
            joined = np.concatenate(values)
        except ValueError:
            _check_members(name, values, first_row)
        else:
            row_size = np.fromiter(map(len, values), np.int64, len(values))
            return Ragged(_as_numbers(name, joined, values), row_size)
    try:
        stacked = np.asarray(values)  # ten times faster than np.stack
    except ValueError:
        arrays = _each_as_array(name, values)
        _check_one_shape(name, [array.shape for array in arrays], first_row)
        stacked = np.stack(arrays)
    return _as_numbers(name, stacked, values)


def _check_members(name: str, values: Sequence[Any], first_row: int) -> None:
    """Refuse what could not be joined, unless they are plain numbers."""
    members = _each_as_array(name, values)
    events = [value.shape[1:] if value.ndim else None for value in members]
    for row, event in enumerate(events):
        if event != events[0]:
            raise _varies(name, members[0].shape, members[row].shape, first_row, first_row + row)


def _no_array(name: str) -> UnusableOutputError:
    return UnusableOutputError(
        f"{name} is no array: its parts have different shapes (sets of sets can't be said yet)"
    )


def as_chunk(name: str, value: object, *, size: int) -> np.ndarray:
    """The numbers `(size, *event)` that a function returned for a whole chunk.

    Errors:
        UnusableOutputError: It isn't an array of numbers whose first axis is that of the chunk.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise _no_array(name) from None
    if array.shape[:1] != (size,):
        raise UnusableOutputError(
            f"{name} must have {size} (batch_size) as its first axis; its shape is {array.shape}"
        )
    return _as_numbers(name, array, array)


class Room:
    """An array in which chunks of a variable are laid one behind the other: each is copied once.

    Arguments:
        first: Its first chunk, `(chunk, *event)`, as `as_chunk` gave it.
        chunks: How many there will be.
    """

    def __init__(self, first: np.ndarray, chunks: int) -> None:
        self._array = np.empty((chunks, *first.shape), first.dtype)
        self._shape, self._filled = first.shape, 0
        self._kinds = "f" if first.dtype.kind == "f" else "bi"

    def fits(self, value: np.ndarray) -> bool:
        """True if another chunk is like the first one."""
        return value.shape == self._shape and value.dtype.kind in self._kinds

    def copy(self, value: np.ndarray) -> np.ndarray:
        """The next chunk, which fits, in its place."""
        place = self._array[self._filled]
        place[...] = value
        self._filled += 1
        return place

    def whole(self) -> np.ndarray | None:
        """All rows, if all chunks are in their places."""
        array = self._array
        if self._filled < len(array):
            return None
        return array.reshape(-1, *array.shape[2:])


def as_members(value: Value) -> Value:
    """`(row, members, *event)` as a `Ragged`; numbers `(row,)` stay, as they have no members."""
    if isinstance(value, Ragged) or value.ndim == 1:
        return value
    rows, size, *event = value.shape
    return Ragged(value.reshape(rows * size, *event), np.full(rows, size, np.int64))


def join(name: str, parts: Sequence[Value], *, first_row: int) -> Value:
    """The rows of all parts, one part after the other.

    Errors:
        UnusableOutputError: Their shapes differ.
    """
    arrays = [array_of(part) for part in parts]
    row = first_row
    for part, array in zip(parts, arrays, strict=True):
        if array.shape[1:] != arrays[0].shape[1:] or type(part) is not type(parts[0]):
            raise _varies(name, _shape(parts[0]), _shape(part), first_row, row)
        row += len(part)
    joined = np.concatenate(arrays)
    sizes = [part.row_size for part in parts if isinstance(part, Ragged)]
    return Ragged(joined, np.concatenate(sizes)) if sizes else joined


def _shape(value: Value) -> tuple[int, ...]:
    """The shape of the first row."""
    if isinstance(value, Ragged):
        return (int(value.row_size[0]), *value.values.shape[1:])
    return value.shape[1:]


def check_finite(name: str, value: Value, *, missing: bool = False) -> None:
    """Refuse what training can't use.

    Arguments:
        missing: Whether values may be missing (NaN).

    Errors:
        UnusableOutputError: A value is infinite or not a number.
    """
    array = array_of(value)
    if array.dtype.kind in "bi":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):  # so are all; in a third of the time that asking each takes
            return
    finite = np.isfinite(array)
    if finite.all():  # their sum is too large
        return
    finite |= missing & np.isnan(array)
    if finite.all():
        return
    at = int(np.argmin(finite.reshape(len(array), -1).all(axis=1)))
    row = at
    if isinstance(value, Ragged):
        row = value.dataset_of(at)
    wrong = array[at][~finite[at]].flat[0] if array.ndim > 1 else array[at]
    message = f"{name} is {wrong}, which is not finite"
    raise UnusableOutputError(message, row=row, lacks=bool(np.isnan(wrong)) and not missing)


def _each_as_array(name: str, values: Sequence[Any]) -> list[np.ndarray]:
    try:
        return [np.asarray(value) for value in values]
    except ValueError:
        raise _no_array(name) from None


def _check_one_shape(name: str, shapes: Sequence[tuple[int, ...]], first_row: int) -> None:
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise _varies(name, shapes[0], shape, first_row, first_row + row)


def _varies(
    name: str, one: tuple[int, ...], other: tuple[int, ...], one_row: int, other_row: int
) -> UnusableOutputError:
    if len(one) == len(other) == 1:
        message = f"{name} has {one[0]} values in row {one_row} and {other[0]} in row {other_row}"
    else:
        message = f"{name} has shape {one} in row {one_row} and {other} in row {other_row}"
    return UnusableOutputError(message, varies=True)


def _as_numbers(name: str, array: np.ndarray, values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Whole numbers as int64, others as float64.

    Arguments:
        values: What each row gave to the array, to find the row to blame.
    """
    kind = array.dtype.kind
    if kind in "bi":
        return array.astype(np.int64, copy=False)
    if kind == "f":
        return array.astype(np.float64, copy=False)
    if kind == "u" and (not array.size or array.max() <= np.iinfo(np.int64).max):
        return array.astype(np.int64)
    wrong = [row for row, value in enumerate(values) if np.asarray(value).dtype.kind not in "bifu"]
    row = wrong[0] if wrong else 0
    examples = np.ravel(values[row])[:1].tolist() or [array.dtype]
    message = f"{name} must be made of real numbers; it holds {examples[0]!r}"
    if isinstance(examples[0], str):
        message += ". Return a number for each category, or leave it out"
    raise UnusableOutputError(message, row=row)
