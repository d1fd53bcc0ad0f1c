"""The reach of an axis: as far as values go, but for a few that lie far from all others."""

from __future__ import annotations

import numpy as np

_ROOM = 2.0
"""Widths of the central 98 % that a value may lie away from them and still be shown."""


def reach(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value to show; what is not finite plays no part."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.01, 0.99])
    room = _ROOM * (high - low)
    near = values[(values >= low - room) & (values <= high + room)]
    return float(near.min()), float(near.max())


def beyond(limits: tuple[float, float], *values: np.ndarray) -> int:
    """The number of rows of `values (row,)` that lie beyond limits in any of them."""
    return int(np.any([(own < limits[0]) | (own > limits[1]) for own in values], axis=0).sum())


def unshown(number: int) -> str:
    """A line for a note on a picture; empty where all is shown."""
    return f"\n{number:,} beyond" if number else ""


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Limits with some room around them, `share` of their distance; of one value, around it."""
    pad = share * (high - low) or 0.5
    return low - pad, high + pad
