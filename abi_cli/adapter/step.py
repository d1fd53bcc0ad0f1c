"""The contract of adapter steps, and functions that treat dense and ragged values alike."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, WithJsonSchema

from abi_cli.errors import SpecError
from abi_cli.registry import Part
from abi_cli.variables import Datasets, Ragged, Value, array_of, count

State = dict[str, np.ndarray]
"""Arrays that a step learned from the pilot simulations; fixed from then on, saved with the run."""


def _from_the_last(axis: int) -> int:
    if axis >= 0:
        raise ValueError(f"Expected axis to count from the last, as −1 does; got {axis}")
    return axis


Axis = Annotated[
    int, AfterValidator(_from_the_last), WithJsonSchema({"type": "integer", "maximum": -1})
]
"""An axis of an event, counted from the last: −1 is features."""

ArrayFunction = Callable[[np.ndarray], np.ndarray]
"""A function from array to array, often element by element."""


class AdapterError(SpecError):
    """A step can't take what it was given.

    Arguments:
        variable: The variable at fault.
        row: Index of the first data set at fault, for callers who know what it is called.
        origins: Variables of which it helps to know where they come from.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        place: str | None = None,
        variable: str | None = None,
        row: int | None = None,
        origins: Iterable[str] = (),
    ):
        super().__init__(message, hint=hint, place=place)
        self.variable = variable
        self.row = row
        self.origins = tuple(origins)


class Step(Part):
    """An invertible change of some variables of a collection of data sets.

    Steps are frozen and know only their options. What is learned from the pilot simulations is a
    `State`, made by `fit` and handed to every other method, so that a step can be used again.

    To add one, write a class in a module `parts*.py` of this package and an example of it in
    `tests/adapter_examples.py`; `tests/test_adapter_laws.py` then checks what follows:

    1. Decorate it with `@part("step", "its_name", example="its_name: …")`; its docstring is its
       help, its fields are its options, its validators refuse options that make no sense.
    2. `flow` says which variables it writes and what each is made from. Whatever it names is
       present in `fit`. Elsewhere any of it may be absent (at inference parameters are, in the
       inverse all but parameters): what is absent is left out, what is present is transformed.
    3. `forward` returns a new dict and changes no array in place. Values outside the domain raise
       an `AdapterError`: `require` does it.
    4. `inverse` undoes `forward`: the same names, shapes and numbers come back. Both are given
       float64, or integers. The networks draw parameters from the whole line; a step that can't
       take every such draw back says why in `one_way`, and parameters are not let through it.
    5. `log_det` is the logarithm of the absolute Jacobian determinant of `forward`, summed over the
       variables that are present. It is abstract on purpose: a step that keeps volumes says so by
       `no_change`, one that has no density raises an `AdapterError`.
    6. `in_support` says which data sets `forward` accepts, if not all.

    The functions below this class apply a function to the elements of dense and ragged values.
    `Sqrt` in `parts_functions.py` is a complete step.
    """

    marks_ragged: ClassVar[bool] = False
    """True if the variables of its option `keys` become sets or series by this step."""

    marks_ordered: ClassVar[bool] = False
    """True if these become series by this step."""

    @property
    def one_way(self) -> str | None:
        """The reason why some draws can't come back, in words after `because`; None if all can."""
        return None

    @abstractmethod
    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The variables that the step writes, and what each is made from: `{written: (read, ...)}`.

        With an empty state it may say less: then it is asked which variables must be there to fit.
        A variable that is made from itself alone need not be named.
        """

    def fit(self, data: Mapping[str, Value]) -> State:
        """Learn from the pilot simulations, as they arrive at this step."""
        return {}

    @abstractmethod
    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Transform data sets on their way towards the networks."""

    @abstractmethod
    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Transform data sets on their way back to the scale of the user."""

    @abstractmethod
    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """The log-determinant of `forward` at `data`: log |det ∂forward/∂data|, `(dataset,)`."""

    def in_support(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Data sets that lie where `forward` is defined and smooth, `(dataset,)` bool."""
        return np.ones(count(data), dtype=bool)


def present(data: Mapping[str, Value], keys: Iterable[str]) -> list[str]:
    """The `keys` that `data` has, in their order."""
    return [key for key in keys if key in data]


def require_present(data: Mapping[str, Value], keys: Iterable[str]) -> None:
    """Refuse names of variables that aren't there.

    Errors:
        AdapterError: A variable is not there.
    """
    for name in keys:
        if name not in data:
            near = difflib.get_close_matches(name, data, n=1)
            raise AdapterError(
                f"Expected one of the variables at this step, {', '.join(data)}; got {name}",
                hint=f"Did you mean {near[0]}?" if near else None,
                variable=name,
                origins=near or data,
            )


