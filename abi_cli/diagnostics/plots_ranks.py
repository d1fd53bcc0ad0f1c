"""The pictures of ranks: of true values among draws, beside the band that exact posteriors keep to.

A *difference* is the ECDF of ranks minus that of uniform ones, about a level line; a *diagonal* is
a share against the share that was promised. Functions named `draw_…` put one panel's data on an
`Axes`, the others make the whole figure. All expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.bands import Band, ecdf_at, ecdf_band, histogram_band, histogram_bins
from abi_cli.diagnostics.points import Estimate
from abi_cli.diagnostics.scalars import Summary

MOST_NAMED = 6
"""Curves that leave the band and get a name: those farthest out."""

JOINT_TITLES = {
    "spread": "expected coverage",
    "reference": "TARP, reference from the data",
    "classifier": "classifier",
}

RANK = "rank of the true value, as a share of the draws"
DASHED = (0, (4, 1.5))


def calibration_histogram(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Histograms of the ranks of the true values among the draws.

    Arguments:
        labels: `(element,)`.
        remark: A sentence for the heading, here and below.
    """
    datasets = summary.truth.shape[1]
    bins = histogram_bins(datasets)
    grid = layout.grid(
        labels,
        title="Rank histogram",
        subtitle=[
            f"Where the true value ranks among the posterior draws, in {datasets:,} data sets. "
            "Exact posteriors give flat bars, all inside the band with probability 95 %. "
            "Valley: too narrow. Hill: too wide. Slope: off to one side.",
            remark,
        ],
        x_label=RANK,
        y_label="data sets",
        gap=(0.2, 0.4),
    )
    counts = [np.histogram(pit, bins=bins, range=(0, 1))[0] for pit in summary.pit]
    low, high = histogram_band(datasets, bins=bins)
    top = 1.12 * max(high, *(int(count.max()) for count in counts))
    for axes, own in zip(grid.axes, counts, strict=True):
        draw_rank_histogram(axes, own, datasets=datasets, band=(low, high))
        axes.set_ylim(0, top)
    grid.share_numbers()
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
    style.plain_ticks(axes)
    style.unit_ticks(axes)


