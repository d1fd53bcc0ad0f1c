"""Data sets that come line by line and are answered line by line, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from abi_cli.data import records
from abi_cli.data.datasets import loaded_of, wanted_of
from abi_cli.data.entries import Naming
from abi_cli.data.files import Source
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Layout, concatenate

_STREAM = Source(None)


@dataclass(frozen=True)
class Line:
    """A line of standard input.

    Arguments:
        number: From 1 on.
        text: Without its end.
    """

    number: int
    text: bytes


@dataclass(frozen=True)
class Requests:
    """What some lines ask for.

    Arguments:
        labels: Of the data sets that can be answered; a line's number where it has none.
        datasets: These data sets; None if there is none.
        refused: Place of a line among them → why it is no data set.
    """

    labels: list[str]
    datasets: Datasets | None
    refused: dict[int, DataError]


def read_requests(lines: Sequence[Line], layout: Layout, naming: Naming) -> Requests:
    """Read lines; one that is no data set of the model is refused and leaves the others alone."""
    try:  # all at once is quick, and finds that a line is wrong, though not always which
        return _read(lines, layout, naming)
    except DataError as error:
        if len(lines) == 1:
            return Requests([], None, {0: error})
    each = [read_requests([line], layout, naming) for line in lines]
    parts = [requests.datasets for requests in each if requests.datasets is not None]
    return Requests(
        [label for requests in each for label in requests.labels],
        concatenate(parts) if parts else None,
        {place: requests.refused[0] for place, requests in enumerate(each) if requests.refused},
    )


def _read(lines: Sequence[Line], layout: Layout, naming: Naming) -> Requests:
    places = [f"line {line.number}" for line in lines]
    found = [
        records.record(records.parse(line.text, place), place)
        for line, place in zip(lines, places, strict=True)
    ]
    entries = records.entries_of(found, wanted_of(layout, naming), _STREAM)
    labels = entries.labels or tuple(str(line.number) for line in lines)
    # A label may come again, hours later or at once: what must not be called alike are files' sets.
    alike = len(set(labels)) < len(labels)
    own = replace(entries, labels=tuple(map(str, range(len(labels)))) if alike else labels)
    return Requests(list(labels), loaded_of(own, layout, naming, _STREAM).datasets, {})
