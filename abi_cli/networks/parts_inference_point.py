"""The inference network that a spec names for estimates instead of draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from abi_cli.networks.network import Count, InferenceNetwork
from abi_cli.networks.parts_summary import Activation
from abi_cli.registry import part

if TYPE_CHECKING:
    import keras

Level = Annotated[float, Field(gt=0, lt=1)]
"""Of a quantile or an expectile."""


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

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer:  # noqa: ARG002  # it has no choices
        """The built layer for `dim` parameters given so many conditions."""
        from abi_cli.nn.point import PointEstimates

        median = (0.5,) if "median" in self.estimates else ()
        layer = PointEstimates(
            dim=dim,
            moments=[name for name in self.estimates if name != "median"],
            quantiles=sorted({*self.quantiles, *median}),
            expectiles=sorted(self.expectiles),
            depth=self.depth,
            width=self.width,
            activation=self.activation,
        )
        layer.build((None, conditions))
        return layer
