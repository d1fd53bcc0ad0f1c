"""Names of a spec: in files, the same for every command that reads one; for people.

Of a design, and of simulations of a spec without a model, the files say what the variables are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from abi_cli.data import Asked, Naming, read_datasets, read_shapes
from abi_cli.data.meanings import Missing
from abi_cli.errors import DataError, SpecError
from abi_cli.spec import DesignSection, Spec, nearest, refuse_variable_name
from abi_cli.variables import Datasets, Layout, Ragged, Role, Value, Variable, array_of


def naming_of(spec: Spec) -> Naming:
    """The names in files, by `data:` and the times of series, for their readers."""
    named = spec.data
    return Naming(
        dataset=named.dataset,
        columns=named.columns,
        categories=named.categories,
        missing=Missing.of(named.missing),
        prepare=named.prepare,
        times=spec.times(),
    )


def titles_of(spec: Spec, layout: Layout) -> dict[str, str]:
    """Name of a parameter's element → its label; those without one are left out."""
    from abi_cli.diagnostics import element_labels  # with much that few commands need

    titles: dict[str, str] = {}
    for variable in layout.of("parameter"):
        section = (spec.parameters or {}).get(variable.name)
        if section is not None and section.labels:
            labels = element_labels(variable.name, variable.event, section.labels)
            titles |= zip(variable.elements(), labels, strict=True)
    return titles


LABELS = "labels"
"""Attribute of titles in files of draws, in formats that take attributes."""


def label_attribute(titles: Mapping[str, str]) -> dict[str, str]:
    """The attribute with titles; none where there are none."""
    return {LABELS: json.dumps(titles, ensure_ascii=False)} if titles else {}


def labels_in(provenance: Mapping[str, str]) -> dict[str, str]:
    """The titles in a file of draws; none where it has no such attribute, or a foreign one."""
    try:
        found = json.loads(provenance.get(LABELS, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: title for name, title in found.items() if isinstance(title, str)}


def read_design(spec: Spec, base: Path) -> Datasets:
    """The values of the file under `model.given`; nothing where that names none.

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
    for name, columns in naming.columns.items():
        meant = nearest(columns[0], [own for own in shapes if own not in naming.columns])
        if name not in shapes and meant is not None and meant not in (spec.observables or {}):
            raise DataError(
                f"expected the column {columns[0]}, which data: columns: says is {name}; got "
                f"{', '.join(shapes)}",
                place=str(file),
                hint=f"Did you mean {meant}?",
            )
    for name in shapes:
        if reason := refuse_variable_name(name):
            raise DataError(reason, place=str(file), hint="Rename it in the file.")
    variables = [
        Variable(name, "given", ragged=name in ragged, event=shape, missing=name in spec.missing)
        for name, shape in shapes.items()
    ]
    return whole(read_datasets(file, Layout(tuple(variables)), naming=naming).datasets)


def stored_layout(spec: Spec, rows: Datasets) -> Layout:
    """The variables of a spec without a model, judged by simulations.

    Errors:
        SpecError: A parameter is discrete.
    """
    layout = Layout.of_values(rows, roles(spec), missing=spec.missing)
    for variable in layout.of("parameter"):
        if variable.integer:
            raise SpecError(
                f"Expected parameters that vary continuously; got {variable.name}, whose values "
                "are all whole numbers",
                hint="Name the others only under `parameters:`.",
                place=f"parameters.{variable.name}",
            )
    return layout


def roles(spec: Spec) -> dict[str, Role]:
    """The roles of the variables that a spec without a model names."""
    return {
        **dict.fromkeys(spec.context, "context"),
        **dict.fromkeys(spec.parameters or {}, "parameter"),
        **dict.fromkeys(spec.observables or {}, "observable"),
    }


def whole(datasets: Datasets) -> Datasets:
    """Values as whole numbers where they hold nothing else: files of text don't say their type."""
    return {name: _as_whole(value) for name, value in datasets.items()}


def _as_whole(value: Value) -> Value:
    array = array_of(value)
    if not np.array_equal(array, np.rint(array)):  # NaN is not equal to itself
        return value
    whole = array.astype(np.int64)
    return Ragged(whole, value.row_size) if isinstance(value, Ragged) else whole
