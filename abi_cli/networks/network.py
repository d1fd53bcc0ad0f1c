"""What every network named in a spec must offer. Its mathematics lives in `abi_cli.nn`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt

from abi_cli.registry import Part

if TYPE_CHECKING:
    import keras


class SummaryNetwork(Part):
    """Turns the observables of a data set into a vector of fixed length.

    The layer that `build` returns is a `nn.summary.SummaryLayer` or like one: it is called as
    `layer(x, mask)` with `x (batch, obs, dim)` and `mask (batch, obs)`, or with `x (batch, dim)`
    and None, and gives `(batch, summary_dim)`. It has `adapt(x, mask)`, in which it may scale
    itself on pilot data, and `statistics(x, mask) (batch, statistics_dim)`: what can be said of a
    data set without any weights, by which the parameters are standardized (`nn.standardization`).
    """

    members: ClassVar[bool] = True
    """Whether it takes sets and series, or else data of a fixed shape."""

    ordered: ClassVar[bool] = False
    """Whether the order of members matters: it is for series and not for sets."""

    summary_dim: PositiveInt = Field(
        16, description="Length of the summary; at least the number of parameters, better twice."
    )

    @abstractmethod
    def build(self, dim: Any) -> keras.Layer:
        """The built layer for members of `dim` features; for a group, a mapping of such numbers."""


class InferenceNetwork(Part):
    """A conditional distribution of the parameters.

    The layer that `build` returns is a `nn.inference.InferenceLayer`; where there are no draws, it
    has `names`, `degrees` and `estimates` instead of `inverse`, as `nn.point.PointEstimates` does.
    """

    has_draws: ClassVar[bool] = True
    """Whether it can be sampled, or else gives estimates alone, of parameters as the user has them
    (`adapter.targets`)."""

    has_density: ClassVar[bool] = True
    """Whether it has a density of the parameters."""

    loss_unit: ClassVar[str] = "nats"
    """Of what training minimizes."""

    @abstractmethod
    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions; `seed` of its choices."""
