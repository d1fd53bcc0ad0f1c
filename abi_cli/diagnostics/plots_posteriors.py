"""The picture of posteriors of real data beside each other.

Like all pictures it expects `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.style import padded, reach
from abi_cli.digits import plural

MOST_LABELLED = 60
"""Data sets beside each other whose names can be read."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of intervals that hold 90 % and 50 %, and the median."""


@dataclass(frozen=True)
class Intervals:
    """The posteriors of one parameter.

    Arguments:
        label: Of the parameter.
        quantiles: `(level, dataset)`, those of `LEVELS`.
        truth: `(dataset,)`, where it is known.
        prior: Its quantiles of 5 and 95 %, where it is known.
    """

    label: str
    quantiles: np.ndarray
    truth: np.ndarray | None = None
    prior: tuple[float, float] | None = None


def forest(parameters: Sequence[Intervals], datasets: Sequence[str], *, remark: str = "") -> Figure:
    """Posterior intervals of data sets, one below the other; a panel for each parameter.

    Arguments:
        datasets: Their names.
    """
    count, number = len(parameters), len(datasets)
    named = number <= MOST_LABELLED
    columns = count if count <= 3 else 3 if count <= 9 else 6
    labels = [style.printable(label) for label in datasets] if named else []
    width = 3.0 if count <= 3 else 2.3 if count <= 9 else 1.6
    sheet = layout.Sheet(
        count,
        columns,
        (width, float(np.clip(0.21 * number, 0.8, 9.0))),
        (0.25, 0.6),
        left=layout.MARGIN + 0.25 + 0.075 * max(map(len, labels), default=0),
        bottom=0.45,
        above=0.35,
    )
    grid = sheet.figure(
        "Posteriors",
        f"Median, 50 % and 90 % interval of {number:,} {plural('data set', number)}.",
        "" if named else "The first is at the top.",
        remark,
    )
    for k, (axes, own) in enumerate(zip(grid.axes, parameters, strict=True)):
        draw_intervals(axes, own)
        style.plain_ticks(axes, x=4 if columns <= 3 else 3)
        title = style.printable(own.label)
        axes.set_title(title, size=style.label_size([title], width, most=10))
        if k % columns or not named:
            axes.set_yticks([])
        else:
            axes.set_yticks(range(number), labels)
            axes.tick_params(axis="y", length=0)
    handles: list[Artist] = []
    if any(own.prior is not None for own in parameters):
        handles.append(Patch(color=style.BAND, label="prior, 90 %"))
    if any(own.truth is not None for own in parameters):
        handles.append(
            Line2D([], [], color=style.VERMILION, marker="|", linestyle="", label="truth")
        )
    layout.legend(grid.figure, handles)
    return grid.figure


def draw_intervals(axes: Axes, own: Intervals) -> None:
    """One parameter's posteriors, the first data set at the top."""
    number = own.quantiles.shape[1]
    place = np.arange(number)
    wide, narrow, median, upper, high = own.quantiles
    thick = 1 if number <= MOST_LABELLED else 0.4
    axes.hlines(place, wide, high, color=style.LIGHT_BLUE, linewidth=1.6 * thick)
    axes.hlines(place, narrow, upper, color=style.BLUE, linewidth=4 * thick)
    axes.plot(
        median,
        place,
        "o",
        color="white",
        markeredgecolor=style.BLUE,
        markersize=4 * thick,
        zorder=3,
    )
    shown = [wide, high]
    if own.truth is not None:
        axes.plot(own.truth, place, "|", color=style.VERMILION, markersize=9 * thick, zorder=4)
        shown.append(own.truth)
    if own.prior is not None:
        axes.axvspan(*own.prior, color=style.BAND, zorder=0)
    axes.set_xlim(padded(*reach(np.concatenate(shown)), 0.06))
    axes.set_ylim(number - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
