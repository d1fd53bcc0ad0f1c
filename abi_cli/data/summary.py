"""Draws in a few numbers: per data set and scalar parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from abi_cli.data.draws import Draws
from abi_cli.data.statistics import statistics, worth
from abi_cli.errors import DataError

STATISTICS = ("mean", "sd", "mcse", "median", "q5", "q95")
"""What a summary has unless told otherwise; see `statistics`."""


@dataclass(frozen=True)
class Summary:
    """Statistics of draws.

    Arguments:
        labels: Of the data sets.
        elements: Names of the scalars of a draw: `beta[0]`, `beta[1]`, `sigma`.
        values: Name of a statistic → `(dataset, element)`, float64, on the user's scale.
        titles: Name of a scalar → what the spec wants people to read instead, if anything.
    """

    labels: tuple[str, ...]
    elements: tuple[str, ...]
    values: dict[str, np.ndarray]
    titles: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str, dict[str, float]]]:
        """Label, element and its statistics; element after element, data set after data set.

        Elements that a data set does not have, of which all statistics are NaN, are left out.
        """
        for i, label in enumerate(self.labels):
            for j, element in enumerate(self.elements):
                own = {name: float(v[i, j]) for name, v in self.values.items()}
                if not all(map(math.isnan, own.values())):
                    yield label, element, own


def summary_of(
    rows: Iterable[tuple[str, str, Mapping[str, float]]], place: Callable[[int], str]
) -> Summary:
    """Estimates that come one after the other: label, element, value by name.

    Arguments:
        place: Where the row of an index stands.

    Errors:
        DataError: One comes twice, or not for every data set; rows have other names than the first.
    """
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    names: tuple[str, ...] = ()
    for number, (label, element, values) in enumerate(rows):
        names = names or tuple(values)
        if (label, element) in cells or tuple(values) != names:
            raise DataError(
                "expected each parameter of each data set once, with the same estimates",
                place=place(number),
            )
        cells[label, element] = values
    labels = tuple(dict.fromkeys(label for label, _ in cells))
    elements = tuple(dict.fromkeys(element for _, element in cells))
    if not names or len(cells) != len(labels) * len(elements):
        raise DataError(
            "expected each parameter of each data set once, and a number at least", place=place(0)
        )
    table = {
        name: np.array([[cells[label, element][name] for element in elements] for label in labels])
        for name in names
    }
    return Summary(labels, elements, table)


def summarize(draws: Draws, names: Sequence[str] = STATISTICS) -> Summary:
    """The statistics `names` of each scalar in each data set.

    Of Markov chains `mcse` counts what their draws are worth, and `ess`, which says that, is added.
    """
    elements = draws.elements()
    per_element = [statistics(element, names) for element in elements.values()]
    values = {
        name: np.stack(own, axis=1)
        for name, own in zip(names, zip(*per_element, strict=True), strict=True)
    }
    if draws.chains and "mcse" in names:
        size = np.stack([worth(element, draws.chains) for element in elements.values()], axis=1)
        number = next(iter(elements.values())).shape[1]
        values["mcse"] = values["mcse"] * np.sqrt(number / size)
        values["ess"] = size
    return Summary(draws.labels, tuple(elements), values)
