"""Kinds of the columns of members, by the pilot: they decide which statistics are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from abi_cli.statistics.members import Members

MOST_LEVELS = 12
"""Most different values of a discrete column."""

SKEWED = 1.5
"""Skewness from where on the logarithm of a column is looked at, too."""

NEAR_ONE = 0.99
"""The largest value from where on numbers from 0 to 1 are taken for proportions."""

HEAVY = 3.0
"""The sd, in units of what the interquartile range suggests, from where on tails are heavy."""


REACH = np.sqrt(12.0)
"""What numbers reach over, in units of their sd, where all are as likely."""

SERIES = 100.0
"""The same of places in a series."""

FAR = 10.0
"""Sds of the regressor up to which zero is where phases are told; else its middle."""


@dataclass(frozen=True)
class Column:
    """One number of each member.

    Arguments:
        place: Which column it is.
        location, scale: Robust ones, over the pilot's members.
        levels: Its values, ascending, where it is discrete; else none.
        counts: Whether it holds whole numbers from 0 on.
        floor: What is added before the logarithm is taken, where it is skewed; None where it isn't.
        edge: How near to 0 and 1 proportions may come before their logit is taken; None where it
            holds others.
        heavy: Whether its tails are heavy on both sides.
        response: Whether the model draws it, or else only takes it as given.
        middle, spread: Robust ones of `bent`, over the pilot's members.
    """

    place: int
    location: float
    scale: float
    levels: tuple[float, ...] = ()
    counts: bool = False
    floor: float | None = None
    heavy: bool = False
    response: bool = True
    middle: float = 0.0
    spread: float = 1.0
    edge: float | None = None

    def scaled(self, members: Members) -> np.ndarray:
        """Values in robust units, `(batch, obs)`."""
        return (members[self.place] - self.location) / self.scale

    def bent(self, members: Members) -> np.ndarray:
        """Logits of proportions, the logarithm of what is skewed, or asinh, `(batch, obs)`."""
        return self.bend(members[self.place])

    def bend(self, values: np.ndarray) -> np.ndarray:
        """The same of these values."""
        if self.edge is not None:
            y = self.inside(values)
            return np.log(y) - np.log1p(-y)
        if self.floor is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.log(np.maximum(values + self.floor, 1e-300))
        return np.arcsinh((values - self.location) / self.scale)

    def inside(self, values: np.ndarray) -> np.ndarray:
        """Proportions, none of them at 0 or 1."""
        edge = 0.0 if self.edge is None else self.edge
        return np.clip(values, edge, 1 - edge)

    @property
    def bends(self) -> bool:
        """True if the column's logit, logarithm or asinh says more than the column."""
        return self.edge is not None or self.floor is not None or self.heavy


@dataclass(frozen=True)
class Bent:
    """A column in the place of its logarithm or asinh, in robust units: for regressions."""

    column: Column

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the column."""
        return self.column.levels

    def scaled(self, members: Members) -> np.ndarray:
        """Values of the bent column, `(batch, obs)`."""
        return (self.column.bent(members) - self.column.middle) / self.column.spread


def places(members: Members, along: Column | None) -> np.ndarray:
    """Places of members in reaches, `(batch, obs)`."""
    if along is None:
        return np.broadcast_to(np.arange(members.inside.shape[1]) / SERIES, members.inside.shape)
    origin = 0.0 if abs(along.location) <= FAR * along.scale else along.location
    return (members[along.place] - origin) / (REACH * along.scale)


def column_of(place: int, values: np.ndarray, *, response: bool) -> Column | None:
    """The kind of a column, by the pilot's values `(member,)`; None where it is constant.

    Arguments:
        values: Without NaN.
    """
    if not len(values) or values.min() == values.max():
        return None
    few = np.unique(values[:200_000])
    whole = bool(np.all(few == np.round(few)) and few[0] >= 0)
    levels = tuple(few.tolist()) if len(few) <= MOST_LEVELS else ()
    lower, location, upper = np.quantile(values, (0.25, 0.5, 0.75))
    typical, sd = (upper - lower) / 1.349, values.std()
    heavy = bool(sd > HEAVY * typical and typical > 0)
    scale = typical if heavy else sd
    z = np.clip((values - location) / scale, -50, 50)
    z = z - z.mean()
    skewness = np.mean(z**3) / max(np.mean(z**2), 1e-12) ** 1.5
    floor = None
    if len(few) > 2 and values.min() >= 0 and (skewness > SKEWED or values.max() > 50 * location):
        floor = 0.5 if whole else 1e-3 * max(location, 1e-12) if values.min() == 0 else 0.0
    edge = _edge(values) if response and not levels and not whole else None
    if edge is not None:
        floor, heavy = None, False
    column = Column(
        place,
        float(location),
        float(max(scale, 1e-300)),
        levels,
        whole,
        floor,
        heavy,
        response,
        edge=edge,
    )
    if not column.bends:
        return column
    bent = column.bend(values)
    lower, middle, upper = np.quantile(bent, (0.25, 0.5, 0.75))
    spread = (upper - lower) / 1.349
    return replace(column, middle=float(middle), spread=float(spread if spread > 0 else 1.0))


def _edge(values: np.ndarray) -> float | None:
    """Distance of proportions from 0 and 1, but for one in a thousand; None for other numbers."""
    if values.min() < 0 or not NEAR_ONE < values.max() <= 1:
        return None
    away = np.minimum(values, 1 - values)
    away = away[away > 0]
    return float(np.clip(np.quantile(away, 1e-3), 1e-9, 1e-2)) if len(away) else None


def column_to(column: Column) -> dict[str, Any]:
    """A column as plain JSON values."""
    return {**asdict(column), "levels": list(column.levels)}


def column_from(config: Mapping[str, Any]) -> Column:
    """A column from what `column_to` gave."""
    return Column(**{**config, "levels": tuple(config["levels"])})
