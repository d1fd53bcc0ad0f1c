"""The words for inference networks in a spec; their mathematics is in `nn`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from abi_cli.networks.network import Activation, Count, InferenceNetwork, Steps
from abi_cli.registry import Part, expected, get, part
from abi_cli.spec.shorthand import PartOf

if TYPE_CHECKING:
    import numpy as np

Level = Annotated[float, Field(gt=0, lt=1)]
"""Level of a quantile or an expectile."""


FAR = 4.0
"""Sds beyond which standardized parameters count as that far: tails hide no modes."""

FLAT = 2.4
"""Kurtosis of standardized parameters, 3 for normal ones, below which there are several modes.

Of 21 models it is 2.9 or more in each parameter; where the data tell a parameter's square alone it
is 1.6. There (`a² + a b x` with noise, N from 5 to 30) splines brought the median KL from 0.05 to
0.02 nats a parameter, errors of means from 0.11 to 0.05 posterior sds, 90 % of them from 0.37 to
0.10, widths from 1.10 to 1.01 times the exact ones; a training takes a third longer by them.
"""


class OfLayers(InferenceNetwork):
    """Options of normalizing flows."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"depth": 3, "width": 32},
        "large": {"depth": 7, "width": 128},
    }

    depth: Count = Field(5, description="Number of layers.")
    width: PositiveInt = Field(64, description="Width of the two hidden layers of each.")
    activation: Activation = Field("silu", description="Nonlinearity.")
    transform: Literal["affine", "spline", "auto"] = Field(
        "affine",
        description="How a layer changes a coordinate; a spline can have several modes. auto takes "
        "splines where posteriors of the first simulations seem to have several.",
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

    def suited(self, scores: np.ndarray | None) -> InferenceNetwork:
        """The flow with splines where posteriors have several modes, if it is to see to that."""
        if self.transform != "auto":
            return self
        bends = scores is not None and bool((kurtosis(scores) + _error(scores) < FLAT).any())
        update = {"transform": "spline"} if bends else {"transform": "affine", "bins": None}
        return self.model_copy(update=update)

    @model_validator(mode="after")
    def _only_mixtures_have_components(self) -> Self:
        if self.components is not None and self.base != "mixture":
            raise ValueError(f"Expected components with base: mixture; got them with {self.base}")
        return self


def _error(scores: np.ndarray) -> float:
    """Two standard errors of a kurtosis of normal numbers, which few simulations don't tell."""
    return 2.0 * math.sqrt(24 / max(len(scores), 1))


def kurtosis(scores: np.ndarray) -> np.ndarray:
    """Fourth moment of each column over its squared variance, of what is within four sds."""
    z = (scores - scores.mean(axis=0)) / (scores.std(axis=0) + 1e-12)
    z = z.clip(-FAR, FAR)
    fourth: np.ndarray = (z**4).mean(axis=0)
    return fourth / ((z**2).mean(axis=0) + 1e-12) ** 2


@part("inference network", "coupling_flow", example="coupling_flow: {depth: 6}")
class CouplingFlow(OfLayers):
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


@part(
    "inference network", "autoregressive_flow", example="autoregressive_flow: {transform: spline}"
)
class AutoregressiveFlow(OfLayers):
    """For up to some ten parameters: exact densities as a coupling's, better shapes, slower draws.

    Each of its layers changes every parameter given those before it, and so says more than a
    coupling's; densities are as fast, and a draw takes a pass
    for every parameter, so it is for some ten parameters, not for hundreds.
    """

    reference: ClassVar[str] = (
        "Papamakarios et al. 2017, Masked autoregressive flow for density "
        "estimation, arXiv:1705.07057"
    )


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


class FreeForm(InferenceNetwork):
    """Options of free-form flows."""

    loss_unit: ClassVar[str] = "(a squared error)"

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"depth": 2, "width": 64},
        "large": {"depth": 4, "width": 256},
    }

    depth: Count = Field(3, description="Residual layers of the network.")
    width: PositiveInt = Field(128, description="Width of each.")
    repeats: Count = Field(
        8, description="Noised copies of the parameters that a data set is learned from in a step."
    )


class Solved(FreeForm):
    """Options of those that are solved as differential equations."""

    integrator: Literal["euler", "rk4", "adaptive"] = Field(
        "rk4", description="How the way from noise to parameters is solved."
    )
    steps: Steps = Field(
        8, description="Steps of the solution, or of the first try where they adapt."
    )
    tolerance: PositiveFloat | None = Field(
        None,
        description="Error of an adaptive step, relative to the posterior's width; none: 1e-5 "
        "where steps adapt.",
    )

    @model_validator(mode="after")
    def _only_what_adapts_has_a_tolerance(self) -> Self:
        if self.tolerance is not None and self.integrator != "adaptive":
            raise ValueError(
                f"Expected a tolerance with integrator: adaptive; got it with {self.integrator}"
            )
        return self


