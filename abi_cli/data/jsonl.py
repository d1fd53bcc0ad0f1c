"""JSONL: one object a line, a data set or the draws of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from abi_cli.data import record_texts, records
from abi_cli.data.draws import DrawHeader, Draws, Estimates, Style
from abi_cli.data.entries import Asked, Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.data.summary import Summary
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, DrawBlock, Layout

LONGEST_LINE = 1 << 28
"""Bytes; the whole of a line is in memory."""


def objects(source: Source) -> Iterator[records.Record]:
    """The objects of the file, line after line, as they come.

    Errors:
        DataError: A line is no object of JSON.
    """
    with source.open() as stream:
        lines = iter(partial(stream.readline, LONGEST_LINE), b"")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                place = f"{source}, line {number}"
                if len(line) == LONGEST_LINE:
                    raise DataError(
                        f"expected an object; got a line of more than {LONGEST_LINE:,} bytes",
                        place=place,
                        hint=records.EXPECTED,
                    )
                yield records.record(records.parse(line, place), place)


def read_entries(source: Source, wanted: Wanted) -> Entries:
    """One entry per line: a data set, or a point. See `records.entries_of`."""
    return records.entries_of(objects(source), wanted, source)


def read_batches(source: Source, wanted: Wanted, datasets: int) -> Iterator[Entries]:
    """As `read_entries`, `datasets` lines at a time, or as many as have come when no more do."""
    empty = True
    for batch in source.batches(objects(source), datasets):
        empty = False
        yield records.entries_of(batch, wanted, source)
    if empty:
        records.entries_of([], wanted, source)  # refuses


def read_shapes(source: Source, asked: Asked) -> dict[str, tuple[int, ...]]:
    """Event shape by variable, judging by the first line."""
    return records.shapes_of(objects(source), asked, source)


def read_sets(source: Source) -> set[str]:
    """The keys with members of sets or series."""
    return records.sets_of(objects(source))


def read_kind(source: Source) -> str:
    """What the file holds."""
    return records.kind_of(objects(source), source)


def read_draws(source: Source) -> Draws:
    """Draws as `write_draws` leaves them."""
    return records.draws_of(objects(source), source)


def read_estimates(source: Source) -> Summary:
    """Estimates as `write_estimates` leaves them."""
    return records.estimates_of(objects(source), source)


def write_datasets(
    stream: BinaryIO, datasets: Datasets, layout: Layout, labels: Sequence[str]
) -> None:
    """One object per data set, its variables as numbers and lists."""
    for text in record_texts.datasets_in_text(datasets, layout, labels):
        _put(stream, text)


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None
) -> Iterator[Callable[[DrawBlock], None]]:
    """One object per data set: its label, and per parameter a list over draws."""
    yield record_texts.draws_in_text(header, lambda text: _put(stream, text))


def _put(stream: BinaryIO, text: str) -> None:
    stream.write(f"{text}\n".encode())
    stream.flush()  # whoever reads it from a pipe may wait for this line alone


@contextmanager
def write_estimates(
    stream: BinaryIO, _names: Sequence[str], _style: Style
) -> Iterator[Callable[[Estimates], None]]:
    """One object per data set: its label, and per parameter an object of its estimates."""

    def append(estimates: Estimates) -> None:
        for text in record_texts.estimates_in_text(estimates):
            _put(stream, text)

    yield append
