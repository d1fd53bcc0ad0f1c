"""Traits of parameters that draws of their prior show: bounds, simplices, ascending order.

A bound b shows in the smallest m of n draws, x₁ ≤ … ≤ xₘ₊₁, where the density does not vanish
there. They are then as good as uniform between b and xₘ₊₁, so that the mean of

    (xᵢ − x₁) / (xₘ₊₁ − x₁),    i = 2 … m,

is ½. At the lower end of a density that rises like (x − b)^(a−1) it is a / (a + 1); of a normal it
is 0.79, of tails that are heavier it is more. With g the mean distance of neighbours among them,
x₁ − b is exponential with mean g: b is between x₁ − 8 g and x₁, but for once in 3,000 times.

Of the numbers there the roundest is taken for the bound: 0, a multiple of π / 2, or the only point
there of a grid of steps 1, 2 or 5 × 10ᵏ that are so wide that chance puts one there in one of
twenty cases. Two round bounds of one parameter are no chance, nor is 0: these are certain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from abi_cli.adapter.parts_standardize import Scale
from abi_cli.model.support import Support

ENOUGH = 4096
"""Draws that show where hard edges are."""

FEWEST = 512
"""Draws of which edges can be told at all."""

_LOWEST = 16
"""The number of draws of which one counts as among the smallest."""

_HARD = 0.58
"""The mean distance, see above, below which an edge is hard: of 4,096 uniform draws it is below
0.57, of normal ones above 0.7."""

_REACH = 8.0
"""Mean distances of neighbours from the smallest draw within which the bound is."""

_CHANCE = 0.05
"""The probability that a grid has a point within reach by chance."""

_SUM = 1e-6
"""Tolerance of the sum of a simplex, which is one."""


@dataclass(frozen=True)
class Edge:
    """A place where draws end all of a sudden.

    Arguments:
        at: The bound; the extreme draw where no round number is near.
        round: Whether one is.
    """

    at: float
    round: bool


@dataclass(frozen=True)
class Traits:
    """Traits that the draws of a parameter show.

    Arguments:
        lower, upper: The edges of each element; None where there is none.
        simplex: Whether the elements of the last axis are positive and sum to one, always.
        ordered: Whether they ascend always, and come close to each other.
        heavy: Whether tails are heavy.
        enough: Whether there are enough draws to be certain.
    """

    lower: tuple[Edge | None, ...]
    upper: tuple[Edge | None, ...]
    simplex: bool
    ordered: bool
    heavy: bool
    enough: bool

    def support(self) -> Support | None:
        """The support that is certain; None where nothing is."""
        if self.simplex:
            return Support(0.0, 1.0, kind="simplex")
        lower, upper = _shared(self.lower), _shared(self.upper)
        if lower is None or upper is None:  # one alone is certain at 0
            lower, upper = (at if at == 0 else None for at in (lower, upper))
        if not self.enough:
            lower = upper = None
        ordered = self.ordered and self.enough
        if lower is None and upper is None and not ordered:
            return None
        return Support(lower, upper, kind="ordered" if ordered else "real", heavy=self.heavy)


def traits(values: np.ndarray, *, whole: bool = False) -> Traits:
    """Traits that draws `(draw, *event)` of a parameter show.

    Arguments:
        whole: Whether these are all draws that there will ever be.
    """
    values = np.asarray(values, np.float64)
    flat = values.reshape(len(values), -1)
    enough = len(values) >= ENOUGH or whole
    if is_simplex(values):
        none = (None,) * flat.shape[1]
        return Traits(none, none, simplex=True, ordered=False, heavy=False, enough=enough)
    return Traits(
        lower=tuple(edge(column) for column in flat.T),
        upper=tuple(_mirrored(edge(-column)) for column in flat.T),
        simplex=False,
        ordered=is_ordered(values),
        heavy=bool(Scale.of(flat, flat.shape[1:]).heavy.any()),
        enough=enough,
    )


def is_simplex(values: np.ndarray) -> bool:
    """True if the elements of the last axis of `(draw, *event)` are positive and sum to one."""
    if values.ndim < 2 or values.shape[-1] < 2 or not len(values):
        return False
    return bool((values > 0).all() and (np.abs(values.sum(axis=-1) - 1) < _SUM).all())


def is_ordered(values: np.ndarray) -> bool:
    """True if elements ascend in all draws, for no other reason than that they must.

    Priors that are far from each other ascend, too: but their elements never come close.
    """
    if values.ndim < 2 or values.shape[-1] < 2 or len(values) < FEWEST:
        return False
    gaps = np.diff(values, axis=-1)
    if not (gaps > 0).all():
        return False
    found = [edge(gap) for gap in gaps.reshape(len(gaps), -1).T]
    return all(one is not None and one.at == 0 for one in found)


def edge(draws: np.ndarray) -> Edge | None:
    """The lower edge of draws `(draw,)`, if it is a hard one."""
    if len(draws) < FEWEST:
        return None
    m = len(draws) // _LOWEST
    lowest = np.sort(draws)[: m + 1]
    width = lowest[m] - lowest[0]
    # What has several smallest values has a lump there, on which no open bound can be.
    if not np.isfinite(width) or width <= 0 or lowest[1] == lowest[0]:
        return None
    if np.mean((lowest[1:m] - lowest[0]) / width) > _HARD:
        return None
    reach = _REACH * width / m
    found = _roundest(lowest[0] - reach, lowest[0], widest=reach / _CHANCE)
    return Edge(float(lowest[0]), round=False) if found is None else Edge(found, round=True)


def _roundest(low: float, high: float, *, widest: float) -> float | None:
    """The roundest number from low up to below high; None where none is rounder than by chance.

    Arguments:
        widest: Steps of a grid that are narrower than this have a point there by chance.
    """
    if low <= 0 < high:
        return 0.0
    exponent = math.ceil(math.log10(max(abs(low), abs(high)))) + 1
    while (power := 10.0**exponent) * 5 >= widest:
        for step in (5, 2, 1):
            if step * power >= widest and (point := _point(low, high, step * power)) is not None:
                return float(f"{point:.12g}")
        exponent -= 1
    return _point(low, high, math.pi / 2) if math.pi / 2 >= widest else None


def _point(low: float, high: float, step: float) -> float | None:
    """The multiple of a step from low up to below high, if there is one."""
    point = math.floor(high / step) * step
    if point >= high:
        point -= step
    return point if point >= low else None


def _mirrored(found: Edge | None) -> Edge | None:
    return None if found is None else Edge(-found.at + 0.0, found.round)


def _shared(edges: tuple[Edge | None, ...]) -> float | None:
    """The round bound that all elements have; None where they have none, or not the same."""
    places = {edge.at if edge is not None and edge.round else None for edge in edges}
    return places.pop() if len(places) == 1 else None
