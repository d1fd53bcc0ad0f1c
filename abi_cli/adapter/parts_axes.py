"""Steps that add axes: broadcast."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import AdapterError, State, Step, event_of, no_change, present
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Ragged, Value


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
        """Each key from itself and the variable that gives the axes."""
        return {key: (key, self.to) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """`key.event (axis,)`: the shape before."""
        return {f"{key}.event": np.array(event_of(data[key]), dtype=np.int64) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Repeat."""
        return {**data, **self._repeated(data)}

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """The first of the repetitions."""
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
