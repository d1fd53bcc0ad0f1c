"""The pictures of a diagnosis, in words and numbers, too.

A `Picture` knows how to draw itself, what it says to who can't see it, and the numbers in it.
Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli.diagnostics import measures as of
from abi_cli.diagnostics.bands import ecdf_at, ecdf_band, histogram_band, histogram_bins
from abi_cli.diagnostics.inputs import Inputs
from abi_cli.diagnostics.metrics import Metrics
from abi_cli.diagnostics.points import PointMetrics, level_of
from abi_cli.diagnostics.scalars import Scalars, Summary
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.variables import element_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from abi_cli.diagnostics.plots_pairs import Sample

MOST_PANELS = 36
"""Parameters shown in one picture: with more, the least uniform ones are."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """A figure, what it says, and its numbers.

    Arguments:
        name: Name of its files.
        title: Title in the figure.
        alt: What it shows, for who can't see it.
        draw: Makes the figure, within `style.styled()`.
        rows: Its numbers, one mapping for each row of a table, all of the same keys.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[], Figure]
    rows: Callable[[], Iterator[Row]]


def pictures(
    inputs: Inputs,
    scalars: Scalars,
    summary: Summary,
    metrics: Metrics,
    joint_ranks: Mapping[str, np.ndarray],
) -> Iterator[Picture]:
    """The pictures that these inputs allow, in the order in which they are best read."""
    from abi_cli.diagnostics import (
        plots,
        plots_context,
        plots_coverage,
        plots_pairs,
        plots_summaries,
        style,
    )

    every = scalars, summary
    index = chosen(metrics)
    remark = (
        f"Shown are the {len(index)} of {len(scalars.names)} parameters whose ranks are least "
        "uniform."
        if len(index) < len(scalars.names)
        else ""
    )
    scalars, summary = scalars.take(index), summary.take(index)
    names = scalars.names
    labels = [style.printable(label) for label in scalars.labels]
    told = _Told(metrics, names)
    datasets = summary.truth.shape[1]

    yield Picture(
        "rank_ecdf",
        "Ranks of all parameters",
        told.ranks(),
        lambda: plots_coverage.rank_ecdf(every[1].pit, every[0].labels),
        lambda: _ecdf_rows(every[0].names, {"ecdf": every[1].pit}),
    )
    yield Picture(
        "calibration_histogram",
        "Rank histogram",
        told.ranks(),
        lambda: plots.calibration_histogram(summary, labels, remark=remark),
        lambda: _histogram_rows(names, summary),
    )
    yield Picture(
        "calibration_ecdf",
        "ECDF difference",
        told.ranks(),
        lambda: plots.calibration_ecdf(summary, labels, remark=remark),
        lambda: _ecdf_rows(names, {"value": summary.pit, "distance": summary.distance_pit}),
    )
    yield Picture(
        "coverage",
        "Coverage",
        told.coverage(of.coverage(summary.pit)),
        lambda: plots_coverage.coverage(summary, labels, remark=remark),
        lambda: _ecdf_rows(names, {"covered": np.abs(2 * summary.pit - 1)}),
    )
    if joint_ranks:
        yield Picture(
            "joint",
            "Joint distribution",
            "; ".join(
                f"{name}: mean normal score {own.ranks.mean_score:+.2f}"
                for name, own in metrics.joint.items()
            ),
            lambda: plots_coverage.joint(joint_ranks),
            lambda: _ecdf_rows(
                tuple(joint_ranks), {"covered": np.stack(list(joint_ranks.values()))}, "quantity"
            ),
        )
    if metrics.by_context:
        worst = sorted(metrics.parameters, key=lambda n: metrics.parameters[n].uniformity.p)
        lines = [n for n in metrics.labels if n in worst[: plots_context.MOST_LINES]]
        yield Picture(
            "by_context",
            "By context",
            f"Widths, places and errors of {', '.join(lines)} in bins of "
            f"{', '.join(dict.fromkeys(part.bin.variable for part in metrics.by_context))}.",
            lambda: plots_context.by_context(
                metrics.by_context, {name: metrics.labels[name] for name in lines}
            ),
            lambda: _context_rows(metrics),
        )
    yield Picture(
        "recovery",
        "Recovery",
        told.each("correlation of posterior medians and true values", "correlation"),
        lambda: plots.recovery(summary, labels, remark=remark),
        lambda: _interval_rows(names, summary),
    )
    yield Picture(
        "intervals",
        "Intervals and truths",
        f"95 % intervals beside the true values of {min(datasets, plots_coverage.MOST_INTERVALS)} "
        "data sets.",
        lambda: plots_coverage.intervals(summary, labels, remark=remark),
        lambda: _interval_rows(names, summary, plots_coverage.MOST_INTERVALS),
    )
    yield Picture(
        "z_score_contraction",
        "z-score and contraction",
        told.each("median contraction", "contraction"),
        lambda: plots.z_score_contraction(summary, labels, remark=remark),
        lambda: _z_score_rows(names, summary),
    )
    prior = _prior_rows(inputs.prior, names)
    dataset = str(inputs.shown) if inputs.shown_label is None else inputs.shown_label
    posterior = plots_pairs.Sample(
        labels,
        np.stack([draws[inputs.shown] for draws in scalars.draws]),
        truth=scalars.truths[:, inputs.shown],
        prior=prior,
    )
    yield Picture(
        "posterior_pairs",
        "Posterior",
        f"Posterior draws given data set {dataset}, pair by pair, with the true values: "
        + "; ".join(
            f"{name} {mean:.3g} ± {sd:.2g}, true {truth:.3g}"
            for name, mean, sd, truth in zip(
                names,
                summary.mean[:, inputs.shown],
                summary.sd[:, inputs.shown],
                summary.truth[:, inputs.shown],
                strict=True,
            )
        ),
        lambda: plots_pairs.posterior_pairs(posterior, dataset=dataset, remark=remark),
        lambda: _sample_rows(names, posterior),
    )
    if prior is not None:
        known = plots_pairs.Sample(labels, prior)
        yield Picture(
            "prior_pairs",
            "Prior",
            "Draws from the prior, pair by pair: "
            + "; ".join(
                f"{name} {row.mean():.3g} ± {row.std():.2g}"
                for name, row in zip(names, prior, strict=True)
            ),
            lambda: plots_pairs.prior_pairs(known, remark=remark),
            lambda: _sample_rows(names, known),
        )
    if inputs.summaries is not None and inputs.summaries.simulated.shape[1] > 1:
        summaries = inputs.summaries
        yield Picture(
            "summary_map",
            "Summaries",
            "Simulated data sets on the two leading components of their summaries"
            + "".join(f"; {label} among them, p {p:.3g}" for label, p in metrics.observed.items())
            + ".",
            lambda: plots_summaries.summary_map(summaries),
            lambda: _map_rows(summaries),
        )
    if inputs.history:
        first, last = inputs.history[0], inputs.history[-1]
        yield Picture(
            "loss",
            "Loss",
            f"Training loss from {first['loss']:.4g} in epoch {first['epoch']:g} to "
            f"{last['loss']:.4g} in epoch {last['epoch']:g}.",
            lambda: plots.loss(inputs.history),
            lambda: iter(inputs.history),
        )


