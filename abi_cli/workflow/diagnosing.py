"""Diagnosing: do the posteriors of a run cover the truth as often as they claim to?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import Disagreement, DrawHeader, collect, disagreement_told
from abi_cli.diagnostics import Inputs, Metrics
from abi_cli.diagnostics import diagnose as measure
from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.run import DIAGNOSTICS, Run, open_run, replacing
from abi_cli.variables import Datasets, DrawBlock, Variable
from abi_cli.workflow.opening import open_approximator, refuse_without_draws
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Target,
    read_model,
    tell_files,
)
from abi_cli.workflow.simulating import Rows, simulate_rows


@dataclass(frozen=True)
class Diagnosis:
    """The metrics of a run and the folder with them and their pictures."""

    run: Run
    metrics: Metrics
    folder: Path


def diagnose(
    path: Path,
    *,
    datasets: int = 200,
    draws: int = 1000,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener | None = None,
) -> Diagnosis:
    """Simulate fresh data sets with the run's own code, sample them, compare with the truth.

    Arguments:
        path: The run folder.
        datasets, draws: How many data sets, and posterior draws of each.
        seed: Of both; the run's by default.
        target: A folder; RUN/diagnostics by default, which is replaced.

    Errors:
        UsageError: The network has no draws.
        RunError, UserFunctionError, OutputError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    seed = run.manifest.seed if seed is None else seed
    model = read_model(path)
    refuse_without_draws(run, model.spec)
    target.claim()
    tell_files(model, listener)
    simulated = simulate_rows(
        Rows(model.simulator, seed, Purpose.DIAGNOSE, 0, datasets, {}),
        compute=compute,
        listener=listener,
    )
    approximator = open_approximator(run, compute, listener)
    truths = _parameters(simulated, run)
    watch = Disagreement(approximator.members)
    drawn = approximator.sample(simulated, draws=draws, seed=seed, listener=listener)
    blocks: Iterable[DrawBlock] = watch.watching(drawn)
    more: list[Variable] = []
    if model.quantities.functions:
        more = model.quantities.variables(truths, simulated)
        blocks = model.quantities.added(blocks, simulated)
        at_truth = {name: value[:, None] for name, value in truths.items()}
        values = model.quantities.of(at_truth, simulated)
        truths = truths | {name: value[:, 0] for name, value in values.items()}
    header = DrawHeader.of(
        simulated, run.layout, labels=map(str, range(datasets)), draws=draws, seed=seed, more=more
    )
    estimates = collect(header, blocks).values
    shares = watch.shares()
    told = disagreement_told(shares, header.labels)
    folder = target.path or run.path / DIAGNOSTICS
    with replacing(folder) as place:
        metrics = measure(
            Inputs(
                estimates=estimates,
                truths=truths,
                labels={
                    name: section.labels for name, section in (model.spec.parameters or {}).items()
                },
                prior=truths,
                history=run.history(),
                seed=seed,
                disagreement=shares,
                notes=() if told is None else (f"{told[0].upper()}{told[1:]}.",),
            ),
            place,
            listener=listener,
        )
    return Diagnosis(run, metrics, folder)


def _parameters(datasets: Datasets, run: Run) -> dict[str, np.ndarray]:
    """Those of the variables that are inferred."""
    return {
        variable.name: value
        for variable in run.layout.of("parameter")
        if isinstance(value := datasets[variable.name], np.ndarray)
    }
