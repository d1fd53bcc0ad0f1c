"""A design: data sets' covariates, times or the like, drawn from a file of real ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, UserFunction
from abi_cli.variables import Ragged, Value, array_of, count


class _UnusableSize(ValueError):
    """A number of rows that can't be drawn."""


@dataclass(frozen=True)
class Design:
    """A design: what data sets come with, from a file. A `Source`.

    Of several data sets in the file each simulation takes one at random. Of a single one it takes
    as many of its rows, at random with replacement; or, without `resample`, all of it as it is.

    Arguments:
        file: What messages call it.
        values: What the file holds. All its sets have as many members as each other.
        resample: Whether anything is drawn.
        size: How many rows of a single set are drawn, or the context variable that says it; None
            for as many as it has.
        batched: Whether it draws for a whole chunk. The sets of a chunk have one size: that of a
            data set at random.

    Errors:
        SpecError: There is nothing to draw from in this way.
    """

    file: str
    values: Mapping[str, Value]
    resample: bool = True
    size: int | str | None = None
    batched: bool = False

    name = "given"
    place = "model.given"
    functions: ClassVar[tuple[UserFunction, ...]] = ()

    def __post_init__(self) -> None:
        for value in self.values.values():
            array_of(value).flags.writeable = False
        sizes = [value.row_size for value in self.values.values() if isinstance(value, Ragged)]
        if count(self.values) > 1 and not self.resample:
            raise SpecError(
                f"Expected one data set in {self.file}, for all to have; got {count(self.values)}",
                hint="With resample: true, each simulation takes one of them at random.",
                place=self.place,
            )
        if self.size is not None and (count(self.values) > 1 or not sizes):
            raise SpecError(
                f"Expected a single set in {self.file}, to take {self.size} of its rows; got "
                f"{count(self.values)} data sets" + ("" if sizes else ", without a set or series"),
                hint="Leave `size` out, or say which of its variables are sets, as in "
                "`observables: {x: {kind: set}}`.",
                place=self.place,
            )
        if self._one_set and any(not np.array_equal(size, sizes[0]) for size in sizes):
            raise SpecError(
                f"Expected sets of one length in {self.file}, to take rows of them; got "
                f"{', '.join(str(size[0]) for size in sizes)} members",
                hint="With resample: false they are taken as they are.",
                place=self.place,
            )

    @property
    def _one_set(self) -> bool:
        """True if the file holds one data set, of which rows are drawn."""
        some = any(isinstance(value, Ragged) for value in self.values.values())
        return self.resample and some and count(self.values) == 1

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the variables that are taken: the size, where it is one."""
        return (self.size,) if isinstance(self.size, str) else ()

    def signature(self) -> dict[str, bool]:
        """Argument name → whether it must be given."""
        chunk = (BATCH_SIZE,) if self.batched else ()
        return dict.fromkeys((RNG, *chunk, *self.arguments), True)

    def taking(
        self,
        names: tuple[str, ...],  # noqa: ARG002  # it takes the same always
        *,
        shared: Collection[str] = (),  # noqa: ARG002
    ) -> Callable[[Known], Any]:
        """A function of what is known that draws them all."""
        draw = self._rows if self._one_set else self._data_sets
        return lambda known: draw(known[RNG], known)

    def _data_sets(self, rng: np.random.Generator, known: Known) -> Known:
        """Data sets of the file as they are: one, or with an axis of those of a chunk."""
        index = int(rng.integers(count(self.values))) if self.resample else 0
        if not self.batched:
            return {name: _one(value, index) for name, value in self.values.items()}
        alike = np.arange(count(self.values))
        for value in self.values.values():
            if isinstance(value, Ragged):
                alike = alike[value.row_size[alike] == value.row_size[index]]
        chosen = alike[rng.integers(len(alike), size=known[BATCH_SIZE])]
        return {
            name: np.stack([_one(value, row) for row in chosen])
            for name, value in self.values.items()
        }

    def _rows(self, rng: np.random.Generator, known: Known) -> Known:
        """Rows of the file's only set, drawn with replacement."""
        there = next(len(v.values) for v in self.values.values() if isinstance(v, Ragged))
        size = self._size(known) or there
        chunk = (known[BATCH_SIZE],) if self.batched else ()
        rows = rng.integers(there, size=(*chunk, size))
        return {
            name: value.values[rows]
            if isinstance(value, Ragged)
            else np.broadcast_to(value[0], (*chunk, *value.shape[1:]))
            for name, value in self.values.items()
        }

    def _size(self, known: Known) -> int | None:
        if not isinstance(self.size, str):
            return self.size
        size = np.unique(known[self.size])
        if len(size) != 1 or size[0] < 1 or not float(size[0]).is_integer():
            raise _UnusableSize(
                f"Expected a whole number of rows, the same for all data sets of a chunk; got "
                f"{self.size} = {', '.join(map(str, size[:4]))}"
            )
        return int(size[0])

    def raised(self, error: BaseException, *, draw: str) -> UserFunctionError:
        """The error to raise for rows that could not be drawn."""
        if not isinstance(error, _UnusableSize):
            raise error
        return UserFunctionError(f"{error} ({draw})", place=f"{self.place}.size")

    def description(self) -> str:
        """A line that says which variables are drawn from which file, and how."""
        there = count(self.values)
        how = "as it is"
        if self._one_set:
            how = f"{self.size or 'as many'} of its rows, at random"
        elif self.resample:
            how = f"one of its {there:,} data sets at random"
        return f"{', '.join(self.values)} from {self.file}, {how}"


def _one(value: Value, index: int) -> np.ndarray:
    """A data set's array; its members where it is a set or series."""
    if isinstance(value, Ragged):
        start = int(value.row_size[:index].sum())
        return value.values[start : start + int(value.row_size[index])]
    array: np.ndarray = value[index]
    return array
