"""Real data beside a model that has not been trained: their reading, and their likeness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.adapter import Adapter
from abi_cli.data import Loaded, oddities, read_datasets
from abi_cli.guard import UNLIKE, Guard, Reference, Verdict
from abi_cli.guard.reference import LEAST
from abi_cli.listener import Listener
from abi_cli.ranges import between
from abi_cli.spec import Spec
from abi_cli.variables import Datasets, Layout, Ragged, Variable, array_of, count
from abi_cli.workflow.checking.findings import Finding, warning
from abi_cli.workflow.naming import naming_of
from abi_cli.workflow.opened.guarded import HINT
from abi_cli.workflow.opened.refusing import refusing
from abi_cli.workflow.request import Model

_MANY = 0.01
"""Least share of values outside all that was simulated for a warning."""


@dataclass(frozen=True)
class Beside:
    """A scalar element in real data and in simulated ones; NaN is left out.

    Arguments:
        members: How many a data set has, such as `5…14`; empty where it is no set or series.
        low, high: Of the data.
        simulated_low, simulated_high: Of the simulations.
        outside: Share of the data's values outside these.
    """

    name: str
    members: str
    low: float
    high: float
    simulated_low: float
    simulated_high: float
    outside: float


@dataclass(frozen=True)
class Observed:
    """A file of real data, as it is read.

    Arguments:
        datasets: How many there are.
    """

    file: str
    datasets: int
    elements: tuple[Beside, ...]
    findings: tuple[Finding, ...]


def observe(
    file: Path,
    model: Model,
    layout: Layout,
    rows: Datasets,
    *,
    adapter: Adapter | None,
    listener: Listener,
) -> Observed:
    """Read real data as `sample` does.

    Arguments:
        rows: Simulated data sets.
        adapter: Fitted to them; None where it can't be.

    Errors:
        DataError: They are not there, or not data of this model, or a step has no place for some.
    """
    loaded = read_datasets(file, layout, naming=naming_of(model.spec))
    for note in loaded.notes:
        listener.note(note)
    if adapter is not None:
        with refusing(loaded, layout):
            adapter.forward(loaded.datasets)
    found = tuple(
        beside
        for variable in layout.of("context", "given", "observable")
        if variable.name in loaded.datasets
        for beside in _beside(variable, loaded.datasets, rows)
    )
    told = oddities(loaded.datasets, loaded.labels, layout)
    findings = [
        warning(
            message,
            "No simulation is like that. Let the model reach as far, or leave these data sets out.",
        )
        for message in told.values()
    ]
    findings += [
        warning(
            f"{one.name}: {100 * one.outside:.0f} % of the values in {file} are outside all "
            f"that was simulated, {between(one.simulated_low, one.simulated_high)}",
            "Is it in the unit that the model draws it in? Posteriors of data unlike the "
            "simulations are not to be trusted.",
        )
        for one in found
        if one.outside > _MANY and one.name not in told
    ]
    if line := _unlike(loaded, layout, rows, model.spec):
        findings.append(warning(line, HINT))
    return Observed(str(file), len(loaded.labels), found, tuple(findings))


def _unlike(loaded: Loaded, layout: Layout, rows: Datasets, spec: Spec) -> str | None:
    """A sentence by the guard without networks, from context, values and statistics; or None."""

    def nothing(data: Datasets) -> np.ndarray:
        return np.zeros((count(data), 0))

    reference = Reference.of([rows], layout, nothing, series=spec.series())
    if reference is None or len(reference) < LEAST:
        return None
    verdict = Verdict(len(reference))
    look = reference.look_at(loaded.datasets, layout, nothing(loaded.datasets))
    verdict.add(loaded.labels, Guard(reference).scores(look, explain_below=UNLIKE))
    return verdict.sentence()


def _beside(variable: Variable, data: Datasets, rows: Datasets) -> Iterator[Beside]:
    value = data[variable.name]
    members = ""
    if isinstance(value, Ragged):
        least, most = int(value.row_size.min()), int(value.row_size.max())
        members = f"{least}" if least == most else f"{least}…{most}"
    real, simulated = (
        array_of(each[variable.name]).astype(np.float64).reshape(-1, len(variable.elements()))
        for each in (data, rows)
    )
    for place, name in enumerate(variable.elements()):
        own, drawn = real[:, place], simulated[:, place]
        own, drawn = own[~np.isnan(own)], drawn[~np.isnan(drawn)]
        if not len(own) or not len(drawn):
            continue
        low, high = float(drawn.min()), float(drawn.max())
        outside = float(((own < low) | (own > high)).mean())
        yield Beside(name, members, float(own.min()), float(own.max()), low, high, outside)
