"""Distributions of whole numbers, and of the numbers in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PlainValidator, WithJsonSchema

from abi_cli.model.distribution import (
    SIZE,
    Distribution,
    Option,
    Options,
    Positive,
    PositiveWhole,
    Probability,
    Reader,
    Size,
    Whole,
    shaped,
)
from abi_cli.model.family import Between, Family, Law, above_0
from abi_cli.registry import part
from abi_cli.spec.dump import one_line

_whole_or_float = Reader("a number", lambda _: True, names=False)
_all_whole = Reader("a whole number", lambda _: True, whole=True, names=False)


def _read_list(value: Any) -> Option:
    read = _whole_or_float(value)
    return _all_whole(value) if np.equal(np.asarray(read) % 1, 0).all() else read


Listed = Annotated[
    Option,
    PlainValidator(_read_list),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 1}),
]


class _Range(Between):
    """Whole numbers from low to high − 1."""

    discrete: ClassVar[bool] = True

    def meaning(self) -> str:
        """The range in words: `integers: 5..14`."""
        if self.references():
            return super().meaning()
        low, high = (_listing(bound) for bound in self.bounds(self._constants()))
        return f"{self.name}: {low}..{high}"


def _listing(value: Any) -> str:
    return one_line(np.asarray(value).tolist())


def _first_and_last(low: Any, high: Any) -> tuple[Any, Any]:
    return np.asarray(low), np.asarray(high) - 1


@part("distribution", "integers", example="integers: {low: 5, high: 15}")
class Integers(_Range):
    """Every whole number from low to high − 1 alike."""

    low: Whole = Field(description="The smallest.")
    high: Whole = Field(description="One more than the largest.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda low, high: ((low + high - 1) / 2, np.sqrt(((high - low) ** 2 - 1) / 12)),
        exact=lambda stats, low, high: stats.randint(low, high),
        bounds=_first_and_last,
    )


def _draw_loguniform(rng: np.random.Generator, size: Any, low: Any, high: Any) -> Any:
    """Whole parts of log-uniform numbers."""
    x = np.floor(np.exp(rng.uniform(np.log(low), np.log(high), size)))
    return np.clip(x, low, high - 1).astype(np.int64)


@part("distribution", "loguniform_integers", example="loguniform_integers: {low: 5, high: 1000}")
class LogUniformIntegers(_Range):
    """Whole numbers from low to high − 1, small ones as likely as large ones on a scale of logs.

    P = log(1 + 1/x) / log(high/low).
    """

    low: PositiveWhole = Field(description="The smallest, above 0.")
    high: PositiveWhole = Field(description="One more than the largest.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda **_: (np.nan, np.nan),  # there is no short formula
        draw=_draw_loguniform,
        bounds=_first_and_last,
    )

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """Log log(1 + 1/x) − log log(high/low); −∞ between whole numbers."""
        log_prob = np.log(np.log1p(1 / x)) - np.log(np.log(o["high"] / o["low"]))
        return np.where(x % 1 == 0, log_prob, -np.inf)


@part("distribution", "poisson", example="poisson: {lam: 4}")
class Poisson(Family):
    """Poisson: log P = x log lam − lam − log x!."""

    discrete: ClassVar[bool] = True

    lam: Positive = Field(1.0, description="Mean.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda lam: (lam, np.sqrt(lam)),
        exact=lambda stats, lam: stats.poisson(lam),
        bounds=above_0,
    )


@part("distribution", "binomial", example="binomial: {n: 20, p: 0.5}")
class Binomial(Family):
    """Binomial: how many of n succeed, each with probability p."""

    discrete: ClassVar[bool] = True

    n: PositiveWhole = Field(description="How many there are.")
    p: Probability = Field(description="The probability of each.")
    size: Size = SIZE

    law: ClassVar[Law] = Law(
        moments=lambda n, p: (n * p, np.sqrt(n * p * (1 - p))),
        exact=lambda stats, n, p: stats.binom(n, p),
        bounds=lambda n, **_: (0.0, n),
    )


@part("distribution", "choice", example="choice: {a: [10, 20, 50], p: [0.5, 0.3, 0.2]}")
class Choice(Distribution):
    """One number of a list, with these probabilities or each alike."""

    ranks: ClassVar[Mapping[str, int]] = {"a": 1, "p": 1}
    discrete: ClassVar[bool] = True

    a: Listed = Field(description="The numbers.")
    p: Probability | None = Field(
        None, description="The probability of each; none: each alike. They sum to one."
    )
    size: Size = SIZE

    def check(self, o: Options) -> None:
        """The probabilities are as many as the numbers, and sum to one."""
        if "p" not in o or "p" in self.references():
            return
        count, given = np.shape(o["a"])[-1], np.shape(o["p"])[-1]
        if count != given:
            raise ValueError(f"Expected {count} probabilities, as many as a has; got {given}")
        total = np.sum(o["p"])
        if abs(total - 1) > 1e-6:
            raise ValueError(f"Expected probabilities that sum to one; got a sum of {total:g}")

    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """The first number up to which the probabilities sum to more than a uniform number."""
        p = _probabilities(o)
        below = np.cumsum(p, axis=-1)[..., :-1]
        u = np.asarray(rng.random(shaped(size, np.empty(p.shape[:-1]))))
        index = (u[..., None] >= below).sum(axis=-1)
        return np.ravel(o["a"])[index]

    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """Log of the probability of the number; of all its places, if it has several."""
        same = x[..., None] == np.ravel(o["a"])
        return np.log((same * _probabilities(o)).sum(axis=-1))

    def moments(self, o: Options) -> tuple[Any, Any]:
        """Σ p a, and √(Σ p (a − mean)²)."""
        a, p = np.asarray(o["a"], np.float64), _probabilities(o)
        mean = (p * a).sum(axis=-1)
        return mean, np.sqrt((p * (a - mean[..., None]) ** 2).sum(axis=-1))

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """The smallest and the largest."""
        return np.min(o["a"]), np.max(o["a"])

    def meaning(self) -> str:
        """The list that is chosen from, in words."""
        return f"choice: of {_listing(self.a)}"


def _probabilities(o: Options) -> np.ndarray:
    count = np.shape(o["a"])[-1]
    return np.asarray(o["p"]) if "p" in o else np.full(count, 1 / count)
