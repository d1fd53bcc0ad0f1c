"""Banks of simulations: their rows, in shards, and the model that the rows belong to."""

from __future__ import annotations

import ast
import difflib
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from abi_cli import placing
from abi_cli.bank.records import MODEL, RECORD, SHARDS, BankRecord
from abi_cli.bank.shards import read_failures, read_shard, span_of, write_shard
from abi_cli.bank.spans import Span, length, without
from abi_cli.errors import DataError, RunError
from abi_cli.hashing import digest
from abi_cli.model.failures import Failure
from abi_cli.variables import Datasets, concatenate

_MOST_TOLD = 40
"""Lines of a difference that are shown."""


@dataclass(frozen=True)
class Piece:
    """The rows that are read from a shard: all that it holds, or those that no other shard has.

    Arguments:
        rows: The rows that are read.
        file: The shard's file.
        holds: All rows that are in it.
    """

    rows: Span
    file: Path
    holds: Span


@dataclass(frozen=True)
class Bank:
    """A bank that exists, with the shards that it has when they are first asked for."""

    path: Path
    record: BankRecord

    @classmethod
    def open(cls, path: Path) -> Bank:
        """The bank in a folder.

        Errors:
            DataError: There is none.
        """
        try:
            text = (path / RECORD).read_text(encoding="utf-8")
            return cls(path, BankRecord.from_json(text))
        except FileNotFoundError:
            hint = "abi simulate SPEC -n N -o BANK/ makes one."
            raise DataError("expected a bank of simulations", place=str(path), hint=hint) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{RECORD} can't be read: {error}", place=str(path)) from None

    @classmethod
    def create(cls, path: Path, record: BankRecord, files: Mapping[str, bytes]) -> Bank:
        """A new bank without rows, which appears whole; or that of a process that was quicker.

        Arguments:
            files: Name → content of model.yaml and the code.

        Errors:
            OutputError: It can't be written.
        """
        place = placing.beside(path)
        try:
            with placing.writing(path):
                for name, content in {**files, RECORD: record.to_json().encode()}.items():
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    (place / name).write_bytes(content)
                (place / SHARDS).mkdir()
                try:
                    place.replace(path)
                except OSError:
                    if not is_bank(path):
                        raise
        finally:
            placing.remove(place)
        return cls.open(path)

    def asked_for(self, rows: int) -> Bank:
        """The same bank, with its record saying that so many rows are wanted."""
        if rows <= self.record.rows:
            return self
        record = replace(self.record, rows=rows)
        placing.write_text(self.path / RECORD, record.to_json())
        return Bank(self.path, record)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces to read every row that is there from: ascending, each row once."""
        folder = self.path / SHARDS
        found = [(span, name) for name in _names(folder) if (span := span_of(name)) is not None]
        pieces, done = [], 0
        for span, name in sorted(found, key=lambda one: (one[0][0], -one[0][1])):
            start, stop = max(span[0], done), span[1]
            if start < stop:
                pieces.append(Piece((start, stop), folder / name, span))
                done = stop
        return tuple(pieces)

    @cached_property
    def spans(self) -> list[Span]:
        """The rows that are there, ascending."""
        return [piece.rows for piece in self.pieces]

    @property
    def rows(self) -> int:
        """The number of rows that are there."""
        return length(self.spans)

    @property
    def size(self) -> int:
        """The size of its shards in bytes."""
        return sum(piece.file.stat().st_size for piece in self.pieces)

    def missing(self, wanted: Sequence[Span]) -> list[Span]:
        """The rows among `wanted` that are not there."""
        return without(wanted, self.spans)

    def whole(self) -> int:
        """The number of rows from the first one on without a gap."""
        rest = without([(0, max((stop for _, stop in self.spans), default=0))], self.spans)
        return rest[0][0] if rest else self.rows

    def read(self, start: int, stop: int) -> Datasets:
        """Rows start … stop − 1.

        Errors:
            DataError: A row is not there, or its shard is damaged.
        """
        parts, row = [], start
        at = bisect_right(self.spans, start, key=lambda span: span[0]) - 1
        while row < stop:
            piece = self.pieces[at] if 0 <= at < len(self.pieces) else None
            if piece is None or not piece.rows[0] <= row < piece.rows[1]:
                raise DataError(
                    f"row {row} is not there",
                    place=str(self.path),
                    hint=f"The command that began it goes on with it: "
                    f"{' '.join(self.record.command)}",
                )
            end = min(stop, piece.rows[1])
            parts.append(read_shard(piece.file, piece.holds, (row, end)))
            row, at = end, at + 1
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def parts(self, rows: int) -> Iterator[tuple[int, Datasets]]:
        """All rows that are there, at most `rows` at a time, each part with the place of its first.

        Errors:
            DataError: A shard is damaged.
        """
        for piece in self.pieces:
            for start in range(*piece.rows, rows):
                yield start, self.read(start, min(start + rows, piece.rows[1]))

    def failures(self) -> Iterator[dict[str, Any]]:
        """Failures of simulations on the way to its rows: documents of `Failure`.

        Errors:
            DataError: A shard is damaged.
        """
        for piece in self.pieces:
            for failure in read_failures(piece.file):
                if piece.rows[0] <= failure["row"] < piece.rows[1]:
                    yield failure

    def add(self, start: int, parts: Sequence[Datasets], failures: Sequence[Failure] = ()) -> None:
        """Keep rows from `start` on, one part after the other, as a shard of their own.

        Errors:
            OutputError: It can't be written.
        """
        write_shard(self.path / SHARDS, start, parts, failures)

    def take(self, other: Bank) -> int:
        """Take over rows of a bank of the same model that are not here; return their number.

        Errors:
            DataError: A shard is damaged.
            OutputError: It can't be written.
        """
        taken = 0
        for piece in other.pieces:
            missing = Bank(self.path, self.record).missing([piece.rows])
            target = self.path / SHARDS / piece.file.name
            if missing == [piece.holds] and not target.exists():
                with placing.replacing(target) as place:
                    _copy(piece.file, place)
            else:
                of = [Failure.of(document) for document in read_failures(piece.file)]
                for start, stop in missing:
                    own = [failure for failure in of if start <= failure.row < stop]
                    self.add(start, [read_shard(piece.file, piece.holds, (start, stop))], own)
            taken += length(missing)
        return taken

    def files(self) -> dict[str, bytes]:
        """The files that its rows follow from, model.yaml and the code, by name.

        Errors:
            DataError: One is not there.
        """
        try:
            return {name: (self.path / name).read_bytes() for name in self.record.hashes}
        except OSError as error:
            raise DataError(f"{error.strerror}", place=str(error.filename)) from None

    def changed(self) -> list[str]:
        """Files, other than shards, that are not as they were written."""
        return [
            name
            for name, expected in self.record.hashes.items()
            if not (self.path / name).is_file() or digest(self.path / name) != expected
        ]

    def difference(self, files: Mapping[str, bytes]) -> str:
        """The difference of model.yaml and the code from other `files`; empty where there is none.

        Code differs where it would be compiled to something else: comments don't count.
        """
        own = self.files()
        lines: list[str] = []
        for name in sorted({*own, *files}, key=lambda name: (name != MODEL, name)):
            before, now = own.get(name, b""), files.get(name, b"")
            if not _alike(name, before, now):
                lines += difflib.unified_diff(
                    before.decode(errors="replace").splitlines(),
                    now.decode(errors="replace").splitlines(),
                    f"{self.path}/{name}",
                    f"now/{name}",
                    lineterm="",
                    n=1,
                )
        more = len(lines) - _MOST_TOLD
        return "\n".join([*lines[:_MOST_TOLD], *([f"… {more} more lines"] if more > 0 else [])])

    def refuse_another(self, files: Mapping[str, bytes], *, hint: str) -> None:
        """Refuse files that its rows do not follow from, and show the difference.

        Errors:
            RunError: Something differs.
        """
        if difference := self.difference(files):
            raise RunError(f"{self.path} is a bank of another model:\n{difference}", hint=hint)


def is_bank(path: Path) -> bool:
    """True if a folder holds a bank."""
    return (path / RECORD).is_file()


def merge(target: Path, bank: Bank) -> int:
    """Take over all rows of a bank of the same model that the target has not; return their number.

    Errors:
        RunError: It is of another model.
        DataError: A shard is damaged.
        OutputError: It can't be written.
    """
    into = Bank.open(target)
    into.refuse_another(bank.files(), hint=f"Leave {bank.path} out.")
    return into.asked_for(bank.record.rows).take(bank)


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []


def _copy(file: Path, place: Path) -> None:
    """The same file under another name too, where the system can do that; else a copy."""
    with suppress(OSError):
        os.link(file, place)
        return
    shutil.copyfile(file, place)


def _alike(name: str, one: bytes, other: bytes) -> bool:
    if one == other or not name.endswith(".py") or not (one and other):
        return one == other
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False