def calibration_ecdf(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Distributions of ranks, and of distance ranks, less the uniform one."""
    datasets = summary.truth.shape[1]
    grid = layout.grid(
        labels,
        title="ECDF difference",
        subtitle=[
            f"Ranks in {datasets:,} data sets: their ECDF minus that of uniform ranks. "
            "A curve of exact posteriors stays in the band with probability 95 %. Ranks of the "
            "value show posteriors off to one side; ranks of its distance from the posterior's "
            "centre show posteriors too wide (above) or too narrow (below).",
            remark,
        ],
        x_label=RANK,
        y_label="ECDF difference",
        gap=(0.2, 0.4),
    )
    band = ecdf_band(datasets)
    tops = []
    for axes, pit, distance in zip(grid.axes, summary.pit, summary.distance_pit, strict=True):
        value, distance = difference(pit, band), difference(distance, band)
        tops.append(draw_band(axes, band, value, distance))
        axes.plot(*value, color=style.BLUE, zorder=3)
        axes.plot(*distance, color=style.VERMILION, linestyle=DASHED, zorder=2)
    for axes in grid.axes:
        axes.set_ylim(-max(tops), max(tops))
    grid.share_numbers()
    handles = [
        Line2D([], [], color=style.BLUE, label="value"),
        Line2D([], [], color=style.VERMILION, linestyle=DASHED, label="distance"),
        Patch(color=style.BAND, label="95 % band"),
    ]
    layout.legend(grid.figure, handles)
    return grid.figure


def rank_ecdf(pits: np.ndarray, labels: Sequence[str]) -> Figure:
    """All parameters' differences in one panel, for a look at once.

    Arguments:
        pits: `(element, dataset)`, of all elements, however many.
        labels: `(element,)`.
    """
    datasets, count = pits.shape[1], len(labels)
    band = ecdf_band(datasets)
    out = [k for k in range(count) if not band.contains(pits[k])]
    found = {0: "none does", 1: "one does"}.get(len(out), f"{len(out)} do")
    figure, axes = layout.single(
        "Ranks of all parameters",
        f"One curve for each of {count} parameters: the" if count > 1 else "The",
        f"ECDF of the true values' ranks in {datasets:,} data sets, minus that of uniform ranks. "
        f"Each curve of an exact posterior leaves the band with probability 5 %; here {found}.",
    )
    curves = [difference(pit, band) for pit in pits]
    top = draw_band(axes, band, *curves)
    named = sorted(out, key=lambda k: -np.abs(curves[k][1]).max())[:MOST_NAMED]
    for k in range(count):
        if k not in named:
            color = style.VERMILION if k in out else style.GREY
            alpha = float(np.clip(12 / count, 0.35, 0.9))
            axes.plot(*curves[k], color=color, linewidth=1, alpha=alpha)
    colors = (style.VERMILION, *(c for c in style.COLORS if c != style.VERMILION))
    for k, color in zip(named, colors, strict=False):
        axes.plot(*curves[k], color=color, label=style.printable(labels[k]))
    if named:
        axes.legend(frameon=False, loc="upper right", fontsize=8.5)
    axes.set_ylim(-top, top)
    axes.set_xlabel(RANK)
    axes.set_ylabel("ECDF difference")
    return figure


def joint(pits: Mapping[str, np.ndarray]) -> Figure:
    """Differences of the quantities of the joint distribution.

    Arguments:
        pits: As by `joint_pits`.
    """
    datasets = len(next(iter(pits.values())))
    grid = layout.grid(
        [JOINT_TITLES[name] for name in pits],
        title="Joint distribution",
        subtitle=[
            f"Regions of all parameters together, in {datasets:,} data sets: how often a "
            "region that holds a share α of the draws holds the truth, minus α. Exact posteriors "
            "stay in the band with probability 95 %. Expected coverage: below is too sure. TARP: "
            "above is less informed than the data allow. Classifier: below means truths are told "
            "from draws."
        ],
        x_label="share α of the draws",
        y_label="share covered − α",
        gap=(0.75, 0.55),
    )
    band = ecdf_band(datasets)
    for axes, pit in zip(grid.axes, pits.values(), strict=True):
        curve = difference(pit, band)
        top = draw_band(axes, band, curve)
        axes.plot(*curve, color=style.BLUE if band.contains(pit) else style.VERMILION)
        axes.set_ylim(-top, top)
    return grid.figure


def difference(ranks: np.ndarray, band: Band) -> np.ndarray:
    """The points of a curve `(2, point)` from 0 on: the ECDF of `ranks (dataset,)`, less `at`."""
    return np.stack([np.append(0, band.at), np.append(0, ecdf_at(ranks, band.at) - band.at)])


def draw_band(axes: Axes, band: Band, *curves: np.ndarray) -> float:
    """The band about a level line; gives how far up an axis reaches that shows these curves."""
    at = np.append(0, band.at)
    lower, upper = (np.append(0, limit - band.at) for limit in (band.lower, band.upper))
    axes.fill_between(at, lower, upper, color=style.BAND, linewidth=0, zorder=0)
    axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    style.plain_ticks(axes)
    style.unit_ticks(axes)
    return 1.12 * float(max(upper.max(), *(np.abs(curve[1]).max() for curve in curves)))


def coverage(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """The share of central intervals of each level that cover the truth."""
    datasets = summary.truth.shape[1]
    grid = layout.grid(
        labels,
        title="Coverage",
        subtitle=[
            f"How often the central interval of each level covers the truth, in {datasets:,} "
            "data sets. Exact posteriors stay in the band around the diagonal with probability "
            "95 %. Below: intervals too narrow; above: too wide.",
            remark,
        ],
        x_label="level of the interval",
        y_label="share covered",
        gap=(0.2, 0.4),
    )
    band = ecdf_band(datasets)
    at = np.append(0, band.at)
    for axes, pit in zip(grid.axes, summary.pit, strict=True):
        distance = np.abs(2 * pit - 1)
        axes.fill_between(at, np.append(0, band.lower), np.append(0, band.upper), color=style.BAND)
        draw_diagonal(axes)
        color = style.BLUE if band.contains(distance) else style.VERMILION
        axes.plot(at, np.append(0, ecdf_at(distance, band.at)), color=color)
    grid.share_numbers()
    return grid.figure


def quantiles(found: Mapping[str, Sequence[Estimate]], *, datasets: int) -> Figure:
    """The share of true values that lies below each quantile.

    Arguments:
        found: Label of a parameter → its quantiles.
    """
    grid = layout.grid(
        [style.printable(label) for label in found],
        title="Quantiles",
        subtitle=[
            f"Share of the true values below each estimated quantile, in {datasets:,} data "
            "sets, with its interval of 90 %. Exact quantiles lie on the diagonal."
        ],
        x_label="level of the quantile",
        y_label="share below",
        gap=(0.2, 0.4),
    )
    for axes, own in zip(grid.axes, found.values(), strict=True):
        draw_diagonal(axes)
        for one in own:
            low, high = one.interval
            color = style.BLUE if low <= one.expected <= high else style.VERMILION
            axes.vlines(one.expected, low, high, color=color)
            axes.plot(one.expected, one.found, "o", color=color, markersize=4)
    grid.share_numbers()
    return grid.figure


def draw_diagonal(axes: Axes) -> None:
    """A square of shares, and where what is found is what was promised."""
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8)
    style.unit_ticks(axes, both=True)
