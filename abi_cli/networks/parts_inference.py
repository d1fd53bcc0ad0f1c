"""Inference networks that a spec can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from abi_cli.networks.network import InferenceNetwork
from abi_cli.networks.parts_summary import Activation
from abi_cli.registry import part

if TYPE_CHECKING:
    import keras


@part("inference network", "coupling_flow")
class CouplingFlow(InferenceNetwork):
    """A normalizing flow of affine couplings: exact densities and fast draws."""

    depth: PositiveInt = Field(
        7, description="Number of couplings: one that moves all parameters, then pairs."
    )
    width: PositiveInt = Field(64, description="Width of the two hidden layers of a coupling.")
    activation: Activation = Field("silu", description="Nonlinearity.")

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.coupling import AffineCouplingFlow

        layer = AffineCouplingFlow(dim=dim, seed=seed, **self.model_dump())
        layer.build((None, conditions))
        return layer
