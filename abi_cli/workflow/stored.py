"""Simulations that were stored: made before, or by another program."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abi_cli.data import Asked, Loaded, read_shapes, read_simulations
from abi_cli.listener import Listener
from abi_cli.model.gaps import with_gaps
from abi_cli.model.streams import Purpose
from abi_cli.spec import Spec
from abi_cli.variables import Datasets, Layout, Value, Variable, array_of
from abi_cli.workflow.file_variables import roles, whole
from abi_cli.workflow.naming import naming_of
from abi_cli.workflow.request import Model

_FEW = 8
"""Simulations that show what the variables of a model are."""


def stored_simulations(file: Path, model: Model, *, seed: int, listener: Listener) -> Datasets:
    """Simulations to learn from, as fresh ones would be: with values missing at the spec's rates.

    A variable of which the file itself lacks some stays as it is.

    Errors:
        DataError: The file is not there, or not simulations of this model.
    """
    loaded = _read(file, model, seed=seed)
    for note in loaded.notes:
        listener.note(note)
    stored = whole(loaded.datasets) if model.simulator is None else loaded.datasets
    rates = {
        name: rate
        for name, rate in model.spec.missing.items()
        if rate and name in stored and not _lacks_some(stored[name])
    }
    if rates:
        shares = ", ".join(
            f"{rate[0]:.3g} to {rate[1]:.3g} of {name}"
            if isinstance(rate, tuple)
            else f"{rate:.3g} of {name}"
            for name, rate in rates.items()
        )
        listener.note(f"leaves out {shares}, as `missing:` says: {file} lacks none")
    series = model.spec.series()
    return with_gaps(stored, rates, seed=seed, purpose=Purpose.TRAIN, start=0, series=series)


def _read(file: Path, model: Model, *, seed: int) -> Loaded:
    naming = naming_of(model.spec)
    if model.simulator is None:
        return read_simulations(file, _asked_for(model.spec, file), naming=naming)
    rows = max(_FEW, 2 * model.simulator.unit)
    few = model.simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=rows)
    return read_simulations(file, model.layout(few), naming=naming)


def _asked_for(spec: Spec, file: Path) -> Layout:
    """What is looked for in a file of simulations, with the shapes that it has there."""
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
