"""Monotone rational-quadratic splines of one variable, the identity outside of an interval.

Between knots (x_k, y_k) with slopes d_k, width w, height h, s = h / w and ξ = (x − x_k) / w,

    y = y_k + h (s ξ² + d_k ξ (1 − ξ)) / (s + (d_{k+1} + d_k − 2 s) ξ (1 − ξ)),

which has an inverse in closed form (Durkan et al. 2019, "Neural spline flows", arXiv:1906.04032).
Numbers of zero make the identity.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

BOUND = 5.0
"""The spline bends what is between −5 and 5 sds of the noise."""

LEAST = 1e-3
"""Smallest width and height of a bin relative to the interval, and smallest slope."""


def numbers_of(bins: int) -> int:
    """Number of numbers that describe a spline: widths, heights, and slopes at the inner knots."""
    return 3 * bins - 1


def _knots(numbers: Any) -> Any:
    """Places of bins + 1 knots, `(…, bins + 1)`, increasing from −BOUND to BOUND."""
    bins = numbers.shape[-1]
    shares = LEAST + (1 - LEAST * bins) * ops.softmax(numbers, axis=-1)
    inner = ops.cumsum(shares[..., :-1], axis=-1)
    first = ops.zeros_like(inner[..., :1])
    return BOUND * (2 * ops.concatenate([first, inner, first + 1.0], axis=-1) - 1)


class _Bin:
    """The bin that each value lies in, by its place among the knots of one axis."""

    def __init__(self, value: Any, numbers: Any, *, by_height: bool):
        bins = (numbers.shape[-1] + 1) // 3
        x, y = _knots(numbers[..., :bins]), _knots(numbers[..., bins : 2 * bins])
        slope = LEAST + ops.softplus(numbers[..., 2 * bins :] + math.log(math.expm1(1 - LEAST)))
        end = ops.ones_like(slope[..., :1])
        slope = ops.concatenate([end, slope, end], axis=-1)
        self.inside = ops.abs(value) < BOUND
        self.value = ops.clip(value, -BOUND, BOUND)
        axis = y if by_height else x
        above = ops.cast(self.value[..., None] >= axis[..., 1:-1], value.dtype)
        first = ops.ones_like(above[..., :1])
        # 1 for the bin, 0 for the others: above its lower knot and not above its upper one.
        chosen = ops.concatenate([first, above], axis=-1)
        chosen = chosen - ops.concatenate([above, 0 * first], axis=-1)

        def of(knots: Any) -> Any:
            return ops.sum(chosen * knots, axis=-1)

        self.x, self.y = of(x[..., :-1]), of(y[..., :-1])
        self.w = of(x[..., 1:] - x[..., :-1])
        self.h = of(y[..., 1:] - y[..., :-1])
        self.before, self.after = of(slope[..., :-1]), of(slope[..., 1:])
        self.s = self.h / self.w


def forward(value: Any, numbers: Any) -> tuple[Any, Any]:
    """The spline's value, and the log of its slope.

    Arguments:
        value: `(…)`.
        numbers: `(…, 3 bins − 1)`.
    """
    k = _Bin(value, numbers, by_height=False)
    xi = (k.value - k.x) / k.w
    both = xi * (1 - xi)
    below = k.s + (k.after + k.before - 2 * k.s) * both
    y = k.y + k.h * (k.s * xi * xi + k.before * both) / below
    slope = k.after * xi * xi + 2 * k.s * both + k.before * (1 - xi) * (1 - xi)
    log_slope = 2 * ops.log(k.s) + ops.log(slope) - 2 * ops.log(below)
    return ops.where(k.inside, y, value), ops.where(k.inside, log_slope, 0.0)


def inverse(value: Any, numbers: Any) -> Any:
    """Inverse of `forward`, with its arguments: the places that are mapped to the values."""
    k = _Bin(value, numbers, by_height=True)
    up = k.value - k.y
    bend = up * (k.after + k.before - 2 * k.s)
    a = k.h * (k.s - k.before) + bend
    b = k.h * k.before - bend
    c = -k.s * up
    root = ops.sqrt(ops.maximum(b * b - 4 * a * c, 0.0))
    return ops.where(k.inside, k.x + k.w * 2 * c / (-b - root), value)
