"""Contents of files, whatever their format: read of one, or on their way into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from abi_cli.data.draws import USUAL_STYLE, DrawHeader, Draws, Statistics, Style
from abi_cli.data.entries import Asked, Entries, Wanted
from abi_cli.variables import Datasets, Layout


class Kind(StrEnum):
    """A kind of content: data sets, draws, estimates."""

    DATA = "data sets"
    REPLICATES = "replicates"
    """Data sets whose labels come again and again."""
    DRAWS = "draws"
    LONG_DRAWS = "long draws"
    """Draws with a row for each of their elements."""
    ESTIMATES = "estimates"
    UNSURE = "draws or data sets"
    """Draws or data sets: the file does not tell."""


class Carrier(Protocol):
    """A file that is open and parsed as far as its format goes: a table, records or arrays.

    It is read once, by one of these. All of them raise a `DataError` where it is something else.
    """

    def kind(self) -> Kind:
        """The kind of content, judging by names and shapes."""

    def shapes(self, asked: Asked) -> dict[str, tuple[int, ...]]:
        """The event shapes of variables, by name."""

    def sets(self) -> set[str]:
        """Variables that look like sets or series, where no model says which are."""

    def entries(self, wanted: Wanted) -> Entries:
        """The entries, one per data set."""

    def points(self, wanted: Wanted) -> Entries:
        """The entries of a file of points, one per row; their labels may repeat."""

    def batches(self, wanted: Wanted, datasets: int) -> Iterator[Entries]:
        """The entries of so many data sets at a time, as they come."""

    def draws(self) -> Draws:
        """Draws as they were written, in memory."""

    def estimates(self) -> Statistics:
        """Estimates as they were written."""


@dataclass(frozen=True)
class DataSets:
    """Data sets on their way out: a part of them, and facts about the others.

    Arguments:
        values: What the layout doesn't name is left out.
        labels: May come again, in replicated data.
    """

    values: Datasets
    layout: Layout
    labels: Sequence[str]

    def present(self) -> Datasets:
        """The values that the layout names, in its order."""
        return {v.name: self.values[v.name] for v in self.layout.variables if v.name in self.values}


@dataclass(frozen=True)
class EstimateHeader:
    """The header of estimates, known before the first one is made.

    Arguments:
        names: Names of the estimates: `mean`, `sd`, `q5`, ….
        style: Style of the names of elements, in tables.
    """

    names: Sequence[str]
    style: Style = USUAL_STYLE


Content = DataSets | DrawHeader | EstimateHeader
"""The content of a file as known before its parts come: data sets, blocks of draws, statistics."""

Append = Callable[[Any], None]
"""A function that takes the next part: a `DataSets`, a `DrawBlock` or a `Statistics`."""
