r"""Likeness of data sets to the simulations: several looks at each, and one p-value.

The looks, each of which gives a p-value (`guard.tails`):

    context       what it comes with, inside what was simulated
    values        its smallest and largest values, inside what was simulated
    summaries     the distance of what the networks make of it (`guard.distance`)
    statistics    the distance of plain statistics, and
    one           the one that is farthest out

Only the first two are of the whole reference; the others are of simulations of like context: of
the nearest `NEAREST` where there are twice as many, else of all with what context explains taken
out. The smallest of the p-values, p*, is small by chance more often than each. So −log p* is held
against that of simulations, whose own p-values are of rules learned from others, in `FOLDS` parts:
of data sets of the model, p is uniform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree

from abi_cli.guard.distance import Distance
from abi_cli.guard.plain import Table
from abi_cli.guard.reference import Look, Reference
from abi_cli.guard.tails import Tails, TwoSided
from abi_cli.precision import almost_constant

NEAREST = 1_000
"""Simulations of like context that data sets are held against."""

FOLDS = 10
"""Parts of the simulations: the p-values of each come from the others."""

LOOKS = ("context", "values", "summaries", "statistics", "one")

_AS_CLEAR = 1e-4
"""A p-value from where on a statistic needs no smaller one to be named."""

_PLACES = 16
"""Largest number of centres of context around which the nearest simulations are sought."""

_SQUARED = 4
"""Numbers of context up to which their squares explain something, too."""

_MOST_CONTEXT = 40
"""Numbers of context that are taken out of others: the first ones."""


@dataclass(frozen=True)
class Scores:
    """p-values of data sets under the simulations, and the reasons for small ones.

    Arguments:
        p: p-value of each data set, uniform if the data are of the model, `(dataset,)`.
        looks: p-values of each look, `(dataset, look)`, in the order of `LOOKS`.
        reasons: Sentences on what is oddest about each; empty where none was asked for.
    """

    p: np.ndarray
    looks: np.ndarray
    reasons: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Scores of data sets that were looked at one part after the other."""
        return cls(
            np.concatenate([part.p for part in parts]),
            np.concatenate([part.looks for part in parts]),
            tuple(reason for part in parts for reason in part.reasons),
        )


