"""Steps that join variables and split them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import (
    AdapterError,
    Axis,
    State,
    Step,
    event_of,
    no_change,
    on_array,
    present,
    refuse_taken,
)
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Ragged, Value


@part(
    "step", "concatenate", example="concatenate: {keys: [beta, sigma], into: inference_variables}"
)
class Concatenate(Step):
    """Join variables along an axis into one, in the order given.

    Scalars count as vectors of length one. Sets are joined with sets of the same sizes, member by
    member.
    """

    keys: Keys = Field(min_length=1, description="Variables to join.")
    into: str = Field(description="Name of the joined variable.")
    axis: Axis = Field(-1, description="Axis to join along, counted from the last: −1 is features.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The joined variable, made from all keys."""
        return {self.into: self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """The places where the joined variable is to be split again.

        Returns:
            `size (key,)` along the axis, and `scalar (key,)`: True for keys that were scalars.
        """
        self._check_shapes(data)
        return {
            "size": np.array([event_of(_as_vector(data[key]))[self.axis] for key in self.keys]),
            "scalar": np.array([event_of(data[key]) == () for key in self.keys]),
        }

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Join the keys; do nothing where all are absent."""
        found = present(data, self.keys)
        if not found:
            return dict(data)
        if len(found) < len(self.keys):
            absent = [key for key in self.keys if key not in data]
            raise AdapterError(
                f"Expected {', '.join(self.keys)} together; got no {' and no '.join(absent)}",
                variable=absent[0],
            )
        out = {name: value for name, value in data.items() if name not in self.keys}
        refuse_taken(out, self.into)
        parts = [_as_vector(data[key]) for key in self.keys]
        out[self.into] = _joined(parts, self.keys, self.axis)
        return out

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Split the joined variable."""
        if self.into not in data:
            return dict(data)
        out = {name: value for name, value in data.items() if name != self.into}
        stop = np.cumsum(state["size"])
        for key, end, size, scalar in zip(
            self.keys, stop, state["size"], state["scalar"], strict=True
        ):
            piece = _piece(data[self.into], slice(end - size, end), self.axis)
            out[key] = on_array(piece, lambda array: array[:, 0]) if scalar else piece
        return out

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)

    def _check_shapes(self, data: Mapping[str, Value]) -> None:
        first = self.keys[0]
        event = event_of(_as_vector(data[first]))
        if -self.axis > len(event):
            raise AdapterError(
                f"Expected at least {-self.axis} axes to join along axis {self.axis}; "
                f"got {first} of shape {event}",
                variable=first,
            )
        for key in self.keys[1:]:
            other = event_of(_as_vector(data[key]))
            if isinstance(data[key], Ragged) != isinstance(data[first], Ragged):
                ragged, dense = (key, first) if isinstance(data[key], Ragged) else (first, key)
                raise AdapterError(
                    f"Expected sets only, or none; got {ragged}, which has members, and {dense}, "
                    "which has none",
                    hint=f"To give {dense} to every member, put before this step\n"
                    f"  - as_set: {ragged}\n  - broadcast: {{keys: {dense}, to: {ragged}}}",
                    variable=dense,
                    origins=(ragged, dense),
                )
            if _without(other, self.axis) != _without(event, self.axis):
                raise AdapterError(
                    f"Expected shapes that differ along axis {self.axis} only; "
                    f"got {event} of {first} and {other} of {key}",
                    variable=key,
                )


def _without(event: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(size for i, size in enumerate(event) if i != len(event) + axis)


def _as_vector(value: Value) -> Value:
    return on_array(value, lambda array: array[:, None]) if event_of(value) == () else value


def _joined(parts: list[Value], keys: tuple[str, ...], axis: int) -> Value:
    dense = [part for part in parts if not isinstance(part, Ragged)]
    if dense:
        return np.concatenate(dense, axis=axis)
    ragged = [part for part in parts if isinstance(part, Ragged)]
    first = ragged[0].row_size
    for key, other in zip(keys, ragged, strict=True):
        differ = np.flatnonzero(other.row_size != first)
        if len(differ):
            row = int(differ[0])
            raise AdapterError(
                f"Expected {keys[0]} and {key} to have equally many members; "
                f"got {first[row]} and {other.row_size[row]} in data set {row}",
                variable=key,
                row=row,
            )
    return Ragged(np.concatenate([part.values for part in ragged], axis=axis), first)


def _piece(value: Value, where: slice, axis: int) -> Value:
    # `axis` counts from the last, so that it is the same axis of an event and of an array.
    index: tuple[Any, ...] = (..., where, *(slice(None),) * (-axis - 1))
    return on_array(value, lambda array: array[index])


@part("step", "split", example="split: {key: beta, into: [intercept, slope]}")
class Split(Step):
    """Cut a variable along an axis into several, the reverse of concatenate."""

    key: str = Field(description="Variable to cut.")
    into: Keys = Field(min_length=2, description="Names of the pieces, in order.")
    indices_or_sections: int | tuple[int, ...] | None = Field(
        None,
        description="Where pieces after the first begin, or how many equal pieces there are; as "
        "many as there are names by default.",
    )
    axis: Axis = Field(-1, description="Axis to cut along, counted from the last: −1 is features.")

    @model_validator(mode="after")
    def _pieces_are_named(self) -> Split:
        cuts = self.indices_or_sections
        if cuts is None:
            return self
        pieces = cuts if isinstance(cuts, int) else len(cuts) + 1
        if pieces != len(self.into):
            raise ValueError(f"Expected a name for each of {pieces} pieces; got {len(self.into)}")
        if isinstance(cuts, tuple) and not all(a < b for a, b in pairwise((0, *cuts))):
            raise ValueError(f"Expected ascending places above 0; got {list(cuts)}")
        return self

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The pieces, each made from the whole."""
        return dict.fromkeys(self.into, (self.key,))

    def fit(self, data: Mapping[str, Value]) -> State:
        """The ends of the pieces along the axis: `stop (piece,)`."""
        event = event_of(data[self.key])
        if -self.axis > len(event):
            raise AdapterError(
                f"Expected at least {-self.axis} axes to cut along axis {self.axis}; "
                f"got {self.key} of shape {event}",
                variable=self.key,
            )
        size, pieces = event[self.axis], len(self.into)
        if isinstance(self.indices_or_sections, tuple):
            if self.indices_or_sections[-1] >= size:
                raise AdapterError(
                    f"Expected places below {size}, the size of {self.key}; "
                    f"got {self.indices_or_sections[-1]}",
                    variable=self.key,
                )
            return {"stop": np.array([*self.indices_or_sections, size])}
        if size % pieces:
            raise AdapterError(
                f"Expected {self.key} to have a multiple of {pieces} entries along axis "
                f"{self.axis}; got {size}",
                hint="Say where the pieces begin: indices_or_sections: [2, 5]",
                variable=self.key,
            )
        return {"stop": np.arange(1, pieces + 1) * (size // pieces)}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Cut the variable into its pieces."""
        if self.key not in data:
            return dict(data)
        out = {name: value for name, value in data.items() if name != self.key}
        for name, (start, stop) in zip(self.into, pairwise((0, *state["stop"])), strict=True):
            refuse_taken(out, name)
            out[name] = _piece(data[self.key], slice(start, stop), self.axis)
        return out

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Join the pieces; do nothing where all are absent."""
        if not present(data, self.into):
            return dict(data)
        out = {name: value for name, value in data.items() if name not in self.into}
        out[self.key] = _joined([data[name] for name in self.into], self.into, self.axis)
        return out

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)
