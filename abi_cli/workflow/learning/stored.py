"""Simulations that were stored: made before, or by another program."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from abi_cli.bank.bank import Bank, is_bank
from abi_cli.data import Asked, Loaded, read_shapes, read_simulations
from abi_cli.errors import DataError
from abi_cli.hashing import digest
from abi_cli.listener import Listener
from abi_cli.model.gaps import with_gaps
from abi_cli.model.streams import Purpose
from abi_cli.spec import Spec, TrainingSection
from abi_cli.variables import Datasets, Layout, Value, Variable, array_of, count, take
from abi_cli.workflow.naming import naming_of, roles, whole
from abi_cli.workflow.request import Model

if TYPE_CHECKING:
    from abi_cli.bank.source import BankRows
    from abi_cli.model.augmenting import Augmentation
    from abi_cli.training.sources import Source

MOST_OF_BANK = 20_000
"""Rows of a bank that are read into memory: enough to judge by."""

_FEW = 8
"""Simulations that show what the variables of a model are."""


class Stock(Protocol):
    """Simulations to learn from, wherever they are."""

    def __len__(self) -> int: ...

    def first(self, rows: int) -> Datasets:
        """The first simulations, as many at most."""

    def source(
        self, training: TrainingSection, *, seed: int, augmented: Augmentation | None = None
    ) -> Source:
        """The source of training data."""


@dataclass(frozen=True)
class FileRows:
    """Simulations of a file, in memory."""

    datasets: Datasets

    def __len__(self) -> int:
        return count(self.datasets)

    def first(self, rows: int) -> Datasets:
        """The first simulations."""
        return take(self.datasets, slice(0, rows))

    def source(
        self, training: TrainingSection, *, seed: int, augmented: Augmentation | None = None
    ) -> Source:
        """The source of training data."""
        from abi_cli.training.sources import Stored

        return Stored(self.datasets, training, seed=seed, augmented=augmented)


def stock_of(
    data: Path, model: Model, *, seed: int, listener: Listener, rows: int | None = None
) -> Stock:
    """Simulations to learn from, as fresh ones would be, in a file or a bank.

    Arguments:
        rows: Of a bank, how many; None for all.

    Errors:
        DataError: They are not there, or not simulations of this model.
    """
    if is_bank(data):
        return bank_rows(data, model, seed=seed, listener=listener, rows=rows)
    return FileRows(stored_simulations(data, model, seed=seed, listener=listener))


def identity_of(data: Path) -> tuple[str, ...]:
    """Place and hash of simulations; empty where they came through a pipe.

    The hash of a bank is that of its model and code, so it stays the same when rows are added.
    """
    if is_bank(data):
        told = json.dumps(Bank.open(data).record.hashes, sort_keys=True)
        return str(data.resolve()), sha256(told.encode()).hexdigest()
    return (str(data.resolve()), digest(data)) if data.is_file() else ()


def stored_simulations(file: Path, model: Model, *, seed: int, listener: Listener) -> Datasets:
    """Simulations in memory, as fresh ones would be: with values missing at the spec's rates.

    A variable of which the file itself lacks some stays as it is. Of a bank they are the first
    `MOST_OF_BANK`, which no training learns from before it has held out its share.

    Errors:
        DataError: The file is not there, or not simulations of this model.
    """
    if is_bank(file):
        return bank_rows(file, model, seed=seed, listener=listener).first(MOST_OF_BANK)
    loaded = _read(file, model, seed=seed)
    for note in loaded.notes:
        listener.note(note)
    stored = whole(loaded.datasets) if model.simulator is None else loaded.datasets
    return _gaps(stored, model.spec, file, listener)(seed)(stored, 0)


def _gaps(
    few: Datasets, spec: Spec, file: Path, listener: Listener
) -> Callable[[int], Callable[[Datasets, int], Datasets]]:
    """Function that leaves values out, at the spec's rates, of variables that have no gaps."""
    rates = {
        name: rate
        for name, rate in spec.missing.items()
        if rate and name in few and not _lacks_some(few[name])
    }
    if rates:
        shares = ", ".join(
            f"{rate[0]:.3g} to {rate[1]:.3g} of {name}"
            if isinstance(rate, tuple)
            else f"{rate:.3g} of {name}"
            for name, rate in rates.items()
        )
        listener.note(f"leaves out {shares}, as `missing:` says: {file} lacks none")
    options: dict[str, Any] = {"purpose": Purpose.TRAIN, "series": spec.series()}
    return lambda seed: (
        lambda rows, start: with_gaps(rows, rates, seed=seed, start=start, **options)
    )


