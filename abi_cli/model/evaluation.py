"""Functions of a spec called for the draws of one data set: quantities of interest, densities."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from abi_cli import underway
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, UserFunction, shown
from abi_cli.model.owning import kept, private
from abi_cli.variables import Datasets, Layout, Ragged, take


def refuse_unknown_arguments(function: UserFunction, layout: Layout, *, place: str) -> None:
    """Refuse a function that takes what a model doesn't have.

    Arguments:
        place: The field of the spec that names it.

    Errors:
        SpecError: It does.
    """
    known = [variable.name for variable in layout.variables]
    for argument, required in function.signature().items():
        if required and argument not in (*known, BATCH_SIZE):
            near = difflib.get_close_matches(argument, known, n=1)
            listed = f"It can take {', '.join(known)}"
            raise SpecError(
                f"{function.name} takes {argument}, which is no variable of the model",
                hint=f"Did you mean {near[0]}? {listed}" if near else listed,
                place=place,
            )


def by_data_set(
    parameters: Mapping[str, np.ndarray], datasets: Datasets
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Of each data set what is known, and its draws `(draw, *event)`, float64.

    Arguments:
        parameters: Name → `(dataset, draw, *event)`.
        datasets: The same data sets. Their own parameters play no part.
    """
    data = {name: value for name, value in datasets.items() if name not in parameters}
    for row in range(len(next(iter(parameters.values())))):
        known = {name: _plain(value) for name, value in take(data, np.array([row])).items()}
        yield known, {name: value[row].astype(np.float64) for name, value in parameters.items()}


def _plain(value: np.ndarray | Ragged) -> Any:
    """Of one data set: its members, its array, or its number."""
    if isinstance(value, Ragged):
        return value.values
    return value[0].item() if value.ndim == 1 else value[0]


def evaluated(
    name: str,
    function: UserFunction,
    known: Mapping[str, Any],
    draws: Mapping[str, np.ndarray],
    dataset: int,
) -> np.ndarray:
    """A function's results for all draws of a data set, `(draw, *event)`, float64.

    With an argument `batch_size` it is called once: parameters and result have an axis of draws.

    Arguments:
        name: What messages call the result.
        dataset: What messages call the data set.

    Errors:
        UserFunctionError: It raised, or gave what is no number or another shape.
    """
    number = len(next(iter(draws.values())))
    taken = [argument for argument in function.signature() if argument in {*known, *draws}]
    with function.at_hand(), underway.work(f"{name} of data set {dataset}"):
        if function.batched:
            given = {a: draws[a] if a in draws else known[a] for a in taken}
            result = _called(function, {**given, BATCH_SIZE: number}, f"data set {dataset}")
            if np.shape(result)[:1] != (number,):
                raise unusable(
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
        result = function.function(**{name: private(value) for name, value in arguments.items()})
        return kept(result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        given = [f"{n} = {shown(v)}" for n, v in arguments.items() if n != BATCH_SIZE]
        raise function.raised(error, draw=", ".join([where, *given])) from error


def _numbers(name: str, function: UserFunction, result: Any) -> np.ndarray:
    try:
        array = np.asarray(result, np.float64)
    except (TypeError, ValueError):
        raise unusable(function, f"{name} must be a number or an array of one shape") from None
    if np.isnan(array).any():
        raise unusable(function, f"{name} is not a number (NaN) for some draws")
    return array


def unusable(function: UserFunction, message: str) -> UserFunctionError:
    """The error to raise for results that can't be used."""
    return UserFunctionError(message, place=function.place)
