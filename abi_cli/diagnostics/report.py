"""From draws to files: the metrics, the verdict, the pictures and the report of one diagnosis."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from abi_cli.diagnostics.advice import settled
from abi_cli.diagnostics.beside import Exact
from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Limits
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.diagnostics.losses import features_and_statistics, learn
from abi_cli.diagnostics.metrics import Metrics, measure
from abi_cli.diagnostics.page import UNKNOWN, Provenance, write_page
from abi_cli.diagnostics.pictures import Picture, pictures, point_pictures
from abi_cli.diagnostics.points import PointMetrics
from abi_cli.diagnostics.scalars import Scalars, Summary, flatten, summarize
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.diagnostics.verdict import Outcome
from abi_cli.errors import DataError, OutputError
from abi_cli.harmless import cell
from abi_cli.listener import Listener
from abi_cli.ranges import Range
from abi_cli.variables import Value

METRICS, FIGURES, REPORT = "metrics.json", "figures", "report.html"


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
        given, series: Names of `data` that the model takes and does not draw, and of those whose
            members have an order.
        context: Scalars that vary between data sets, such as their size → `(dataset,)`.
        disagreement: Of an ensemble: element name → share of the variance that lies between its
            members, `(dataset,)`.
        summaries: What the network makes of these data sets, and of observed ones; None where that
            is not known.
        near: Whether posteriors are judged near observed data sets, too.
        log_density: Of the truths, as the network has it, `(dataset,)`; None where it has none.
        ranges: Element name → what the prior gave of it in training; empty where that is not known.
        notes: What is known besides.
        computed: Names of `estimates` that are no parameters but were computed from them: what is
            not a finite number everywhere among these is left out.
        skipped: What was left out before, and why.
        likelihood: Whether the density of the model is among `estimates`.
        exact: Refined posteriors of the first data sets; None where none were made.
        unsure: Why nothing can be told, if so: then that is the verdict.
        limits: What is tolerated.
        source: Where the draws come from.
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
    given: Collection[str] = ()
    series: Collection[str] = ()
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    disagreement: Mapping[str, np.ndarray] = field(default_factory=dict)
    summaries: Summaries | None = None
    near: bool = False
    log_density: np.ndarray | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    notes: Sequence[str] = ()
    computed: Collection[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    likelihood: bool = False
    exact: Exact | None = None
    unsure: str | None = None
    limits: Limits = DEFAULT_LIMITS
    source: Provenance = UNKNOWN


@dataclass(frozen=True)
class Study:
    """What was found, and what pictures of it are made from.

    Arguments:
        joint_ranks: Quantity of the joint distribution → ranks, `(dataset,)`.
    """

    metrics: Metrics
    scalars: Scalars
    summary: Summary
    joint_ranks: Mapping[str, np.ndarray]


def diagnose(inputs: Inputs, out: Path, *, listener: Listener, pdf: bool = False) -> Metrics:
    """Study posteriors, and write what is found into the folder `out`: see `study`, `write`."""
    found = study(inputs, listener=listener)
    write(inputs, found, out, listener=listener, pdf=pdf)
    return found.metrics


def study(inputs: Inputs, *, listener: Listener) -> Study:
    """Measure and judge; nothing is written.

    Errors:
        DataError: Draws and true values don't match or aren't finite.
        UsageError: There are too few of them.
        SpecError: A wrong number of labels.
    """
    scalars = flatten(
        inputs.estimates, inputs.truths, labels=inputs.labels, computed=inputs.computed
    )
    scalars = replace(scalars, skipped={**inputs.skipped, **scalars.skipped})
    datasets = scalars.truths.shape[1]
    if not 0 <= inputs.shown < datasets:
        raise DataError(f"Expected a data set between 0 and {datasets - 1}; got {inputs.shown}")
    with listener.task("measuring", total=len(scalars.names), unit="parameters") as progress:
        summary = summarize(scalars, seed=inputs.seed, progress=progress)
    features, data_ranks, learned = None, None, None
    if inputs.data:
        features = features_and_statistics(inputs.data, given=inputs.given, series=inputs.series)
        data_ranks = data_pit(scalars, features.plain, seed=inputs.seed)
        learned = learn(scalars, features, seed=inputs.seed)
    plain = None if features is None else features.plain
    joint_ranks = joint_pits(scalars, plain, seed=inputs.seed, learned=learned)
    metrics = measure(
        scalars,
        summary,
        data_ranks=data_ranks,
        joint_ranks=joint_ranks,
        learned=learned,
        log_density=inputs.log_density,
        context=inputs.context,
        features=features,
        near=inputs.summaries.nearest() if inputs.near and inputs.summaries else None,
        ranges=inputs.ranges,
        exact=inputs.exact,
        limits=inputs.limits,
    )
    told = () if metrics.beside is None else (metrics.beside.told(),)
    seen = inputs.summaries
    metrics = replace(
        metrics,
        notes=(*told, *metrics.notes, *([seen.told] if seen and seen.told else []), *inputs.notes),
        observed=dict(seen.p) if seen else {},
        disagreement={name: float(np.median(share)) for name, share in inputs.disagreement.items()},
    )
    if inputs.likelihood or metrics.beside is not None:
        tested = (*metrics.verdict.tested, "likelihood")
        metrics = replace(metrics, verdict=replace(metrics.verdict, tested=tested))
    if inputs.unsure is not None:
        verdict = replace(metrics.verdict, outcome=Outcome.CANNOT_TELL, sentence=inputs.unsure)
        metrics = replace(metrics, verdict=verdict)
    return Study(metrics, scalars, summary, joint_ranks)


def write(
    inputs: Inputs, found: Study, out: Path, *, listener: Listener, pdf: bool = False
) -> None:
    """Write `metrics.json`, `report.html` and `figures/` (PNG and CSV) into the folder `out`.

    Files of the same names are replaced, each as a whole; others are left alone.

    Arguments:
        pdf: Write figures as PDF, too.

    Errors:
        OutputError: A file can't be written.
    """
    metrics = found.metrics
    for note in metrics.notes:
        listener.note(note)
    means = replace(inputs.source.means, settled=settled(inputs.history))
    source = replace(inputs.source, means=means)
    shown = list(pictures(inputs, found.scalars, found.summary, metrics, found.joint_ranks))
    if metrics.beside is not None:
        from abi_cli.diagnostics.plots_beside import beside_picture

        shown.append(beside_picture(metrics.beside))
    with _writing(out):
        _write_metrics(metrics, out)
        _draw_all(shown, out / FIGURES, pdf=pdf, listener=listener)
        write_page(out / REPORT, metrics, shown, out / FIGURES, source)


def diagnose_points(
    metrics: PointMetrics, out: Path, *, listener: Listener, pdf: bool = False
) -> None:
    """Write `metrics.json` and a picture of point estimates into the folder `out`.

    Errors:
        OutputError: A file can't be written.
    """
    with _writing(out):
        _write_metrics(metrics, out)
        _draw_all(list(point_pictures(metrics)), out / FIGURES, pdf=pdf, listener=listener)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """While files are written into a folder.

    Errors:
        OutputError: One can't be.
    """
    try:
        (out / FIGURES).mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(
            f"Expected to write into {out}; got: {error.strerror or error}",
            hint="Is the disk full, or the folder read-only?",
        ) from error


def _write_metrics(metrics: Metrics | PointMetrics, out: Path) -> None:
    text = json.dumps(metrics.to_config(), indent=2, ensure_ascii=False, allow_nan=False)
    part = out / f".{METRICS}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(out / METRICS)


def _draw_all(shown: Sequence[Picture], folder: Path, *, pdf: bool, listener: Listener) -> None:
    from abi_cli.diagnostics import style  # here, because matplotlib takes a while to import

    with listener.task("drawing", total=len(shown), unit="pictures") as progress:
        for picture in shown:
            files = [folder / f"{picture.name}.{kind}" for kind in ("png", "pdf")[: 1 + pdf]]
            style.save(picture.draw, *files)
            _write_rows(picture, folder / f"{picture.name}.csv")
            progress.advance()


def _write_rows(picture: Picture, file: Path) -> None:
    """The numbers of a picture as CSV, whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = None
        for row in picture.rows():
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow({name: cell(v) if isinstance(v, str) else v for name, v in row.items()})
    part.replace(file)
