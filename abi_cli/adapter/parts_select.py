"""Steps that leave something out: drop, keep, take, random_subsample."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    require_present,
    without_density,
)
from abi_cli.hashing import scattered
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Ragged, Value

_LEFT_OUT = "what {} leaves out can't come back"


@part("step", "drop", example="drop: note")
class Drop(Step):
    """Leave variables out: the networks are not told of them."""

    keys: Keys = Field(min_length=1, description="Variables to leave out.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """No variables: none is written."""
        return {}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that the variables are there; nothing is learned."""
        require_present(data, self.keys)
        return {}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Leave the variables out."""
        return {name: value for name, value in data.items() if name not in self.keys}

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Change nothing: the variables are not brought back."""
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


@part("step", "keep", example="keep: [beta, sigma, x, y]")
class Keep(Step):
    """Leave out all variables but some."""

    keys: Keys = Field(min_length=1, description="Variables to keep.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself."""
        return {key: (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Leave out all variables but the keys."""
        return {name: value for name, value in data.items() if name in self.keys}

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Change nothing: the others are not brought back."""
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


@part("step", "take", example="take: {keys: covariates, indices: [0, 2]}")
class Take(Step):
    """Take some entries along an axis, in the order given."""

    keys: Keys = Field(description="Variables to take from.")
    indices: tuple[int, ...] = Field(
        min_length=1, description="Which entries, from 0; negative ones count from the last."
    )
    axis: Axis = Field(-1, description="Axis of the entries, counted from the last.")

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: some entries are left out."""
        return _LEFT_OUT.format("take")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that the entries are there; nothing is learned.

        Errors:
            AdapterError: An entry is not there.
        """
        for key in self.keys:
            event = event_of(data[key])
            size = event[self.axis] if -self.axis <= len(event) else 0
            wrong = [index for index in self.indices if not -size <= index < size]
            if wrong:
                raise AdapterError(
                    f"Expected entries along axis {self.axis} of {key}, whose shape is {event}; "
                    f"got {wrong[0]}",
                    variable=key,
                )
        return {}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Take the entries."""
        return mapped(data, self.keys, lambda array: np.take(array, self.indices, self.axis))

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Change nothing: the other entries are not brought back."""
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero without any of the keys; else an error, as there is no density."""
        return without_density(self, data, self.keys)


@part("step", "random_subsample", example="random_subsample: {key: x, sample_size: 100}")
class RandomSubsample(Step):
    """Take a random part of the members of each set.

    Which members are taken depends on the set and the seed alone: the same set gives the same part
    again, in whatever company (in training, too, where few different sets occur). They keep their
    order. Sets that have no more than `sample_size`
    members stay whole.
    """

    key: str = Field(description="A set or series.")
    sample_size: int | float = Field(
        gt=0, description="How many members, or below 1: what share of them, rounded up."
    )
    seed: int = Field(0, ge=0, description="Another seed takes others.")

    @model_validator(mode="after")
    def _number_or_share(self) -> RandomSubsample:
        if self.sample_size >= 1 and self.sample_size != int(self.sample_size):
            raise ValueError(f"Expected a whole number, or a share; got {self.sample_size}")
        return self

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: some members are left out."""
        return _LEFT_OUT.format("random_subsample")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The key, made from itself."""
        return {self.key: (self.key,)}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that the variable has members; nothing is learned.

        Errors:
            AdapterError: The variable has no members.
        """
        if not isinstance(data[self.key], Ragged):
            raise AdapterError(
                f"Expected a set or series; got {self.key} of shape {event_of(data[self.key])}, "
                "the same for every data set",
                hint="To take certain entries of a vector: take",
                variable=self.key,
            )
        return {}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Take the members that their random numbers choose."""
        value = data.get(self.key)
        if not isinstance(value, Ragged):
            return dict(data)
        size = value.row_size
        wanted = self.sample_size if self.sample_size >= 1 else np.ceil(self.sample_size * size)
        taken = np.minimum(size, wanted).astype(np.int64)
        dataset = np.repeat(np.arange(len(size)), size)
        by_lot = np.lexsort((_lots(value, self.seed), dataset))
        place = np.arange(len(by_lot)) - np.repeat(value.starts(), size)
        chosen = np.sort(by_lot[place < np.repeat(taken, size)])
        return {**data, self.key: Ragged(value.values[chosen], taken)}

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Change nothing: the other members are not brought back."""
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero without the key; else an error, as there is no density."""
        return without_density(self, data, (self.key,))


def _lots(value: Ragged, seed: int) -> np.ndarray:
    """Random numbers `(obs,)`, uint64, that follow from the seed, the set and the place in it.

    They are hashes: every bit of them changes if the seed, one number of the set or the place does.
    """
    size = value.row_size
    place = (np.arange(len(value.values)) - np.repeat(value.starts(), size)).astype(np.uint64)
    numbers = value.values.reshape(len(value.values), math.prod(event_of(value))).astype(np.float64)
    numbers += 0.0  # turns −0 into 0
    hashes = np.full(len(numbers), seed, np.uint64)
    for column in numbers.T:
        hashes = scattered(hashes ^ np.ascontiguousarray(column).view(np.uint64))
    placed = scattered(hashes ^ scattered(place))
    whole = np.zeros(len(size), np.uint64)
    np.add.at(whole, np.repeat(np.arange(len(size)), size), placed)
    return scattered(np.repeat(whole, size) ^ scattered(place))
