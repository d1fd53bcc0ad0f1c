"""Inference networks that a spec can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from abi_cli.networks.network import InferenceNetwork
from abi_cli.networks.parts_summary import Activation
from abi_cli.registry import Part, expected, get, part
from abi_cli.spec.shorthand import PartOf

if TYPE_CHECKING:
    import keras


class _OfLayers(InferenceNetwork):
    """Options of normalizing flows."""

    depth: PositiveInt = Field(5, description="Number of layers.")
    width: PositiveInt = Field(64, description="Width of the two hidden layers of each.")
    activation: Activation = Field("silu", description="Nonlinearity.")
    transform: Literal["affine", "spline"] = Field(
        "affine",
        description="How a layer changes a coordinate; a spline can have several modes.",
    )
    bins: int | None = Field(
        None, ge=2, description="Bins of a spline; none: 8 where the transform is one."
    )

    @model_validator(mode="after")
    def _only_splines_have_bins(self) -> Self:
        if self.bins is not None and self.transform == "affine":
            raise ValueError("Expected bins with transform: spline; got them with affine")
        return self

    def _options(self, dim: int, seed: int) -> dict[str, Any]:
        bins = 0 if self.transform == "affine" else self.bins or 8
        options = self.model_dump(exclude={"transform", "bins"})
        return {**options, "dim": dim, "seed": seed, "bins": bins}


@part("inference network", "coupling_flow", example="coupling_flow: {depth: 6}")
class CouplingFlow(_OfLayers):
    """A normalizing flow of couplings: exact densities and fast draws. The one to begin with.

    Couplings beyond five gain little on posteriors of one mode: mean KL with 3, 5 and 7 of them
    0.08, 0.016 and 0.015 on `specs/regression.yaml`, and with 5 and 7 0.045 and 0.046 on
    `specs/conjugate.yaml`. For posteriors that bend or have several modes, `transform: spline`.
    """

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.coupling import CouplingFlow as Layer

        layer = Layer(**self._options(dim, seed))
        layer.build((None, conditions))
        return layer


@part(
    "inference network", "autoregressive_flow", example="autoregressive_flow: {transform: spline}"
)
class AutoregressiveFlow(_OfLayers):
    """A normalizing flow whose layers change each parameter given those before it.

    Each of its layers says more than a coupling's; densities are as fast, and a draw takes a pass
    for every parameter, so it is for some ten parameters, not for hundreds.
    """

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.autoregressive import AutoregressiveFlow as Layer

        layer = Layer(**self._options(dim, seed))
        layer.build((None, conditions))
        return layer


@part("inference network", "gaussian_mixture", example="gaussian_mixture: {components: 3}")
class GaussianMixture(InferenceNetwork):
    """A mixture of normals with full covariances: for few, clearly separate modes.

    With `components: 1` it is the best normal posterior: quick to train and to judge, and what
    other networks can be compared with. It can't follow posteriors that bend.
    """

    components: PositiveInt = Field(5, description="Components of the mixture.")
    depth: PositiveInt = Field(2, description="Hidden layers.")
    width: PositiveInt = Field(128, description="Width of each.")
    activation: Activation = Field("silu", description="Nonlinearity.")

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.mixture import GaussianMixture as Layer

        layer = Layer(dim=dim, seed=seed, **self.model_dump())
        layer.build((None, conditions))
        return layer


@part("inference network", "ensemble", example="ensemble: {network: coupling_flow, members: 3}")
class Ensemble(InferenceNetwork):
    """Several networks of one kind, trained together and mixed: more cautious than any of them.

    They share the summary network and differ by their first weights. Training and drawing take
    as many times longer as there are members. Where they disagree, `abi sample` says so. What has
    no draws (`point`) can't be mixed.
    """

    network: Annotated[Part, PartOf("inference network", without=("ensemble", "point"))] = Field(
        default_factory=lambda: get("inference network", "coupling_flow")(),
        description="What each member is.",
    )
    members: int = Field(4, ge=2, description="How many there are.")

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.ensemble import Ensemble as Layer

        network = expected(self.network, InferenceNetwork)
        seeds = (seed + 1_000 * number for number in range(self.members))
        return Layer(members=[network.build(dim, conditions, one) for one in seeds])
