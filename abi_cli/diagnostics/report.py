"""The way from draws to files: metrics, verdict, pictures and report of one diagnosis."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli import placing
from abi_cli.diagnostics.advice import settled
from abi_cli.diagnostics.challenge import Challenge, Challenged, widths_of
from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.inputs import Inputs
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.diagnostics.losses import features_and_statistics, learn
from abi_cli.diagnostics.metrics import Metrics, measure
from abi_cli.diagnostics.page import Image, image, write_page
from abi_cli.diagnostics.pictures import Picture, pictures, point_pictures
from abi_cli.diagnostics.points import PointMetrics
from abi_cli.diagnostics.scalars import Scalars, Summary, flatten, summarize
from abi_cli.diagnostics.uniformity import uniformity
from abi_cli.diagnostics.verdict import Evidence, Outcome, judge
from abi_cli.errors import DataError
from abi_cli.harmless import cell
from abi_cli.listener import SILENT, Listener

METRICS, FIGURES, REPORT = "metrics.json", "figures", "report.html"


@dataclass(frozen=True)
class Study:
    """The findings of a diagnosis, and the numbers that its pictures are made from.

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
    challenged = (
        None
        if inputs.challenge is None
        else _challenged(inputs.challenge, inputs, scalars, summary)
    )
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
        joined=inputs.joined,
        ranges=inputs.ranges,
        exact=inputs.exact,
        challenged=challenged,
        sums=_sums(inputs, scalars),
        limits=inputs.limits,
    )
    seen = inputs.summaries
    beside = [metrics.beside.sentence()] if metrics.beside else []
    seen_as = [seen.sentence] if seen and seen.sentence else []
    metrics = replace(
        metrics,
        notes=(*beside, *metrics.notes, *seen_as, *inputs.notes),
        observed=dict(seen.p) if seen else {},
        disagreement={name: float(np.median(share)) for name, share in inputs.disagreement.items()},
    )
    more = [
        *(["likelihood"] if inputs.density or metrics.beside is not None else []),
        *(["challenge"] if challenged is not None else []),
    ]
    tested = (*metrics.verdict.tested, *more)
    metrics = replace(metrics, verdict=replace(metrics.verdict, tested=tested))
    if inputs.unsure is not None:
        verdict = replace(metrics.verdict, outcome=Outcome.CANNOT_TELL, sentence=inputs.unsure)
        metrics = replace(metrics, verdict=verdict)
    return Study(metrics, scalars, summary, joint_ranks)


def _sums(inputs: Inputs, scalars: Scalars) -> dict[str, int]:
    """The log density, if it is judged, and how many parameters it is a sum over."""
    if inputs.density is None:
        return {}
    others = {*inputs.computed, inputs.density}
    parameters = [name for name in scalars.names if name.partition("[")[0] not in others]
    return {inputs.density: len(parameters)}


def _challenged(
    challenge: Challenge, inputs: Inputs, scalars: Scalars, summary: Summary
) -> Challenged:
    """Findings of rivals, and widths of posteriors beside those of the chosen one.

    Widths are those of parameters of which the rival itself passes, by its ranks.
    """
    rival = flatten(challenge.estimates, inputs.truths, labels=inputs.labels)
    index = [k for k, name in enumerate(scalars.names) if name in rival.names]
    names = tuple(scalars.names[k] for k in index)
    rival = rival.take([rival.names.index(name) for name in names])
    with SILENT.task("measuring the rival") as progress:
        theirs = summarize(rival, seed=inputs.seed, progress=progress)
    judged = judge(
        {
            name: Evidence(uniformity(theirs.pit[k], interval=inputs.limits.interval))
            for k, name in enumerate(names)
        },
        datasets=theirs.truth.shape[1],
        limits=inputs.limits,
    )
    sure = {name: own.outcome is Outcome.PASS for name, own in judged.parameters.items()}
    widths = widths_of(summary.take(index), theirs, names, sure=sure)
    return Challenged.of(challenge, widths=widths, interval=inputs.limits.interval)


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
    with placing.writing(out):
        (out / FIGURES).mkdir(parents=True, exist_ok=True)
        _write_metrics(metrics, out)
        images = _draw_all(shown, out / FIGURES, pdf=pdf, listener=listener)
        write_page(out / REPORT, metrics, images, source)


def diagnose_points(
    metrics: PointMetrics, out: Path, *, listener: Listener, pdf: bool = False
) -> None:
    """Write `metrics.json` and a picture of point estimates into the folder `out`.

    Errors:
        OutputError: A file can't be written.
    """
    with placing.writing(out):
        (out / FIGURES).mkdir(parents=True, exist_ok=True)
        _write_metrics(metrics, out)
        _draw_all(list(point_pictures(metrics)), out / FIGURES, pdf=pdf, listener=listener)


def _write_metrics(metrics: Metrics | PointMetrics, out: Path) -> None:
    text = json.dumps(metrics.to_config(), indent=2, ensure_ascii=False, allow_nan=False)
    placing.write_text(out / METRICS, text + "\n")


def _draw_all(
    shown: Sequence[Picture], folder: Path, *, pdf: bool, listener: Listener
) -> list[tuple[Picture, Image]]:
    """Write pictures and their numbers; gives their images for a page."""
    images = []
    with listener.task("drawing", total=len(shown), unit="pictures") as progress:
        for picture in shown:
            files = [folder / f"{picture.name}.{kind}" for kind in ("png", "pdf")[: 1 + pdf]]
            images.append((picture, image(picture, *files)))
            _write_rows(picture, folder / f"{picture.name}.csv")
            progress.advance()
    return images


def _write_rows(picture: Picture, file: Path) -> None:
    """The numbers of a picture as CSV, whole or not at all; rows may lack columns of others."""
    rows = list(picture.rows())
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with placing.replacing(file) as place, place.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: cell(v) if isinstance(v, str) else v for name, v in row.items()})