@dataclass(frozen=True)
class Guard:
    """Compares data sets with simulated ones.

    Arguments:
        reference: The simulated data sets.
    """

    reference: Reference
    _groups: dict[int, _Group] = field(default_factory=dict, compare=False)

    @cached_property
    def _context(self) -> Context:
        return Context.of(self.reference.look.context)

    @cached_property
    def _places(self) -> np.ndarray:
        """Centres of clusters of context, `(place, number)`: about one for 500 simulations."""
        own, n = self._context.own, len(self.reference)
        if n < 2 * NEAREST or not own.shape[1]:
            return np.zeros((1, own.shape[1]))
        number = min(_PLACES, 2 * n // NEAREST)
        found, _ = kmeans2(own, number, rng=np.random.default_rng(0), minit="++")
        return np.unique(found[np.isfinite(found).all(axis=1)], axis=0)

    @cached_property
    def _inside(self) -> tuple[Folds, Folds]:
        """Rules for numbers of context and for least and largest values, over all simulations."""
        look, rows = self.reference.look, np.arange(len(self.reference))
        context, values = (
            Folds.of(TwoSided.of, _known(table), rows) for table in (look.context, look.values)
        )
        return context, values

    def _group(self, place: int) -> _Group:
        if place not in self._groups:
            look, n = self.reference.look, len(self.reference)
            rows = np.arange(n)
            if len(self._places) > 1:
                rows = cKDTree(self._context.own).query(self._places[place], k=NEAREST)[1]
            features = self._context.features(self._context.own[rows])
            self._groups[place] = _Group.fit(look.take(rows), features, rows, self._inside)
        return self._groups[place]

    def scores(self, look: Look, *, explain_below: float = 0.0) -> Scores:
        """p-values of data sets, and in words in what those below a limit differ most.

        Arguments:
            explain_below: p-value below which reasons are given.
        """
        own = self._context(look.context)
        places = cKDTree(self._places).query(own)[1] if own.shape[1] else np.zeros(len(own), int)
        p, looks = np.ones(len(look)), np.ones((len(look), len(LOOKS)))
        reasons = [""] * len(look)
        for place in np.unique(places).tolist():
            rows = np.flatnonzero(places == place)
            group, some = self._group(place), look.take(rows)
            every = group.every(some, self._context.features(own[rows]))
            p[rows], looks[rows] = group.combined(every.p), every.p
            for i in np.flatnonzero(p[rows] < explain_below).tolist():
                reasons[rows[i]] = self._reason(some, every, group, i)
        return Scores(p, looks, tuple(reasons))

    def _reason(self, look: Look, every: _Every, group: _Group, i: int) -> str:
        """A sentence on the statistic, value or context in which data set i differs most."""
        whole = self.reference.look
        first = int(every.p[i].argmin())
        k = int(every.context[i].argmin()) if every.context.shape[1] else None
        # What goes with context that was never seen is not comparable, however strange it looks.
        if k is not None and (
            every.p[i, 0] <= every.p[i, first] * 10
            or _never_seen(look.context, whole.context, k, i)
        ):
            return _beyond(look.context, whole.context, k, i, "trained on")
        if every.p[i, 1] <= every.p[i, first] * 10:
            return _beyond(look.values, whole.values, every.values[i].argmin(), i, "simulated")
        if not every.one.shape[1] or every.one[i].min() > 0.05:
            return "what the networks make of it, as a whole"
        p = every.one[i]
        plain = int(np.argmax(p <= max(10 * p.min(), _AS_CLEAR)))  # the plainest of the clearest
        name, value = look.statistics.names[plain], look.statistics.numbers[i, plain]
        near = group.look.statistics.numbers[:, plain]
        low, high = np.nanmin(near), np.nanmax(near)
        if low <= value <= high:
            low, high = np.nanquantile(near, (0.01, 0.99))
            return f"{name} {number(value)}, in most simulations {span(low, high)}"
        return f"{name} {number(value)}, simulated {span(low, high)}"


def number(value: float) -> str:
    """A number in words."""
    return f"{value:.4g}".replace("-", "−")


def span(low: float, high: float) -> str:
    """A range in words."""
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _never_seen(own: Table, whole: Table, k: int, i: int) -> bool:
    """True if the number k of data set i is outside of those that were simulated."""
    value, seen = own.numbers[i, k], whole.numbers[:, k]
    return bool(value < np.nanmin(seen) or value > np.nanmax(seen))


def _beyond(own: Table, whole: Table, k: int, i: int, said: str) -> str:
    """A sentence on the number k of data set i that is outside what was simulated."""
    name, value, seen = own.names[k], own.numbers[i, k], whole.numbers[:, k]
    low, high = np.nanmin(seen), np.nanmax(seen)
    end = {"min of ": f"max of {name[7:]}", "max of ": f"min of {name[7:]}"}.get(name[:7])
    if end in whole.names:  # of a value, whatever it is the end of
        other = whole.numbers[:, whole.names.index(end)]
        name, low, high = name[7:], min(low, np.nanmin(other)), max(high, np.nanmax(other))
    return f"{name} = {number(value)}, {said} {span(low, high)}"


def _known(table: Table) -> np.ndarray:
    """Numbers with the column's median where one is missing, `(dataset, column)`."""
    numbers = np.where(np.isfinite(table.numbers), table.numbers, np.nan)
    numbers = np.where(np.isnan(numbers).all(axis=0), 0.0, numbers)
    middle = np.nanmedian(numbers, axis=0) if numbers.size else 0.0
    return np.where(np.isnan(numbers), middle, numbers)


@dataclass(frozen=True)
class Context:
    """Context in standard units.

    Arguments:
        bent: True where a number is looked at on a log scale, `(number,)`.
        centre, spread, low, high: Mean, sd, minimum and maximum of each number, `(number,)`.
        own: Context of the reference in standard units, `(dataset, number)`.
    """

    bent: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, table: Table) -> Context:
        """Context of simulated data sets, with its own location and scale."""
        numbers = _known(table)[:, :_MOST_CONTEXT]
        low, high = numbers.min(axis=0, initial=np.inf), numbers.max(axis=0, initial=-np.inf)
        bent = (low > 0) & (high > 10 * low)
        scaled = np.where(bent, np.log(np.where(bent, numbers, 1.0)), numbers)
        same = almost_constant(numbers)
        spread = np.where(same, np.inf, scaled.std(axis=0))
        empty = cls(bent, scaled.mean(axis=0), spread, low, high, scaled)
        return cls(bent, empty.centre, spread, low, high, empty(table))

    def __call__(self, table: Table) -> np.ndarray:
        """Context in standard units, clipped to what was simulated, `(dataset, number)`."""
        numbers = table.numbers[:, :_MOST_CONTEXT]
        numbers = np.clip(np.where(np.isfinite(numbers), numbers, self.low), self.low, self.high)
        scaled = np.where(self.bent, np.log(np.where(self.bent, numbers, 1.0)), numbers)
        return np.asarray((scaled - self.centre) / self.spread)[:, np.isfinite(self.spread)]

    def features(self, own: np.ndarray) -> np.ndarray:
        """1, the context, and squares of few numbers of it, `(dataset, feature)`."""
        squares = [own**2 - 1] if own.shape[1] <= _SQUARED else []
        return np.concatenate([np.ones((len(own), 1)), own, *squares], axis=1)


