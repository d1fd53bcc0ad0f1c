"""The step that keeps draws within bounds, and the maps of intervals onto the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import AllowInfNan, Field, model_validator

from abi_cli.adapter.step import ArrayFunction, State, Step, every, log_slopes, mapped, require
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value

FLOAT32 = np.finfo(np.float32)
Bound = Annotated[float, AllowInfNan(False), Field(gt=float(FLOAT32.min), lt=float(FLOAT32.max))]


@dataclass(frozen=True)
class Bijection:
    """An increasing map of an open interval onto the whole line.

    Arguments:
        forward: x → z.
        inverse: z → x.
        log_slope: x → log dz/dx.
    """

    forward: ArrayFunction
    inverse: ArrayFunction
    log_slope: ArrayFunction


# Both from the half-line v > 0. log(eᵛ − 1) is written as v + log(1 − e⁻ᵛ), which neither overflows
# for large v nor cancels for small.
SOFTPLUS = Bijection(
    forward=lambda v: v + np.log(-np.expm1(-v)),
    inverse=lambda z: np.logaddexp(0.0, z),
    log_slope=lambda v: -np.log(-np.expm1(-v)),
)
LOG = Bijection(forward=np.log, inverse=np.exp, log_slope=lambda v: -np.log(v))


def above(lower: float, half_line: Bijection) -> Bijection:
    """From x > lower, by the distance v = x − lower."""
    return Bijection(
        forward=lambda x: half_line.forward(x - lower),
        inverse=lambda z: lower + half_line.inverse(z),
        log_slope=lambda x: half_line.log_slope(x - lower),
    )


def below(upper: float, half_line: Bijection) -> Bijection:
    """From x < upper, by the distance v = upper − x; mirrored, so that it too increases."""
    return Bijection(
        forward=lambda x: -half_line.forward(upper - x),
        inverse=lambda z: upper - half_line.inverse(-z),
        log_slope=lambda x: half_line.log_slope(upper - x),
    )


def between(lower: float, upper: float) -> Bijection:
    """The logit of (x − lower) / (upper − lower)."""
    width = upper - lower

    def inverse(z: np.ndarray) -> np.ndarray:
        # Measured from the nearer bound, so that the distance to it keeps all its digits.
        odds = np.exp(-np.abs(z))
        distance = width * (odds / (1.0 + odds))
        near: np.ndarray = np.where(z < 0, lower + distance, upper - distance)
        return near

    return Bijection(
        forward=lambda x: np.log(x - lower) - np.log(upper - x),
        inverse=inverse,
        log_slope=lambda x: np.log(width) - np.log(x - lower) - np.log(upper - x),
    )


@part("step", "constrain")
class Constrain(Step):
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
            low, high = self._closest()
            if low >= high:
                raise ValueError(
                    "Expected single-precision numbers between lower and upper; "
                    f"got {self.lower} and {self.upper}"
                )
        return self

    def flow(self) -> dict[str, tuple[str, ...]]:
        """Each key from itself."""
        return {key: (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """To the whole line."""
        require(data, self.keys, self._inside, expected=self._expected())
        return mapped(data, self.keys, self._bijection().forward)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Into the open interval, whatever the rounding."""
        inverse, (low, high) = self._bijection().inverse, self._closest()
        with np.errstate(over="ignore"):
            return mapped(data, self.keys, lambda z: np.clip(inverse(z), low, high))

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Σ log dz/dx."""
        return log_slopes(data, self.keys, self._bijection().log_slope)

    def in_support(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Strictly within the bounds."""
        return every(data, self.keys, self._inside)

    def _limits(self) -> tuple[float, float]:
        lower = -np.inf if self.lower is None else self.lower
        upper = np.inf if self.upper is None else self.upper
        return lower, upper

    def _inside(self, x: np.ndarray) -> np.ndarray:
        lower, upper = self._limits()
        return (x > lower) & (x < upper)

    def _expected(self) -> str:
        lower, upper = self._limits()
        if upper == np.inf:
            return f"finite values above {lower:g}"
        if lower == -np.inf:
            return f"finite values below {upper:g}"
        return f"values above {lower:g} and below {upper:g}"

    def _bijection(self) -> Bijection:
        lower, upper = self._limits()
        half_line = LOG if self.method == "log" else SOFTPLUS
        if upper == np.inf:
            return above(lower, half_line)
        if lower == -np.inf:
            return below(upper, half_line)
        return between(lower, upper)

    def _closest(self) -> tuple[float, float]:
        """The smallest and largest normal single-precision numbers strictly inside."""
        low = -float(FLOAT32.max) if self.lower is None else _next_above(self.lower)
        high = float(FLOAT32.max) if self.upper is None else -_next_above(-self.upper)
        return low, high


def _next_above(bound: float) -> float:
    """The smallest normal single-precision number greater than `bound`.

    Subnormal numbers are passed over: some libraries make their process flush them to zero.
    """
    nearest = np.float32(bound)
    if not float(nearest) > bound:
        nearest = np.nextafter(nearest, np.float32(np.inf))
    if abs(nearest) < FLOAT32.smallest_normal:
        return 0.0 if bound < 0 else float(FLOAT32.smallest_normal)
    return float(nearest)
