"""From draws to files: the metrics, the verdict and the pictures of one diagnosis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.features import features_of
from abi_cli.diagnostics.metrics import Metrics, measure
from abi_cli.diagnostics.scalars import Scalars, Summary, flatten, summarize
from abi_cli.errors import DataError, OutputError
from abi_cli.listener import Listener
from abi_cli.variables import Value, element_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 36
"""Parameters shown in one picture: with more, the least uniform ones are."""


@dataclass(frozen=True)
class Inputs:
    """What a diagnosis is made from.

    Arguments:
        estimates: Parameter → posterior draws `(dataset, draw, *event)`, on the user's scale.
        truths: Parameter → the values that the data were simulated with, `(dataset, *event)`.
        labels: Parameter → its labels, as in the spec; may leave parameters out.
        prior: Parameter → prior draws `(draw, *event)`; empty where the prior is not known.
        history: One row for each epoch: `epoch`, `loss` and, where known, `val_loss` and
            `learning_rate`; empty where there was no training.
        shown: Index of the data set whose posterior is shown.
        shown_label: What to call it; its index by default.
        seed: Of the randomization within tied ranks.
        data: The data sets themselves, without parameters; empty where they are not known.
        context: Scalars that vary between data sets, such as their size → `(dataset,)`.
        disagreement: Of an ensemble: element name → share of the variance that lies between its
            members, `(dataset,)`.
        notes: What is known besides.
    """

    estimates: Mapping[str, np.ndarray]
    truths: Mapping[str, np.ndarray]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prior: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    shown: int = 0
    shown_label: str | None = None
    seed: int = 1
    data: Mapping[str, Value] = field(default_factory=dict)
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    disagreement: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()


def diagnose(inputs: Inputs, out: Path, *, listener: Listener) -> Metrics:
    """Write `metrics.json` and `figures/*.png` into the folder `out`.

    Files of the same names are replaced, each as a whole; others are left alone.

    Errors:
        DataError: Draws and true values don't match or aren't finite.
        UsageError: There are too few of them.
        SpecError: A wrong number of labels.
        OutputError: A file can't be written.
    """
    scalars = flatten(inputs.estimates, inputs.truths, labels=inputs.labels)
    datasets = scalars.truths.shape[1]
    if not 0 <= inputs.shown < datasets:
        raise DataError(f"Expected a data set between 0 and {datasets - 1}; got {inputs.shown}")
    with listener.task("measuring", total=len(scalars.names), unit="parameters") as progress:
        summary = summarize(scalars, seed=inputs.seed, progress=progress)
    data_ranks = None
    if inputs.data:
        data_ranks = data_pit(scalars, features_of(inputs.data), seed=inputs.seed)
    metrics = measure(scalars, summary, data_ranks=data_ranks, context=inputs.context)
    metrics = replace(
        metrics,
        notes=(*metrics.notes, *inputs.notes),
        disagreement={name: float(np.median(share)) for name, share in inputs.disagreement.items()},
    )
    for note in metrics.notes:
        listener.note(note)

    text = json.dumps(metrics.to_config(), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        figures = out / "figures"
        figures.mkdir(parents=True, exist_ok=True)
        part = out / ".metrics.json.part"
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(out / "metrics.json")
        _draw_all(_pictures(inputs, scalars, summary, metrics), figures, listener=listener)
    except OSError as error:
        raise OutputError(
            f"Expected to write into {out}; got: {error.strerror or error}",
            hint="Is the disk full, or the folder read-only?",
        ) from error
    return metrics


def _draw_all(
    pictures: Mapping[str, Callable[[], Figure]], folder: Path, *, listener: Listener
) -> None:
    from abi_cli.diagnostics import style  # here, because matplotlib takes a while to import

    with listener.task("drawing", total=len(pictures), unit="pictures") as progress:
        for name, draw in pictures.items():
            style.save(draw, folder / f"{name}.png")
            progress.advance()


def _pictures(
    inputs: Inputs, scalars: Scalars, summary: Summary, metrics: Metrics
) -> dict[str, Callable[[], Figure]]:
    """The pictures that these inputs allow: file name → how to draw it."""
    from abi_cli.diagnostics import plots, plots_context, plots_pairs, style

    index = _chosen(metrics)
    remark = (
        f"Shown are the {len(index)} of {len(scalars.names)} parameters whose ranks are least "
        "uniform."
        if len(index) < len(scalars.names)
        else ""
    )
    scalars, summary = scalars.take(index), summary.take(index)
    labels = [style.printable(label) for label in scalars.labels]
    prior = _prior_rows(inputs.prior, scalars.names)
    dataset = str(inputs.shown) if inputs.shown_label is None else inputs.shown_label
    posterior = plots_pairs.Sample(
        labels,
        np.stack([draws[inputs.shown] for draws in scalars.draws]),
        truth=scalars.truths[:, inputs.shown],
        prior=prior,
    )

    pictures: dict[str, Callable[[], Figure]] = {}
    if inputs.history:
        pictures["loss"] = lambda: plots.loss(inputs.history)
    if prior is not None:
        known = plots_pairs.Sample(labels, prior)
        pictures["prior_pairs"] = lambda: plots_pairs.prior_pairs(known, remark=remark)
    pictures["posterior_pairs"] = lambda: plots_pairs.posterior_pairs(
        posterior, dataset=dataset, remark=remark
    )
    pictures["recovery"] = lambda: plots.recovery(summary, labels, remark=remark)
    pictures["calibration_histogram"] = lambda: plots.calibration_histogram(
        summary, labels, remark=remark
    )
    pictures["calibration_ecdf"] = lambda: plots.calibration_ecdf(summary, labels, remark=remark)
    pictures["z_score_contraction"] = lambda: plots.z_score_contraction(
        summary, labels, remark=remark
    )
    if metrics.by_context:
        shown = sorted(metrics.parameters, key=lambda n: metrics.parameters[n].uniformity.p)
        lines = [n for n in metrics.labels if n in shown[: plots_context.MOST_LINES]]
        pictures["by_context"] = lambda: plots_context.by_context(
            metrics.by_context, {name: metrics.labels[name] for name in lines}
        )
    return pictures


def _chosen(metrics: Metrics) -> list[int]:
    """Which parameters the pictures show: all, or those with the smallest p-values, in order."""
    p = [element.uniformity.p for element in metrics.parameters.values()]
    return sorted(sorted(range(len(p)), key=p.__getitem__)[:MOST_PANELS])


def _prior_rows(prior: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    """Prior draws of the elements `names`, `(element, draw)`, if they are all there."""
    rows: dict[str, np.ndarray] = {}
    for parameter, draws in prior.items():
        flat = np.asarray(draws).reshape(len(draws), -1).T
        rows |= zip(element_names(parameter, draws.shape[1:]), flat, strict=True)
    return np.stack([rows[name] for name in names]) if rows.keys() >= set(names) else None
