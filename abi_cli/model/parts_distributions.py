"""Distributions of numbers: on the whole line, on the half-line above 0, between two bounds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from abi_cli.model.distribution import SIZE, SMALLEST, Options, Positive, Real, Size, shaped
from abi_cli.model.family import Between, Family, Law, above_0, refuse_low_high
from abi_cli.registry import part

_BELOW_ONE = float(np.nextafter(1.0, 0.0))


def _none(**_options: Any) -> tuple[float, float]:
    """Mean and sd of a distribution that has none: NaN."""
    return np.nan, np.nan


def _where(exists: Any, moment: Any) -> np.ndarray:
    """A moment, NaN where there is none."""
    return np.where(exists, moment, np.nan)


@part("distribution", "normal", example="normal: {loc: [2, 0], scale: [3, 1]}")
class Normal(Family):
    """Normal: log p = −z²/2 − log scale − log(2π)/2 with z = (x − loc) / scale."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Standard deviation.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda loc, scale: (loc, scale),
        exact=lambda stats, loc, scale: stats.norm(loc, scale),
    )


@part("distribution", "laplace", example="laplace: {scale: 0.5}")
class Laplace(Family):
    """Laplace: log p = −|x − loc| / scale − log(2 scale)."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Mean distance from it.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda loc, scale: (loc, np.sqrt(2) * scale),
        exact=lambda stats, loc, scale: stats.laplace(loc, scale),
    )


@part("distribution", "logistic", example="logistic: {loc: 1}")
class Logistic(Family):
    """Logistic: log p = −z − 2 log(1 + e⁻ᶻ) − log scale with z = (x − loc) / scale."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Scale; the standard deviation is π/√3 of it.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda loc, scale: (loc, np.pi / np.sqrt(3) * scale),
        exact=lambda stats, loc, scale: stats.logistic(loc, scale),
    )


def _student_moments(df: Any, loc: Any = 0.0, scale: Any = 1.0) -> tuple[Any, Any]:
    """Mean and sd; no mean up to df = 1, no sd up to df = 2."""
    return _where(df > 1, loc), _where(df > 2, scale * np.sqrt(df / (df - 2)))


@part("distribution", "student_t", example="student_t: {df: 4, loc: 0, scale: 2}")
class StudentT(Family):
    """Student's t, moved and scaled: p ∝ (1 + z²/df)^(−(df+1)/2) with z = (x − loc) / scale."""

    heavy: ClassVar[bool] = True

    df: Positive = Field(description="Degrees of freedom: the fewer, the heavier the tails.")
    loc: Real = Field(0.0, description="Centre.")
    scale: Positive = Field(1.0, description="Scale; the standard deviation is larger.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_student_moments,
        exact=lambda stats, df, loc, scale: stats.t(df, loc, scale),
        draw=lambda rng, size, df, loc, scale: (
            loc + scale * rng.standard_t(df, shaped(size, df, loc, scale))
        ),
    )


