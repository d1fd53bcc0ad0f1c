"""Quantities of interest: functions of parameters, data and context, computed for every draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from abi_cli.errors import SpecError
from abi_cli.model.density import LogDensity
from abi_cli.model.evaluation import (
    by_data_set,
    evaluated,
    refuse_unknown_arguments,
    unusable,
)
from abi_cli.model.functions import UserFunction
from abi_cli.variables import Datasets, DrawBlock, Layout, Variable, take


@dataclass(frozen=True)
class Quantities:
    """The quantities that a spec names.

    Arguments:
        functions: Quantity → its function. It takes parameters, data and context by their names,
            members of a set or series as an array `(obs, *event)`, and gives a number or an array.
            With an argument `batch_size` it works on all draws of a data set at once: parameters
            and result then have a leading axis of draws.
        density: The model's, to be computed beside them; None not to.
    """

    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    density: LogDensity | None = None

    def __bool__(self) -> bool:
        return bool(self.functions) or self.density is not None

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
            refuse_unknown_arguments(function, layout, place=place)
        if self.density is not None:
            self.density.refuse_unfit(layout)

    def of(
        self, parameters: Mapping[str, np.ndarray], datasets: Datasets, *, first: int = 0
    ) -> dict[str, np.ndarray]:
        """Their values, name → `(dataset, draw, *event)`, float32.

        Arguments:
            parameters: Name → `(dataset, draw, *event)`.
            datasets: The same data sets.
            first: What messages call the first data set.

        Errors:
            UserFunctionError: A function raised, or gave what is no number or another shape.
        """
        results: dict[str, list[np.ndarray]] = {name: [] for name in self.functions}
        densities = []
        for row, (known, draws) in enumerate(by_data_set(parameters, datasets), start=first):
            for name, function in self.functions.items():
                results[name].append(evaluated(name, function, known, draws, row))
            if self.density is not None:
                densities.append(self.density.of_data_set(known, draws, row))
        values = {name: _stacked(name, self.functions[name], r) for name, r in results.items()}
        if self.density is not None:
            values[self.density.name] = np.stack(densities).astype(np.float32)
        return values

    def variables(self, parameters: Mapping[str, np.ndarray], datasets: Datasets) -> list[Variable]:
        """What they are, judging by data sets and their parameters `(dataset, *event)`."""
        one = {name: value[:1, None] for name, value in parameters.items()}
        values = self.of(one, take(datasets, slice(0, 1)))
        return [
            Variable(name, "parameter", ragged=False, event=value.shape[2:])
            for name, value in values.items()
        ]

    def added(
        self, blocks: Iterable[DrawBlock], datasets: Datasets, *, first: int = 0
    ) -> Iterable[DrawBlock]:
        """Blocks of draws, with the quantities beside the parameters.

        Arguments:
            first: Which one the first of `datasets` is among those that blocks count.
        """
        for block in blocks:
            start = block.first_dataset
            own = take(datasets, slice(start - first, start - first + block.shape[0]))
            values = self.of(block.values, own, first=start)
            yield DrawBlock(start, block.first_draw, {**block.values, **values})


def _stacked(name: str, function: UserFunction, rows: list[np.ndarray]) -> np.ndarray:
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        found = " and ".join(str(shape[1:]) for shape in sorted(shapes))
        raise unusable(function, f"{name} must have one shape in all data sets; got {found}")
    with np.errstate(over="ignore"):
        values: np.ndarray = np.stack(rows).astype(np.float32)
    if not np.isfinite(values).all():
        raise unusable(function, f"{name} is infinite for some draws, in single precision")
    return values