def bank_rows(
    path: Path, model: Model, *, seed: int, listener: Listener, rows: int | None = None
) -> BankRows:
    """Rows of a bank as a model reads them.

    Arguments:
        rows: How many; None for all.

    Errors:
        DataError: They are not there, or not simulations of this model.
    """
    from abi_cli.bank.source import BankRows
    from abi_cli.workflow.learning.copies import files_of

    bank = Bank.open(path)
    there = bank.whole()
    if there < (rows or 1):
        hint = f"The command that began it goes on with it: {' '.join(bank.record.command)}"
        raise DataError(f"row {there} is not there", place=str(path), hint=hint)
    if rows is None and there < bank.record.rows:
        listener.warn(f"{path} has {there:,} of {bank.record.rows:,} data sets: these are used")
    names = _names_in(bank, model)
    if model.simulator is not None:
        difference = bank.difference(files_of(model, bank.record.seed, {}))
        if difference:
            listener.warn(
                f"{path} is a bank of another model than the spec's: what is learned is the "
                f"posterior of the bank's\n{difference}"
            )

    def chosen(datasets: Datasets, _start: int = 0) -> Datasets:
        return {name: datasets[name] for name in names}

    few = chosen(bank.read(0, min(there, 256)))
    gaps = _gaps(few, model.spec, path, listener)(seed)
    return BankRows(bank, rows or there, lambda read, start: gaps(chosen(read), start))


def _names_in(bank: Bank, model: Model) -> list[str]:
    """The variables of a model in its bank.

    Errors:
        DataError: One is not there, or has another shape.
    """
    own, layout = model.spec.ragged(), bank.record.layout
    if model.simulator is None:
        expected = list(roles(model.spec))
    else:
        expected = [variable.name for variable in layout.variables]
    for name in expected:
        if name not in layout:
            names = ", ".join(variable.name for variable in layout.variables)
            raise DataError(f"expected {name} in the bank; it has {names}", place=str(bank.path))
        if name in own and not layout[name].ragged:
            raise DataError(
                f"expected sets or series of {name}; the bank has arrays of the shape "
                f"{layout[name].event}",
                place=str(bank.path),
                hint="Say under `observables:` what it is, and make the bank with that.",
            )
    return expected


def _read(file: Path, model: Model, *, seed: int) -> Loaded:
    naming = naming_of(model.spec)
    if model.simulator is None:
        return read_simulations(file, _asked_for(model.spec, file), naming=naming)
    rows = max(_FEW, 2 * model.simulator.unit)
    few = model.simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=rows)
    return read_simulations(file, model.layout(few), naming=naming)


def _asked_for(spec: Spec, file: Path) -> Layout:
    """The variables to look for in a file of simulations, with the shapes that they have there."""
    ragged = spec.ragged()
    shapes = read_shapes(file, Asked(roles(spec), ragged, naming_of(spec)))
    variables = (
        Variable(
            name,
            role,
            ragged=name in ragged,
            event=shapes.get(name, ()),
            length_of=spec.context[name].length_of if name in spec.context else (),
            missing=name in spec.missing,
        )
        for name, role in roles(spec).items()
    )
    return Layout(tuple(variables))


def _lacks_some(value: Value) -> bool:
    return bool(np.isnan(array_of(value)).any())
