"""Steps that apply a function to every number: sqrt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from abi_cli.adapter.step import State, Step, every, log_slopes, mapped, require
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value


@part("step", "sqrt")
class Sqrt(Step):
    """Take the square root.

        z = √x for x ≥ 0,  log |dz/dx| = −log 2 − ½ log x

    Made for counts among the conditions. It reaches only half of the line: for a parameter that is
    positive use `constrain`, because a network also draws from the other half, which the square
    folds over.
    """

    keys: Keys = Field(description="Variables to take the square root of.")

    def flow(self) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """√x."""
        require(data, self.keys, lambda x: x >= 0, expected="values of 0 and above")
        return mapped(data, self.keys, np.sqrt)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """z²."""
        return mapped(data, self.keys, np.square)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """−½ Σ log 4x."""
        return log_slopes(data, self.keys, lambda x: -0.5 * (np.log(4.0) + np.log(x)))

    def in_support(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Above 0: at 0 the slope is infinite."""
        return every(data, self.keys, lambda x: x > 0)
