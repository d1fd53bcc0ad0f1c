"""The step that keeps draws within bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AllowInfNan, Field, model_validator

from abi_cli.adapter.maps import (
    FLOAT32,
    LOG,
    SOFTPLUS,
    Bijection,
    Elementwise,
    above,
    below,
    between,
)
from abi_cli.registry import Keys, part

Bound = Annotated[float, AllowInfNan(False), Field(gt=float(FLOAT32.min), lt=float(FLOAT32.max))]


@part("step", "constrain", example="constrain: {keys: sigma, lower: 0}")
class Constrain(Elementwise):
    """Keep draws strictly within bounds: the open interval is mapped onto the whole line.

        lower alone, softplus: z = log(exp(x − lower) − 1),  log: z = log(x − lower)
        upper alone: mirrored
        both: z = log(x − lower) − log(upper − x)

    Draws that would round onto a bound, or overflow, in single precision are moved to the nearest
    normal number inside.
    """

    keys: Keys = Field(description="Variables to constrain.")
    lower: Bound | None = Field(None, description="Values are greater than this.")
    upper: Bound | None = Field(None, description="Values are less than this.")
    method: Literal["softplus", "log"] | None = Field(
        None,
        description="How one bound is mapped: softplus (the default) is nearly linear away from "
        "the bound; log suits heavy tails.",
    )

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Constrain:
        if self.lower is None and self.upper is None:
            raise ValueError("Expected lower, upper or both; got neither")
        if self.lower is not None and self.upper is not None:
            if self.method is not None:
                raise ValueError(
                    f"Expected no method beside two bounds, they mean logit; got {self.method}"
                )
            low, high = self.bijection().closest()
            if low >= high:
                raise ValueError(
                    "Expected single-precision numbers between lower and upper; "
                    f"got {self.lower} and {self.upper}"
                )
        return self

    def variables(self) -> tuple[str, ...]:
        """The keys."""
        return self.keys

    def bijection(self) -> Bijection:
        """The map of the open interval onto the whole line."""
        half_line = LOG if self.method == "log" else SOFTPLUS
        if self.lower is not None and self.upper is not None:
            return between(self.lower, self.upper)
        if self.lower is not None:
            return above(self.lower, half_line)
        return below(self.upper or 0.0, half_line)