def point_pictures(metrics: PointMetrics) -> Iterator[Picture]:
    """The pictures of point estimates: what share of true values lies below each quantile."""
    from abi_cli.diagnostics import plots_coverage

    quantiles = {
        name: own
        for name, every in metrics.parameters.items()
        if (own := {which: one for which, one in every.items() if level_of(which) is not None})
    }
    if not quantiles:
        return
    shown = dict(list(quantiles.items())[:MOST_PANELS])
    yield Picture(
        "quantiles",
        "Quantiles",
        "True values below their quantiles: "
        + "; ".join(
            f"{name} "
            + ", ".join(f"{100 * one.found:.0f} % at {which}" for which, one in own.items())
            for name, own in shown.items()
        ),
        lambda: plots_coverage.quantiles(
            {metrics.labels[name]: list(own.values()) for name, own in shown.items()},
            datasets=metrics.datasets,
        ),
        lambda: (
            {
                "parameter": name,
                "quantile": which,
                "level": one.expected,
                "share": one.found,
                "low": one.interval[0],
                "high": one.interval[1],
            }
            for name, own in quantiles.items()
            for which, one in own.items()
        ),
    )


def chosen(metrics: Metrics) -> list[int]:
    """Parameters that the pictures show: all, or those with the smallest p-values, in order."""
    p = [element.uniformity.p for element in metrics.parameters.values()]
    return sorted(sorted(range(len(p)), key=p.__getitem__)[:MOST_PANELS])


