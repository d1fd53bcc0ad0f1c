"""JSON: one object, which is a data set (as Stan's programs read it), or a list of such objects.

A list may also hold the rows of a table, as R and pandas write data frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from abi_cli.data import json_rows, long_tables, record_texts, records
from abi_cli.data.draws import DrawHeader, Draws, Estimates, Style
from abi_cli.data.entries import Asked, Entries, Wanted
from abi_cli.data.files import Source
from abi_cli.data.summary import Summary
from abi_cli.variables import Datasets, DrawBlock, Layout


def objects(source: Source) -> list[records.Record]:
    """The objects of the file.

    Errors:
        DataError: It is no JSON, or neither an object nor a list of them.
    """
    with source.open() as stream:
        value = records.parse(stream.read(), str(source))
    if not isinstance(value, list):
        return [records.record(value, str(source))]
    return [records.record(item, f"{source}, item {i}") for i, item in enumerate(value, start=1)]


def read_entries(source: Source, wanted: Wanted) -> Entries:
    """One entry per object: a data set, or a point. See `records.entries_of`.

    Objects without lists, where sets or series are looked for, are the rows of a table.
    """
    found = objects(source)
    if found and json_rows.are_rows(found, wanted):
        return long_tables.read_datasets(source, wanted, tables=json_rows.tables(found))
    return records.entries_of(found, wanted, source)


def read_shapes(source: Source, asked: Asked) -> dict[str, tuple[int, ...]]:
    """Event shape by variable, judging by the first object."""
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
    """A list with one object per data set, its variables as numbers and lists."""
    _write_all(stream, record_texts.datasets_in_text(datasets, layout, labels))


@contextmanager
def write_draws(
    stream: BinaryIO, header: DrawHeader, _scratch: Path | None
) -> Iterator[Callable[[DrawBlock], None]]:
    """A list with one object per data set: its label, and per parameter a list over draws."""
    with _listed(stream) as put:
        yield record_texts.draws_in_text(header, put)


@contextmanager
def write_estimates(
    stream: BinaryIO, _names: Sequence[str], _style: Style
) -> Iterator[Callable[[Estimates], None]]:
    """A list with one object per data set: its label, and per parameter its estimates."""
    with _listed(stream) as put:

        def append(estimates: Estimates) -> None:
            for text in record_texts.estimates_in_text(estimates):
                put(text)

        yield append


def _write_all(stream: BinaryIO, texts: Iterable[str]) -> None:
    with _listed(stream) as put:
        for text in texts:
            put(text)


@contextmanager
def _listed(stream: BinaryIO) -> Iterator[Callable[[str], None]]:
    """A function that puts one object after the other into a list."""
    before = "["

    def put(text: str) -> None:
        nonlocal before
        stream.write(f"{before}\n{text}".encode())
        before = ","

    yield put
    stream.write(b"\n]\n" if before == "," else b"[]\n")