def event_of(value: Value) -> tuple[int, ...]:
    """The shape of one member of a ragged value, else of what one data set has."""
    array = array_of(value)
    return tuple(array.shape[1:])


def on_array(value: Value, function: Callable[[np.ndarray], np.ndarray]) -> Value:
    """The value, `function` applied to its array `(dataset, *event)` or members `(obs, *event)`."""
    if isinstance(value, Ragged):
        return Ragged(function(value.values), value.row_size)
    return function(value)


def mapped(data: Mapping[str, Value], keys: Iterable[str], function: ArrayFunction) -> Datasets:
    """The data sets with `function` applied to those of `keys` that are present."""
    return {**data, **{key: on_array(data[key], function) for key in present(data, keys)}}


def without_density(step: Step, data: Mapping[str, Value], keys: Iterable[str]) -> np.ndarray:
    """The `log_det` of a step that changes no volume only where it has nothing to do.

    Errors:
        AdapterError: One of `keys` is present.
    """
    for key in present(data, keys):
        raise AdapterError(
            f"Expected a density of {key}; got none, because {step.one_way}", variable=key
        )
    return no_change(data)


def no_change(data: Mapping[str, Value]) -> np.ndarray:
    """The `log_det` of what keeps volumes: zeros, `(dataset,)`."""
    return np.zeros(count(data))


def total(value: Value, function: ArrayFunction) -> np.ndarray:
    """Sum of `function` over all that a data set has of `value`, `(dataset,)`.

    Arguments:
        function: Gives a number for each element, or for each vector or matrix.
    """
    array = array_of(value)
    terms = np.asarray(function(array), dtype=np.float64)
    sums: np.ndarray = terms.sum(axis=tuple(range(1, terms.ndim)))
    if isinstance(value, Ragged):
        sums = np.bincount(_dataset_of_member(value), weights=sums, minlength=len(value))
    return sums


def log_slopes(
    data: Mapping[str, Value], keys: Iterable[str], log_slope: ArrayFunction
) -> np.ndarray:
    """The `log_det` of an elementwise map whose derivative has logarithm `log_slope`."""
    return no_change(data) + sum(total(data[key], log_slope) for key in present(data, keys))


def every(data: Mapping[str, Value], keys: Iterable[str], test: ArrayFunction) -> np.ndarray:
    """Data sets whose elements of `keys`, where present, all pass `test`; `(dataset,)` bool.

    Arguments:
        test: True where an element (a vector, a matrix) passes.
    """
    passed = np.ones(count(data), dtype=bool)
    for key in present(data, keys):
        passed &= total(data[key], lambda array: ~test(array)) == 0
    return passed


def require(
    data: Mapping[str, Value], keys: Iterable[str], test: ArrayFunction, *, expected: str
) -> None:
    """Refuse values that fail `test`, naming the first. What is missing (NaN) passes.

    Arguments:
        test: True where an element (a vector, a matrix) passes.
        expected: What passes, such as `values above 0`.
    """
    for key in present(data, keys):
        value = data[key]
        array = array_of(value)
        with np.errstate(invalid="ignore"):
            failed = ~test(array)
        failed &= ~_missing(array, failed.shape)
        if not failed.any():
            continue
        index = np.unravel_index(int(failed.argmax()), failed.shape)
        row = int(_dataset_of_member(value)[index[0]] if isinstance(value, Ragged) else index[0])
        raise AdapterError(
            f"Expected {expected} of {key}; got {_shown(array[index])} in data set {row}",
            variable=key,
            row=row,
        )


def _missing(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that are missing; of vectors and matrices, rows that are not whole."""
    missing = np.isnan(array)
    if shape == array.shape:
        return missing
    rows = missing.any(axis=tuple(range(1, array.ndim)))
    return np.broadcast_to(rows.reshape(-1, *(1,) * (len(shape) - 1)), shape)


def refuse_taken(data: Mapping[str, Value], name: str) -> None:
    """Refuse to write a variable over another."""
    if name in data:
        raise AdapterError(
            f"Expected a new name; got {name}, which is another variable", variable=name
        )


def _shown(value: np.ndarray) -> str:
    """The text for a number, or for the beginning of a vector or matrix."""
    if value.ndim == 0:
        return f"{value:.6g}"
    text = np.array2string(value, precision=6, threshold=9, edgeitems=2, separator=", ")
    return " ".join(text.split())


def _dataset_of_member(value: Ragged) -> np.ndarray:
    return np.repeat(np.arange(len(value)), value.row_size)
