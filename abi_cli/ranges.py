"""Ranges of parameters: what the prior gave in the pilot simulations, and what lies beyond it.

An exact posterior is the prior on average over data sets. So of its draws about 2 / (n + 1) lie
outside all that n prior draws gave, 0.02 % with a pilot of 10,000. Many more do where the prior has
a bound that the networks do not know of, or where a flow throws draws far out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.variables import Layout

FAR = 10.0
"""Widths of a range beyond which a draw is far out: eighty sds of a normal prior."""

TAIL = 1e-6
"""Share of a declared prior on either side beyond which hardly any draw is."""

Tails = tuple[np.ndarray, np.ndarray]
"""The quantiles `TAIL` and 1 − `TAIL` of a declared parameter, each for all elements or one."""


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value of a scalar parameter in the pilot simulations.

    Arguments:
        tails: Quantiles of its prior, `TAIL` from either end, where that is declared.
    """

    low: float
    high: float
    tails: tuple[float, float] | None = None

    def outside(self, values: np.ndarray) -> np.ndarray:
        """True where values lie outside the range, as far as single precision tells."""
        low, high = np.float32(self.low), np.float32(self.high)
        return np.asarray((values < low) | (values > high))

    def far(self, values: np.ndarray) -> np.ndarray:
        """True where values lie far outside the range."""
        room = FAR * (self.high - self.low)
        return np.asarray((values < self.low - room) | (values > self.high + room))

    def improbable(self, values: np.ndarray) -> np.ndarray:
        """True where values lie in the tails of a prior that is declared."""
        if self.tails is None:
            return np.zeros(values.shape, bool)
        low, high = np.float32(self.tails[0]), np.float32(self.tails[1])
        return np.asarray((values < low) | (values > high))

    def distance(self, values: np.ndarray) -> np.ndarray:
        """The distance of values from the range; 0 within."""
        away = np.maximum(
            self.low - values.astype(np.float64), values.astype(np.float64) - self.high
        )
        return np.asarray(np.maximum(away, 0.0))

    def __str__(self) -> str:
        return between(self.low, self.high)


def between(low: float, high: float) -> str:
    """An interval in words."""
    return f"{low:.4g} to {high:.4g}".replace("-", "−")


def ranges_of(layout: Layout, tails: Mapping[str, Tails] | None = None) -> dict[str, Range]:
    """The ranges of parameters' elements that vary, by name.

    Runs of before elements had ranges of their own know that of the whole parameter.

    Arguments:
        tails: Name of a parameter whose prior is declared → its tails.
    """
    found: dict[str, Range] = {}
    for variable in layout.of("parameter"):
        names = variable.elements()
        if variable.low is None or variable.high is None:
            continue
        ranges = variable.ranges or ((variable.low, variable.high),) * len(names)
        ends: list[tuple[float, float] | None] = [None] * len(names)
        if own := (tails or {}).get(variable.name):
            low, high = (np.broadcast_to(end, variable.event) for end in own)
            ends = [*zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)]
        found |= {
            name: Range(least, most, end)
            for name, (least, most), end in zip(names, ranges, ends, strict=True)
            if least < most
        }
    return found
