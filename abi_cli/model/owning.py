"""Ownership of arrays: functions get copies of their own, and their results are copied.

A function may work on its arguments in place (`x -= x.mean()`), keep what it has returned, or
return the same array every time. None of it may reach what is stored. Arguments are not made
read-only: that would break what compiled code and tensors rely on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy as np

UNCHANGING = frozenset(
    {float, int, bool, complex, str, bytes, type(None), np.random.Generator}
    | {np.bool_, np.float64, np.float32, np.int64, np.int32, np.uint64}
)
"""Types that are given as they are: values that nobody can change, and the generator."""

_ARRAY = np.ndarray


def private(value: Any) -> Any:
    """A copy of the same type for a function to do with as it likes."""
    if type(value) is _ARRAY:
        return value.copy("K")
    if type(value) in UNCHANGING or isinstance(value, np.generic):
        return value
    with suppress(Exception):  # what can't be copied can't be had twice, either
        return deepcopy(value)
    return value


class UnlikeOthersError(ValueError):
    """A row's results are no dict, or not of the same names as those of the rows before it."""


class Columns:
    """Results of row after row, by their names; our copies of them.

    Arguments:
        first: Those of the first row.

    Attributes:
        values: Name → one value a row.
    """

    def __init__(self, first: dict[str, Any]) -> None:
        self.values = {name: [value] for name, value in first.items()}

    @property
    def rows(self) -> int:
        """The number of rows that are complete."""
        return min(map(len, self.values.values()))

    def appending(self) -> Callable[[Any], None]:
        """A function that copies the results of another row.

        It is called a million times in a training, so it has all that it needs at hand.

        Errors:
            UnlikeOthersError: Raised by it where they are no dict, or of other names.
        """
        columns = [(name, column.append) for name, column in self.values.items()]
        names, array, unchanging = len(columns), np.ndarray, UNCHANGING

        def append(results: Any) -> None:
            if not isinstance(results, dict) or len(results) != names:
                raise UnlikeOthersError
            try:
                for name, keep in columns:
                    value = results[name]
                    if type(value) is array:
                        keep(value.copy())
                    elif type(value) in unchanging:
                        keep(value)
                    else:
                        keep(kept(value))
            except KeyError:
                raise UnlikeOthersError from None

        return append


def owned(results: Any) -> Any:
    """A function's dict of results, copied: numbers, arrays, lists of these.

    What is no dict is left to those who check it.
    """
    if not isinstance(results, dict):
        return results
    return {name: kept(value) for name, value in results.items()}


def passing(results: Any) -> Any:
    """Results like those of `owned`, but plain arrays as they are: to be copied at once."""
    if not isinstance(results, dict) or all(type(value) is _ARRAY for value in results.values()):
        return results
    return {
        name: value if type(value) is _ARRAY else kept(value) for name, value in results.items()
    }


def kept(value: Any) -> Any:
    """A result, copied: a number, an array, a list of these.

    What is masked becomes NaN, as an array without its mask would pass for data. Anything else,
    such as a tensor, becomes an array.
    """
    if type(value) is _ARRAY:
        return value.copy()
    if type(value) in UNCHANGING or isinstance(value, np.generic):
        return value
    if isinstance(value, np.ma.MaskedArray):
        return _without_mask(value)
    if isinstance(value, list | tuple):
        return list(value) if UNCHANGING.issuperset(map(type, value)) else [*map(kept, value)]
    return np.array(value)


def _without_mask(value: np.ma.MaskedArray) -> np.ndarray:
    """A plain array, with NaN where the value is masked."""
    if not np.ma.is_masked(value):
        return np.array(value.data)
    return np.where(np.ma.getmaskarray(value), np.nan, value.data.astype(np.float64))