@part("distribution", "standard_t", example="standard_t: {df: 4}")
class StandardT(Family):
    """Student's t: p ∝ (1 + x²/df)^(−(df+1)/2)."""

    heavy: ClassVar[bool] = True

    df: Positive = Field(description="Degrees of freedom: the fewer, the heavier the tails.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(moments=_student_moments, exact=lambda stats, df: stats.t(df))


@part("distribution", "cauchy", example="cauchy: {scale: 2.5}")
class Cauchy(Family):
    """Cauchy: log p = −log(1 + z²) − log(π scale) with z = (x − loc) / scale."""

    heavy: ClassVar[bool] = True

    loc: Real = Field(0.0, description="Median.")
    scale: Positive = Field(1.0, description="Half the interquartile range.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_none,
        exact=lambda stats, loc, scale: stats.cauchy(loc, scale),
        draw=lambda rng, size, loc, scale: (
            loc + scale * rng.standard_cauchy(shaped(size, loc, scale))
        ),
    )


@part("distribution", "exponential", example="exponential: {scale: 2}")
class Exponential(Family):
    """Exponential: log p = −x / scale − log scale, above 0."""

    scale: Positive = Field(1.0, description="Mean.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda scale: (scale, scale),
        exact=lambda stats, scale: stats.expon(scale=scale),
        bounds=above_0,
    )


@part("distribution", "gamma", example="gamma: {shape: 2, scale: 0.5}")
class Gamma(Family):
    """Gamma: log p = (shape−1) log x − x/scale − log Γ(shape) − shape log scale, above 0."""

    shape: Positive = Field(description="Shape; the mean is shape times scale.")
    scale: Positive = Field(1.0, description="Scale, one over the rate.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda shape, scale: (shape * scale, np.sqrt(shape) * scale),
        exact=lambda stats, shape, scale: stats.gamma(shape, scale=scale),
        draw=lambda rng, size, shape, scale: np.maximum(rng.gamma(shape, scale, size), SMALLEST),
        bounds=above_0,
    )


def _inverse_gamma_moments(shape: Any, scale: Any) -> tuple[Any, Any]:
    """Mean and sd; no mean up to shape = 1, no sd up to shape = 2."""
    mean = _where(shape > 1, scale / (shape - 1))
    return mean, _where(shape > 2, mean / np.sqrt(shape - 2))


def _draw_inverse_gamma(rng: np.random.Generator, size: Any, shape: Any, scale: Any) -> Any:
    return scale / np.maximum(rng.standard_gamma(shape, shaped(size, shape, scale)), SMALLEST)


@part("distribution", "inverse_gamma", example="inverse_gamma: {shape: 3, scale: 2}")
class InverseGamma(Family):
    """One over a gamma number.

    log p = a log scale − log Γ(a) − (a+1) log x − scale/x, with a = shape.
    """

    heavy: ClassVar[bool] = True

    shape: Positive = Field(description="Shape: the smaller, the heavier the tail.")
    scale: Positive = Field(1.0, description="Scale; the mode is scale / (shape + 1).")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_inverse_gamma_moments,
        exact=lambda stats, shape, scale: stats.invgamma(shape, scale=scale),
        draw=_draw_inverse_gamma,
        bounds=above_0,
    )


def _lognormal_moments(mean: Any, sigma: Any) -> tuple[Any, Any]:
    """The mean is e^(mean + sigma²/2), and the sd √(e^(sigma²) − 1) times that."""
    of_x = np.exp(mean + sigma**2 / 2)
    return of_x, of_x * np.sqrt(np.expm1(sigma**2))


@part("distribution", "lognormal", example="lognormal: {mean: 0, sigma: 0.5}")
class LogNormal(Family):
    """Log-normal: log x is normal with this mean and standard deviation sigma."""

    heavy: ClassVar[bool] = True

    mean: Real = Field(0.0, description="Mean of log x; the median of x is its exponential.")
    sigma: Positive = Field(1.0, description="Standard deviation of log x.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_lognormal_moments,
        exact=lambda stats, mean, sigma: stats.lognorm(sigma, scale=np.exp(mean)),
        bounds=above_0,
    )


@part("distribution", "half_normal", example="half_normal: {scale: 2, size: 3}")
class HalfNormal(Family):
    """The absolute value of a normal number.

    log p = −z²/2 + log(2/π)/2 − log scale, with z = x/scale.
    """

    scale: Positive = Field(1.0, description="Standard deviation of the normal number.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda scale: (np.sqrt(2 / np.pi) * scale, np.sqrt(1 - 2 / np.pi) * scale),
        exact=lambda stats, scale: stats.halfnorm(scale=scale),
        draw=lambda rng, size, scale: np.abs(rng.normal(0.0, scale, size)),
        bounds=above_0,
    )


@part("distribution", "half_cauchy", example="half_cauchy: {scale: 1}")
class HalfCauchy(Family):
    """The absolute value of a Cauchy number.

    log p = log(2/π) − log scale − log(1 + (x/scale)²).
    """

    heavy: ClassVar[bool] = True

    scale: Positive = Field(1.0, description="Median.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_none,
        exact=lambda stats, scale: stats.halfcauchy(scale=scale),
        draw=lambda rng, size, scale: np.abs(scale * rng.standard_cauchy(shaped(size, scale))),
        bounds=above_0,
    )


@part("distribution", "uniform", example="uniform: {low: -1, high: 1}")
class Uniform(Between):
    """Uniform between low and high: p = 1 / (high − low)."""

    low: Real = Field(0.0, description="Lower bound.")
    high: Real = Field(1.0, description="Upper bound.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda low, high: ((low + high) / 2, (high - low) / np.sqrt(12)),
        exact=lambda stats, low, high: stats.uniform(low, high - low),
        bounds=lambda low, high: (low, high),
    )


def _loguniform_moments(low: Any, high: Any) -> tuple[Any, Any]:
    """The sd follows from E x² = (high² − low²) / 2 log(high/low)."""
    span = np.log(high / low)
    mean = (high - low) / span
    return mean, np.sqrt((high**2 - low**2) / (2 * span) - mean**2)


