"""Draws and estimates in and out, in any format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from abi_cli.data import formats
from abi_cli.data.contents import Append, EstimateHeader, Kind
from abi_cli.data.draws import USUAL_STYLE, DrawHeader, Draws, Statistics, Style
from abi_cli.data.files import Source
from abi_cli.errors import DataError
from abi_cli.variables import DrawBlock


class DrawWriter:
    """A writer that takes blocks of draws in order, as `open_draws` hands it out."""

    def __init__(self, append: Append, header: DrawHeader):
        self._append = append
        self._header = header
        self._next = (0, 0)

    def write(self, block: DrawBlock) -> None:
        """Append a block.

        Errors:
            ValueError: It isn't the next one.
            OutputError: The file can't be written.
        """
        first = (block.first_dataset, block.first_draw)
        datasets, draws = block.shape
        last = block.first_draw + draws
        if first != self._next or last > self._header.draws or (datasets > 1 and last != draws):
            raise ValueError(f"Expected the block of draws at {self._next}; got {first}")
        whole = last == self._header.draws
        self._next = (block.first_dataset + datasets, 0) if whole else (block.first_dataset, last)
        self._append(block)

    def check_complete(self) -> None:
        """Refuse to end before all draws have come.

        Errors:
            ValueError: Draws are missing.
        """
        end = (len(self._header.labels), 0)
        if self._next != end:
            raise ValueError(f"Expected blocks of draws up to {end}; got them up to {self._next}")


@contextmanager
def open_draws(
    target: Path | None, header: DrawHeader, *, format: str | None = None, long: bool = False
) -> Iterator[DrawWriter]:
    """A writer of draws; the file appears when the context ends well, whole, or not at all.

    Arguments:
        target: None is standard output.
        header: What is known beforehand.
        format: A format's name; by default that of the extension, CSV for standard output.
        long: A row for each element of a draw, in a table.

    Errors:
        UsageError: No such format.
        OutputError: The file can't be written.
    """
    codec = formats.for_writing(target, format, Kind.LONG_DRAWS if long else Kind.DRAWS)
    with formats.writing(target, codec, replace(header, long=long)) as append:
        writer = DrawWriter(append, header)
        yield writer
        writer.check_complete()


def write_estimates(
    target: Path | None,
    names: Sequence[str],
    parts: Iterable[Statistics],
    *,
    format: str | None,
    style: Style = USUAL_STYLE,
) -> int:
    """Write estimates to a file, which appears whole.

    Arguments:
        target: None is standard output.
        names: Names of the estimates.
        parts: Some data sets at a time.
        format: A format's name; by default that of the extension, CSV for standard output.

    Returns:
        How many data sets there were.

    Errors:
        UsageError: No such format, or one that has no place for estimates.
        OutputError: The file can't be written.
    """
    codec = formats.for_writing(target, format, Kind.ESTIMATES)
    datasets = 0
    with formats.writing(target, codec, EstimateHeader(names, style)) as append:
        for part in parts:
            append(part)
            datasets += len(part.labels)
    return datasets


def read_kind(source: Path | None, *, format: str | None = None) -> Kind:
    """The kind of content of a file of ours, or of one like ours.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or is damaged.
    """
    with formats.opened(source, format) as file:
        return file.kind()


def read_draws(source: Path | None, *, format: str | None = None) -> Draws:
    """Draws of a file that we wrote, in memory.

    Arguments:
        source: None is standard input.
        format: A format's name; by default that of the extension, CSV for standard input.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or holds no draws.
    """
    with formats.opened(source, format) as file:
        return file.draws()


def read_answers(source: Path | None, *, format: str | None = None) -> Draws | Statistics:
    """The posteriors that a file holds: draws, or estimates as `write_estimates` leaves them.

    Errors:
        UsageError: No such format.
        DataError: The file can't be read, or holds neither.
    """
    file = Source(source).kept() if source is None else Source(source)
    begin = formats.sniff(source) if file.content is None else formats.sniffed(file.content)
    codec = formats.for_reading(source, format or begin)
    with codec.open(file) as carrier:
        kind = carrier.kind()
    if kind is Kind.LONG_DRAWS:
        raise DataError(
            "expected draws with a column for each parameter; got a long table",
            place=str(file),
            hint="abi sample writes them so without --long.",
        )
    with codec.open(file) as carrier:
        return carrier.estimates() if kind is Kind.ESTIMATES else carrier.draws()
