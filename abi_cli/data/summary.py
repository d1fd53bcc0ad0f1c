"""Draws in a few numbers: per data set and scalar parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.data.draws import Draws
from abi_cli.data.statistics import statistics

STATISTICS = ("mean", "sd", "mcse", "median", "q5", "q95")
"""What a summary has unless told otherwise; see `statistics`."""


@dataclass(frozen=True)
class Summary:
    """Statistics of draws.

    Arguments:
        labels: Of the data sets.
        elements: Names of the scalars of a draw: `beta[0]`, `beta[1]`, `sigma`.
        values: Name of a statistic → `(dataset, element)`, float64, on the user's scale.
    """

    labels: tuple[str, ...]
    elements: tuple[str, ...]
    values: dict[str, np.ndarray]

    def rows(self) -> Iterator[tuple[str, str, dict[str, float]]]:
        """Label, element and its statistics; element after element, data set after data set."""
        for i, label in enumerate(self.labels):
            for j, element in enumerate(self.elements):
                yield label, element, {name: float(v[i, j]) for name, v in self.values.items()}


def summarize(draws: Draws, names: Sequence[str] = STATISTICS) -> Summary:
    """The statistics `names` of each scalar in each data set."""
    per_element = [statistics(element, names) for element in draws.elements().values()]
    return Summary(
        draws.labels,
        tuple(draws.elements()),
        {
            name: np.stack(own, axis=1)
            for name, own in zip(names, zip(*per_element, strict=True), strict=True)
        },
    )
