"""Log posterior densities of given parameter values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import Frame, Loaded, Naming, read_frame_of_parameters, read_parameters
from abi_cli.variables import Datasets, Layout


@dataclass(frozen=True)
class Densities:
    """Log posterior densities of given parameter values.

    Arguments:
        labels: The data set of each.
        log_prob: `(row,)`, on the parameters' own scale, −inf outside their support.
    """

    labels: tuple[str, ...]
    log_prob: np.ndarray


@dataclass(frozen=True)
class Points:
    """Values of the parameters at which densities are asked for.

    Arguments:
        index: Which data set each is for, `(row,)`.
        parameters: Name → `(row, *event)`.
        place: Where they are from.
    """

    index: np.ndarray
    parameters: Datasets
    place: str


def read_points(at: Path | str | Frame, loaded: Loaded, layout: Layout, naming: Naming) -> Points:
    """Values of the parameters in a file or a table in memory, each for one of the data sets.

    Errors:
        DataError: They are not values of these parameters, or are for other data.
    """
    if isinstance(at, Path | str):
        found = read_parameters(Path(at), layout, loaded.labels, naming=naming)
        return Points(*found, str(at))
    found = read_frame_of_parameters(at, layout, loaded.labels, naming=naming)
    return Points(*found, "the table of parameters")
