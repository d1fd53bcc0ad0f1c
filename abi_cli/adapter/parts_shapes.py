"""Steps that change the shape of variables, not their numbers.

as_set and as_time_series say what the axis of members is, broadcast, expand_dims and squeeze put
axes in and take them out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import (
    AdapterError,
    Axis,
    State,
    Step,
    event_of,
    mapped,
    no_change,
    present,
)
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Ragged, Value


class _Reshaped(Step):
    """A step that gives some variables another shape, each by itself, and can take it back."""

    keys: Keys

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself."""
        return {key: (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Give the variables their new shape."""
        return mapped(data, self.changed(state), self.reshaped)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Give the variables their old shape again."""
        return mapped(data, self.changed(state), self.shaped_back)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)

    def changed(self, state: State) -> tuple[str, ...]:  # most change all
        """The keys whose shape it changes."""
        return self.keys

    @abstractmethod
    def reshaped(self, array: np.ndarray) -> np.ndarray:
        """The array `(dataset, *event)`, or the members `(obs, *event)`, in the new shape."""

    @abstractmethod
    def shaped_back(self, array: np.ndarray) -> np.ndarray:
        """The array, or the members, in the old shape."""


class _Members(_Reshaped):
    """A step that says what the axis of members is; members become vectors."""

    marks_ragged: ClassVar[bool] = True
    noun: ClassVar[str]

    def fit(self, data: Mapping[str, Value]) -> State:
        """The entry `key.scalar ()` of each variable: True where its members are single numbers.

        Errors:
            AdapterError: A key has no members.
        """
        for key in self.keys:
            if not isinstance(data[key], Ragged):
                raise AdapterError(
                    f"Expected {key} to be a {self.noun}; got an array of shape "
                    f"{event_of(data[key])}, the same for every data set",
                    hint="Name an observable of the model, before it is joined or renamed; a "
                    f"{self.noun} is what the likelihood returns with one row per member.",
                    variable=key,
                )
        return {f"{key}.scalar": np.array(event_of(data[key]) == ()) for key in self.keys}

    def changed(self, state: State) -> tuple[str, ...]:
        """Variables whose members are single numbers."""
        return tuple(key for key in self.keys if state[f"{key}.scalar"])

    def reshaped(self, array: np.ndarray) -> np.ndarray:
        """The members as vectors of length one."""
        return array[:, None]

    def shaped_back(self, array: np.ndarray) -> np.ndarray:
        """The members as numbers."""
        return array[:, 0]


@part("step", "as_set", example="as_set: [x, y]")
class AsSet(_Members):
    """Treat a variable as a set: its members are exchangeable, their number may vary.

    A member that is a single number becomes a vector of length one.
    """

    noun: ClassVar[str] = "set"

    keys: Keys = Field(description="Variables that are sets.")


@part("step", "as_time_series", example="as_time_series: cases")
class AsTimeSeries(_Members):
    """Treat a variable as a time series: its steps are ordered, their number may vary.

    A step that is a single number becomes a vector of length one.
    """

    marks_ordered: ClassVar[bool] = True
    noun: ClassVar[str] = "series"

    keys: Keys = Field(description="Variables that are series.")


@part("step", "expand_dims", example="expand_dims: sigma")
class ExpandDims(_Reshaped):
    """Put in an axis of length one."""

    keys: Keys = Field(description="Variables that get another axis.")
    axis: Axis = Field(-1, description="Where it is then, counted from the last: −1 is the last.")

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that there is a place for the axis; nothing is learned.

        Errors:
            AdapterError: The axis would stand before that of data sets or members.
        """
        for key in self.keys:
            rank = len(event_of(data[key]))
            if -self.axis > rank + 1:
                raise AdapterError(
                    f"Expected an axis from −1 to {-rank - 1} for {key} of shape "
                    f"{event_of(data[key])}; got {self.axis}",
                    variable=key,
                )
        return {}

    def reshaped(self, array: np.ndarray) -> np.ndarray:
        """The array with the axis."""
        return np.expand_dims(array, self.axis)

    def shaped_back(self, array: np.ndarray) -> np.ndarray:
        """The array without the axis."""
        return np.squeeze(array, self.axis)


@part("step", "squeeze", example="squeeze: wide")
class Squeeze(_Reshaped):
    """Take out an axis of length one."""

    keys: Keys = Field(description="Variables that lose an axis.")
    axis: Axis = Field(-1, description="Which, counted from the last: −1 is the last.")

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that the axis is there and has length one; nothing is learned.

        Errors:
            AdapterError: There is no such axis, or it is longer.
        """
        for key in self.keys:
            event = event_of(data[key])
            if -self.axis > len(event) or event[self.axis] != 1:
                raise AdapterError(
                    f"Expected an axis {self.axis} of length one; got {key} of shape {event}",
                    variable=key,
                )
        return {}

    def reshaped(self, array: np.ndarray) -> np.ndarray:
        """The array without the axis."""
        return np.squeeze(array, self.axis)

    def shaped_back(self, array: np.ndarray) -> np.ndarray:
        """The array with the axis."""
        return np.expand_dims(array, self.axis)


@part("step", "broadcast", example="broadcast: {keys: N, to: x}")
class Broadcast(Step):
    """Repeat a variable along the axes of another.

    The axes of a variable are (dataset, *event), of a set (dataset, member, *event). Axes of length
    one are put behind the first until there are as many as the other variable has; then the value
    is repeated along all of them but `exclude`. A count `N` broadcast to a set of numbers thus
    becomes a vector of length one, and to a set of vectors one number per member.
    """

    keys: Keys = Field(description="Variables to repeat: what a data set has once.")
    to: str = Field(description="The variable that gives the axes.")
    exclude: int | tuple[int, ...] | None = Field(
        -1, description="Axes not to repeat along, counted from the first (0) or the last (−1)."
    )

    @model_validator(mode="after")
    def _not_to_itself(self) -> Broadcast:
        if self.to in self.keys:
            raise ValueError(f"Expected another variable in `to`; got {self.to}, one of the keys")
        return self

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself and from the variable that gives the axes."""
        return {key: (key, self.to) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """The shapes of the keys before: `key.event (axis,)`."""
        return {f"{key}.event": np.array(event_of(data[key]), dtype=np.int64) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Repeat the keys."""
        return {**data, **self._repeated(data)}

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Take the first of the repetitions."""
        found = present(data, self.keys)
        return {**data, **{key: _first(key, data[key], state[f"{key}.event"]) for key in found}}

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero where nothing is repeated, else there is no density."""
        for key, after in self._repeated(data).items():
            before = data[key]
            if isinstance(after, Ragged) or isinstance(before, Ragged) or after.size != before.size:
                raise AdapterError(
                    f"Expected a density of {key}; got none, because broadcast repeats it",
                    hint=f"Leave {key} out of `keys`, or exclude more axes.",
                    variable=key,
                )
        return no_change(data)

    def _repeated(self, data: Mapping[str, Value]) -> Datasets:
        """The keys that are present, repeated."""
        found = present(data, self.keys)
        if found and self.to not in data:
            raise AdapterError(
                f"Expected {self.to}, which {found[0]} is broadcast to; got none", variable=self.to
            )
        return {key: self._along(key, data[key], data[self.to]) for key in found}

    def _along(self, key: str, value: Value, to: Value) -> Value:
        """`value (dataset, *event)` along the axes of `to`."""
        member = (1,) if isinstance(to, Ragged) else ()
        shape = (*member, *event_of(to))
        event = event_of(value)
        if isinstance(value, Ragged) or len(event) > len(shape):
            what = "a set" if isinstance(value, Ragged) else f"shape {event}"
            raise AdapterError(
                f"Expected {key} to have at most the {len(shape)} axes of {self.to} and no "
                f"members; got {what}",
                variable=key,
            )
        array = value.reshape(len(value), *(1,) * (len(shape) - len(event)), *event)
        kept = self._kept(len(shape) + 1)
        wanted = tuple(
            old if axis in kept else new
            for axis, (old, new) in enumerate(zip(array.shape[1:], shape, strict=True), start=1)
        )
        try:
            array = np.broadcast_to(array, (len(value), *wanted))
        except ValueError:
            raise AdapterError(
                f"Expected {key} to fit the axes {wanted} of {self.to}; got {event}", variable=key
            ) from None
        if isinstance(to, Ragged) and 1 not in kept:
            return Ragged(np.repeat(array[:, 0], to.row_size, axis=0), to.row_size)
        return array

    def _kept(self, rank: int) -> set[int]:
        """The excluded axes, counted from the first."""
        exclude = (self.exclude,) if isinstance(self.exclude, int) else self.exclude or ()
        beyond = [axis for axis in exclude if not -rank <= axis < rank]
        if beyond:
            raise AdapterError(f"Expected axes among the {rank} of {self.to}; got {beyond[0]}")
        return {axis % rank for axis in exclude}


def _first(key: str, value: Value, event: np.ndarray) -> np.ndarray:
    """One repetition, in the shape it had: `(dataset, *event)`."""
    if isinstance(value, Ragged):
        empty = np.flatnonzero(value.row_size == 0)
        if len(empty):
            raise AdapterError(
                f"Expected members to take {key} back from; got none in data set {empty[0]}",
                variable=key,
                row=int(empty[0]),
            )
        array = value.values[value.starts()][:, None]
    else:
        array = value
    # Repeated axes are those where the event had none, or one of length one.
    before = np.concatenate([np.ones(array.ndim - 1 - len(event), dtype=np.int64), event])
    once: np.ndarray = array[(slice(None), *(slice(None, int(size)) for size in before))]
    return once.reshape(len(array), *event)
