"""Banks of simulations: what they hold, whether all of it is there, merged, exported."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli.bank import Bank, Span
from abi_cli.bank.bank import is_bank, merge
from abi_cli.data import Kind, formats, write_parts
from abi_cli.errors import DataError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.failing import where
from abi_cli.model.failures import Failure, scalars_of
from abi_cli.run.lock import locked
from abi_cli.variables import Datasets
from abi_cli.workflow.request import Target
from abi_cli.workflow.simulating import Written

AT_ONCE = 4_096
"""Most rows that are in memory at a time."""

_SHOWN = 5
"""Most failures that are shown."""


@dataclass(frozen=True)
class BankLook:
    """The contents of a bank.

    Arguments:
        bytes: Of its shards.
        missing: Rows that were asked for and are not there.
        failures: How many draws failed on the way to its rows.
        shown: The first of them.
        where: Where they fail, in words.
    """

    bank: Bank
    bytes: int
    missing: tuple[Span, ...]
    failures: int
    shown: tuple[Failure, ...]
    where: str


def look_at_bank(path: Path) -> BankLook:
    """Look at the contents of a bank, without executing its code.

    Errors:
        DataError: It is none, or a shard is damaged.
    """
    bank = Bank.open(path)
    missing = bank.missing([(0, bank.record.rows)])
    failed = [Failure.of(document) for document in bank.failures()]
    told = where(failed, _drawn(bank)) if failed else ""
    return BankLook(bank, bank.size, tuple(missing), len(failed), tuple(failed[:_SHOWN]), told)


def _drawn(bank: Bank) -> dict[str, np.ndarray]:
    """Scalars that some of its rows were drawn from: name → `(row,)`."""
    wanted = bank.record.layout.of("context", "given", "parameter", "nuisance")
    _, rows = next(bank.parts(AT_ONCE))
    drawn = {
        variable.name: value
        for variable in wanted
        if isinstance(value := rows.get(variable.name), np.ndarray)
    }
    return {name: np.array(values) for name, values in scalars_of(drawn).items()}


@dataclass(frozen=True)
class Verified:
    """The result of reading a bank through.

    Arguments:
        rows: Number of rows that are there and whole.
        missing: Rows that were asked for and are not there.
        faults: Faults of shards and files, in words.
    """

    path: Path
    rows: int
    missing: tuple[Span, ...]
    faults: tuple[str, ...]


def verify_bank(path: Path, *, listener: Listener = SILENT) -> Verified:
    """Read every row of a bank, and look at its files.

    Errors:
        DataError: There is no bank.
    """
    bank = Bank.open(path)
    faults = [f"{name} is not as it was written" for name in bank.changed()]
    variables = {variable.name for variable in bank.record.layout.variables}
    rows = 0
    with listener.task("reading", bank.rows, "data sets") as progress:
        for piece in bank.pieces:
            try:
                for start in range(*piece.rows, AT_ONCE):
                    stop = min(start + AT_ONCE, piece.rows[1])
                    found = bank.read(start, stop)
                    if odd := variables ^ found.keys():
                        raise DataError(f"it has not the variables {', '.join(sorted(odd))}")
                    rows += stop - start
                    progress.advance(stop - start)
            except DataError as error:
                faults.append(f"{piece.file.name}: {error.message}")
    return Verified(path, rows, tuple(bank.missing([(0, bank.record.rows)])), tuple(faults))


@dataclass(frozen=True)
class Merged:
    """The result of a merger.

    Arguments:
        taken: Number of rows that were taken over.
    """

    bank: Bank
    taken: int
    missing: tuple[Span, ...]


def merge_banks(target: Path, others: Sequence[Path], *, listener: Listener = SILENT) -> Merged:
    """Merge banks of the same model into one, which is made if it is not there.

    Errors:
        UsageError: There are no others.
        RunError: One is of another model, or somebody fills the target.
        DataError: One is no bank, or a shard is damaged.
        OutputError: It can't be written.
    """
    if not others:
        raise UsageError("expected abi bank merge TARGET BANK…; got one folder")
    banks = [Bank.open(path) for path in others if path.resolve() != target.resolve()]
    if not is_bank(target):
        Target(target).claim()
        Bank.create(target, replace(banks[0].record, rows=0), banks[0].files())
    taken = 0
    with (
        locked(target, doing="filled"),
        listener.task("merging", len(banks), "banks") as progress,
    ):
        for bank in banks:
            taken += merge(target, bank)
            progress.advance()
    into = Bank.open(target)
    return Merged(into, taken, tuple(into.missing([(0, into.record.rows)])))


def export_bank(path: Path, target: Target, *, listener: Listener = SILENT) -> Written:
    """Write the rows of a bank to a file, a few at a time.

    Errors:
        UsageError: No such format.
        DataError: It is no bank, a shard is damaged, or a row is missing between others.
        OutputError: The file can't be written.
    """
    begun = time.perf_counter()
    formats.for_writing(target.path, target.format, Kind.DATA)
    bank = Bank.open(path)
    whole = bank.whole()
    if not bank.rows or whole < bank.rows:
        raise DataError(
            f"row {whole} is not there" if bank.rows else "it has no rows yet",
            place=str(path),
            hint=f"The command that began it goes on with it: {' '.join(bank.record.command)}",
        )
    if whole < bank.record.rows:
        listener.warn(f"{path} has {whole:,} of {bank.record.rows:,} data sets: these are written")
    target.claim()
    layout = bank.record.layout
    done = write_parts(target.path, rows_of(bank, whole), layout, format=target.format)
    names = ", ".join(variable.name for variable in layout.variables)
    what = f"{done:,} simulated data sets of {names}"
    return Written(target.path, what, bank.record.seed, time.perf_counter() - begun)


def rows_of(bank: Bank, rows: int) -> Iterator[Datasets]:
    """The first rows of a bank, some at a time."""
    for start in range(0, rows, AT_ONCE):
        yield bank.read(start, min(start + AT_ONCE, rows))
