"""The map of summaries: where observed data lie among simulated ones."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.style import padded
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.guard.verdict import UNLIKE

MOST_POINTS = 2_000
MOST_NAMED = 12
"""Observed data sets that get a name in the picture."""


def summary_map(summaries: Summaries) -> Figure:
    """Simulated and observed data sets on the two leading components of their summaries."""
    simulated, observed = summaries.map()
    said = "Grey: simulated data sets."
    if len(observed):
        said += " Blue: observed ones; orange: those unlike the simulations "
        said += f"(p < {UNLIKE:g}, by all that the guard looks at, not only what is shown)."
    figure, axes = layout.single(
        "Summaries",
        "What the network makes of data, on its two leading principal components.",
        said,
        size=(4.9, 4.9),
    )
    axes.plot(*simulated[:MOST_POINTS].T, ".", color=style.GREY, markersize=3, alpha=0.5, zorder=1)
    for number, (label, place) in enumerate(zip(summaries.observed, observed, strict=True)):
        color = style.VERMILION if summaries.p.get(label, 1.0) < UNLIKE else style.BLUE
        axes.plot(*place, "o", color=color, markersize=6, zorder=2)
        if number < MOST_NAMED:
            axes.annotate(
                style.printable(label),
                place,
                xytext=(5, 4),
                textcoords="offset points",
                size=8,
                color=color,
            )
    every = np.concatenate([simulated, observed])
    low, high = every.min(axis=0), every.max(axis=0)
    axes.set_xlim(padded(low[0], high[0], 0.06))
    axes.set_ylim(padded(low[1], high[1], 0.06))
    style.plain_ticks(axes)
    axes.set_xlabel("first component, sds")
    axes.set_ylabel("second component, sds")
    return figure
