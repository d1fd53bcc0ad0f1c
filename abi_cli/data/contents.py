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
    """A row for each element of a draw."""
    ESTIMATES = "estimates"
    UNSURE = "draws or data sets"
    """The file does not tell."""


class Carrier(Protocol):
    """A file that is open and parsed as far as its format goes: a table, records or arrays.

    It is read once, by one of these. All of them raise a `DataError` where it is something else.
    """

    def kind(self) -> Kind:
        """What it holds, as names and shapes in it say."""

    def shapes(self, asked: Asked) -> dict[str, tuple[int, ...]]:
        """Event shape by variable."""

    def sets(self) -> set[str]:
        """Variables that look like sets or series, where no model says which are."""

    def entries(self, wanted: Wanted) -> Entries:
        """One entry per data set."""

    def points(self, wanted: Wanted) -> Entries:
        """One entry per row of points; their labels may repeat."""

    def batches(self, wanted: Wanted, datasets: int) -> Iterator[Entries]:
        """As `entries`, so many data sets at a time, as they come."""

    def draws(self) -> Draws:
        """Draws as they were written, in memory."""

    def estimates(self) -> Statistics:
        """Estimates as they were written."""


@dataclass(frozen=True)
class DataSets:
    """Data sets on their way out: a part of themselves, and what is known of the others.

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
        names: Of what is estimated: `mean`, `sd`, `q5`, ….
        style: Of the names of elements, in tables.
    """

    names: Sequence[str]
    style: Style = USUAL_STYLE


Content = DataSets | DrawHeader | EstimateHeader
"""What is known of what a file will hold, before its parts come: itself, blocks, statistics."""

Append = Callable[[Any], None]
"""Takes the next part of a content: a `DataSets`, a `DrawBlock` or a `Statistics`."""
