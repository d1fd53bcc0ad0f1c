"""Quantities of interest: functions of parameters, data and context, computed for every draw.

Where a quantity has a value for each group, and data sets have different numbers of groups, its
values are ragged. They are held beside each other as far as the longest goes; what a data set does
not have is NaN, for all of its draws.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from abi_cli.errors import SpecError, UsageError
from abi_cli.model.density import LogDensity
from abi_cli.model.evaluation import (
    At,
    by_data_set,
    evaluated,
    refuse_unknown_arguments,
    unusable,
)
from abi_cli.model.functions import UserFunction
from abi_cli.variables import Datasets, DrawBlock, Layout, Variable, take

OF_TRUTHS = 1 << 30
"""The place of the true parameters among draws: their randomness is that of no draw."""

MANY_CALLS = 100_000
"""Calls that are worth telling how to save them."""


@dataclass(frozen=True)
class Quantities:
    """The quantities that a spec names.

    Arguments:
        functions: Quantity → its function. It takes parameters, data and context by their names,
            members of a set or series as an array `(obs, *event)`, `rng` if it draws, and gives a
            number or an array. With an argument `batch_size` it works on many draws of a data set
            at once: parameters and result then have a leading axis of draws.
        density: The model's, to be computed beside them; None not to.
    """

    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    density: LogDensity | None = None

    def __bool__(self) -> bool:
        return bool(self.functions) or self.density is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the quantities, that of the density last."""
        return (*self.functions, *(() if self.density is None else (self.density.name,)))

    def called(self) -> tuple[UserFunction, ...]:
        """The person's functions that are called."""
        return (*self.functions.values(), *(self.density.functions if self.density else ()))

    @classmethod
    def load(cls, references: Mapping[str, str], base_dir: Path) -> Quantities:
        """The quantities whose functions are relative to `base_dir`.

        Errors:
            SpecError: A file or function isn't there.
        """
        return cls({name: UserFunction.load(one, base_dir) for name, one in references.items()})

    def without(self, names: Collection[str]) -> Quantities:
        """All other quantities.

        Errors:
            UsageError: One of `names` is none of them.
        """
        for name in names:
            if name not in self.names:
                known = ", ".join(self.names) or "none"
                raise UsageError(f"expected a quantity to skip, of {known}; got {name}")
        kept = {name: one for name, one in self.functions.items() if name not in names}
        density = self.density
        return Quantities(kept, None if density and density.name in names else density)

    def of_data(self, layout: Layout) -> Quantities:
        """Quantities that depend on data, not on parameters and context alone."""
        data = {variable.name for variable in layout.of("observable")}
        kept = {n: one for n, one in self.functions.items() if data & set(one.arguments)}
        return replace(self, functions=kept)

    def refuse_unfit(self, layout: Layout) -> None:
        """Refuse names that are taken, and arguments that a model doesn't have.

        Errors:
            SpecError: There is one.
        """
        for name, function in self.functions.items():
            place = f"model.quantities.{name}"
            if name in layout:
                raise SpecError(
                    f"Expected a new name for a quantity; got {name}, a variable of the model",
                    place=place,
                )
            refuse_unknown_arguments(function, layout, place=place, rng=True)
        if self.density is not None:
            self.density.refuse_unfit(layout)

    def slow(self, calls: int) -> str | None:
        """Advice where each of many draws takes a call of its own; None where the calls are few.

        Arguments:
            calls: Draws of all data sets.
        """
        single = [function.name for function in self.called() if not function.batched]
        if calls < MANY_CALLS or not single:
            return None
        return (
            f"{', '.join(dict.fromkeys(single))} is called for each of {calls:,} draws: with an "
            "argument batch_size, and an axis of draws in what it takes and gives, for a thousand "
            "at once"
        )

    def of(
        self,
        parameters: Mapping[str, np.ndarray],
        datasets: Datasets,
        *,
        first: int = 0,
        first_draw: int = 0,
        seed: int = 1,
        advance: Callable[[int], None] = lambda _number: None,
        labels: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Values of the quantities, name → `(dataset, draw, *event)`, float32.

        Arguments:
            parameters: Name → `(dataset, draw, *event)`.
            datasets: The same data sets.
            first, first_draw: The place of the first data set, and of its first draw, among all.
            seed: Of functions that draw.
            advance: Hears how many draws are done; each counts once for each of `called`.
            labels: What messages call the data sets; their places by default.

        Errors:
            UserFunctionError: A function raised, or gave what is no number or another shape.
        """
        results: dict[str, list[np.ndarray]] = {name: [] for name in self.functions}
        densities = []
        for row, (known, draws) in enumerate(by_data_set(parameters, datasets), start=first):
            at = At(row, first_draw, seed, advance, labels[row - first] if labels else "")
            for name, function in self.functions.items():
                with np.errstate(over="ignore"):
                    value = evaluated(name, function, known, draws, at).astype(np.float32)
                results[name].append(value)
            if self.density is not None:
                densities.append(self.density.of_data_set(known, draws, at))
        values = {name: _stacked(name, self.functions[name], r) for name, r in results.items()}
        if self.density is not None:
            with np.errstate(over="ignore"):  # −inf, as far out as that
                values[self.density.name] = np.stack(densities).astype(np.float32)
        return values

    def variables(self, parameters: Mapping[str, np.ndarray], datasets: Datasets) -> list[Variable]:
        """The quantities as variables, judged by data sets and parameters `(dataset, *event)`."""
        one = {name: value[:, None] for name, value in parameters.items()}
        return [
            Variable(name, "parameter", ragged=False, event=value.shape[2:])
            for name, value in self.of(one, datasets).items()
        ]

    def added(
        self,
        blocks: Iterable[DrawBlock],
        datasets: Datasets,
        *,
        first: int = 0,
        seed: int = 1,
        events: Mapping[str, tuple[int, ...]] | None = None,
        advance: Callable[[int], None] = lambda _number: None,
        labels: Sequence[str] = (),
    ) -> Iterable[DrawBlock]:
        """Blocks of draws, with the quantities beside the parameters.

        Arguments:
            first: Which one the first of `datasets` is among those that blocks count.
            events: Quantity → the shape that it has in all blocks; by default its own in each.
            labels: What messages call `datasets`; their places by default.

        Errors:
            UserFunctionError: As `of`; a value is infinite.
        """
        for block in blocks:
            start = block.first_dataset
            rows = slice(start - first, start - first + block.shape[0])
            own, called = take(datasets, rows), labels[rows]
            values = self.of(
                block.values,
                own,
                first=start,
                first_draw=block.first_draw,
                seed=seed,
                advance=advance,
                labels=called,
            )
            for name, event in (events or {}).items():
                values[name] = self._widened(name, values[name], event)
            self.refuse_infinite(values, called or range(start, start + block.shape[0]))
            yield replace(block, values={**block.values, **values})

    def refuse_infinite(
        self, values: Mapping[str, np.ndarray], labels: Sequence[object] = ()
    ) -> None:
        """Refuse values that can't be written.

        Arguments:
            values: Name → `(dataset, draw, *event)`.
            labels: What messages call the data sets; their places by default.

        Errors:
            UserFunctionError: One is infinite.
        """
        for name, function in self.functions.items():
            infinite = np.isinf(values[name]).reshape(*values[name].shape[:2], -1).any(axis=2)
            if infinite.any():
                dataset, draw = map(int, np.argwhere(infinite)[0])
                called = labels[dataset] if labels else dataset
                raise unusable(
                    function,
                    f"{name} is infinite for {infinite.sum():,} of {infinite.size:,} draws, in "
                    f"single precision: draw {draw} of data set {called} is the first",
                    hint=f"Give its logarithm, or leave it out: --skip {name}.",
                )

    def _widened(self, name: str, values: np.ndarray, event: tuple[int, ...]) -> np.ndarray:
        """Values of a quantity with room for the longest data set."""
        if values.shape[2:] == event:
            return values
        shape = values.shape[2:]
        if len(shape) != len(event) or shape[1:] != event[1:] or not event or shape[0] > event[0]:
            raise _of_other_shape(name, self.functions[name], {shape, event})
        return _padded(values, event[0], axis=2)


def _stacked(name: str, function: UserFunction, rows: list[np.ndarray]) -> np.ndarray:
    """Values `(draw, *event)` of data sets as one array; the first axis of events may differ."""
    shapes = {row.shape[1:] for row in rows}
    if len(shapes) == 1:
        return np.stack(rows)
    if min(map(len, shapes)) == 0 or len({shape[1:] for shape in shapes}) > 1:
        raise _of_other_shape(name, function, shapes)
    longest = max(shape[0] for shape in shapes)
    return np.stack([_padded(row, longest, axis=1) for row in rows])


def _padded(values: np.ndarray, size: int, *, axis: int) -> np.ndarray:
    """Values filled with NaN up to `size` elements along an axis."""
    room = [(0, size - values.shape[axis] if k == axis else 0) for k in range(values.ndim)]
    return np.pad(values, room, constant_values=np.nan)


def _of_other_shape(
    name: str, function: UserFunction, shapes: Collection[tuple[int, ...]]
) -> Exception:
    found = " and ".join(str(shape) for shape in sorted(shapes))
    return unusable(
        function,
        f"{name} must have one shape in all data sets, but for the size of its first axis; "
        f"got {found}",
    )
