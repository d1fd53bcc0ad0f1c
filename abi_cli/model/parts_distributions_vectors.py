"""Distributions of vectors."""

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


@part("distribution", "dirichlet", example="dirichlet: {alpha: [1, 1, 1]}")
class Dirichlet(Distribution):
    """Dirichlet, of vectors that are positive and sum to one: p ∝ ∏ xᵢ^(αᵢ − 1)."""

    rank: ClassVar[int] = 1
    ranks: ClassVar[Mapping[str, int]] = {"alpha": 1}

    alpha: Positive = Field(description="One number for each element; their sum is how narrow.")
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """Refuse fewer than two elements."""
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