@dataclass(frozen=True)
class _Told:
    """Descriptions of pictures in words."""

    metrics: Metrics
    names: Sequence[str]

    def ranks(self) -> str:
        """The description of a picture of ranks."""
        return (
            "; ".join(
                f"{name}: {self.metrics.verdict.parameters[name].reason}" for name in self.names
            )
            + "."
        )

    def coverage(self, covered: np.ndarray) -> str:
        """The coverage of the interval with a level nearest to 90 %; `covered (element, level)`."""
        at = int(np.abs(of.LEVELS - 0.9).argmin())
        return (
            f"Intervals of {100 * of.LEVELS[at]:.0f} % cover "
            + "; ".join(
                f"{name} in {100 * share:.0f} %"
                for name, share in zip(self.names, covered[:, at], strict=True)
            )
            + " of data sets."
        )

    def each(self, what: str, metric: str) -> str:
        """The values of one metric."""
        return f"{what[0].upper()}{what[1:]}: " + "; ".join(
            f"{name} {getattr(self.metrics.parameters[name], metric):.3f}" for name in self.names
        )


def _prior_rows(prior: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    """Prior draws of the elements `names`, `(element, draw)`, if they are all there."""
    rows: dict[str, np.ndarray] = {}
    for parameter, draws in prior.items():
        flat = np.asarray(draws).reshape(len(draws), -1).T
        rows |= zip(element_names(parameter, draws.shape[1:]), flat, strict=True)
    return np.stack([rows[name] for name in names]) if rows.keys() >= set(names) else None


def _ecdf_rows(
    names: Sequence[str], ranks: Mapping[str, np.ndarray], what: str = "parameter"
) -> Iterator[Row]:
    """ECDFs of ranks `(element, dataset)`, and the band of uniform ones."""
    band = ecdf_band(next(iter(ranks.values())).shape[1])
    for k, name in enumerate(names):
        curves = {curve: ecdf_at(values[k], band.at) for curve, values in ranks.items()}
        for i, at in enumerate(band.at):
            shown = {curve: float(values[i]) for curve, values in curves.items()}
            limits = {"band_low": float(band.lower[i]), "band_high": float(band.upper[i])}
            yield {what: name, "at": float(at), **shown, **limits}


def _histogram_rows(names: Sequence[str], summary: Summary) -> Iterator[Row]:
    datasets = summary.truth.shape[1]
    bins = histogram_bins(datasets)
    low, high = histogram_band(datasets, bins=bins)
    for name, pit in zip(names, summary.pit, strict=True):
        counts, edges = np.histogram(pit, bins=bins, range=(0, 1))
        for k, number in enumerate(counts):
            between = {"from": float(edges[k]), "to": float(edges[k + 1])}
            yield {
                "parameter": name,
                **between,
                "datasets": int(number),
                "band_low": low,
                "band_high": high,
            }


def _interval_rows(
    names: Sequence[str], summary: Summary, most: int | None = None
) -> Iterator[Row]:
    for k, name in enumerate(names):
        for n in range(summary.truth.shape[1])[:most]:
            yield {
                "parameter": name,
                "dataset": n,
                "truth": float(summary.truth[k, n]),
                "median": float(summary.median[k, n]),
                "q2.5": float(summary.low[k, n]),
                "q97.5": float(summary.high[k, n]),
            }


def _z_score_rows(names: Sequence[str], summary: Summary) -> Iterator[Row]:
    scores, contractions = of.z_scores(summary), of.contractions(summary)
    for k, name in enumerate(names):
        for n in range(summary.truth.shape[1]):
            values = {"contraction": float(contractions[k, n]), "z_score": float(scores[k, n])}
            yield {"parameter": name, "dataset": n, **values}


def _context_rows(metrics: Metrics) -> Iterator[Row]:
    for part in metrics.by_context:
        place = {"variable": part.bin.variable, "low": part.bin.low, "high": part.bin.high}
        for name, ranks in part.elements.items():
            yield {
                **place,
                "datasets": len(part.bin.index),
                "parameter": name,
                "sd_ratio": ranks.sd_ratio,
                "sd_ratio_low": ranks.sd_ratio_interval[0],
                "sd_ratio_high": ranks.sd_ratio_interval[1],
                "mean_score": ranks.mean_score,
                "mean_score_low": ranks.mean_score_interval[0],
                "mean_score_high": ranks.mean_score_interval[1],
                "nrmse": part.nrmse[name],
            }


def _map_rows(summaries: Summaries) -> Iterator[Row]:
    simulated, observed = summaries.map()
    for what, labels, places in (
        ("simulated", map(str, range(len(simulated))), simulated),
        ("observed", summaries.observed, observed),
    ):
        for label, (first, second) in zip(labels, places, strict=True):
            yield {"what": what, "dataset": label, "first": float(first), "second": float(second)}


def _sample_rows(names: Sequence[str], sample: Sample) -> Iterator[Row]:
    if sample.truth is not None:
        truth = zip(names, map(float, sample.truth), strict=True)
        yield {"what": "truth", **dict(truth)}
    for draw in sample.draws.T:
        yield {"what": "draw", **dict(zip(names, map(float, draw), strict=True))}
