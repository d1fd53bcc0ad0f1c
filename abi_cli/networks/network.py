"""What every network named in a spec must offer. Its mathematics lives in `abi_cli.nn`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from abi_cli.registry import Part

if TYPE_CHECKING:
    import keras


class SummaryNetwork(Part):
    """Turns the observables of a data set into a vector of fixed length.

    The layer that `build` returns is called as `layer(x, mask)` with `x (batch, obs, dim)` and
    `mask (batch, obs)`, gives `(batch, summary_dim)`. It has `adapt(x, mask)`, in which it
    may scale itself on pilot data, and `statistics(x, mask) (batch, statistics_dim)`: what
    can be said of a data set without any weights, by which the parameters are standardized
    (`nn.standardization`).
    """

    summary_dim: PositiveInt = Field(
        16, description="Length of the summary; at least the number of parameters, better twice."
    )

    @abstractmethod
    def build(self, dim: int) -> keras.Layer:
        """The built layer for members of `dim` features."""


class InferenceNetwork(Part):
    """A conditional distribution of the parameters.

    The layer that `build` returns has `log_prob(theta (batch, dim), c (batch, conditions))` and
    `inverse(z (dataset, draw, dim), c (dataset, 1, conditions))`.
    """

    @abstractmethod
    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions; `seed` of its choices."""
