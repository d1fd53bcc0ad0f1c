"""Steps about what kind of numbers there are: convert_dtype, nan_to_num, one_hot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from abi_cli.adapter.step import (
    State,
    Step,
    mapped,
    no_change,
    on_array,
    present,
    refuse_taken,
    require,
    without_density,
)
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value, array_of

Dtype = Literal["float32", "float64", "int32", "int64"]


@part("step", "convert_dtype", example="convert_dtype: {from: float64, to: float32}")
class ConvertDtype(Step):
    """Give all variables of one type of number another type.

    Steps compute in float64 and networks in float32 whatever the type is, so that this is seldom
    needed: it is for what float32 would round too coarsely to be told, and for tidiness.
    """

    source: Dtype = Field(alias="from", description="The type that they have.")
    target: Dtype = Field(alias="to", description="The type that they get.")

    @model_validator(mode="after")
    def _floats_stay_floats(self) -> ConvertDtype:
        if self.source.startswith("float") and self.target.startswith("int"):
            raise ValueError(
                f"Expected a type that holds fractions; got {self.target}, which would drop them"
            )
        return self

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: they are not whole numbers."""
        return None if self.source.startswith("float") else "draws are not whole numbers"

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The variables of that type, each made from itself."""
        return {name: (name,) for name in _converted(state)}

    def fit(self, data: Mapping[str, Value]) -> State:
        """An empty entry `name.converted ()` for each variable of that type."""
        return {
            f"{name}.converted": np.array(True)
            for name, value in data.items()
            if array_of(value).dtype == self.source
        }

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Convert the variables to the new type."""
        return _cast(data, state, self.target)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Convert the variables to the old type; their values are what the new one could hold."""
        return _cast(data, state, self.source)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


def _cast(data: Mapping[str, Value], state: State, dtype: str) -> Datasets:
    return mapped(data, _converted(state), lambda array: array.astype(dtype))


def _converted(state: State) -> list[str]:
    return [name.removesuffix(".converted") for name in state]


@part("step", "nan_to_num", example="nan_to_num: {keys: y, default_value: 0, return_mask: true}")
class NanToNum(Step):
    """Put a number in the place of those that are missing (NaN).

    With return_mask a variable `mask_NAME` of the same shape says which were there (1) and which
    were missing (0). Without it what was missing can't be told from a value that was there.
    """

    keys: Keys = Field(description="Variables with missing values.")
    default_value: float = Field(0.0, description="What is put in place of missing values.")
    return_mask: bool = Field(False, description="Whether to say which were there.")
    mask_prefix: str = Field("mask", description="What names of masks begin with.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself, and their masks."""
        written = [*self.keys, *self._masks()]
        return dict(zip(written, [(key,) for key in (*self.keys, *self.keys)], strict=False))

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Replace NaN."""
        out = dict(data)
        for key in present(data, self.keys) if self.return_mask else ():
            refuse_taken(out, self._mask(key))
            out[self._mask(key)] = on_array(data[key], lambda x: (~np.isnan(x)).astype(np.float64))
        return mapped(out, self.keys, lambda x: np.where(np.isnan(x), self.default_value, x))

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Bring NaN back where the mask says so, if there is one."""
        out = {name: v for name, v in data.items() if name not in self._masks()}
        for key in present(data, self.keys):
            if self.return_mask and self._mask(key) in data:
                out[key] = _with_gaps(data[key], data[self._mask(key)])
        return out

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)

    def _mask(self, key: str) -> str:
        return f"{self.mask_prefix}_{key}"

    def _masks(self) -> tuple[str, ...]:
        return tuple(self._mask(key) for key in self.keys) if self.return_mask else ()


def _with_gaps(value: Value, mask: Value) -> Value:
    """The value with NaN where the mask is 0."""
    there = array_of(mask) > 0
    return on_array(value, lambda x: np.where(there, x, np.nan))


@part("step", "one_hot", example="one_hot: {keys: choice, num_classes: 3}")
class OneHot(Step):
    """Turn whole numbers 0, 1, … into vectors that are 1 at that place and 0 elsewhere."""

    keys: Keys = Field(description="Variables of whole numbers, such as categories.")
    num_classes: PositiveInt = Field(description="How many there are: one more than the largest.")

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: they are not whole numbers."""
        return "draws are not whole numbers"

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself."""
        return {key: (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Turn numbers `(…)` into vectors `(…, num_classes)`."""
        classes = np.arange(self.num_classes)
        require(
            data,
            self.keys,
            lambda x: np.isin(x, classes),
            expected=f"whole numbers from 0 to {self.num_classes - 1}",
        )
        return mapped(data, self.keys, lambda x: (x[..., None] == classes).astype(np.float64))

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Turn vectors into numbers: the place of the largest entry."""
        return mapped(data, self.keys, lambda x: x.argmax(axis=-1))

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero without any of the keys; else an error, as there is no density."""
        return without_density(self, data, self.keys)
