"""Summary networks that a spec can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from abi_cli.networks.network import SummaryNetwork
from abi_cli.registry import part

if TYPE_CHECKING:
    import keras

Activation = Literal["elu", "gelu", "mish", "relu", "silu", "softplus", "tanh"]


@part("summary network", "deep_set", example="deep_set: {summary_dim: 10}")
class DeepSet(SummaryNetwork):
    """For sets: exchangeable members, in any number. Pools what each says and their regressions."""

    width: PositiveInt = Field(64, description="Width of the member and summary networks.")
    depth: PositiveInt = Field(2, description="Hidden layers of the member network.")
    moment_features: PositiveInt = Field(
        8, description="Members of up to so many features have them regressed on each other."
    )
    activation: Activation = Field("silu", description="Nonlinearity.")

    def build(self, dim: int) -> keras.Layer:
        """The built layer for members of `dim` features."""
        from abi_cli.nn.deep_set import DeepSet as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer
