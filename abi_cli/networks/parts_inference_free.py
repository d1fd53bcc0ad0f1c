"""Inference networks that carry noise to parameters along an angle (`nn.free_form`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from abi_cli.networks.network import Count, InferenceNetwork, Steps
from abi_cli.registry import part

if TYPE_CHECKING:
    import keras


class _FreeForm(InferenceNetwork):
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


class _Solved(_FreeForm):
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

    def _solver(self) -> dict[str, Any]:
        """The options, with what is left open filled in."""
        return {**self.model_dump(), "tolerance": self.tolerance or 1e-5}


@part("inference network", "flow_matching", example="flow_matching: {steps: 12}")
class FlowMatching(_Solved):
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

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.flow_matching import FlowMatching as Layer

        layer = Layer(dim=dim, seed=seed, **self._solver())
        layer.build((None, conditions))
        return layer


@part("inference network", "diffusion", example="diffusion: {schedule: edm}")
class Diffusion(_Solved):
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

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.diffusion import Diffusion as Layer

        layer = Layer(dim=dim, seed=seed, **self._solver())
        layer.build((None, conditions))
        return layer


@part("inference network", "consistency", example="consistency: {steps: 3}")
class Consistency(_FreeForm):
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

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.consistency import Consistency as Layer

        layer = Layer(dim=dim, seed=seed, **self.model_dump())
        layer.build((None, conditions))
        return layer
