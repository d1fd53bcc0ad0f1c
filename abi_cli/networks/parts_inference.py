"""Inference networks that a spec can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from abi_cli.networks.network import Count, InferenceNetwork
from abi_cli.networks.parts_summary import Activation
from abi_cli.registry import Part, expected, get, part
from abi_cli.spec.shorthand import PartOf

if TYPE_CHECKING:
    import keras

    from abi_cli.nn.base import Base


class _OfLayers(InferenceNetwork):
    """Options of normalizing flows."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"depth": 3, "width": 32},
        "large": {"depth": 7, "width": 128},
    }

    depth: Count = Field(5, description="Number of layers.")
    width: PositiveInt = Field(64, description="Width of the two hidden layers of each.")
    activation: Activation = Field("silu", description="Nonlinearity.")
    transform: Literal["affine", "spline"] = Field(
        "affine",
        description="How a layer changes a coordinate; a spline can have several modes.",
    )
    bins: int | None = Field(
        None, ge=2, le=1_000, description="Bins of a spline; none: 8 where the transform is one."
    )
    base: Literal["normal", "student_t", "mixture"] = Field(
        "normal",
        description="What parameters are turned into: student_t for heavy tails, mixture for "
        "separate modes.",
    )
    components: int | None = Field(
        None, ge=2, le=1_000, description="Of a mixture as the base; none: 4 where it is one."
    )

    @model_validator(mode="after")
    def _only_splines_have_bins(self) -> Self:
        if self.bins is not None and self.transform == "affine":
            raise ValueError("Expected bins with transform: spline; got them with affine")
        return self

    @model_validator(mode="after")
    def _only_mixtures_have_components(self) -> Self:
        if self.components is not None and self.base != "mixture":
            raise ValueError(f"Expected components with base: mixture; got them with {self.base}")
        return self

    def _options(self, dim: int, seed: int) -> dict[str, Any]:
        """Arguments of the layers of all flows."""
        bins = 0 if self.transform == "affine" else self.bins or 8
        options = {"depth": self.depth, "width": self.width, "activation": self.activation}
        return {**options, "dim": dim, "seed": seed, "bins": bins, "base": self._base(dim, seed)}

    def _base(self, dim: int, seed: int) -> Base | None:
        """None for the normal one."""
        from abi_cli.nn.base import NormalMixture, StudentT

        if self.base == "mixture":
            return NormalMixture(dim=dim, components=self.components or 4, seed=seed)
        return StudentT(dim=dim) if self.base == "student_t" else None


@part("inference network", "coupling_flow", example="coupling_flow: {depth: 6}")
class CouplingFlow(_OfLayers):
    """To begin with: exact densities, fast draws. Affine, it blurs separate modes; spline, not.

    Couplings beyond five gain little on posteriors of one mode: mean KL with 3, 5 and 7 of them
    0.08, 0.016 and 0.015 on `specs/regression.yaml`, and with 5 and 7 0.045 and 0.046 on
    `specs/conjugate.yaml`. For posteriors that bend or have several modes, `transform: spline`.

    What the options gave, in nats of the mean log density: `base: student_t` +0.03 where prior and
    noise have heavy tails (t of 2 and 1.5 degrees), +0.11 on four modes (squares observed), −0.01
    on `specs/regression.yaml`; `base: mixture` +0.01 and 0.00 on the first two. On the regression
    every permutation and `actnorm` came within 0.002 of the default, as parameters are standardized
    given the data; `size: small` −0.07, large 0.00.
    """

    reference: ClassVar[str] = (
        "Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803"
    )

    permutation: Literal["random", "swap", "orthogonal"] = Field(
        "random",
        description="Which half a coupling changes: random ones, the first and the last by turns, "
        "or random ones after a rotation that is learned.",
    )
    actnorm: bool = Field(
        False, description="Whether each coupling's coordinates begin with mean 0 and sd 1."
    )

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.coupling import CouplingFlow as Layer

        layer = Layer(
            **self._options(dim, seed),
            shuffled=self.permutation != "swap",
            rotated=self.permutation == "orthogonal",
            actnorm=self.actnorm,
        )
        layer.build((None, conditions))
        return layer


@part(
    "inference network", "autoregressive_flow", example="autoregressive_flow: {transform: spline}"
)
class AutoregressiveFlow(_OfLayers):
    """For up to some ten parameters: exact densities as a coupling's, better shapes, slower draws.

    Each of its layers changes every parameter given those before it, and so says more than a
    coupling's; densities are as fast, and a draw takes a pass
    for every parameter, so it is for some ten parameters, not for hundreds.
    """

    reference: ClassVar[str] = (
        "Papamakarios et al. 2017, Masked autoregressive flow for density "
        "estimation, arXiv:1705.07057"
    )

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.autoregressive import AutoregressiveFlow as Layer

        layer = Layer(**self._options(dim, seed))
        layer.build((None, conditions))
        return layer


@part("inference network", "gaussian_mixture", example="gaussian_mixture: {components: 3}")
class GaussianMixture(InferenceNetwork):
    """For few, clearly separate modes: normals with full covariances. For few parameters.

    With `components: 1` it is the best normal posterior: quick to train and to judge, and what
    other networks can be compared with. It can't follow posteriors that bend.
    """

    reference: ClassVar[str] = "Bishop 1994, Mixture density networks"

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"components": 3, "width": 64},
        "large": {"components": 10, "depth": 3, "width": 256},
    }

    components: Count = Field(5, description="Components of the mixture.")
    depth: Count = Field(2, description="Hidden layers.")
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
    """Several networks of one kind, mixed: more cautious than any of them, at their cost together.

    They share the summary network and differ by their first weights. Training and drawing take
    as many times longer as there are members. Where they disagree, `abi sample` says so. What has
    no draws (`point`) can't be mixed.
    """

    reference: ClassVar[str] = (
        "Lakshminarayanan et al. 2017, Simple and scalable predictive "
        "uncertainty estimation using deep ensembles, arXiv:1612.01474"
    )

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"members": 2},
        "large": {"members": 8},
    }

    network: Annotated[Part, PartOf("inference network", without=("ensemble", "point"))] = Field(
        default_factory=lambda: get("inference network", "coupling_flow")(),
        description="What each member is.",
    )
    members: int = Field(4, ge=2, le=1_000, description="How many there are.")

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.ensemble import Ensemble as Layer

        network = expected(self.network, InferenceNetwork)
        seeds = (seed + 1_000 * number for number in range(self.members))
        return Layer(members=[network.build(dim, conditions, one) for one in seeds])
