"""Draws in a few numbers: per data set and scalar parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from abi_cli.data.draws import Draws

STATISTICS = ("mean", "sd", "mcse", "median", "q5", "q95")
"""Mean, standard deviation (n − 1), Monte Carlo standard error of the mean, quantiles."""


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


def summarize(draws: Draws) -> Summary:
    """Mean, sd, mcse, median and 90 % interval of each scalar in each data set.

    Draws are independent, so the Monte Carlo standard error of the mean is

        mcse = sd / √draws

    and the sd, with n − 1, is NaN for a single draw.
    """
    per_element = [_statistics(element) for element in draws.elements().values()]
    return Summary(
        draws.labels,
        tuple(draws.elements()),
        {name: np.stack([s[name] for s in per_element], axis=1) for name in STATISTICS},
    )


def _statistics(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Of `draws (dataset, draw)`, each `(dataset,)`."""
    n = draws.shape[1]
    mean = draws.mean(axis=1, dtype=np.float64)
    sd = draws.std(axis=1, ddof=1, dtype=np.float64) if n > 1 else np.full(len(draws), np.nan)
    median, q5, q95 = np.quantile(draws, [0.5, 0.05, 0.95], axis=1).astype(np.float64)
    figures = (mean, sd, sd / np.sqrt(n), median, q5, q95)
    return dict(zip(STATISTICS, figures, strict=True))
