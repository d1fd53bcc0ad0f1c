"""The base of steps that map a vector or matrix with constraints to a vector of free numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from abi_cli.adapter.maps import FLOAT32
from abi_cli.adapter.step import (
    AdapterError,
    State,
    Step,
    event_of,
    every,
    log_slopes,
    mapped,
    require,
)
from abi_cli.registry import Keys
from abi_cli.variables import Datasets, Value

TINY = float(FLOAT32.smallest_normal)
"""The smallest normal number of single precision, for what is above 0."""


class FreeVector(Step):
    """A step that maps vectors or matrices `x (..., *event)` to `z (..., free)`.

    The leading axes are data sets or members, and those of an event that the map leaves alone.
    """

    keys: Keys = Field(description="Variables to map.")
    rank: ClassVar[int] = 1
    """Axes of what is mapped: 1 for vectors, 2 for matrices."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """The vectors or matrices that the step takes, in words."""

    @abstractmethod
    def to_free(self, x: np.ndarray) -> np.ndarray:
        """The free numbers `z (..., free)` of vectors or matrices `x (..., *event)`."""

    @abstractmethod
    def from_free(self, z: np.ndarray) -> np.ndarray:
        """Vectors or matrices `x (..., *event)` of `z (..., free)`, held by single precision."""

    @abstractmethod
    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Log |det ∂z/∂(free coordinates of x)|, `(...)`."""

    @abstractmethod
    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Vectors or matrices that the step takes, `(...)` bool."""

    def shape_fits(self, event: tuple[int, ...]) -> bool:
        """True if an event of this shape can be such a vector or matrix."""
        return len(event) >= self.rank and event[-1] >= 2 and len(set(event[-self.rank :])) == 1

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The keys, each made from itself."""
        return {key: (key,) for key in self.keys}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that the shapes fit; nothing is learned.

        Errors:
            AdapterError: A shape does not fit.
        """
        for key in self.keys:
            event = event_of(data[key])
            if not self.shape_fits(event):
                raise AdapterError(
                    f"Expected {self.expected} of {key}; got shape {event}", variable=key
                )
        return {}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Replace the keys by their free numbers."""
        require(data, self.keys, self.allowed, expected=self.expected)
        return mapped(data, self.keys, self.to_free)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Replace free numbers by vectors or matrices; rounding breaks no constraint of these."""
        return mapped(data, self.keys, self.from_free)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Σ log |det ∂z/∂x|, in as many coordinates of x as are free."""
        return log_slopes(data, self.keys, self.log_slope)

    def in_support(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Data sets whose values the map takes, `(dataset,)` bool."""
        return every(data, self.keys, self.allowed)
