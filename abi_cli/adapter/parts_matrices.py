"""Steps for covariance and correlation matrices, by their Cholesky factors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from abi_cli.adapter.maps import SOFTPLUS
from abi_cli.adapter.vectors import TINY, FreeVector
from abi_cli.registry import Keys, part

_SYMMETRIC = 1e-5
"""Tolerance, relative to the largest element, of symmetry, and of the ones of correlations."""


class _Factored(FreeVector):
    """A map of symmetric matrices A = L Lᵀ, K × K, or of their factors L (lower triangular)."""

    rank: ClassVar[int] = 2

    keys: Keys
    cholesky: bool
    matrices: ClassVar[str]

    @property
    def expected(self) -> str:
        """The matrices, or their factors, in words."""
        return f"Cholesky factors of {self.matrices}" if self.cholesky else self.matrices

    def _factor(self, x: np.ndarray) -> np.ndarray:
        """The Cholesky factor L `(..., K, K)`; NaN where there is none."""
        if self.cholesky:
            above = np.triu(np.ones(x.shape[-2:], bool), 1)
            lower = (x[..., above] == 0).all(axis=-1, keepdims=True)
            positive = (np.diagonal(x, 0, -2, -1) > 0).all(axis=-1, keepdims=True)
            return np.where((lower & positive)[..., None] & np.isfinite(x), x, np.nan)
        size = np.abs(x).max(axis=(-2, -1), keepdims=True)
        off = np.abs(x - np.swapaxes(x, -2, -1)).max(axis=(-2, -1), keepdims=True)
        with np.errstate(invalid="ignore"):
            x = np.where(off <= _SYMMETRIC * size, x, np.nan)
        return _cholesky(x)


def _cholesky(a: np.ndarray) -> np.ndarray:
    """The Cholesky factors L of positive definite matrices `(..., K, K)`; NaN for the others."""
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        flat = a.reshape(-1, *a.shape[-2:])
        return np.array([_cholesky_of_one(one) for one in flat]).reshape(a.shape)


def _cholesky_of_one(a: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return np.full_like(a, np.nan)


@part("step", "as_covariance_matrix", example="as_covariance_matrix: cov")
class AsCovarianceMatrix(_Factored):
    """Map covariance matrices, K × K, to K (K + 1) / 2 free numbers: their Cholesky factors.

        A = L Lᵀ;  z is the lower triangle of L row by row, with log(exp(Lⱼⱼ) − 1) for its diagonal
        log |det ∂L/∂A| = −K log 2 − Σⱼ (K − j + 1) log Lⱼⱼ,  j = 1 … K

    Densities are those of the lower triangle of A (of L with cholesky).
    """

    matrices: ClassVar[str] = "symmetric, positive definite matrices"

    keys: Keys = Field(description="Variables that are covariance matrices.")
    cholesky: bool = Field(False, description="Whether they are Cholesky factors already.")

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Matrices that have a factor."""
        return np.isfinite(self._factor(x)).all(axis=(-2, -1))

    def to_free(self, x: np.ndarray) -> np.ndarray:
        """The lower triangle of L."""
        factor = self._factor(x).copy()
        size = x.shape[-1]
        on = np.arange(size)
        factor[..., on, on] = SOFTPLUS.forward(factor[..., on, on])
        rows, columns = np.tril_indices(size)
        lower: np.ndarray = factor[..., rows, columns]
        return lower

    def from_free(self, z: np.ndarray) -> np.ndarray:
        """L, or L Lᵀ."""
        size = int((np.sqrt(8 * z.shape[-1] + 1) - 1) / 2)
        rows, columns = np.tril_indices(size)
        factor = np.zeros((*z.shape[:-1], size, size))
        factor[..., rows, columns] = z
        on = np.arange(size)
        factor[..., on, on] = np.maximum(SOFTPLUS.inverse(factor[..., on, on]), TINY)
        return factor if self.cholesky else factor @ np.swapaxes(factor, -2, -1)

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Log |det ∂z/∂A| `(...)`: that of z given L, and of L given A where x is A."""
        diagonal = np.diagonal(self._factor(x), 0, -2, -1)
        log_slope = SOFTPLUS.log_slope(diagonal).sum(axis=-1)
        if self.cholesky:
            return log_slope
        size = x.shape[-1]
        powers = np.arange(size, 0, -1)
        return log_slope - size * np.log(2) - (powers * np.log(diagonal)).sum(axis=-1)


@part("step", "as_correlation_matrix", example="as_correlation_matrix: rho")
class AsCorrelationMatrix(_Factored):
    """Map correlation matrices, K × K, to K (K − 1) / 2 free numbers: partial correlations.

    The rows of the Cholesky factor L have length one: Lᵢⱼ = wᵢⱼ √rᵢⱼ for j < i, with the rest
    rᵢⱼ = 1 − Σₖ<ⱼ Lᵢₖ², and z = artanh w, row by row (Lewandowski, Kurowicka, Joe 2009).

        log |det ∂A/∂z| = Σᵢ>ⱼ ½ (K − j + 1) log(1 − wᵢⱼ²),  j = 1 … K − 1
        log |det ∂L/∂z| = Σᵢ>ⱼ ½ log rᵢⱼ + log(1 − wᵢⱼ²)

    Densities are those of the elements below the diagonal of A (of L with cholesky).
    """

    matrices: ClassVar[str] = "symmetric, positive definite matrices with ones on the diagonal"

    keys: Keys = Field(description="Variables that are correlation matrices.")
    cholesky: bool = Field(False, description="Whether they are Cholesky factors already.")

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Matrices that have a factor with rows of length one."""
        factor = self._factor(x)
        with np.errstate(invalid="ignore"):
            return (np.abs((factor**2).sum(axis=-1) - 1) <= _SYMMETRIC).all(axis=-1)

    def to_free(self, x: np.ndarray) -> np.ndarray:
        """Partial correlations, by artanh."""
        partial, _ = self._partials(x)
        rows, columns = np.tril_indices(x.shape[-1], -1)
        return np.arctanh(partial[..., rows, columns])

    def from_free(self, z: np.ndarray) -> np.ndarray:
        """L, or L Lᵀ with exact ones on its diagonal."""
        size = int((np.sqrt(8 * z.shape[-1] + 1) + 1) / 2)
        rows, columns = np.tril_indices(size, -1)
        partial = np.zeros((*z.shape[:-1], size, size))
        partial[..., rows, columns] = np.tanh(z)
        log_left = np.zeros_like(partial)  # log(1 − w²), without cancelling
        log_left[..., rows, columns] = -2 * (np.logaddexp(z, -z) - np.log(2.0))
        log_rest = np.cumsum(log_left, axis=-1) - log_left
        factor = partial * np.exp(0.5 * log_rest)
        on = np.arange(size)
        factor[..., on, on] = np.maximum(np.exp(0.5 * log_rest[..., on, on]), TINY)
        if self.cholesky:
            return factor
        correlation = factor @ np.swapaxes(factor, -2, -1)
        correlation[..., on, on] = 1.0
        return correlation

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Log |det ∂z/∂A| or log |det ∂z/∂L|, `(...)`: minus the formula of the class."""
        partial, rest = self._partials(x)
        size = x.shape[-1]
        rows, columns = np.tril_indices(size, -1)
        log_left = np.log1p(-(partial[..., rows, columns] ** 2))
        if self.cholesky:
            log_det = 0.5 * np.log(rest[..., rows, columns]) + log_left
        else:
            log_det = 0.5 * (size - columns) * log_left
        return -log_det.sum(axis=-1)

    def _partials(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Partial correlations w and rests r, each `(..., K, K)`."""
        squared = (factor := self._factor(x)) ** 2
        # Summed from the end, so that small rests keep their digits.
        rest = np.cumsum(squared[..., ::-1], axis=-1)[..., ::-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(rest > 0, factor / np.sqrt(rest), 0.0), rest
