"""The pictures of what posteriors cover: central intervals, all ranks at once, joint regions.

Like all pictures these expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abi_cli.diagnostics import style
from abi_cli.diagnostics.bands import Band, ecdf_at, ecdf_band
from abi_cli.diagnostics.points import Estimate
from abi_cli.diagnostics.reach import beyond, reach, unshown
from abi_cli.diagnostics.scalars import Summary

MOST_INTERVALS = 60
"""Data sets whose intervals are shown."""

MOST_NAMED = 6
"""Curves that leave the band and get a name: those farthest out."""

JOINT_TITLES = {
    "spread": "expected coverage",
    "reference": "TARP, reference from the data",
    "classifier": "classifier",
}


def coverage(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """The share of central intervals of each level that cover the truth."""
    datasets = summary.truth.shape[1]
    grid = style.grid(
        labels,
        title="Coverage",
        subtitle=f"How often the central interval of each level covers the truth, in {datasets:,} "
        "data sets. Exact posteriors stay in the band around the diagonal with probability 95 %. "
        f"Below: intervals too narrow; above: too wide. {remark}".rstrip(),
        x_label="level of the interval",
        y_label="share covered",
        gap=(0.2, 0.4),
    )
    band = ecdf_band(datasets)
    for k, axes in enumerate(grid.axes):
        draw_coverage(axes, np.abs(2 * summary.pit[k] - 1), band=band)
        if not grid.is_left(k):
            axes.tick_params(labelleft=False)
        if not grid.is_bottom(k):
            axes.tick_params(labelbottom=False)
    return grid.figure


def draw_coverage(axes: Axes, distance: np.ndarray, *, band: Band) -> None:
    """One parameter's coverage; `distance (dataset,)` of the rank from the middle, in (0, 1)."""
    at = np.append(0, band.at)
    axes.fill_between(at, np.append(0, band.lower), np.append(0, band.upper), color=style.BAND)
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8)
    covered = np.append(0, ecdf_at(distance, band.at))
    out = not band.contains(distance)
    axes.plot(at, covered, color=style.VERMILION if out else style.BLUE)
    for limits, ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
        limits(0, 1)
        ticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_aspect("equal")


def quantiles(found: Mapping[str, Sequence[Estimate]], *, datasets: int) -> Figure:
    """What share of true values lies below each quantile.

    Arguments:
        found: Label of a parameter → its quantiles.
    """
    grid = style.grid(
        [style.printable(label) for label in found],
        title="Quantiles",
        subtitle=f"Share of the true values below each estimated quantile, in {datasets:,} data "
        "sets, with its interval of 90 %. Exact quantiles lie on the diagonal.",
        x_label="level of the quantile",
        y_label="share below",
        gap=(0.2, 0.4),
    )
    for axes, own in zip(grid.axes, found.values(), strict=True):
        axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8)
        for one in own:
            low, high = one.interval
            color = style.BLUE if low <= one.expected <= high else style.VERMILION
            axes.vlines(one.expected, low, high, color=color)
            axes.plot(one.expected, one.found, "o", color=color, markersize=4)
        for limits, ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
            limits(0, 1)
            ticks([0, 0.5, 1], ["0", "0.5", "1"])
    return grid.figure


