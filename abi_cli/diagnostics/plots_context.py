"""The picture of faults and errors as functions of the context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.context import BinMetrics
from abi_cli.diagnostics.faults import DEFAULT_LIMITS

MOST_LINES = 6
"""Parameters in one picture: those that are least right."""

MOST_NRMSE = 2.0
"""The largest error that is shown, in sds of the prior: 1 is what knows nothing of the data has."""


def by_context(
    bins: Sequence[BinMetrics], labels: Mapping[str, str], *, remark: str = ""
) -> Figure:
    """Posterior sds, places and errors against each context variable.

    Arguments:
        bins: Of one or more variables.
        labels: Element name → label; the elements to show, `MOST_LINES` at the most.
    """
    variables = list(dict.fromkeys(part.bin.variable for part in bins))
    panels = ["width by ranks", "mean normal score", "NRMSE"]
    grid = layout.Sheet(
        len(variables) * len(panels),
        len(panels),
        (2.6, 2.6),
        (0.75, 0.75),
        left=layout.MARGIN + 0.4,
        bottom=0.65,
        above=0.35,
    ).figure(
        "By context",
        "Width and place of posteriors, and their error, for data sets of like context, "
        "with intervals of 90 %. Exact posteriors lie at the line; grey is what is tolerated.",
        remark,
    )
    for axes, (variable, panel) in zip(grid.axes, product(variables, panels), strict=True):
        own = [part for part in bins if part.bin.variable == variable]
        _draw(axes, own, labels, panel=panel)
        axes.set_xlabel(style.printable(variable))
        axes.set_title(panel)
    if len(labels) > 1:
        handles, _ = grid.axes[0].get_legend_handles_labels()
        layout.legend(grid.figure, handles)
    return grid.figure


def _draw(axes: Axes, bins: Sequence[BinMetrics], labels: Mapping[str, str], *, panel: str) -> None:
    """One number of every element against one context variable."""
    limits = DEFAULT_LIMITS
    band = {
        "width by ranks": (1 / limits.sd_ratio, limits.sd_ratio),
        "mean normal score": (-limits.mean_score, limits.mean_score),
    }.get(panel)
    if band is not None:
        axes.axhspan(*band, color=style.BAND, zorder=0)
        axes.axhline(sum(band) / 2 if band[0] < 0 else 1.0, color=style.GREY, linewidth=1, zorder=1)
    centres = np.array([(part.bin.low + part.bin.high) / 2 for part in bins])
    width = np.ptp(centres) / 40
    for k, (name, label) in enumerate(labels.items()):
        if panel == "NRMSE":
            values = np.array([part.nrmse[name] for part in bins])
            low = high = values
        else:
            ranks = [part.elements[name] for part in bins]
            spread = panel == "width by ranks"
            values = np.array([r.sd_ratio if spread else r.mean_score for r in ranks])
            low, high = np.array(
                [r.sd_ratio_interval if spread else r.mean_score_interval for r in ranks]
            ).T
        x = centres + (k - (len(labels) - 1) / 2) * width
        axes.vlines(x, low, high, color=style.COLORS[k], linewidth=1.5)
        axes.plot(
            x,
            values,
            "o-",
            color=style.COLORS[k],
            markersize=4,
            linewidth=1,
            label=style.printable(label),
        )
    if panel == "NRMSE":
        axes.set_ylim(0, min(axes.get_ylim()[1], MOST_NRMSE))
    style.plain_ticks(axes)
