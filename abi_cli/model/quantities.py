"""Quantities of interest: functions of parameters, data and context, computed for every draw."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, UserFunction, shown
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Variable, take


@dataclass(frozen=True)
class Quantities:
    """The quantities that a spec names.

    Arguments:
        functions: Quantity → its function. It takes parameters, data and context by their names,
            members of a set or series as an array `(obs, *event)`, and gives a number or an array.
            With an argument `batch_size` it works on all draws of a data set at once: parameters
            and result then have a leading axis of draws.
    """

    functions: Mapping[str, UserFunction] = field(default_factory=dict)

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
        known = [variable.name for variable in layout.variables]
        for name, function in self.functions.items():
            place = f"model.quantities.{name}"
            if name in layout:
                raise SpecError(
                    f"Expected a new name for a quantity; got {name}, a variable of the model",
                    place=place,
                )
            for argument, required in function.signature().items():
                if required and argument not in (*known, BATCH_SIZE):
                    near = difflib.get_close_matches(argument, known, n=1)
                    listed = f"It can take {', '.join(known)}"
                    raise SpecError(
                        f"{function.name} takes {argument}, which is no variable of the model",
                        hint=f"Did you mean {near[0]}? {listed}" if near else listed,
                        place=place,
                    )

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
        data = {name: value for name, value in datasets.items() if name not in parameters}
        rows = len(next(iter(parameters.values())))
        results: dict[str, list[np.ndarray]] = {name: [] for name in self.functions}
        for row in range(rows):
            known = {name: _plain(value) for name, value in take(data, np.array([row])).items()}
            draws = {name: value[row].astype(np.float64) for name, value in parameters.items()}
            for name, function in self.functions.items():
                results[name].append(_evaluated(name, function, known, draws, first + row))
        return {name: _stacked(name, self.functions[name], r) for name, r in results.items()}

    def variables(self, parameters: Mapping[str, np.ndarray], datasets: Datasets) -> list[Variable]:
        """What they are, judging by data sets and their parameters `(dataset, *event)`."""
        one = {name: value[:1, None] for name, value in parameters.items()}
        values = self.of(one, take(datasets, slice(0, 1)))
        return [
            Variable(name, "parameter", ragged=False, event=value.shape[2:])
            for name, value in values.items()
        ]

    def added(self, blocks: Iterable[DrawBlock], datasets: Datasets) -> Iterable[DrawBlock]:
        """Blocks of draws, with the quantities beside the parameters."""
        for block in blocks:
            start = block.first_dataset
            own = take(datasets, slice(start, start + block.shape[0]))
            values = self.of(block.values, own, first=start)
            yield DrawBlock(start, block.first_draw, {**block.values, **values})


def _plain(value: np.ndarray | Ragged) -> Any:
    """Of one data set: its members, its array, or its number."""
    if isinstance(value, Ragged):
        return value.values
    return value[0].item() if value.ndim == 1 else value[0]


def _evaluated(
    name: str,
    function: UserFunction,
    known: Mapping[str, Any],
    draws: Mapping[str, np.ndarray],
    dataset: int,
) -> np.ndarray:
    """One quantity of all draws of a data set, `(draw, *event)`."""
    number = len(next(iter(draws.values())))
    taken = [argument for argument in function.signature() if argument in {*known, *draws}]
    with function.at_hand():
        if function.batched:
            given = {a: draws[a] if a in draws else known[a] for a in taken}
            result = _called(function, {**given, BATCH_SIZE: number}, f"data set {dataset}")
            if np.shape(result)[:1] != (number,):
                raise _unusable(
                    function,
                    f"{name} must have {number} (batch_size) as its first axis; its shape is "
                    f"{np.shape(result)}",
                )
            return _numbers(name, function, result)
        each = [
            _called(
                function,
                {a: draws[a][k] if a in draws else known[a] for a in taken},
                f"draw {k} of data set {dataset}",
            )
            for k in range(number)
        ]
    return _numbers(name, function, each)


def _called(function: UserFunction, arguments: Mapping[str, Any], where: str) -> Any:
    try:
        return function.function(**arguments)
    except (Exception, SystemExit) as error:
        given = [f"{n} = {shown(v)}" for n, v in arguments.items() if n != BATCH_SIZE]
        raise function.raised(error, draw=", ".join([where, *given])) from error


def _numbers(name: str, function: UserFunction, result: Any) -> np.ndarray:
    try:
        array = np.asarray(result, np.float64)
    except (TypeError, ValueError):
        raise _unusable(function, f"{name} must be a number or an array of one shape") from None
    if np.isnan(array).any():
        raise _unusable(function, f"{name} is not a number (NaN) for some draws")
    return array


def _stacked(name: str, function: UserFunction, rows: list[np.ndarray]) -> np.ndarray:
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        found = " and ".join(str(shape[1:]) for shape in sorted(shapes))
        raise _unusable(function, f"{name} must have one shape in all data sets; got {found}")
    return np.stack(rows).astype(np.float32)


def _unusable(function: UserFunction, message: str) -> UserFunctionError:
    return UserFunctionError(message, place=function.place)