@part("inference network", "flow_matching", example="flow_matching: {steps: 12}")
class FlowMatching(Solved):
    """For posteriors that bend or come apart, whatever their shape. Slow draws and densities.

    A network that need not be invertible learns in which direction noise moves. It trains longer
    than a coupling flow to the same sharpness, and a draw takes some 32 calls of the network
    (`steps: 8`, four calls each), so begin with coupling_flow where posteriors have one mode.

    On two crescents (θ ~ N(0, 1)², y = (θ₀² + 0.3 e, θ₁ + θ₀² / 2 + 0.3 e), 3,840 steps of 64) the
    mean KL of 20,000 posteriors was 0.043 and 0.048 nats (two seeds) with uniform times; that of 12
    of them 0.010 by a spline coupling flow. Draws are as far from exact ones as that flow's (sliced
    Wasserstein distance 0.029 and 0.028, most of it sampling). More repeats gain a little and cost
    more: 0.10, 0.06 and 0.05 nats with 1, 8 and 24, in 15, 31 and 63 s. Log densities are off by
    0.02 nats (sd) in 8 steps, by 0.006 in 12.

    Times near the data count for more: with two modes (y = (θ₀² + 0.2 e, θ₁ + 0.3 e), 2,560 steps)
    the KL was 0.029 nats by uniform times, 0.018 by logit_normal (mean −1; 0.026 by −0.5, 0.046 by
    0). `optimal_transport` gave 0.035 with uniform times and took a sixth longer: noise that is
    paired within a batch is no longer independent of the data, and with a density to get right
    nothing is gained by straighter ways. It is for draws in very few steps.
    """

    reference: ClassVar[str] = (
        "Lipman et al. 2022, Flow matching for generative modeling, arXiv:2210.02747"
    )

    times: Literal["uniform", "logit_normal"] = Field(
        "logit_normal", description="How often which place on the way to noise is learned from."
    )
    optimal_transport: bool = Field(
        False, description="Pair parameters with noise that is near, so that ways are straighter."
    )


@part("inference network", "diffusion", example="diffusion: {schedule: edm}")
class Diffusion(Solved):
    """For any shape, as flow_matching, by other noise levels. Slow draws and densities.

    The two learn the same field and differ in what they learn it from. Draws by `sampler: sde` are
    the more forgiving of a field that is not quite right, and need some 24 steps.

    On the crescents of flow_matching the mean KL was 0.029 nats by `schedule: edm`; by cosine it
    was about that of flow_matching. By `sde` in 24 steps draws were at a distance of 0.035.
    """

    reference: ClassVar[str] = (
        "Karras et al. 2022, Elucidating the design space of diffusion-based "
        "generative models, arXiv:2206.00364"
    )

    schedule: Literal["cosine", "edm"] = Field(
        "edm", description="Noise levels that are learned from."
    )
    prediction: Literal["velocity", "noise", "score"] = Field(
        "velocity", description="In what the error is squared."
    )
    sampler: Literal["ode", "sde"] = Field("ode", description="How draws are made.")

    @model_validator(mode="after")
    def _only_odes_are_integrated(self) -> Self:
        if self.sampler == "sde" and self.integrator != "rk4":
            raise ValueError(
                f"Expected an integrator with sampler: ode; got {self.integrator} with sde, whose "
                "steps are its own"
            )
        return self


@part("inference network", "consistency", example="consistency: {steps: 3}")
class Consistency(FreeForm):
    """Draws in a step or two, without a density: for when draws must be fast.

    It is trained to jump to where flow_matching would arrive, and is less exact. Its loss hardly
    changes while it learns: judge it by `abi diagnose`. On the crescents of flow_matching its draws
    were at a distance of 0.037 from exact ones, in 2 steps as in 4 (0.029 by flow_matching).
    """

    reference: ClassVar[str] = (
        "Lu & Song 2024, Simplifying, stabilizing and scaling continuous-time "
        "consistency models, arXiv:2410.11081"
    )

    has_density: ClassVar[bool] = False

    steps: Steps = Field(2, description="Calls of the network that a draw takes.")


@part("inference network", "point", example="point: {quantiles: [0.1, 0.5, 0.9]}")
class Point(InferenceNetwork):
    """Estimates alone: mean, sd, median, quantiles. Quick; no draws and no density.

    Every parameter's estimates are learned by scores that only the posterior's own minimize, on the
    parameter's own scale, so that a mean is the mean of sigma and not that of its logarithm.
    Quantiles never cross, and those of a parameter that `constrain` bounds stay within the bounds.
    `abi estimate` gives them, and `abi diagnose` holds them against true values; there are no draws
    to sample or to compute quantities of, and nothing is said of how parameters go together.
    Parameters without a posterior mean (very heavy tails) have quantiles only.

    On `specs/regression.yaml` at its budget the defaults are off the exact mean, sd and quantiles
    by 0.02 to 0.09 posterior sds in the median data set (mean of the slope 0.02, q95 of sigma
    0.09).
    """

    has_draws: ClassVar[bool] = False
    has_density: ClassVar[bool] = False
    loss_unit: ClassVar[str] = ""

    estimates: tuple[Literal["mean", "median", "sd", "variance"], ...] = Field(
        ("mean", "sd"), description="Which of mean, median, sd and variance."
    )
    quantiles: tuple[Level, ...] = Field((0.05, 0.5, 0.95), description="Levels of quantiles.")
    expectiles: tuple[Level, ...] = Field(
        (), description="Levels of expectiles: what quantiles are to the median, to the mean."
    )
    depth: Count = Field(2, description="Hidden layers.")
    width: PositiveInt = Field(128, description="Width of each.")
    activation: Activation = Field("silu", description="Nonlinearity.")

    @model_validator(mode="after")
    def _each_is_asked_for_once(self) -> Self:
        if not (self.estimates or self.quantiles or self.expectiles):
            raise ValueError("Expected something to estimate; got none")
        for asked in (self.estimates, self.quantiles, self.expectiles):
            twice = [one for place, one in enumerate(asked) if one in asked[:place]]
            if twice:
                raise ValueError(f"Expected each estimate once; got {twice[0]} twice")
        return self


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

    def suited(self, scores: np.ndarray | None) -> InferenceNetwork:
        """The ensemble of members that are."""
        own = expected(self.network, InferenceNetwork)
        return self.model_copy(update={"network": own.suited(scores)})
