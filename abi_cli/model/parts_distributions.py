"""Distributions on the whole line, and on the half-line above 0."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from abi_cli.model.distribution import (
    SIZE,
    SMALLEST,
    Distribution,
    Options,
    Positive,
    Real,
    Size,
    shaped,
)
from abi_cli.registry import part

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


@part("distribution", "normal", example="normal: {loc: [2, 0], scale: [3, 1]}")
class Normal(Distribution):
    """Normal: log p = −z²/2 − log scale − log(2π)/2 with z = (x − loc) / scale."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Standard deviation.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.normal(o["loc"], o["scale"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−z²/2 − log scale − log(2π)/2."""
        z = (x - o["loc"]) / o["scale"]
        return -0.5 * z**2 - np.log(o["scale"]) - _HALF_LOG_2PI

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Loc and scale."""
        return o["loc"], o["scale"]


@part("distribution", "laplace", example="laplace: {scale: 0.5}")
class Laplace(Distribution):
    """Laplace: log p = −|x − loc| / scale − log(2 scale)."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Mean distance from it.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.laplace(o["loc"], o["scale"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−|x − loc| / scale − log(2 scale)."""
        return -np.abs(x - o["loc"]) / o["scale"] - np.log(2 * o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Loc and √2 scale."""
        return o["loc"], np.sqrt(2) * np.asarray(o["scale"])


@part("distribution", "logistic", example="logistic: {loc: 1}")
class Logistic(Distribution):
    """Logistic: log p = −z − 2 log(1 + e⁻ᶻ) − log scale with z = (x − loc) / scale."""

    loc: Real = Field(0.0, description="Mean.")
    scale: Positive = Field(1.0, description="Scale; the standard deviation is π/√3 of it.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.logistic(o["loc"], o["scale"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−|z| − 2 log(1 + e^−|z|) − log scale, as it is symmetric."""
        z = np.abs((x - o["loc"]) / o["scale"])
        return -z - 2 * np.log1p(np.exp(-z)) - np.log(o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Loc and π/√3 scale."""
        return o["loc"], np.pi / np.sqrt(3) * np.asarray(o["scale"])


@part("distribution", "student_t", example="student_t: {df: 4, loc: 0, scale: 2}")
class StudentT(Distribution):
    """Student's t, moved and scaled: p ∝ (1 + z²/df)^(−(df+1)/2) with z = (x − loc) / scale."""

    heavy: ClassVar[bool] = True

    df: Positive = Field(description="Degrees of freedom: the fewer, the heavier the tails.")
    loc: Real = Field(0.0, description="Centre.")
    scale: Positive = Field(1.0, description="Scale; the standard deviation is larger.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Loc + scale t."""
        shape = shaped(size, o["df"], o["loc"], o["scale"])
        return o["loc"] + o["scale"] * rng.standard_t(o["df"], shape)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−(df+1)/2 log(1 + z²/df) and what it integrates to."""
        return _student_log_prob((x - o["loc"]) / o["scale"], o["df"]) - np.log(o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Loc and scale √(df/(df−2)); there is no mean up to df = 1, no sd up to df = 2."""
        mean, sd = _student_moments(o["df"])
        return o["loc"] + mean, np.asarray(o["scale"]) * sd


@part("distribution", "standard_t", example="standard_t: {df: 4}")
class StandardT(Distribution):
    """Student's t: p ∝ (1 + x²/df)^(−(df+1)/2)."""

    heavy: ClassVar[bool] = True

    df: Positive = Field(description="Degrees of freedom: the fewer, the heavier the tails.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.standard_t(o["df"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−(df+1)/2 log(1 + x²/df) and what it integrates to."""
        return _student_log_prob(x, o["df"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """0 and √(df/(df−2)); there is no mean up to df = 1, no sd up to df = 2."""
        return _student_moments(o["df"])


def _student_log_prob(z: np.ndarray, df: Any) -> np.ndarray:
    from scipy.special import gammaln

    ratio = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)
    return ratio - (df + 1) / 2 * np.log1p(z**2 / df)


def _student_moments(df: Any) -> tuple[Any, Any]:
    df = np.asarray(df, np.float64)
    with np.errstate(all="ignore"):
        return np.where(df > 1, 0.0, np.nan), np.where(df > 2, np.sqrt(df / (df - 2)), np.nan)


@part("distribution", "cauchy", example="cauchy: {scale: 2.5}")
class Cauchy(Distribution):
    """Cauchy: log p = −log(1 + z²) − log(π scale) with z = (x − loc) / scale."""

    heavy: ClassVar[bool] = True

    loc: Real = Field(0.0, description="Median.")
    scale: Positive = Field(1.0, description="Half the interquartile range.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Loc + scale times a standard Cauchy number."""
        return o["loc"] + o["scale"] * rng.standard_cauchy(shaped(size, o["loc"], o["scale"]))

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−log(1 + z²) − log(π scale)."""
        return -np.log1p(((x - o["loc"]) / o["scale"]) ** 2) - np.log(np.pi * o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """It has none."""
        return np.nan, np.nan


class _Positive(Distribution):
    """A distribution on the half-line above 0."""

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """Above 0."""
        return 0.0, np.inf


@part("distribution", "exponential", example="exponential: {scale: 2}")
class Exponential(_Positive):
    """Exponential: log p = −x / scale − log scale, above 0."""

    scale: Positive = Field(1.0, description="Mean.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.exponential(o["scale"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−x / scale − log scale."""
        return -x / o["scale"] - np.log(o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Both are the scale."""
        return o["scale"], o["scale"]


@part("distribution", "gamma", example="gamma: {shape: 2, scale: 0.5}")
class Gamma(_Positive):
    """Gamma: log p = (shape−1) log x − x/scale − log Γ(shape) − shape log scale, above 0."""

    shape: Positive = Field(description="Shape; the mean is shape times scale.")
    scale: Positive = Field(1.0, description="Scale, one over the rate.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does, but never 0."""
        return np.maximum(rng.gamma(o["shape"], o["scale"], size), SMALLEST)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """(shape−1) log x − x/scale − log Γ(shape) − shape log scale."""
        from scipy.special import gammaln, xlogy

        a, scale = o["shape"], o["scale"]
        return xlogy(a - 1, x) - x / scale - gammaln(a) - a * np.log(scale)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Shape × scale, and √shape × scale."""
        a, scale = np.asarray(o["shape"]), np.asarray(o["scale"])
        return a * scale, np.sqrt(a) * scale


@part("distribution", "inverse_gamma", example="inverse_gamma: {shape: 3, scale: 2}")
class InverseGamma(_Positive):
    """One over a gamma number.

    log p = a log scale − log Γ(a) − (a+1) log x − scale/x, with a = shape.
    """

    heavy: ClassVar[bool] = True

    shape: Positive = Field(description="Shape: the smaller, the heavier the tail.")
    scale: Positive = Field(1.0, description="Scale; the mode is scale / (shape + 1).")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Scale over a standard gamma number."""
        shape = shaped(size, o["shape"], o["scale"])
        return o["scale"] / np.maximum(rng.standard_gamma(o["shape"], shape), SMALLEST)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """A log scale − log Γ(a) − (a+1) log x − scale/x."""
        from scipy.special import gammaln

        a, scale = o["shape"], o["scale"]
        return a * np.log(scale) - gammaln(a) - (a + 1) * np.log(x) - scale / x

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Scale / (a−1) above a = 1, and that over √(a−2) above a = 2."""
        a, scale = np.asarray(o["shape"], np.float64), np.asarray(o["scale"])
        with np.errstate(all="ignore"):
            mean = np.where(a > 1, scale / (a - 1), np.nan)
            return mean, np.where(a > 2, mean / np.sqrt(a - 2), np.nan)


@part("distribution", "lognormal", example="lognormal: {mean: 0, sigma: 0.5}")
class LogNormal(_Positive):
    """Log-normal: log x is normal with this mean and standard deviation sigma."""

    heavy: ClassVar[bool] = True

    mean: Real = Field(0.0, description="Mean of log x; the median of x is its exponential.")
    sigma: Positive = Field(1.0, description="Standard deviation of log x.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.lognormal(o["mean"], o["sigma"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−z²/2 − log sigma − log(2π)/2 − log x with z = (log x − mean) / sigma; −∞ at 0."""
        log_x = np.log(np.where(x > 0, x, 1.0))
        z = (log_x - o["mean"]) / o["sigma"]
        log_prob = -0.5 * z**2 - np.log(o["sigma"]) - _HALF_LOG_2PI - log_x
        return np.where(x > 0, log_prob, -np.inf)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Mean e^(mean + sigma²/2), and that times √(e^(sigma²) − 1)."""
        sigma2 = np.asarray(o["sigma"]) ** 2
        with np.errstate(over="ignore"):
            mean = np.exp(o["mean"] + sigma2 / 2)
            return mean, mean * np.sqrt(np.expm1(sigma2))


@part("distribution", "half_normal", example="half_normal: {scale: 2, size: 3}")
class HalfNormal(_Positive):
    """The absolute value of a normal number.

    log p = −z²/2 + log(2/π)/2 − log scale, with z = x/scale.
    """

    scale: Positive = Field(1.0, description="Standard deviation of the normal number.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """|normal|."""
        return np.abs(rng.normal(0.0, o["scale"], size))

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−z²/2 + log(2/π)/2 − log scale."""
        return -0.5 * (x / o["scale"]) ** 2 + 0.5 * np.log(2 / np.pi) - np.log(o["scale"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """√(2/π) scale, and √(1 − 2/π) scale."""
        scale = np.asarray(o["scale"])
        return np.sqrt(2 / np.pi) * scale, np.sqrt(1 - 2 / np.pi) * scale


@part("distribution", "half_cauchy", example="half_cauchy: {scale: 1}")
class HalfCauchy(_Positive):
    """The absolute value of a Cauchy number.

    log p = log(2/π) − log scale − log(1 + (x/scale)²).
    """

    heavy: ClassVar[bool] = True

    scale: Positive = Field(1.0, description="Median.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """|Cauchy|."""
        return np.abs(o["scale"] * rng.standard_cauchy(shaped(size, o["scale"])))

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """Log(2/π) − log scale − log(1 + (x/scale)²)."""
        return np.log(2 / np.pi) - np.log(o["scale"]) - np.log1p((x / o["scale"]) ** 2)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """It has none."""
        return np.nan, np.nan
