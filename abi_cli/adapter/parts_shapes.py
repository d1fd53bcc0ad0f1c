"""Steps that change the shape of variables, not their numbers: expand_dims, squeeze."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from abi_cli.adapter.step import (
    AdapterError,
    Axis,
    State,
    Step,
    event_of,
    mapped,
    no_change,
)
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value


@part("step", "expand_dims", example="expand_dims: sigma")
class ExpandDims(Step):
    """Put in an axis of length one."""

    keys: Keys = Field(description="Variables that get another axis.")
    axis: Axis = Field(-1, description="Where it is then, counted from the last: −1 is the last.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Nothing is learned; there must be a place for the axis.

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

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """With the axis."""
        return mapped(data, self.keys, lambda array: np.expand_dims(array, self.axis))

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Without it."""
        return mapped(data, self.keys, lambda array: np.squeeze(array, self.axis))

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


@part("step", "squeeze", example="squeeze: wide")
class Squeeze(Step):
    """Take out an axis of length one."""

    keys: Keys = Field(description="Variables that lose an axis.")
    axis: Axis = Field(-1, description="Which, counted from the last: −1 is the last.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Nothing is learned; the axis must be there and have length one.

        Errors:
            AdapterError: It isn't, or has not.
        """
        for key in self.keys:
            event = event_of(data[key])
            if -self.axis > len(event) or event[self.axis] != 1:
                raise AdapterError(
                    f"Expected an axis {self.axis} of length one; got {key} of shape {event}",
                    variable=key,
                )
        return {}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Without the axis."""
        return mapped(data, self.keys, lambda array: np.squeeze(array, self.axis))

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """With it."""
        return mapped(data, self.keys, lambda array: np.expand_dims(array, self.axis))

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)
