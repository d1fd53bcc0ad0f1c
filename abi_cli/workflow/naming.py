"""Names of a spec: in files, the same for every command that reads one; for people.

Of a design, and of simulations of a spec without a model, the files say what the variables are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from abi_cli.data import Asked, Naming, read_datasets, read_shapes
from abi_cli.data.meanings import Missing
from abi_cli.errors import DataError, SpecError
from abi_cli.model.functions import UserFunction
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
    return whole(_needed(file, variables, naming, _named(spec, base)))


def _needed(
    file: Path, variables: Sequence[Variable], naming: Naming, named: Callable[[], set[str]]
) -> Datasets:
    """The values of all variables; where they can't be read, without those that nothing names.

    A design often has columns of notes, or with gaps, that are of no interest to the model.

    Errors:
        DataError: Those that something names can't be read.
    """

    def read(some: Sequence[Variable]) -> Datasets:
        return read_datasets(file, Layout(tuple(some)), naming=naming).datasets

    try:
        return read(variables)
    except DataError:
        kept = [variable for variable in variables if variable.name in named()]
        if not kept or len(kept) == len(variables):
            raise
    values = read(kept)
    for variable in variables:
        if variable not in kept:
            with suppress(DataError):
                values |= read([*kept, variable])
    return {v.name: values[v.name] for v in variables if v.name in values}


def _named(spec: Spec, base: Path) -> Callable[[], set[str]]:
    """A function that finds the variables that a spec names, and all that its functions take."""

    def named() -> set[str]:
        data, model = spec.data, spec.model and spec.model.model_dump(exclude={"given"})
        words = {*_texts(model), *_texts([step.model_dump() for step in spec.adapter or ()])}
        functions = [UserFunction.load(word, base) for word in words if ":" in word]
        sections = (spec.observables or {}, spec.missing, spec.context)
        known = (*sections, data.columns, data.categories, data.prepare, spec.times().values())
        return words.union(*known, *(function.signature() for function in functions))

    return named


def _texts(document: object) -> Iterator[str]:
    """All texts in a document, but for its keys."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping | list | tuple):
        values = document.values() if isinstance(document, Mapping) else document
        for value in values:
            yield from _texts(value)


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
