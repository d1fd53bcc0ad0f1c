"""Diagnosing: do the posteriors of a run cover the truth as often as they claim to?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.data import Disagreement, DrawHeader, collect, disagreement_told
from abi_cli.diagnostics import Inputs, Limits, Metrics, Summaries
from abi_cli.diagnostics import diagnose as measure
from abi_cli.errors import UsageError
from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.run import DIAGNOSTICS, Run, open_run, replacing
from abi_cli.variables import Datasets, DrawBlock, Ragged, Variable, count, take
from abi_cli.workflow.opening import (
    load_data,
    naming_of,
    open_approximator,
    refuse_without_draws,
)
from abi_cli.workflow.provenance import provenance
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Target,
    read_model,
    tell_files,
)
from abi_cli.workflow.simulating import Rows, fixed_context, simulate_rows
from abi_cli.workflow.stored import stored_simulations

DATASETS = 1_000
"""Fresh ones, where nothing else is asked for."""


@dataclass(frozen=True)
class Diagnosis:
    """Metrics, the folder with them, their report and pictures; the history of the training."""

    metrics: Metrics
    folder: Path
    history: Sequence[Mapping[str, float]] = ()


def diagnose(
    path: Path,
    *,
    datasets: int | None = None,
    data: Path | None = None,
    context: Sequence[str] = (),
    draws: int = 1000,
    seed: int | None = None,
    observed: Path | None = None,
    shown: str | None = None,
    pdf: bool = False,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener | None = None,
) -> Diagnosis:
    """Simulate fresh data sets with the run's own code, sample them, compare with the truth.

    The truth of each parameter, and of each quantity that the spec names, is ranked among its
    draws; with `log_likelihood` so is the density of the model.

    Arguments:
        path: The run folder.
        datasets: How many data sets; 1,000 by default, or all that are stored.
        data: Stored simulations that training has not seen, instead of fresh ones.
        context: Context variables to hold fixed in fresh ones, as `NAME=VALUE`.
        draws: How many posterior draws of each.
        seed: Of both; the run's by default.
        observed: Real data, to be held against simulated ones.
        shown: The data set whose posterior is shown, counted from 0.
        pdf: Write figures as PDF, too.
        target: A folder; RUN/diagnostics by default, which is replaced.

    Errors:
        UsageError: The network has no draws.
        RunError, DataError, UserFunctionError, OutputError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    seed = run.manifest.seed if seed is None else seed
    model = read_model(path)
    refuse_without_draws(run, model.spec)
    target.claim()
    tell_files(model, listener)
    fixed = fixed_context(context)
    if data is None:
        number = datasets or DATASETS
        rows = Rows(model.need_simulator(), seed, Purpose.DIAGNOSE, 0, number, fixed)
        simulated = simulate_rows(rows, compute=compute, listener=listener)
    else:
        if fixed:
            raise UsageError("Expected --context with fresh simulations; got it with --data")
        stored = stored_simulations(data, model, seed=seed, listener=listener)
        simulated = take(stored, slice(0, datasets))
    last = count(simulated) - 1
    if shown is not None and not (shown.isdecimal() and int(shown) <= last):
        raise UsageError(f"Expected --show 0 to {last}; got {shown}")
    approximator = open_approximator(run, compute, listener)
    truths = parameters_of(simulated, run)
    real: Datasets = {}
    real_labels: Sequence[str] = ()
    if observed is not None:
        loaded = load_data(run, observed, naming_of(model.spec), listener)
        real, real_labels = loaded.datasets, loaded.labels
    density = None
    if approximator.inference_network.has_density:
        density = approximator.log_prob(simulated, truths)
    watch = Disagreement(approximator.members)
    drawn = approximator.sample(simulated, draws=draws, seed=seed, listener=listener)
    blocks: Iterable[DrawBlock] = watch.watching(drawn)
    more: list[Variable] = []
    if model.judged:
        more = model.judged.variables(truths, simulated)
        blocks = model.judged.added(blocks, simulated)
        at_truth = {name: value[:, None] for name, value in truths.items()}
        values = model.judged.of(at_truth, simulated)
        truths = truths | {name: value[:, 0] for name, value in values.items()}
    header = DrawHeader.of(
        simulated,
        run.layout,
        labels=map(str, range(count(simulated))),
        draws=draws,
        seed=seed,
        more=more,
    )
    estimates = collect(header, blocks).values
    if model.judged.density is not None:
        _bring_to_earth(model.judged.density.name, estimates, truths, listener)
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
                shown=int(shown or 0),
                data=data_of(simulated, run),
                context=context_of(simulated, run),
                disagreement=shares,
                summaries=Summaries(
                    approximator.summaries(simulated),
                    dict(zip(real_labels, approximator.summaries(real), strict=True))
                    if real_labels
                    else {},
                ),
                log_density=density,
                notes=() if told is None else (f"{told[0].upper()}{told[1:]}.",),
                limits=Limits(**dict(model.spec.diagnostics)),
                source=provenance(run, model.spec, seed=seed),
            ),
            place,
            listener=listener,
            pdf=pdf,
        )
    return Diagnosis(metrics, folder, run.history())


def data_of(datasets: Datasets, run: Run) -> Datasets:
    """What posteriors are given of data sets."""
    given = run.layout.of("context", "given", "observable")
    return {variable.name: datasets[variable.name] for variable in given}


def context_of(datasets: Datasets, run: Run) -> dict[str, np.ndarray]:
    """Scalar context, and how many members sets have where that is no context."""
    scalars = {
        variable.name: value
        for variable in run.layout.of("context", "given")
        if isinstance(value := datasets[variable.name], np.ndarray) and value.ndim == 1
    }
    counted = {name for v in run.layout.of("context") for name in v.length_of}
    sizes = {
        f"members of {name}": value.row_size
        for name, value in datasets.items()
        if isinstance(value, Ragged) and name not in counted
    }
    return scalars | sizes


def _bring_to_earth(
    name: str,
    estimates: dict[str, np.ndarray],
    truths: dict[str, np.ndarray],
    listener: Listener,
) -> None:
    """Let log densities of −inf be as low as the lowest finite one: only their ranks count."""
    draws, truth = estimates[name], truths[name]
    impossible = np.isneginf(draws)
    if not impossible.any() and not np.isneginf(truth).any():
        return
    listener.note(
        f"{name} is −inf for {impossible.mean():.2%} of the draws and {np.isneginf(truth).sum()} "
        "of the truths: they are ranked lowest"
    )
    lowest = min(draws[~impossible].min(initial=0.0), truth[np.isfinite(truth)].min(initial=0.0))
    estimates[name] = np.where(impossible, lowest, draws)
    truths[name] = np.where(np.isneginf(truth), lowest, truth)


def parameters_of(datasets: Datasets, run: Run) -> dict[str, np.ndarray]:
    """Those of the variables that are inferred."""
    return {
        variable.name: value
        for variable in run.layout.of("parameter")
        if isinstance(value := datasets[variable.name], np.ndarray)
    }
