"""The reference of a run: what simulated data sets are like that nothing was learned from.

It is arrays of numbers, one row for each of them; the data sets themselves are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.guard.plain import Family, Plain, Table, families_of
from abi_cli.variables import Datasets, Layout, count

MOST, LEAST = 5_000, 500
"""Most and fewest simulated data sets that are kept."""

SHARE = 0.02
"""Number of data sets in the reference, as a share of a training's simulations."""

_TABLES = ("context", "values", "statistics")

_MOST_NUMBERS = 100_000
"""Most columns of a table in a file; real ones come nowhere near."""

Summarize = Callable[[Datasets], np.ndarray]
"""Function from data sets to the networks' summaries of them, `(dataset, summary)`."""


def wanted(simulations: int) -> int:
    """Number of data sets in the reference of a training on so many simulations."""
    return int(np.clip(SHARE * simulations, LEAST, MOST))


@dataclass(frozen=True)
class Look:
    """Data sets as the guard sees them.

    Arguments:
        context: Context, covariates, sizes and shares missing.
        values: The smallest and the largest of each observable.
        statistics: Plain statistics of the observables.
        summaries: Summaries by the networks, `(dataset, summary)`.
    """

    context: Table
    values: Table
    statistics: Table
    summaries: np.ndarray

    def __len__(self) -> int:
        return len(self.summaries)

    @classmethod
    def at(cls, data: Datasets, plain: Plain, summaries: np.ndarray) -> Look:
        """Look at data sets on the user's scale."""
        single = summaries.astype(np.float32).astype(np.float64)
        return cls(plain.context(data), plain.values(data), plain.statistics(data), single)

    def take(self, rows: np.ndarray) -> Look:
        """The data sets at `rows`."""
        context, values, statistics = (
            Table(table.names, table.numbers[rows])
            for table in (self.context, self.values, self.statistics)
        )
        return Look(context, values, statistics, self.summaries[rows])


@dataclass(frozen=True)
class Reference:
    """Simulated data sets as the guard sees them, and how it looks at others.

    Arguments:
        families: Of variables, as `guard.plain` has them.
    """

    look: Look
    families: tuple[Family, ...]

    @classmethod
    def of(
        cls,
        parts: Iterable[Datasets],
        layout: Layout,
        summarize: Summarize,
        *,
        series: Iterable[str] = (),
    ) -> Reference | None:
        """The reference made of simulated data sets; None where there are none.

        Arguments:
            parts: Simulated data sets in parts, on the user's scale.
            series: Variables whose members are steps.
        """
        plain: Plain | None = None
        looks = []
        for data in parts:
            if not count(data):
                continue
            plain = plain or Plain(layout, tuple(families_of(layout, data, [*series])))
            looks.append(Look.at(data, plain, summarize(data)))
        return cls(_joined(looks), plain.families) if plain is not None else None

    def __len__(self) -> int:
        return len(self.look)

    def look_at(self, data: Datasets, layout: Layout, summaries: np.ndarray) -> Look:
        """Look at data sets of this model, with the columns of the reference and no others."""
        look, own = Look.at(data, Plain(layout, self.families), summaries), self.look
        context, values, statistics = (
            found.named(known.names)
            for found, known in zip(
                (look.context, look.values, look.statistics),
                (own.context, own.values, own.statistics),
                strict=True,
            )
        )
        return Look(context, values, statistics, look.summaries)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for a file: numbers in single precision, and the names as JSON."""
        said = {
            "families": [[list(f.names), f.ordered] for f in self.families],
            **{name: list(getattr(self.look, name).names) for name in _TABLES},
        }
        return {
            "names": np.array(json.dumps(said)),
            **{name: getattr(self.look, name).numbers.astype(np.float32) for name in _TABLES},
            "summaries": self.look.summaries.astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Reference:
        """A reference from the arrays that `to_arrays` gave.

        Errors:
            ValueError: They are no reference.
        """
        try:
            said = json.loads(str(arrays["names"]))
            families = tuple(
                Family(tuple(map(str, names)), bool(ordered)) for names, ordered in said["families"]
            )
            tables = {name: Table(tuple(map(str, said[name])), arrays[name]) for name in _TABLES}
            summaries = arrays["summaries"]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"expected a reference of simulations; {error!r}") from error
        if summaries.ndim != 2 or _odd(summaries) or not len(summaries):
            raise ValueError("expected summaries of data sets")
        for name, table in tables.items():
            if table.numbers.shape != (len(summaries), len(table.names)) or _odd(table.numbers):
                raise ValueError(f"expected a number of each name in {name}")
        double = {n: Table(t.names, t.numbers.astype(np.float64)) for n, t in tables.items()}
        context, values, statistics = (double[name] for name in _TABLES)
        return cls(Look(context, values, statistics, summaries.astype(np.float64)), families)


def _odd(numbers: np.ndarray) -> bool:
    return numbers.dtype.kind != "f" or numbers.shape[1] > _MOST_NUMBERS


def _joined(looks: list[Look]) -> Look:
    def table(name: str) -> Table:
        parts = [getattr(look, name) for look in looks]
        return Table(parts[0].names, np.concatenate([part.numbers for part in parts]))

    context, values, statistics = map(table, _TABLES)
    summaries = np.concatenate([look.summaries for look in looks])
    return Look(context, values, statistics, summaries)
