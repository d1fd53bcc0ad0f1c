"""JSONL, an object a line; JSON, one object or a list of them.

An object is a data set, as Stan's programs read one, or the draws or estimates of one. A list may
also hold the rows of a table, as R and pandas write data frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from abi_cli.data.contents import Append, Content
from abi_cli.data.files import Source
from abi_cli.data.record_texts import EXPECTED, Record, parse, record, texts_of
from abi_cli.data.records import Records
from abi_cli.errors import DataError

LONGEST_LINE = 1 << 28
"""Bytes of a line, at most; the whole of it is in memory."""


@contextmanager
def read_lines(source: Source) -> Iterator[Records]:
    """The objects of a file, line after line, as they come.

    Errors:
        DataError: A line is no object of JSON.
    """
    with source.open() as stream:
        yield Records(source, _lines(stream, source))


def _lines(stream: BinaryIO, source: Source) -> Iterator[Record]:
    lines = iter(partial(stream.readline, LONGEST_LINE), b"")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{source}, line {number}"
            if len(line) == LONGEST_LINE:
                raise DataError(
                    f"expected an object; got a line of more than {LONGEST_LINE:,} bytes",
                    place=place,
                    hint=EXPECTED,
                )
            yield record(parse(line, place), place)


@contextmanager
def read_list(source: Source) -> Iterator[Records]:
    """The objects of a file.

    Errors:
        DataError: It is no JSON, or neither an object nor a list of them.
    """
    with source.open() as stream:
        value = parse(stream.read(), str(source))
    if not isinstance(value, list):
        yield Records(source, [record(value, str(source))])
        return
    objects = [record(item, f"{source}, item {i}") for i, item in enumerate(value, start=1)]
    yield Records(source, objects, may_be_rows=True)


@contextmanager
def write_lines(stream: BinaryIO, content: Content, _scratch: Path | None) -> Iterator[Append]:
    """Write a line for each data set."""
    texts = texts_of(content)

    def append(part: Any) -> None:
        for text in texts(part):
            stream.write(f"{text}\n".encode())
            stream.flush()  # whoever reads it from a pipe may wait for this line alone

    yield append


@contextmanager
def write_list(stream: BinaryIO, content: Content, _scratch: Path | None) -> Iterator[Append]:
    """Write a list with an object for each data set."""
    texts, before = texts_of(content), "["

    def append(part: Any) -> None:
        nonlocal before
        for text in texts(part):
            stream.write(f"{before}\n{text}".encode())
            before = ","

    yield append
    stream.write(b"\n]\n" if before == "," else b"[]\n")
