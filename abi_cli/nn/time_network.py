"""The network of free-form flows: a vector field F(y, φ | c) with derivatives by hand.

    h₀ = silu(y A₀ + p₀),    hₖ = hₖ₋₁ + silu(hₖ₋₁ Aₖ + pₖ),    F = h_L W + b

where pₖ = c Cₖ + τ(φ) Tₖ + bₖ, and τ are harmonics of φ in [0, π/2]: smooth, so that derivatives
with respect to it stay small (Lu & Song 2024, arXiv:2410.11081). W begins at zero.

Keras has no forward-mode derivatives that all backends share; those of this network are a few lines
(`jvp`, `divergence`), compiled like the rest, and exact.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

HARMONICS = 6
"""Harmonics of φ: cos kφ and sin kφ for k = 1 … 6."""


class TimeNetwork(keras.Layer):
    """The field F at `y (…, dim)`, `φ (…, 1)`, given `conditioning` of `c (…, conditions)`.

    Arguments:
        dim: Length of y and F.
        depth: Number of residual layers.
        width: Width of all layers.
        seed: Seed of the first weights.
    """

    def __init__(self, *, dim: int, depth: int, width: int, seed: int):
        super().__init__()
        self.dim, self.depth, self.width, self.seed = dim, depth, width, seed

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the weights for `conditions_shape[-1]` conditions."""
        D, W, C = self.dim, self.width, conditions_shape[-1] or 0

        def weight(name: str, inputs: int, outputs: int, gain: float) -> Any:
            initializer = keras.initializers.RandomNormal(
                stddev=gain / math.sqrt(max(inputs, 1)), seed=self.seed + len(self.weights)
            )
            return self.add_weight(
                shape=(inputs, outputs), initializer=initializer if gain else "zeros", name=name
            )

        inputs = [D, *(W for _ in range(self.depth))]
        self.a = [weight(f"a_{k}", size, W, 1.4) for k, size in enumerate(inputs)]
        self.c = [weight(f"c_{k}", C, W, 1.0) for k in range(len(inputs))]
        self.t = [weight(f"t_{k}", 2 * HARMONICS, W, 1.0) for k in range(len(inputs))]
        self.b = [
            self.add_weight(shape=(W,), initializer="zeros", name=f"b_{k}")
            for k in range(len(inputs))
        ]
        self.w_out = weight("w_out", W, D, 0.0)
        self.b_out = self.add_weight(shape=(D,), initializer="zeros", name="b_out")
        super().build(conditions_shape)

    def conditioning(self, c: Any) -> list[Any]:
        """Each layer's input that depends on conditions alone, not on time, `(…, width)` each."""
        return [ops.matmul(c, C) + b for C, b in zip(self.c, self.b, strict=True)]

    def call(self, y: Any, phi: Any, given: list[Any]) -> Any:
        """The field F, `(…, dim)`."""
        times = _harmonics(phi)
        h = 0.0
        for k, (A, T) in enumerate(zip(self.a, self.t, strict=True)):
            h = h + ops.silu(ops.matmul(h if k else y, A) + (given[k] + ops.matmul(times, T)))
        return ops.matmul(h, self.w_out) + self.b_out

    def jvp(self, y: Any, phi: Any, given: list[Any], dy: Any, dphi: Any) -> tuple[Any, Any]:
        """The field F, and its derivative along `dy (…, dim)` and `dphi (…, 1)`."""
        times, dtimes = _harmonics(phi), _harmonics_slope(phi) * dphi
        h: Any = 0.0
        dh: Any = 0.0
        for k, (A, T) in enumerate(zip(self.a, self.t, strict=True)):
            a = ops.matmul(h if k else y, A) + (given[k] + ops.matmul(times, T))
            da = ops.matmul(dh if k else dy, A) + ops.matmul(dtimes, T)
            h, dh = h + ops.silu(a), dh + _silu_slope(a) * da
        return ops.matmul(h, self.w_out) + self.b_out, ops.matmul(dh, self.w_out)

    def divergence(self, y: Any, phi: Any, given: list[Any]) -> tuple[Any, Any]:
        """The field F and its divergence Σᵢ ∂Fᵢ/∂yᵢ, `(…,)`."""
        times = _harmonics(phi)
        h: Any = 0.0
        dh: Any = 0.0
        for k, (A, T) in enumerate(zip(self.a, self.t, strict=True)):
            a = ops.matmul(h if k else y, A) + (given[k] + ops.matmul(times, T))
            da = ops.matmul(dh, A) if k else ops.convert_to_tensor(A)
            h, dh = h + ops.silu(a), dh + _silu_slope(a)[..., None, :] * da
        trace = ops.sum(dh * ops.transpose(ops.convert_to_tensor(self.w_out)), axis=(-2, -1))
        return ops.matmul(h, self.w_out) + self.b_out, trace


def _harmonics(phi: Any) -> Any:
    angles = ops.concatenate([k * phi for k in range(1, HARMONICS + 1)], axis=-1)
    return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)


def _harmonics_slope(phi: Any) -> Any:
    orders = range(1, HARMONICS + 1)
    sines = ops.concatenate([-k * ops.sin(k * phi) for k in orders], axis=-1)
    return ops.concatenate(
        [sines, ops.concatenate([k * ops.cos(k * phi) for k in orders], axis=-1)], axis=-1
    )


def _silu_slope(x: Any) -> Any:
    s = ops.sigmoid(x)
    return s * (1.0 + x * (1.0 - s))