def _draw_loguniform(rng: np.random.Generator, size: Any, low: Any, high: Any) -> Any:
    return np.clip(np.exp(rng.uniform(np.log(low), np.log(high), size)), low, high)


@part("distribution", "loguniform", example="loguniform: {low: 0.01, high: 10}")
class LogUniform(Between):
    """Log-uniform: log x is uniform, p = 1 / (x log(high/low))."""

    low: Positive = Field(description="Lower bound, above 0.")
    high: Positive = Field(description="Upper bound.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_loguniform_moments,
        exact=lambda stats, low, high: stats.loguniform(low, high),
        draw=_draw_loguniform,
        bounds=lambda low, high: (low, high),
    )


@part("distribution", "beta", example="beta: {a: 2, b: 5}")
class Beta(Family):
    """Beta: log p = (a−1) log x + (b−1) log(1−x) − log B(a, b), between 0 and 1."""

    a: Positive = Field(description="The mean is a / (a + b).")
    b: Positive = Field(description="The larger a + b, the narrower.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda a, b: (a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)),
        exact=lambda stats, a, b: stats.beta(a, b),
        draw=lambda rng, size, a, b: np.clip(rng.beta(a, b, size), SMALLEST, _BELOW_ONE),
        bounds=lambda **_: (0.0, 1.0),
    )


def _limits(low: Any = -np.inf, high: Any = np.inf, **_: Any) -> tuple[np.ndarray, np.ndarray]:
    """Low and high as arrays, infinite where there are none."""
    return np.asarray(low), np.asarray(high)


def _draw_truncated(
    rng: np.random.Generator, size: Any, loc: Any, scale: Any, **limits: Any
) -> Any:
    """Φ⁻¹ of a uniform number between Φ at the bounds, in logarithms, from the nearer tail."""
    from scipy.special import log_ndtr, ndtri_exp

    low, high = _limits(**limits)
    a, b = (low - loc) / scale, (high - loc) / scale
    mirrored = a > 0
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    u = rng.random(shaped(size, a, b))
    log_p = np.logaddexp(np.log1p(-u) + log_ndtr(a), np.log(u + SMALLEST) + log_ndtr(b))
    z = np.clip(ndtri_exp(np.minimum(log_p, 0.0)), a, b)
    return np.clip(loc + scale * np.where(mirrored, -z, z), low, high)


def _truncated_moments(loc: Any, scale: Any, **limits: Any) -> tuple[Any, Any]:
    """Loc + scale m with m = (φ(a) − φ(b)) / Z, and from 1 + (aφ(a) − bφ(b)) / Z − m²."""
    low, high = _limits(**limits)
    a, b = (low - loc) / scale, (high - loc) / scale
    log_mass = _log_mass(a, b)
    at_a, at_b = (np.exp(-0.5 * t**2 - 0.5 * np.log(2 * np.pi) - log_mass) for t in (a, b))
    m = at_a - at_b
    edges = [np.where(np.isinf(t), 0.0, t * at) for t, at in ((a, at_a), (b, at_b))]
    variance = 1 + edges[0] - edges[1] - m**2
    return loc + scale * m, scale * np.sqrt(np.maximum(variance, 0.0))


def _log_mass(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log(Φ(b) − Φ(a)), from the nearer tail."""
    from scipy.special import log_ndtr

    mirrored = a > 0
    left, right = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    return log_ndtr(right) + np.log1p(-np.exp(log_ndtr(left) - log_ndtr(right)))


def _exact_truncated(stats: Any, loc: Any, scale: Any, **limits: Any) -> Any:
    low, high = _limits(**limits)
    return stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)


@part("distribution", "truncated_normal", example="truncated_normal: {loc: 1, scale: 1, low: 0}")
class TruncatedNormal(Family):
    """Normal given that it is between low and high, either of which may be left out."""

    loc: Real = Field(0.0, description="Mean of the normal that is cut.")
    scale: Positive = Field(1.0, description="Standard deviation of the normal that is cut.")
    low: Real | None = Field(None, description="Lower bound; none: there is none.")
    high: Real | None = Field(None, description="Upper bound; none: there is none.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=_truncated_moments,
        exact=_exact_truncated,
        draw=_draw_truncated,
        bounds=_limits,
    )

    def check(self, o: Options) -> None:
        """Low is below high, and one of them is there."""
        if "low" not in o and "high" not in o:
            raise ValueError("Expected low, high or both; got neither")
        refuse_low_high(*self.bounds(o))
