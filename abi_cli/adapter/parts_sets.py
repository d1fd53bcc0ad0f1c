"""Steps that say what the axis of members is: as_set, as_time_series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from abi_cli.adapter.step import (
    AdapterError,
    State,
    Step,
    event_of,
    no_change,
    on_array,
    present,
)
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Ragged, Value


@part("step", "as_set", example="as_set: [x, y]")
class AsSet(Step):
    """Treat a variable as a set: its members are exchangeable, their number may vary.

    A member that is a single number becomes a vector of length one.
    """

    marks_ragged: ClassVar[bool] = True

    keys: Keys = Field(description="Variables that are sets.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """`key.scalar ()`: whether members are single numbers."""
        return _scalar_members(data, self.keys, "set")

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Members become vectors."""
        return _members(data, self.keys, state, lambda array: array[:, None])

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Members become what they were."""
        return _members(data, self.keys, state, lambda array: array[:, 0])

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


@part("step", "as_time_series", example="as_time_series: cases")
class AsTimeSeries(Step):
    """Treat a variable as a time series: its steps are ordered, their number may vary.

    A step that is a single number becomes a vector of length one.
    """

    marks_ragged: ClassVar[bool] = True
    marks_ordered: ClassVar[bool] = True

    keys: Keys = Field(description="Variables that are series.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """`key.scalar ()`: whether steps are single numbers."""
        return _scalar_members(data, self.keys, "series")

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Steps become vectors."""
        return _members(data, self.keys, state, lambda array: array[:, None])

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Steps become what they were."""
        return _members(data, self.keys, state, lambda array: array[:, 0])

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


def _scalar_members(data: Mapping[str, Value], keys: tuple[str, ...], noun: str) -> State:
    for key in keys:
        if not isinstance(data[key], Ragged):
            raise AdapterError(
                f"Expected {key} to be a {noun}; got an array of shape {event_of(data[key])}, "
                "the same for every data set",
                hint=f"Name an observable of the model, before it is joined or renamed; a {noun} "
                "is what the likelihood returns with one row per member.",
                variable=key,
            )
    return {f"{key}.scalar": np.array(event_of(data[key]) == ()) for key in keys}


def _members(
    data: Mapping[str, Value],
    keys: tuple[str, ...],
    state: State,
    reshape: Callable[[np.ndarray], np.ndarray],
) -> Datasets:
    scalar = [key for key in present(data, keys) if state[f"{key}.scalar"]]
    return {**data, **{key: on_array(data[key], reshape) for key in scalar}}
