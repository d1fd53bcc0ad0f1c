"""The pictures with one panel for each parameter, and the loss.

Functions named `draw_…` put one panel's data on an `Axes`; the others make the whole figure. All
read a `Summary`, never the draws. They expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from abi_cli.diagnostics import measures, style
from abi_cli.diagnostics.bands import Band, ecdf_at, ecdf_band, histogram_band, histogram_bins
from abi_cli.diagnostics.reach import beyond, reach, unshown
from abi_cli.diagnostics.scalars import Summary
from abi_cli.digits import fixed

MOST_POINTS = 500
"""Data sets shown in one panel: more would only be ink."""


def recovery(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Posterior median and 95 % interval against the true value.

    Arguments:
        labels: `(element,)`.
        remark: A sentence for the heading, here and below.
    """
    datasets = summary.truth.shape[1]
    shown = (
        f"the first {MOST_POINTS} of {datasets:,}" if datasets > MOST_POINTS else f"all {datasets}"
    )
    grid = style.grid(
        labels,
        title="Recovery",
        subtitle=_sentences(
            f"Posterior median and 95 % interval of {shown} data sets. Points near the diagonal: "
            "the data tell the parameter. Intervals that miss it are orange: about 5 % should.",
            remark,
        ),
        x_label="true value",
        y_label="posterior",
    )
    correlation = measures.correlation(summary)
    for k, axes in enumerate(grid.axes):
        lost = draw_recovery(axes, summary.take([k]))
        covered = np.mean(
            (summary.low[k] <= summary.truth[k]) & (summary.truth[k] <= summary.high[k])
        )
        style.note(axes, f"r = {correlation[k]:.3f}\n{100 * covered:.0f} % covered{unshown(lost)}")
        if len(labels) > 4:  # both axes have the same ticks: once is enough where space is short
            axes.tick_params(labelleft=False)
    return grid.figure


def draw_recovery(axes: Axes, summary: Summary) -> int:
    """One parameter's posteriors against its true values; gives how many are not all to be seen."""
    truth, median, low, high = (
        values[0, :MOST_POINTS]
        for values in (summary.truth, summary.median, summary.low, summary.high)
    )
    limits = _padded(*reach(np.concatenate([truth, low, high])))
    alpha = float(np.clip(60 / len(truth), 0.18, 0.6))
    axes.plot(limits, limits, color=style.GREY, linewidth=1, zorder=1)
    missed = (truth < low) | (truth > high)
    for chosen, color, weight in (
        (~missed, style.BLUE, alpha),
        (missed, style.VERMILION, max(alpha, 0.6)),
    ):
        axes.vlines(
            truth[chosen],
            low[chosen],
            high[chosen],
            color=color,
            alpha=weight,
            linewidth=1,
            zorder=2,
        )
        axes.plot(
            truth[chosen],
            median[chosen],
            ".",
            color=color,
            markersize=4,
            alpha=0.85,
            zorder=3,
            markeredgewidth=0,
        )
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    style.plain_ticks(axes)
    axes.set_yticks([tick for tick in axes.get_xticks() if limits[0] <= tick <= limits[1]])
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    return beyond(limits, truth, low, high)


def calibration_histogram(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Histograms of the ranks of the true values among the draws."""
    datasets = summary.truth.shape[1]
    bins = histogram_bins(datasets)
    grid = style.grid(
        labels,
        title="Rank histogram",
        subtitle=_sentences(
            f"Where the true value ranks among the posterior draws, in {datasets:,} data sets. "
            "Exact posteriors give flat bars, all inside the band with probability 95 %. "
            "Valley: too narrow. Hill: too wide. Slope: off to one side.",
            remark,
        ),
        x_label="rank of the true value, as a share of the draws",
        y_label="data sets",
        gap=(0.2, 0.4),
    )
    counts = [np.histogram(pit, bins=bins, range=(0, 1))[0] for pit in summary.pit]
    low, high = histogram_band(datasets, bins=bins)
    top = 1.12 * max(high, *(int(count.max()) for count in counts))
    for k, axes in enumerate(grid.axes):
        draw_rank_histogram(axes, counts[k], datasets=datasets, band=(low, high))
        axes.set_ylim(0, top)
        _share_labels(grid, k)
    return grid.figure


def draw_rank_histogram(
    axes: Axes, counts: np.ndarray, *, datasets: int, band: tuple[int, int]
) -> None:
    """One parameter's rank counts `(bin,)` over the band of uniform ranks."""
    edges = np.linspace(0, 1, len(counts) + 1)
    outside = (counts < band[0]) | (counts > band[1])
    colors = [style.VERMILION if flag else style.LIGHT_BLUE for flag in outside]
    axes.axhspan(*band, color=style.BAND, zorder=0)
    axes.bar(
        edges[:-1],
        counts,
        width=0.92 / len(counts),
        align="edge",
        color=colors,
        zorder=1,
    )
    axes.axhline(datasets / len(counts), color=style.INK, linewidth=0.8, zorder=2)
    for limit in band:
        axes.axhline(limit, color=style.INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=2)
    axes.set_xlim(0, 1)
    style.plain_ticks(axes)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])


