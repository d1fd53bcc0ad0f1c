"""Increasing and decreasing maps of numbers, and the steps that apply one to every element."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.adapter.step import (
    ArrayFunction,
    State,
    Step,
    every,
    log_slopes,
    mapped,
    require,
)
from abi_cli.variables import Datasets, Value

FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True)
class Bijection:
    """A smooth map of an open interval, one to one.

    Arguments:
        forward: x → z.
        inverse: z → x.
        log_slope: x → log |dz/dx|.
        lower, upper: The interval; the whole line by default.
        closed: Whether `forward` takes the lower bound, too, though it is not smooth there.
        image: Where z is, in words, if not on the whole line.
    """

    forward: ArrayFunction
    inverse: ArrayFunction
    log_slope: ArrayFunction
    lower: float = -np.inf
    upper: float = np.inf
    closed: bool = False
    image: str | None = None

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Elements that are in the open interval."""
        return (x > self.lower) & (x < self.upper)

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Elements that `forward` takes."""
        if not self.closed:
            return self.inside(x)
        return (x >= self.lower) & (x < self.upper)

    @property
    def expected(self) -> str:
        """The values that `forward` takes, in words."""
        if self.closed:
            return f"values of {self.lower:g} and above"
        if self.upper == np.inf:
            return "finite values" + (f" above {self.lower:g}" if self.lower > -np.inf else "")
        if self.lower == -np.inf:
            return f"finite values below {self.upper:g}"
        return f"values above {self.lower:g} and below {self.upper:g}"

    def closest(self) -> tuple[float, float]:
        """The smallest and largest normal single-precision numbers strictly inside."""
        low = -float(FLOAT32.max) if self.lower == -np.inf else _next_above(self.lower)
        high = float(FLOAT32.max) if self.upper == np.inf else -_next_above(-self.upper)
        return low, high


class Elementwise(Step):
    """A step that applies one map to every number of some variables.

    Draws that would round onto a bound of the map's interval, or overflow, in single precision are
    moved to the nearest normal number inside.
    """

    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """The variables that it is applied to."""

    @abstractmethod
    def bijection(self) -> Bijection:
        """The map."""

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: results cover a part of the line; None if all.

        A network draws from the rest of the line, too.
        """
        image = self.bijection().image
        return None if image is None else f"{self.name} gives {image}, and draws are anywhere"

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The variables, each made from itself."""
        return {key: (key,) for key in self.variables()}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Replace the variables x by z."""
        bijection = self.bijection()
        require(data, self.variables(), bijection.allowed, expected=bijection.expected)
        return mapped(data, self.variables(), bijection.forward)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Replace the variables z by x, which lies inside the interval whatever the rounding."""
        bijection = self.bijection()
        low, high = (bijection.lower, bijection.upper) if bijection.closed else bijection.closest()
        with np.errstate(over="ignore"):
            return mapped(
                data, self.variables(), lambda z: np.clip(bijection.inverse(z), low, high)
            )

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Σ log |dz/dx|."""
        return log_slopes(data, self.variables(), self.bijection().log_slope)

    def in_support(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Data sets whose values lie strictly within the interval."""
        return every(data, self.variables(), self.bijection().inside)


# Both from the half-line v > 0. log(eᵛ − 1) is written as v + log(1 − e⁻ᵛ), which neither overflows
# for large v nor cancels for small.
SOFTPLUS = Bijection(
    forward=lambda v: v + np.log(-np.expm1(-v)),
    inverse=lambda z: np.logaddexp(0.0, z),
    log_slope=lambda v: -np.log(-np.expm1(-v)),
    lower=0.0,
)
LOG = Bijection(forward=np.log, inverse=np.exp, log_slope=lambda v: -np.log(v), lower=0.0)


def above(lower: float, half_line: Bijection) -> Bijection:
    """The map of x > lower, made of a map of the half line: that of the distance v = x − lower."""
    return Bijection(
        forward=lambda x: half_line.forward(x - lower),
        inverse=lambda z: lower + half_line.inverse(z),
        log_slope=lambda x: half_line.log_slope(x - lower),
        lower=lower,
    )


def below(upper: float, half_line: Bijection) -> Bijection:
    """The map of x < upper, by the distance v = upper − x, mirrored so that it increases, too."""
    return Bijection(
        forward=lambda x: -half_line.forward(upper - x),
        inverse=lambda z: upper - half_line.inverse(-z),
        log_slope=lambda x: half_line.log_slope(upper - x),
        upper=upper,
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
        lower=lower,
        upper=upper,
    )


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
