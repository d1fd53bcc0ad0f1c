"""What files bring to a model: designs, and simulations made before or by another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.data import Asked, Loaded, read_datasets, read_shapes, read_simulations
from abi_cli.errors import DataError, SpecError
from abi_cli.listener import Listener
from abi_cli.model.gaps import with_gaps
from abi_cli.model.streams import Purpose
from abi_cli.spec import DesignSection, Spec, refuse_variable_name
from abi_cli.variables import Datasets, Layout, Ragged, Role, Value, Variable, array_of
from abi_cli.workflow.naming import naming_of

if TYPE_CHECKING:
    from abi_cli.workflow.request import Model

_FEW = 8
"""Simulations that show what the variables of a model are."""


def read_design(spec: Spec, base: Path) -> Datasets:
    """What the file under `model.given` holds; nothing where that names none.

    Errors:
        DataError: It isn't there, or can't be read, or what a column is called no variable can be.
    """
    section = spec.model and spec.model.given
    if not isinstance(section, DesignSection):
        return {}
    file = base / section.file
    if file.is_relative_to(Path.cwd()):
        file = file.relative_to(Path.cwd())
    if not file.exists():
        hint = "Files under `given:` are looked for beside the spec."
        raise DataError("there is no such file", place=str(file), hint=hint)
    ragged, naming = spec.ragged(), naming_of(spec)
    shapes = read_shapes(file, Asked(ragged=ragged, naming=naming))
    for name in shapes:
        if reason := refuse_variable_name(name):
            raise DataError(reason, place=str(file), hint="Rename it in the file.")
    variables = [
        Variable(name, "given", ragged=name in ragged, event=shape, missing=name in spec.missing)
        for name, shape in shapes.items()
    ]
    return _whole(read_datasets(file, Layout(tuple(variables)), naming=naming).datasets)


def stored_layout(spec: Spec, rows: Datasets) -> Layout:
    """What the variables are of a spec without a model, judging by simulations.

    Errors:
        SpecError: A parameter is discrete.
    """
    layout = Layout.of_values(rows, _roles(spec), missing=spec.missing)
    for variable in layout.of("parameter"):
        if variable.integer:
            raise SpecError(
                f"Expected parameters that vary continuously; got {variable.name}, whose values "
                "are all whole numbers",
                hint="Name the others only under `parameters:`.",
                place=f"parameters.{variable.name}",
            )
    return layout


def stored_simulations(file: Path, model: Model, *, seed: int, listener: Listener) -> Datasets:
    """Simulations to learn from, as fresh ones would be: with values missing at the spec's rates.

    A variable of which the file itself lacks some stays as it is.

    Errors:
        DataError: The file is not there, or not simulations of this model.
    """
    loaded = _read(file, model, seed=seed)
    for note in loaded.notes:
        listener.note(note)
    stored = _whole(loaded.datasets) if model.simulator is None else loaded.datasets
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


def _roles(spec: Spec) -> dict[str, Role]:
    """What the variables are that a spec without a model names."""
    return {
        **dict.fromkeys(spec.context, "context"),
        **dict.fromkeys(spec.parameters or {}, "parameter"),
        **dict.fromkeys(spec.observables or {}, "observable"),
    }


def _asked_for(spec: Spec, file: Path) -> Layout:
    """What is looked for in a file of simulations, with the shapes that it has there."""
    ragged = spec.ragged()
    shapes = read_shapes(file, Asked(_roles(spec), ragged, naming_of(spec)))
    variables = (
        Variable(
            name,
            role,
            ragged=name in ragged,
            event=shapes.get(name, ()),
            length_of=spec.context[name].length_of if name in spec.context else (),
            missing=name in spec.missing,
        )
        for name, role in _roles(spec).items()
    )
    return Layout(tuple(variables))


def _whole(datasets: Datasets) -> Datasets:
    """As whole numbers what holds nothing else: files of text don't say what is meant."""
    return {name: _as_whole(value) for name, value in datasets.items()}


def _as_whole(value: Value) -> Value:
    array = array_of(value)
    if not np.array_equal(array, np.rint(array)):  # NaN is not equal to itself
        return value
    whole = array.astype(np.int64)
    return Ragged(whole, value.row_size) if isinstance(value, Ragged) else whole


def _lacks_some(value: Value) -> bool:
    return bool(np.isnan(array_of(value)).any())