def calibration_ecdf(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Distributions of ranks, and of distance ranks, less the uniform one."""
    datasets = summary.truth.shape[1]
    grid = style.grid(
        labels,
        title="ECDF difference",
        subtitle=_sentences(
            f"Ranks in {datasets:,} data sets: their ECDF minus that of uniform ranks. "
            "A curve of exact posteriors stays in the band with probability 95 %. Ranks of the "
            "value show posteriors off to one side; ranks of its distance from the posterior's "
            "centre show posteriors too wide (above) or too narrow (below).",
            remark,
        ),
        x_label="rank of the true value, as a share of the draws",
        y_label="ECDF difference",
        gap=(0.2, 0.4),
    )
    band = ecdf_band(datasets)
    curves = [
        [ecdf_at(pit[k], band.at) - band.at for pit in (summary.pit, summary.distance_pit)]
        for k in range(len(labels))
    ]
    top = 1.12 * max(np.abs(curves).max(), (band.upper - band.at).max())
    for k, axes in enumerate(grid.axes):
        draw_ecdf_difference(axes, *curves[k], band=band)
        axes.set_ylim(-top, top)
        _share_labels(grid, k)
    style.legend(
        grid.figure,
        [
            Line2D([], [], color=style.BLUE, label="value"),
            Line2D([], [], color=style.VERMILION, linestyle=(0, (4, 1.5)), label="distance"),
            Patch(color=style.BAND, label="95 % band"),
        ],
    )
    return grid.figure


def draw_ecdf_difference(
    axes: Axes, value: np.ndarray, distance: np.ndarray, *, band: Band
) -> None:
    """One parameter's two curves `(point,)` over the band."""
    at = np.append(0, band.at)
    lower, upper = (np.append(0, limit - band.at) for limit in (band.lower, band.upper))
    axes.fill_between(at, lower, upper, color=style.BAND, linewidth=0, zorder=0)
    axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    axes.plot(at, np.append(0, value), color=style.BLUE, zorder=3)
    axes.plot(at, np.append(0, distance), color=style.VERMILION, linestyle=(0, (4, 1.5)), zorder=2)
    axes.set_xlim(0, 1)
    style.plain_ticks(axes)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])


