"""Steps for vectors whose elements are tied to one another: as_ordered, as_simplex."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from pydantic import Field

from abi_cli.adapter.step import Axis
from abi_cli.adapter.vectors import TINY, FreeVector
from abi_cli.registry import Keys, part

_SUM = 1e-5
"""Tolerance of a simplex's sum, which is one: single precision and printed digits are off."""


class _AlongAxis(FreeVector):
    """A map of vectors along any axis of an event."""

    keys: Keys
    axis: Axis

    def shape_fits(self, event: tuple[int, ...]) -> bool:
        """True for events with at least two elements along the axis."""
        return len(event) >= -self.axis and event[self.axis] >= 2

    def _last(self, x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, self.axis, -1)

    def _back(self, x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, -1, self.axis)


@part("step", "as_simplex", example="as_simplex: {keys: weights, method: stick}")
class AsSimplex(_AlongAxis):
    """Map vectors of K positive numbers that sum to one to K − 1 free numbers, such as proportions.

        log_ratio: z = Hᵀ log x, with orthonormal columns of H that sum to zero (Egozcue et al.
            2003), which treats all elements alike;
            log |det| = −Σᵢ log xᵢ − ½ log K
        stick: zᵢ = logit(xᵢ / rᵢ) + log(K − i), what is broken off the rest rᵢ = 1 − Σⱼ<ᵢ xⱼ;
            log |det| = −Σᵢ log(xᵢ / rᵢ) + log(1 − xᵢ / rᵢ) + log rᵢ

    Densities are those of the first K − 1 elements.
    """

    keys: Keys = Field(description="Variables that are simplices.")
    axis: Axis = Field(-1, description="Axis that sums to one, counted from the last.")
    method: Literal["log_ratio", "stick"] = Field("log_ratio", description="The map; see above.")

    @property
    def expected(self) -> str:
        """The simplices, in words."""
        return "vectors of positive numbers that sum to one"

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Vectors of numbers above 0 with sum one, `(...)` bool."""
        x = self._last(x)
        return (x > 0).all(axis=-1) & (np.abs(x.sum(axis=-1) - 1) < _SUM)

    def to_free(self, x: np.ndarray) -> np.ndarray:
        """Simplices of K numbers to K − 1 free ones."""
        x = self._last(x)
        if self.method == "log_ratio":
            return self._back(np.log(x) @ _helmert(x.shape[-1]))
        broken, rest = x[..., :-1], _rests(x)
        return self._back(np.log(broken) - np.log(rest[..., 1:]) + _centre(x.shape[-1]))

    def from_free(self, z: np.ndarray) -> np.ndarray:
        """Vectors of K − 1 free numbers to simplices of K."""
        z = self._last(z)
        size = z.shape[-1] + 1
        if self.method == "log_ratio":
            log_x = z @ _helmert(size).T
        else:
            odds = z - _centre(size)
            # log of what is broken off, and of what is left, as shares of the rest.
            log_broken, log_left = -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)
            log_rest = np.cumsum(log_left, axis=-1)
            first = np.zeros_like(z[..., :1])
            before = np.concatenate([first, log_rest], axis=-1)
            log_x = before + np.concatenate([log_broken, first], axis=-1)
        x = np.exp(log_x - log_x.max(axis=-1, keepdims=True))
        x = np.maximum(x / x.sum(axis=-1, keepdims=True), TINY)
        return self._back(x)

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Log |det ∂z/∂x| `(...)` in the first K − 1 elements of x; see the class."""
        x = self._last(x)
        size = x.shape[-1]
        if self.method == "log_ratio":
            return -np.log(x).sum(axis=-1) - 0.5 * np.log(size)
        rest = _rests(x)
        log_slope = np.log(rest[..., :-1]) - np.log(x[..., :-1]) - np.log(rest[..., 1:])
        return log_slope.sum(axis=-1)


def _rests(x: np.ndarray) -> np.ndarray:
    """The rest before each element, `(..., K)`: sums from the end, which cancel nothing."""
    return np.cumsum(x[..., ::-1], axis=-1)[..., ::-1]


def _centre(size: int) -> np.ndarray:
    """The offsets log(K − i), `(K − 1,)`, by which equal shares are at 0."""
    return np.log(np.arange(size - 1, 0, -1.0))


@cache
def _helmert(size: int) -> np.ndarray:
    """The matrix H `(K, K − 1)`: orthonormal columns, each of which sums to zero."""
    i = np.arange(1, size)
    columns = np.where(np.arange(size)[:, None] < i, 1.0, 0.0)
    columns[i, i - 1] = -i
    return columns / np.sqrt(i * (i + 1.0))


@part("step", "as_ordered", example="as_ordered: thresholds")
class AsOrdered(_AlongAxis):
    """Map ascending vectors to free numbers, such as thresholds or the means of a mixture.

        z₁ = x₁,  zᵢ = log(xᵢ − xᵢ₋₁);  log |det| = −Σᵢ log(xᵢ − xᵢ₋₁)

    Draws that would tie in single precision are moved apart by its smallest step.
    """

    keys: Keys = Field(description="Variables whose elements ascend.")
    axis: Axis = Field(-1, description="Axis along which they ascend, counted from the last.")

    @property
    def expected(self) -> str:
        """The ascending vectors, in words."""
        return "ascending vectors"

    def allowed(self, x: np.ndarray) -> np.ndarray:
        """Vectors that are finite and strictly ascending, `(...)` bool."""
        x = self._last(x)
        return (np.diff(x, axis=-1) > 0).all(axis=-1) & np.isfinite(x).all(axis=-1)

    def to_free(self, x: np.ndarray) -> np.ndarray:
        """The first element, and the logarithms of the gaps."""
        x = self._last(x)
        return self._back(np.concatenate([x[..., :1], np.log(np.diff(x, axis=-1))], axis=-1))

    def from_free(self, z: np.ndarray) -> np.ndarray:
        """The ascending vectors: the first element, then sums with the gaps."""
        z = self._last(z)
        with np.errstate(over="ignore"):
            x = np.cumsum(np.concatenate([z[..., :1], np.exp(z[..., 1:])], axis=-1), axis=-1)
            single = x.astype(np.float32)
        for i in range(1, x.shape[-1]):
            least = np.nextafter(single[..., i - 1], np.float32(np.inf))
            tied = single[..., i] < least
            single[..., i] = np.where(tied, least, single[..., i])
            x[..., i] = np.where(tied, least, x[..., i])
        return self._back(x)

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Log |det ∂z/∂x| `(...)`: −Σ log of the gaps."""
        return -np.log(np.diff(self._last(x), axis=-1)).sum(axis=-1)
