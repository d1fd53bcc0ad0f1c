"""Draws outside all that the prior gave in training: counted as they go by, and reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from abi_cli.ranges import Range
from abi_cli.variables import DrawBlock, element_names

MANY = 0.01
"""Share of a data set's draws from which on those outside are reported."""

RARE = 1e-4
"""Share of all draws up to which some may be far out, or in the tails of a declared prior."""

_NAMED = 3


class Beyond:
    """A counter of draws outside, which it watches go by.

    Arguments:
        ranges: Name of a scalar → what the prior gave of it.
    """

    def __init__(self, ranges: Mapping[str, Range]):
        self._ranges = ranges
        self._made: dict[int, int] = {}
        self._outside: dict[str, dict[int, int]] = {}
        self._far: dict[str, int] = {}
        self._farthest: dict[str, float] = {}

    def watching(self, blocks: Iterable[DrawBlock]) -> Iterator[DrawBlock]:
        """The same blocks, each taken into account as it goes by."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: DrawBlock) -> None:
        """Take the next block into account."""
        datasets, draws = block.shape
        places = range(block.first_dataset, block.first_dataset + datasets)
        for place in places:
            self._made[place] = self._made.get(place, 0) + draws
        for parameter, value in block.values.items():
            flat = value.reshape(datasets, draws, -1)
            for k, name in enumerate(element_names(parameter, value.shape[2:])):
                if name in self._ranges:
                    self._count(name, flat[:, :, k], places)

    def _count(self, name: str, values: np.ndarray, places: range) -> None:
        own = self._ranges[name]
        number = own.outside(values).sum(axis=1)
        if not number.any():
            return
        counts = self._outside.setdefault(name, {})
        for place, more in zip(places, number.tolist(), strict=True):
            if more:
                counts[place] = counts.get(place, 0) + more
        self._far[name] = self._far.get(name, 0) + int(
            (own.far(values) | own.improbable(values)).sum()
        )
        seen = np.append(values.ravel(), self._farthest.get(name, own.low))
        self._farthest[name] = float(seen[own.distance(seen).argmax()])

    def sentences(self, labels: Sequence[str]) -> Iterator[str]:
        """Sentences on scalars of which many draws, or some from far out, are outside.

        Arguments:
            labels: Labels of the data sets.
        """
        for name, counts in self._outside.items():
            own, all_draws = self._ranges[name], sum(self._made.values())
            shares = {place: number / self._made[place] for place, number in counts.items()}
            many = sorted((p for p in shares if shares[p] >= MANY), key=lambda p: -shares[p])
            far = self._far[name] > RARE * all_draws
            if not many and not far:
                continue
            where = many or sorted(shares, key=lambda place: -shares[place])
            named = ", ".join(f"{labels[p]} ({100 * shares[p]:.1f} %)" for p in where[:_NAMED])
            more = f" and {len(where) - _NAMED:,} more" if len(where) > _NAMED else ""
            reach = f", as far as {_number(self._farthest[name])}" if far else ""
            yield (
                f"draws of {name} lie outside {own}, all that the prior gave in training{reach}, "
                f"in {len(where):,} of {len(self._made):,} data sets: {named}{more}"
            )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
