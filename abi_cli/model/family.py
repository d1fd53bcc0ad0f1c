"""Distributions as rows of a table: options, NumPy's draws, moments, SciPy's density.

`scipy.stats`, which takes half a second to import, is imported at the first density: what draws and
what shows a model needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from abi_cli.model.distribution import Distribution, Options
from abi_cli.ranges import TAIL, Tails


def everywhere(**_options: Any) -> tuple[float, float]:
    """The bounds of the whole line."""
    return -np.inf, np.inf


def above_0(**_options: Any) -> tuple[float, float]:
    """The bounds of the half-line above 0."""
    return 0.0, np.inf


@dataclass(frozen=True)
class Law:
    """The law of a family: functions that take its options by name.

    Arguments:
        moments: Mean and sd of each element; NaN or infinite where there are none.
        exact: The distribution in `scipy.stats`, which it is given; None where there is none, so
            that the class has a `log_prob` of its own.
        draw: Draws, given a generator and the size; None for NumPy's method of the same name.
        bounds: Between which elements are.
    """

    moments: Callable[..., tuple[Any, Any]]
    exact: Callable[..., Any] | None = None
    draw: Callable[..., Any] | None = None
    bounds: Callable[..., tuple[Any, Any]] = everywhere


@dataclass(frozen=True)
class _Unfrozen:
    """`scipy.stats` whose distributions keep their parameters beside them.

    With them (frozen), SciPy copies a distribution and writes its documentation anew: a millisecond
    each time.
    """

    stats: Any

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, tuple[Any, ...], dict[str, Any]]]:
        law = getattr(self.stats, name)
        return lambda *arguments, **named: (law, arguments, named)


class Family(Distribution):
    """A distribution whose law is written in a table."""

    law: ClassVar[Law]

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Draws by the law's own function, or else by NumPy's of the same name."""
        if self.law.draw is None:
            return getattr(rng, self.name)(**o, size=size)
        return self.law.draw(rng, size, **o)

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """Log density, or log probability, by SciPy."""
        if self.law.exact is None:
            raise NotImplementedError(f"Expected SciPy's {self.name} or a log_prob; got neither")
        from scipy import stats

        law, arguments, named = self.law.exact(_Unfrozen(stats), **o)
        density = law.logpmf if self.discrete else law.logpdf
        return np.asarray(density(x, *arguments, **named))

    def tails(self) -> Tails | None:
        """The quantiles `TAIL` from either end, by SciPy; None where options name variables."""
        if self.law.exact is None or set(self.references()) - {"size"}:
            return None
        from scipy import stats

        law, arguments, named = self.law.exact(_Unfrozen(stats), **self._constants())
        ends = (law.ppf(TAIL, *arguments, **named), law.isf(TAIL, *arguments, **named))
        return np.asarray(ends[0], np.float64), np.asarray(ends[1], np.float64)

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Mean and sd by the law, in float64."""
        with np.errstate(all="ignore"):
            return self.law.moments(**{name: np.asarray(o[name], np.float64) for name in o})

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """The bounds by the law."""
        return self.law.bounds(**o)


def tails_of(declared: Mapping[str, Any]) -> dict[str, Tails]:
    """Variable → the tails of its distribution, of those that are declared by a family."""
    found = {name: own.tails() for name, own in declared.items() if isinstance(own, Family)}
    return {name: own for name, own in found.items() if own is not None}


class Between(Family):
    """A family between two bounds, `low` and `high`."""

    def check(self, o: Options) -> None:
        """Low is below high."""
        refuse_low_high(o["low"], o["high"])


def refuse_low_high(low: Any, high: Any) -> None:
    """Refuse bounds between which there is nothing.

    Errors:
        ValueError: There isn't.
    """
    low, high = np.broadcast_arrays(low, high)
    wrong = low >= high
    if wrong.any():
        raise ValueError(f"Expected low below high; got {low[wrong][0]:g} and {high[wrong][0]:g}")
