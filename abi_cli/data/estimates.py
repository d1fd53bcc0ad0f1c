"""Point estimates of parameters: of networks that give nothing else, or of draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import formats
from abi_cli.data.draws import Draws
from abi_cli.data.files import output, output_errors

OF_DRAWS = ("mean", "sd", "q5", "median", "q95")
"""What is estimated of draws: mean, standard deviation (n − 1) and quantiles."""


@dataclass(frozen=True)
class Estimates:
    """Of every parameter in every data set.

    Arguments:
        labels: Of the data sets.
        names: Of what is estimated: `mean`, `sd`, `q5`, `median`, ….
        values: Parameter name → `(dataset, estimate, *event)`, float32, on the user's scale.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: dict[str, np.ndarray]

    def elements(self) -> dict[str, np.ndarray]:
        """Name of a scalar → its estimates `(dataset, estimate)`: `beta[0]`, `beta[1]`, `sigma`."""
        return Draws(self.labels, self.values).elements()

    def rows(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Label, scalar and its estimates `(estimate,)`; data set after data set."""
        elements = self.elements()
        for i, label in enumerate(self.labels):
            for element, values in elements.items():
                yield label, element, values[i]


def estimates_of(draws: Draws) -> Estimates:
    """Those of `OF_DRAWS`; the sd of a single draw is NaN."""

    def of(values: np.ndarray) -> np.ndarray:
        wide = values.astype(np.float64)
        sd = wide.std(axis=1, ddof=1) if wide.shape[1] > 1 else np.full_like(wide[:, 0], np.nan)
        low, median, high = np.quantile(wide, [0.05, 0.5, 0.95], axis=1)
        stacked = np.stack([wide.mean(axis=1), sd, low, median, high], axis=1)
        return stacked.astype(np.float32)

    values = {name: of(value) for name, value in draws.values.items()}
    return Estimates(draws.labels, OF_DRAWS, values)


def write_estimates(target: Path | None, estimates: Estimates, *, format: str | None) -> None:
    """Write a file, which appears whole.

    Arguments:
        target: None is standard output.
        format: A format's name; by default that of the extension, CSV for standard output.

    Errors:
        UsageError: No such format, or one that has no place for estimates.
        OutputError: The file can't be written.
    """
    write = formats.choose(target, format, lambda fmt: fmt.write_estimates)
    with output(target) as stream, output_errors(target):
        write(stream, estimates.labels, estimates.names, estimates.values)
