"""The pictures of posteriors beside true values, one panel for each parameter.

Functions named `draw_…` put one panel's data on an `Axes`; the others make the whole figure. All
read a `Summary`, never the draws. They expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abi_cli.diagnostics import layout, measures, style
from abi_cli.diagnostics.scalars import Summary
from abi_cli.diagnostics.style import beyond, padded, reach, unshown
from abi_cli.digits import fixed

MOST_POINTS = 500
"""Data sets shown in one panel: more would only be ink."""

MOST_INTERVALS = 60
"""Data sets whose intervals are shown side by side."""


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
    grid = layout.grid(
        labels,
        title="Recovery",
        subtitle=[
            f"Posterior median and 95 % interval of {shown} data sets. Points near the diagonal: "
            "the data tell the parameter. Intervals that miss it are orange: about 5 % should.",
            remark,
        ],
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
    limits = padded(*reach(np.concatenate([truth, low, high])), 0.04)
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


def intervals(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Posterior intervals and truths of a few data sets, one after the other."""
    datasets = summary.truth.shape[1]
    shown = min(datasets, MOST_INTERVALS)
    grid = layout.grid(
        labels,
        title="Intervals and truths",
        subtitle=[
            f"95 % intervals of {shown} data sets, by their medians, and the true values. "
            f"About {round(0.05 * shown)} of {shown} truths should lie outside: orange.",
            remark,
        ],
        x_label="data sets, by posterior median",
        y_label="value",
        gap=(0.5, 0.4),
    )
    for k, axes in enumerate(grid.axes):
        own = summary.take([k])
        order = np.argsort(own.median[0, :shown])
        low, high, truth = (part[0, :shown][order] for part in (own.low, own.high, own.truth))
        missed = (truth < low) | (truth > high)
        place = np.arange(shown)
        axes.vlines(place, low, high, color=style.LIGHT_BLUE, linewidth=1.6, alpha=0.8)
        for chosen, color in ((~missed, style.INK), (missed, style.VERMILION)):
            axes.plot(place[chosen], truth[chosen], ".", color=color, markersize=4)
        limits = reach(np.concatenate([low, high, truth]))
        axes.set_ylim(padded(*limits, 0.04))
        if lost := beyond(limits, low, high, truth):
            style.note(axes, unshown(lost).strip())
        style.plain_ticks(axes)
        axes.set_xticks([])
    handles = [
        Patch(color=style.LIGHT_BLUE, label="95 % interval"),
        Line2D([], [], color=style.INK, marker=".", linestyle="", label="truth"),
    ]
    layout.legend(grid.figure, handles)
    return grid.figure


def z_score_contraction(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """The error of each posterior against how much it learned."""
    grid = layout.grid(
        labels,
        title="z-score and contraction",
        subtitle=[
            "One point for each data set. To the right: the data narrowed the posterior down, "
            "from the prior (0) to certainty (1). Height: how far the posterior mean is from the "
            "truth, in posterior sds; about 95 % should lie within ±2. Beyond ±3 they are orange.",
            remark,
        ],
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
    grid.share_numbers()
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