@dataclass(frozen=True)
class _Every:
    """p-values of data sets: of every look, of numbers of context, of values, of statistics."""

    p: np.ndarray
    context: np.ndarray
    values: np.ndarray
    one: np.ndarray


@dataclass(frozen=True)
class _Group:
    """Simulations of similar context, and the rules learned from them."""

    look: Look
    inside: tuple[Folds, Folds]
    summaries: Distance
    statistics: Distance
    one: Folds
    far: Folds
    smallest: Tails

    @classmethod
    def fit(
        cls, look: Look, features: np.ndarray, rows: np.ndarray, inside: tuple[Folds, Folds]
    ) -> _Group:
        """Learn from simulations.

        Arguments:
            features: Of their context.
            rows: Their places in the reference.
            inside: Rules for context and values, learned from the whole reference.
        """
        summaries = Distance.fit(features, look.summaries)
        statistics = Distance.fit(features, look.statistics.bent())
        one = Folds.of(TwoSided.of, statistics.z, rows)
        distances = np.stack([summaries.squared, statistics.squared], axis=1)
        far = Folds.of(Tails.of, np.concatenate([distances, surprise(one.own)], axis=1), rows)
        every = np.concatenate([*(_of_all(of.own[rows]) for of in inside), far.own], axis=1)
        return cls(
            look,
            inside,
            summaries,
            statistics,
            one,
            far,
            Tails.of(surprise(every)),
        )

    def every(self, look: Look, features: np.ndarray) -> _Every:
        """p-values of data sets, one look after the other."""
        numbers = look.context.numbers, look.values.numbers
        inside = [of.p(own) for of, own in zip(self.inside, numbers, strict=True)]
        _, first = self.summaries(features, look.summaries)
        z, second = self.statistics(features, look.statistics.bent())
        one = self.one.p(z)
        far = self.far.p(np.stack([first, second, surprise(one)[:, 0]], axis=1))
        p = np.concatenate([*map(_of_all, inside), far], axis=1)
        return _Every(p, inside[0], inside[1], one)

    def combined(self, p: np.ndarray) -> np.ndarray:
        """The p-value `(dataset,)` of the smallest of `p (dataset, look)`."""
        return self.smallest(surprise(p))[:, 0]


Rule = Callable[[np.ndarray], np.ndarray]
"""p-values of numbers, both `(dataset, column)`."""


@dataclass(frozen=True)
class Folds:
    """A rule learned from simulations, and the p-values that it would give them as new data.

    Arguments:
        p: The rule, learned from all but the last fold.
        own: p-value of each simulation by the rule learned from the other folds.
    """

    p: Rule
    own: np.ndarray

    @classmethod
    def of(cls, fit: Callable[[np.ndarray], Rule], numbers: np.ndarray, rows: np.ndarray) -> Folds:
        """Learn the rule from `numbers (dataset, column)`, once without each fold.

        Arguments:
            rows: Their places in the reference, which decide the fold.
        """
        own = np.ones(numbers.shape)
        for fold in range(FOLDS):
            mine = rows % FOLDS == fold
            p = fit(numbers[~mine])
            own[mine] = p(numbers[mine])
        return cls(p, own)


def _least(p: np.ndarray) -> np.ndarray:
    """The smallest p-value in each row, `(dataset, 1)`; 1 where there is none."""
    return p.min(axis=1, initial=1.0)[:, None]


def _of_all(p: np.ndarray) -> np.ndarray:
    """The smallest p-value in each row times their number (Bonferroni), `(dataset, 1)`."""
    return np.minimum(_least(p) * p.shape[1], 1.0)


def surprise(p: np.ndarray) -> np.ndarray:
    """−log of the smallest p-value in each row, `(dataset, 1)`, finite where one underflows."""
    return -np.log(np.maximum(_least(p), np.finfo(np.float64).tiny))
