"""Distributions between two bounds, and of vectors."""

from __future__ import annotations

from collections.abc import Mapping
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
from abi_cli.model.support import Support
from abi_cli.registry import part

_BELOW_ONE = float(np.nextafter(1.0, 0.0))


def refuse_low_high(low: Any, high: Any) -> None:
    """Refuse bounds between which there is nothing.

    Errors:
        ValueError: There isn't.
    """
    low, high = np.broadcast_arrays(low, high)
    wrong = low >= high
    if wrong.any():
        raise ValueError(f"Expected low below high; got {low[wrong][0]:g} and {high[wrong][0]:g}")


@part("distribution", "uniform", example="uniform: {low: -1, high: 1}")
class Uniform(Distribution):
    """Uniform between low and high: p = 1 / (high − low)."""

    low: Real = Field(0.0, description="Lower bound.")
    high: Real = Field(1.0, description="Upper bound.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """Low is below high."""
        refuse_low_high(o["low"], o["high"])

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does."""
        return rng.uniform(o["low"], o["high"], size)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−log(high − low)."""
        return -np.log(o["high"] - o["low"]) + np.zeros_like(x)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Half way between the bounds, and (high − low) / √12."""
        low, high = np.asarray(o["low"]), np.asarray(o["high"])
        return (low + high) / 2, (high - low) / np.sqrt(12)

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """Low and high."""
        return o["low"], o["high"]


@part("distribution", "loguniform", example="loguniform: {low: 0.01, high: 10}")
class LogUniform(Distribution):
    """Log-uniform: log x is uniform, p = 1 / (x log(high/low))."""

    low: Positive = Field(description="Lower bound, above 0.")
    high: Positive = Field(description="Upper bound.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """Low is below high."""
        refuse_low_high(o["low"], o["high"])

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """The exponential of a uniform number, kept between the bounds."""
        x = np.exp(rng.uniform(np.log(o["low"]), np.log(o["high"]), size))
        return np.clip(x, o["low"], o["high"])

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−log x − log log(high/low)."""
        return -np.log(x) - np.log(np.log(o["high"] / o["low"]))

    def moments(self, o: Options) -> tuple[Any, Any]:
        """(high − low) / L with L = log(high/low), and from E x² = (high² − low²) / 2L."""
        low, high = np.asarray(o["low"]), np.asarray(o["high"])
        span = np.log(high / low)
        mean = (high - low) / span
        return mean, np.sqrt((high**2 - low**2) / (2 * span) - mean**2)

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """Low and high."""
        return o["low"], o["high"]


@part("distribution", "beta", example="beta: {a: 2, b: 5}")
class Beta(Distribution):
    """Beta: log p = (a−1) log x + (b−1) log(1−x) − log B(a, b), between 0 and 1."""

    a: Positive = Field(description="The mean is a / (a + b).")
    b: Positive = Field(description="The larger a + b, the narrower.")
    size: Size = SIZE

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """As NumPy does, but neither 0 nor 1."""
        return np.clip(rng.beta(o["a"], o["b"], size), SMALLEST, _BELOW_ONE)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """(a−1) log x + (b−1) log(1−x) − log B(a, b)."""
        from scipy.special import betaln, xlog1py, xlogy

        return xlogy(o["a"] - 1, x) + xlog1py(o["b"] - 1, -x) - betaln(o["a"], o["b"])

    def moments(self, o: Options) -> tuple[Any, Any]:
        """A / (a+b), and √(ab / (a+b+1)) / (a+b)."""
        a, b = np.asarray(o["a"]), np.asarray(o["b"])
        return a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """0 and 1."""
        return 0.0, 1.0


@part("distribution", "truncated_normal", example="truncated_normal: {loc: 1, scale: 1, low: 0}")
class TruncatedNormal(Distribution):
    """Normal given that it is between low and high, either of which may be left out."""

    loc: Real = Field(0.0, description="Mean of the normal that is cut.")
    scale: Positive = Field(1.0, description="Standard deviation of the normal that is cut.")
    low: Real | None = Field(None, description="Lower bound; none: there is none.")
    high: Real | None = Field(None, description="Upper bound; none: there is none.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """Low is below high."""
        if "low" not in o and "high" not in o:
            raise ValueError("Expected low, high or both; got neither")
        refuse_low_high(*_limits(o))

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Φ⁻¹ of a uniform number between Φ at the bounds, in logarithms, from the nearer tail."""
        from scipy.special import log_ndtr, ndtri_exp

        low, high = _limits(o)
        loc, scale = o["loc"], o["scale"]
        a, b = (low - loc) / scale, (high - loc) / scale
        mirrored = a > 0
        a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
        u = rng.random(shaped(size, a, b))
        log_p = np.logaddexp(np.log1p(-u) + log_ndtr(a), np.log(u + SMALLEST) + log_ndtr(b))
        z = np.clip(ndtri_exp(np.minimum(log_p, 0.0)), a, b)
        return np.clip(loc + scale * np.where(mirrored, -z, z), low, high)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−z²/2 − log scale − log(2π)/2 − log(Φ(b) − Φ(a)), z = (x − loc) / scale."""
        low, high = _limits(o)
        z, a, b = ((at - o["loc"]) / o["scale"] for at in (x, low, high))
        log_normal = -0.5 * z**2 - np.log(o["scale"]) - 0.5 * np.log(2 * np.pi)
        return log_normal - _log_mass(a, b)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Loc + scale m with m = (φ(a) − φ(b)) / Z, and from 1 + (aφ(a) − bφ(b)) / Z − m²."""
        low, high = _limits(o)
        with np.errstate(all="ignore"):
            a, b = (low - o["loc"]) / o["scale"], (high - o["loc"]) / o["scale"]
            log_mass = _log_mass(a, b)
            at_a, at_b = (np.exp(-0.5 * t**2 - 0.5 * np.log(2 * np.pi) - log_mass) for t in (a, b))
            m = at_a - at_b
            edges = [np.where(np.isinf(t), 0.0, t * at) for t, at in ((a, at_a), (b, at_b))]
            variance = 1 + edges[0] - edges[1] - m**2
            return o["loc"] + o["scale"] * m, o["scale"] * np.sqrt(np.maximum(variance, 0.0))

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """Low and high."""
        return _limits(o)


def _limits(o: Options) -> tuple[np.ndarray, np.ndarray]:
    """Low and high as arrays, infinite where there are none."""
    return np.asarray(o.get("low", -np.inf)), np.asarray(o.get("high", np.inf))


def _log_mass(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log(Φ(b) − Φ(a)), from the nearer tail."""
    from scipy.special import log_ndtr

    mirrored = a > 0
    left, right = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    return log_ndtr(right) + np.log1p(-np.exp(log_ndtr(left) - log_ndtr(right)))


@part("distribution", "dirichlet", example="dirichlet: {alpha: [1, 1, 1]}")
class Dirichlet(Distribution):
    """Dirichlet, of vectors that are positive and sum to one: p ∝ ∏ xᵢ^(αᵢ − 1)."""

    rank: ClassVar[int] = 1
    ranks: ClassVar[Mapping[str, int]] = {"alpha": 1}

    alpha: Positive = Field(description="One number for each element; their sum is how narrow.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """There are at least two elements."""
        if np.shape(o["alpha"])[-1] < 2 and not self.references().get("alpha"):
            raise ValueError("Expected a list of two numbers or more for alpha; got one")

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Gamma numbers, divided by their sum.

        As G(α) = G(α+1) U^(1/α), their logarithms don't underflow where α is small.
        """
        alpha = np.asarray(o["alpha"])
        lead = shaped(size, np.empty(alpha.shape[:-1])) or ()
        shape = (*((lead,) if isinstance(lead, int) else lead), alpha.shape[-1])
        log_gamma = np.log(rng.standard_gamma(alpha + 1, shape))
        log_gamma -= rng.standard_exponential(shape) / alpha
        x = np.exp(log_gamma - log_gamma.max(axis=-1, keepdims=True))
        return np.maximum(x / x.sum(axis=-1, keepdims=True), SMALLEST)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """Σ (αᵢ−1) log xᵢ − Σ log Γ(αᵢ) + log Γ(Σ αᵢ); −∞ off the simplex.

        The density is that of all elements but the last.
        """
        from scipy.special import gammaln, xlogy

        alpha = np.asarray(o["alpha"])
        log_prob = xlogy(alpha - 1, x).sum(axis=-1) - gammaln(alpha).sum(axis=-1)
        log_prob += gammaln(alpha.sum(axis=-1))
        return np.where(np.abs(x.sum(axis=-1) - 1) < 1e-5, log_prob, -np.inf)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """M = α / Σα, and √(m (1−m) / (1 + Σα))."""
        alpha = np.asarray(o["alpha"])
        total = alpha.sum(axis=-1, keepdims=True)
        return alpha / total, np.sqrt(alpha / total * (1 - alpha / total) / (1 + total))

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """0 and 1."""
        return 0.0, 1.0

    def support(self) -> Support:
        """The simplex."""
        return Support(0.0, 1.0, kind="simplex")


@part(
    "distribution",
    "multivariate_normal",
    example="multivariate_normal: {mean: [0, 0], cov: [[1, 0.5], [0.5, 1]]}",
)
class MultivariateNormal(Distribution):
    """Normal vectors: log p = −zᵀz/2 − log|L| − d log(2π)/2, z = L⁻¹(x − mean), LLᵀ = cov."""

    rank: ClassVar[int] = 1
    ranks: ClassVar[Mapping[str, int]] = {"mean": 1, "cov": 2}

    mean: Real = Field(description="One number for each element.")
    cov: Real = Field(description="Covariance matrix, as a list of rows.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """The covariance is one, and as large as the mean."""
        named = self.references()
        if "cov" in named:
            return
        cov = np.asarray(o["cov"])
        if cov.shape[-1] != cov.shape[-2]:
            raise ValueError(f"Expected a square matrix as cov; got shape {cov.shape}")
        if "mean" not in named and np.shape(o["mean"])[-1] != cov.shape[-1]:
            raise ValueError(
                f"Expected as many numbers in mean as rows in cov, {len(cov)}; "
                f"got {np.shape(o['mean'])[-1]}"
            )
        if not np.allclose(cov, np.swapaxes(cov, -1, -2)):
            raise ValueError("Expected a symmetric matrix as cov; got another")
        if not (np.linalg.eigvalsh(cov) > 0).all():
            least = np.linalg.eigvalsh(cov).min()
            raise ValueError(
                f"Expected a positive definite matrix as cov; its least eigenvalue is {least:.3g}"
            )

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Mean + L z with z standard normal."""
        mean, cov = np.asarray(o["mean"]), np.asarray(o["cov"])
        lead = shaped(size, np.empty(mean.shape[:-1]), np.empty(cov.shape[:-2])) or ()
        shape = (*((lead,) if isinstance(lead, int) else lead), cov.shape[-1], 1)
        return mean + (np.linalg.cholesky(cov) @ rng.standard_normal(shape))[..., 0]

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """−zᵀz/2 − log|L| − d log(2π)/2."""
        lower = np.linalg.cholesky(np.asarray(o["cov"]))
        z = np.linalg.solve(lower, (x - o["mean"])[..., None])[..., 0]
        log_det = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
        return -0.5 * (z**2).sum(axis=-1) - log_det - 0.5 * x.shape[-1] * np.log(2 * np.pi)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Mean, and the roots of the diagonal of cov."""
        return o["mean"], np.sqrt(np.diagonal(np.asarray(o["cov"]), axis1=-2, axis2=-1))
