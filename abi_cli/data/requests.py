"""Data sets that come line by line and are answered line by line, each on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import BinaryIO

from abi_cli.data.datasets import Loaded, loaded_of, one_after_the_other, wanted_of
from abi_cli.data.entries import Naming
from abi_cli.data.files import Source
from abi_cli.data.json_files import LONGEST_LINE
from abi_cli.data.record_texts import parse, record
from abi_cli.data.records import Records
from abi_cli.errors import DataError
from abi_cli.variables import Layout

_STREAM = Source(None)


@dataclass(frozen=True)
class Line:
    """A line of standard input.

    Arguments:
        number: From 1 on.
        text: What it begins with, if it is longer than any line may be.
    """

    number: int
    text: bytes

    @property
    def place(self) -> str:
        """The place of the line, for messages."""
        return f"line {self.number}"


@dataclass(frozen=True)
class Requests:
    """Requests of some lines.

    Arguments:
        loaded: The data sets that can be read, called by the number of their line where they have
            no label; None if there is none.
        refused: Place of a line among them → why it is no data set.
    """

    loaded: Loaded | None
    refused: dict[int, Exception]


def lines_of(stream: BinaryIO) -> Iterator[Line]:
    """Lines as they come, but for empty ones."""
    for number in count(1):
        text = stream.readline(LONGEST_LINE)
        if not text:
            return
        rest = text
        while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE)
        if text.strip():
            yield Line(number, text)


def read_requests(lines: Sequence[Line], layout: Layout, naming: Naming) -> Requests:
    """Read lines; one that is no data set of the model is refused and leaves the others alone.

    Whatever goes wrong with a line is said of that line.
    """
    try:  # all at once is quick, and finds that a line is wrong, though not always which
        return Requests(_read(lines, layout, naming), {})
    except Exception as error:
        if len(lines) == 1:
            return Requests(None, {0: error})
    each = [read_requests([line], layout, naming) for line in lines]
    parts = [requests.loaded for requests in each if requests.loaded is not None]
    return Requests(
        one_after_the_other(parts) if parts else None,
        {place: requests.refused[0] for place, requests in enumerate(each) if requests.refused},
    )


def _read(lines: Sequence[Line], layout: Layout, naming: Naming) -> Loaded:
    for line in lines:
        if len(line.text) == LONGEST_LINE:
            raise DataError(
                f"expected an object; got a line of more than {LONGEST_LINE:,} bytes",
                place=line.place,
            )
    found = [record(parse(line.text, line.place), line.place) for line in lines]
    entries = Records(_STREAM, found).entries(wanted_of(layout, naming))
    labels = entries.labels or tuple(str(line.number) for line in lines)
    # A label may come again, hours later or at once: what must not be called alike are files' sets.
    alike = len(set(labels)) < len(labels)
    own = replace(entries, labels=tuple(map(str, range(len(labels)))) if alike else labels)
    return replace(loaded_of(own, layout, naming, _STREAM), labels=list(labels))