def z_score_contraction(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """The error of each posterior against how much it learned."""
    grid = style.grid(
        labels,
        title="z-score and contraction",
        subtitle=_sentences(
            "One point for each data set. To the right: the data narrowed the posterior down, "
            "from the prior (0) to certainty (1). Height: how far the posterior mean is from the "
            "truth, in posterior sds; about 95 % should lie within ±2. Beyond ±3 they are orange.",
            remark,
        ),
        x_label="posterior contraction, 1 − var(posterior) / var(prior)",
        y_label="posterior z-score",
        gap=(0.2, 0.4),
    )
    scores, contractions = measures.z_scores(summary), measures.contractions(summary)
    top = float(np.clip(1.1 * np.abs(scores).max(), 3.2, 8))
    left = float(np.clip(contractions.min(), -1, 0)) - 0.04
    for k, axes in enumerate(grid.axes):
        draw_z_score_contraction(axes, contractions[k], scores[k], top=top)
        axes.set_xlim(left, 1.04)
        style.plain_ticks(axes)
        axes.set_ylim(-top, top)
        axes.set_yticks(np.arange(-2 * (top // 2), top, 2))
        lost = max(beyond((left, 1.04), contractions[k]), beyond((-top, top), scores[k]))
        middle, spread = np.median(contractions[k]), fixed(scores[k].std(ddof=1), 2)
        style.note(axes, f"contraction {middle:.2f}\nsd of z {spread}{unshown(lost)}")
        _share_labels(grid, k)
    return grid.figure


def draw_z_score_contraction(
    axes: Axes, contraction: np.ndarray, score: np.ndarray, *, top: float
) -> None:
    """One parameter's `(dataset,)` contractions and z-scores; what lies beyond `top` is at it."""
    axes.axhspan(-2, 2, color=style.BAND, zorder=0)
    axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    height = np.clip(score[:MOST_POINTS], -0.97 * top, 0.97 * top)
    colors = np.where(np.abs(height) > 3, style.VERMILION, style.BLUE)
    axes.scatter(
        contraction[:MOST_POINTS], height, s=12, c=colors, alpha=0.55, linewidths=0, zorder=2
    )


def loss(history: Sequence[Mapping[str, float]]) -> Figure:
    """Training and validation loss, and the learning rate, epoch by epoch.

    Arguments:
        history: One row for each epoch: `epoch`, `loss` and, where known, `val_loss` and
            `learning_rate`.
    """
    epoch = np.array([row["epoch"] for row in history])
    width, height, rate_height = 7.0, 4.4, 0.75
    validation = _column(history, "val_loss")
    lines = style.wrapped(
        "What training minimises, averaged over each epoch. It should have levelled off"
        + ("." if validation is None else ", and validation should not part from training."),
        width - 2 * style.MARGIN,
    )
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    style.heading(figure, title="Loss", lines=lines)
    left, bottom = 0.95, 0.6
    top = height - style.heading_height(lines) - 0.15
    rates = _column(history, "learning_rate")
    foot = bottom if rates is None else bottom + rate_height + 0.2
    box = (left / width, foot / height, (width - left - 0.25) / width, (top - foot) / height)
    axes = figure.add_axes(box)
    draw_loss(axes, epoch, _column(history, "loss"), validation)
    lowest = axes
    if rates is not None:
        axes.tick_params(labelbottom=False)
        lowest = figure.add_axes((box[0], bottom / height, box[2], rate_height / height))
        lowest.plot(epoch, rates, color=style.GREY)
        lowest.set_ylim(0, 1.15 * rates.max() or 1)
        style.plain_ticks(lowest, x=8, y=2)
        lowest.set_ylabel("learning\nrate")
    lowest.set_xlabel("epoch")
    for each in (axes, lowest):
        each.set_xlim(epoch.min() - 0.5, epoch.max() + 0.5)
        each.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        each.yaxis.set_label_coords(-0.5 / (width * box[2]), 0.5)
    return figure


def draw_loss(
    axes: Axes, epoch: np.ndarray, train: np.ndarray | None, validation: np.ndarray | None
) -> None:
    """Losses `(epoch,)` of training and, where there is one, of validation."""
    shown = []
    for values, color, label in (
        (train, style.BLUE, "training"),
        (validation, style.VERMILION, "validation"),
    ):
        if values is None:
            continue
        axes.plot(
            epoch,
            values,
            color=color,
            label=f"{label}, {style.short(float(values[-1]))} at the end",
            marker="." if len(epoch) <= 60 else "",
            markersize=5,
        )
        shown.append(values)
    if shown and (first := _zoom_past_the_start(axes, np.stack(shown))) is not None:
        axes.plot([], [], " ", label=f"starts above the picture, at {style.short(first)}")
    style.plain_ticks(axes, x=8, y=5)
    axes.set_ylabel("loss")
    axes.legend(frameon=False, loc="best", fontsize=8.5)


def _zoom_past_the_start(axes: Axes, losses: np.ndarray) -> float | None:
    """Let the first epochs leave the picture if they would flatten all others.

    Arguments:
        losses: `(curve, epoch)`.

    Returns the first loss if it left.
    """
    finite = losses[np.isfinite(losses)]
    later = losses[:, losses.shape[1] // 5 :]
    later = later[np.isfinite(later)]
    if not later.size:
        return None
    bottom, top = float(finite.min()), float(finite.max())
    reach = min(top, bottom + 3 * (float(later.max()) - bottom))
    if reach <= bottom:  # flat, or a single epoch: matplotlib's own choice is good
        return None
    pad = 0.06 * (reach - bottom)
    axes.set_ylim(bottom - pad, reach + pad)
    return float(losses[0, 0]) if losses[0, 0] > reach + pad else None


def _column(history: Sequence[Mapping[str, float]], name: str) -> np.ndarray | None:
    """A column of the history `(epoch,)`, if every row has it."""
    if not all(name in row for row in history):
        return None
    return np.array([row[name] for row in history], dtype=np.float64)


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.04 * (high - low) or 0.5
    return low - pad, high + pad


def _share_labels(grid: style.Grid, panel: int) -> None:
    """Only the leftmost panel of a row and the lowest of a column have numbers on their axes."""
    if not grid.is_left(panel):
        grid.axes[panel].tick_params(labelleft=False)
    if not grid.is_bottom(panel):
        grid.axes[panel].tick_params(labelbottom=False)


def _sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
