"""Rows of delimited text, as texts, from which every table of that kind is read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TextIO

from abi_cli.data.files import Source
from abi_cli.errors import DataError

LONGEST_LINE = 1 << 24
"""Letters of a line, at most; the whole of it is in memory."""

EXPECTED = "Expected a header with the names of the columns, and rows of numbers below it."


@dataclass(frozen=True)
class Rows(Iterator[list[str]]):
    """The rows, one after the other.

    Arguments:
        separator: What stands between two cells.
    """

    reader: Iterator[list[str]]
    separator: str

    def __next__(self) -> list[str]:
        return next(self.reader)


@contextmanager
def text_rows(source: Source, delimiter: str) -> Iterator[Rows]:
    """The rows of delimited text, as texts.

    Errors:
        DataError: It is no such text.
    """
    with source.open() as stream:
        # a byte order mark, as spreadsheets write it, is no part of the first name
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        lines = _lines(text, source)
        try:
            begun, delimiter = _looked_into(lines, delimiter)
            reader = csv.reader(
                chain(begun, lines), delimiter=delimiter, skipinitialspace=True, strict=True
            )
            yield Rows(reader, delimiter)
        except UnicodeDecodeError:
            raise DataError(
                "expected UTF-8 text; got other bytes",
                place=str(source),
                hint="Save it as CSV in UTF-8.",
            ) from None
        except csv.Error as error:
            raise DataError(
                f"expected delimited text; {error}", place=f"{source}, line {reader.line_num}"
            ) from None
        finally:
            text.detach()  # closing the stream is left to who opened it


def _looked_into(lines: Iterator[str], delimiter: str) -> tuple[list[str], str]:
    """The lines up to the first with any text, and the mark that separates columns.

    Where a comma is the decimal mark, spreadsheets and R's write.csv2 separate by semicolons.
    """
    begun: list[str] = []
    for line in lines:
        begun.append(line)
        if line.strip():
            break
    outside = re.sub(r'"[^"]*"', "", begun[-1]) if begun else ""
    return begun, ";" if ";" in outside and delimiter not in outside else delimiter


def _lines(text: TextIO, source: Source) -> Iterator[str]:
    """The lines of a text, of which none may be endless.

    Errors:
        DataError: A line is too long.
    """
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise DataError(
                f"expected lines of a table; got one of more than {LONGEST_LINE:,} letters",
                place=str(source),
                hint=EXPECTED,
            )
        yield line
