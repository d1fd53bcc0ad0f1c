"""Comparing runs: the same data sets, answered by each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.data import DrawHeader, collect
from abi_cli.diagnostics import Limits, flatten, measure, summarize
from abi_cli.diagnostics.comparison import Difference, Judged, crps, differences
from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.diagnostics.losses import features_and_statistics, learn
from abi_cli.errors import RunError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.run import Run, open_run
from abi_cli.spec import Spec, read_document, read_source
from abi_cli.variables import Datasets, Ragged, array_of, count
from abi_cli.workflow.calibration.validation import (
    USUAL_VALIDATION,
    Validation,
    context_of,
    data_of,
    density_of,
    parameters_of,
)
from abi_cli.workflow.opened.opening import model_of, open_approximator, refuse_without_draws
from abi_cli.workflow.opened.refusing import blaming_the_run
from abi_cli.workflow.request import USUAL_COMPUTE, Compute, tell_files


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Arguments:
        runs: In the order asked for; the first is what the others are held against.
        judged: What each says of the same data sets.
        differences: Of each to the first, by score.
        specs: Field of the spec → its value in each run, for those that differ.
    """

    runs: tuple[Run, ...]
    judged: tuple[Judged, ...]
    differences: tuple[dict[str, Difference], ...]
    specs: dict[str, tuple[str, ...]]


def compare(
    paths: Sequence[Path],
    *,
    validation: Validation = USUAL_VALIDATION,
    draws: int = 1000,
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener = SILENT,
) -> Comparison:
    """Hold runs against the first of them, on data sets simulated with its code.

    Arguments:
        paths: Run folders, at least two.
        validation: Which data sets.
        draws: How many posterior draws of each.
        seed: Of both; the first run's by default.

    Errors:
        UsageError: Fewer than two runs.
        RunError: One of them is no run, or of other data or parameters than the first makes.
        DataError, UserFunctionError: As they say.
    """
    if len(paths) < 2:
        raise UsageError("Expected two runs or more", hint="abi compare runs/one runs/other")
    runs = [open_run(path) for path in paths]
    models = [model_of(run) for run in runs]
    for run, model in zip(runs, models, strict=True):
        refuse_without_draws(run, model.spec)
    seed = runs[0].manifest.seed if seed is None else seed
    tell_files(models[0], listener)
    simulated = validation.simulations(models[0], seed=seed, compute=compute, listener=listener)
    for run in runs[1:]:
        _refuse_other(run, runs[0], simulated)
    judged = tuple(
        _judged(
            run,
            model.spec,
            simulated,
            draws=draws,
            seed=seed,
            data=validation.data,
            compute=compute,
            listener=listener,
        )
        for run, model in zip(runs, models, strict=True)
    )
    trees = [read_document(read_source(run.spec_file())).tree for run in runs]
    return Comparison(
        tuple(runs),
        judged,
        tuple(differences(one, judged[0]) for one in judged),
        _differing([_flat(tree) for tree in trees]),
    )


def _refuse_other(run: Run, first: Run, simulated: Datasets) -> None:
    """Refuse a run of other variables than the first.

    Errors:
        RunError: The first run's model does not make what it needs or infers.
    """
    for variable in run.layout.of("context", "given", "parameter", "observable"):
        value = simulated.get(variable.name)
        fits = (
            value is not None
            and isinstance(value, Ragged) == variable.ragged
            and array_of(value).shape[1:] == tuple(variable.event)
        )
        if not fits:
            raise RunError(
                f"{run.path} was trained on {variable.name}; {first.path} makes none of that shape",
                hint="Runs can be compared that answer the same data about the same parameters.",
            )


def _judged(
    run: Run,
    spec: Spec,
    simulated: Datasets,
    *,
    draws: int,
    seed: int,
    data: Path | None,
    compute: Compute,
    listener: Listener,
) -> Judged:
    """The posteriors of a run for the data sets, judged."""
    approximator = open_approximator(run, compute, listener)
    truths = parameters_of(simulated, run)
    labels = list(map(str, range(count(simulated))))
    header = DrawHeader.of(simulated, run.layout, labels=labels, draws=draws, seed=seed)
    with blaming_the_run(run, data=data):
        density = density_of(approximator, simulated, truths, listener)
        blocks = approximator.sample(simulated, draws=draws, seed=seed, listener=listener)
        drawn = collect(header, blocks).values
    scalars = flatten(drawn, truths, labels={})
    with listener.task("measuring", total=len(scalars.names), unit="parameters") as progress:
        summary = summarize(scalars, seed=seed, progress=progress)
    features = features_and_statistics(
        data_of(simulated, run),
        given=[variable.name for variable in run.layout.of("context", "given")],
        series=spec.series(),
    )
    learned = learn(scalars, features, seed=seed)
    metrics = measure(
        scalars,
        summary,
        data_ranks=data_pit(scalars, features.plain, seed=seed),
        joint_ranks=joint_pits(scalars, features.plain, seed=seed, learned=learned),
        learned=learned,
        log_density=density,
        context=context_of(simulated, run),
        features=features,
        limits=Limits(**dict(spec.diagnostics)),
    )
    return Judged(
        metrics,
        crps(scalars),
        None if density is None else np.asarray(-density),
        None if learned is None else learned.nats,
    )


def _flat(tree: Any, place: str = "") -> dict[str, str]:
    """Dotted field → its value as text."""
    if isinstance(tree, Mapping) and tree:
        return {
            key: value
            for name, inner in tree.items()
            for key, value in _flat(inner, f"{place}.{name}" if place else str(name)).items()
        }
    if isinstance(tree, list) and any(isinstance(one, Mapping) for one in tree):
        return _flat({str(number): one for number, one in enumerate(tree)}, place)
    return {place: str(tree)}


def _differing(specs: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """The fields that differ, in the order in which they are first met."""
    fields = dict.fromkeys(field for spec in specs for field in spec)
    values = {field: tuple(spec.get(field, "") for spec in specs) for field in fields}
    return {field: own for field, own in values.items() if len(set(own)) > 1}