def rank_ecdf(pits: np.ndarray, labels: Sequence[str]) -> Figure:
    """All parameters' rank ECDFs in one panel, for a look at once.

    Arguments:
        pits: `(element, dataset)`, of all elements, however many.
        labels: `(element,)`.
    """
    datasets = pits.shape[1]
    band = ecdf_band(datasets)
    out = [k for k in range(len(labels)) if not band.contains(pits[k])]
    found = {0: "none does", 1: "one does"}.get(len(out), f"{len(out)} do")
    figure, axes = _single(
        title="Ranks of all parameters",
        subtitle=f"One curve for each of {len(labels)} parameters: the ECDF of the true values' "
        f"ranks in {datasets:,} data sets, minus that of uniform ranks. Each curve of an exact "
        f"posterior leaves the band with probability 5 %; here {found}.",
    )
    curves = np.stack([ecdf_at(pit, band.at) - band.at for pit in pits])
    _draw_band(axes, band)
    named = sorted(out, key=lambda k: -np.abs(curves[k]).max())[:MOST_NAMED]
    for k in range(len(labels)):
        if k not in named:
            color = style.VERMILION if k in out else style.GREY
            alpha = float(np.clip(12 / len(labels), 0.35, 0.9))
            axes.plot(band.at, curves[k], color=color, linewidth=1, alpha=alpha)
    colors = (style.VERMILION, *(c for c in style.COLORS if c != style.VERMILION))
    for k, color in zip(named, colors, strict=False):
        axes.plot(band.at, curves[k], color=color, label=style.printable(labels[k]))
    if named:
        axes.legend(frameon=False, loc="upper right", fontsize=8.5)
    reach = max(np.abs(curves).max(), (band.upper - band.at).max())
    axes.set_ylim(-1.12 * reach, 1.12 * reach)
    axes.set_xlabel("rank of the true value, as a share of the draws")
    axes.set_ylabel("ECDF difference")
    return figure


def joint(pits: Mapping[str, np.ndarray]) -> Figure:
    """Ranks of the quantities of the joint distribution.

    Arguments:
        pits: As by `joint_pits`.
    """
    datasets = len(next(iter(pits.values())))
    grid = style.grid(
        [JOINT_TITLES[name] for name in pits],
        title="Joint distribution",
        subtitle=f"Regions of all parameters together, in {datasets:,} data sets: how often a "
        "region that holds a share α of the draws holds the truth, minus α. Exact posteriors stay "
        "in the band with probability 95 %. Expected coverage: below is too sure. TARP: above is "
        "less informed than the data allow. Classifier: below means truths are told from draws.",
        x_label="share α of the draws",
        y_label="share covered − α",
        gap=(0.75, 0.55),
    )
    band = ecdf_band(datasets)
    for axes, pit in zip(grid.axes, pits.values(), strict=True):
        _draw_band(axes, band)
        out = not band.contains(pit)
        difference = ecdf_at(pit, band.at) - band.at
        axes.plot(band.at, difference, color=style.VERMILION if out else style.BLUE)
        reach = 1.12 * max(np.abs(difference).max(), (band.upper - band.at).max())
        axes.set_ylim(-reach, reach)
    return grid.figure


def intervals(summary: Summary, labels: Sequence[str], *, remark: str = "") -> Figure:
    """Posterior intervals and truths of a few data sets, one after the other."""
    datasets = summary.truth.shape[1]
    shown = min(datasets, MOST_INTERVALS)
    grid = style.grid(
        labels,
        title="Intervals and truths",
        subtitle=f"95 % intervals of {shown} data sets, by their medians, and the true values. "
        f"About {round(0.05 * shown)} of {shown} truths should lie outside: orange. {remark}",
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
        least, most = reach(np.concatenate([low, high, truth]))
        pad = 0.04 * (most - least) or 0.5
        axes.set_ylim(least - pad, most + pad)
        if lost := beyond((least, most), low, high, truth):
            style.note(axes, unshown(lost).strip())
        style.plain_ticks(axes)
        axes.set_xticks([])
    handles = [
        Patch(color=style.LIGHT_BLUE, label="95 % interval"),
        Line2D([], [], color=style.INK, marker=".", linestyle="", label="truth"),
    ]
    style.legend(grid.figure, handles)
    return grid.figure


def _draw_band(axes: Axes, band: Band) -> None:
    at = np.append(0, band.at)
    lower, upper = (np.append(0, limit - band.at) for limit in (band.lower, band.upper))
    axes.fill_between(at, lower, upper, color=style.BAND, linewidth=0, zorder=0)
    axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    axes.set_xlim(0, 1)
    style.plain_ticks(axes)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])


def _single(*, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure of one wide panel under a heading."""
    width, height, left, bottom = 7.0, 4.4, 0.95, 0.6
    lines = style.wrapped(subtitle, width - 2 * style.MARGIN)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    style.heading(figure, title=title, lines=lines)
    top = height - style.heading_height(lines) - 0.15
    box = (left / width, bottom / height, (width - left - 0.25) / width, (top - bottom) / height)
    return figure, figure.add_axes(box)
