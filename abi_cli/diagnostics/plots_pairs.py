"""The pictures of joint distributions: every pair of parameters, in the prior and in a posterior.

Beyond `MOST_PAIRED` parameters pairs would be too small to read; each parameter is then shown by
itself. Like all pictures these expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.style import beyond, padded, reach

MOST_PAIRED = 8
MOST_POINTS = 1_000
CELLS, SMOOTHING = 48, 2.0
"""Resolution of a density, and the sd of the kernel that smooths it, in cells."""


@dataclass(frozen=True)
class Sample:
    """Draws of all parameters, and what else is known of them.

    Arguments:
        labels: `(element,)`.
        draws: `(element, draw)`.
        truth: `(element,)`, the values that the data were simulated with, if these are posterior
            draws; NaN where one is not known.
        prior: `(element, draw)`, to be shown behind posterior draws; NaN where one is not known.
    """

    labels: Sequence[str]
    draws: np.ndarray
    truth: np.ndarray | None = None
    prior: np.ndarray | None = None

    def limits(self, element: int) -> tuple[float, float]:
        """The part of an axis to show: nearly all draws, and the truth."""
        draws = self.draws[element]
        # A prior may have far outliers; a posterior is looked at whole, but for single draws.
        low, high = np.quantile(draws, [0.005, 0.995]) if self.truth is None else reach(draws)
        if self.truth is not None:
            own = self.truth[element]
            low, high = float(np.fmin(low, own)), float(np.fmax(high, own))
        least, most = padded(float(low), float(high), 0.06)
        # A bound at zero is a bound: no room for what can't be.
        return (max(0.0, least) if draws.min() >= 0 else least), most

    def unseen(self) -> str:
        """A sentence on how many draws the axes don't reach; empty where that is no matter."""
        if self.truth is None:
            return ""
        lost = {
            label: beyond(self.limits(k), draws)
            for k, (label, draws) in enumerate(zip(self.labels, self.draws, strict=True))
        }
        told = ", ".join(f"{number:,} of {label}" for label, number in lost.items() if number)
        return f"Draws beyond the axes: {told}." if told else ""


def prior_pairs(sample: Sample, *, remark: str = "") -> Figure:
    """The prior: what the model expects before it has seen data."""
    return _figure(
        sample,
        title="Prior",
        subtitle=f"{sample.draws.shape[1]:,} draws of the parameters from the prior. "
        "Is this what you believe before seeing data?",
        remark=remark,
    )


def posterior_pairs(
    sample: Sample, *, dataset: str, remark: str = "", paired: bool = True
) -> Figure:
    """One data set's posterior, with the true values marked where they are known.

    Arguments:
        dataset: Its name, as the reader knows it.
        paired: Whether parameters are shown in pairs, too.
    """
    more = " The true values should look like one more draw." if sample.truth is not None else ""
    return _figure(
        sample,
        title="Posterior",
        subtitle=f"{sample.draws.shape[1]:,} posterior draws for data set {dataset}.{more}",
        remark=remark,
        paired=paired,
    )


def _figure(
    sample: Sample, *, title: str, subtitle: str, remark: str, paired: bool = True
) -> Figure:
    count = len(sample.labels)
    if count == 1 or not paired:
        more = ""
    elif count <= MOST_PAIRED:
        more = "Shaded regions hold 50 % and 90 % of the draws."
    else:
        more = _strongest(sample)
    draw = _corner if paired and count <= MOST_PAIRED else _margins
    figure = draw(sample, title=title, subtitle=[subtitle, more, sample.unseen(), remark])
    handles: list[Artist] = []
    if sample.truth is not None or sample.prior is not None:
        handles.append(Patch(color=style.LIGHT_BLUE, label="posterior"))
    if sample.truth is not None:
        handles.append(Line2D([], [], color=style.VERMILION, label="truth"))
    if sample.prior is not None:
        handles.append(Line2D([], [], color=style.FAINT, linewidth=1.2, label="prior"))
    layout.legend(figure, handles)
    return figure


def _strongest(sample: Sample) -> str:
    """The two parameters, of too many to show in pairs, that hang together most."""
    correlation = correlations(sample.draws)
    i, j = max(combinations(range(len(sample.labels)), 2), key=lambda pair: abs(correlation[pair]))
    return (
        f"Strongest correlation: {sample.labels[i]} and {sample.labels[j]}, "
        f"r = {style.fixed(correlation[i, j])}."
    )


def correlations(draws: np.ndarray) -> np.ndarray:
    """Correlations of `draws (element, draw)`, `(element, element)`; 0 where one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.atleast_2d(np.corrcoef(draws)))


def _margins(sample: Sample, *, title: str, subtitle: Sequence[str]) -> Figure:
    """Each parameter by itself."""
    grid = layout.grid(
        sample.labels,
        title=title,
        subtitle=subtitle,
        x_label="value",
        y_label="density",
        gap=(0.3, 0.55),
    )
    for k, axes in enumerate(grid.axes):
        draw_margin(axes, sample, k)
        style.plain_ticks(axes, x=3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    return grid.figure


def _corner(sample: Sample, *, title: str, subtitle: Sequence[str]) -> Figure:
    """Margins on the diagonal, pairs below it, their correlations above."""
    count = len(sample.labels)
    side = {1: 4.0, 2: 2.6, 3: 2.1, 4: 1.8}.get(count, 1.45)
    sheet = layout.Sheet(
        count * count,
        count,
        (side, side),
        (0.12, 0.12),
        left=layout.MARGIN + 0.62,
        bottom=layout.MARGIN + 0.45,
        above=0.15,
    )
    grid = sheet.figure(title, *subtitle)
    correlation = correlations(sample.draws)
    limits = [sample.limits(k) for k in range(count)]
    for axes, (row, column) in zip(grid.axes, product(range(count), repeat=2), strict=True):
        if column > row:
            _write_correlation(axes, float(correlation[row, column]))
            continue
        axes.set_xlim(limits[column])
        if row == column:
            draw_margin(axes, sample, row)
            axes.spines["left"].set_visible(False)
        else:
            axes.set_ylim(limits[row])
            draw_pair(axes, sample, column, row)
        _label_outside(axes, sample, row, column, side)
    return grid.figure


def _label_outside(axes: Axes, sample: Sample, row: int, column: int, side: float) -> None:
    """Ticks everywhere, numbers and names at the left and lower edge only; `side` in inches."""
    few = 3 if len(sample.labels) <= 4 else 2
    style.plain_ticks(axes, x=few, y=few)
    size = style.label_size(sample.labels, side, most=11)
    if row == column:
        axes.set_yticks([])
    if row == len(sample.labels) - 1:
        axes.set_xlabel(sample.labels[column], size=size)
        axes.xaxis.set_label_coords(0.5, -0.4 / side)
    else:
        axes.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        axes.set_ylabel(sample.labels[row], size=size)
        axes.yaxis.set_label_coords(-0.55 / side, 0.5)
    elif column == 0:
        axes.set_ylabel("density")
    else:
        axes.tick_params(labelleft=False)


def _write_correlation(axes: Axes, correlation: float) -> None:
    axes.axis("off")
    text = f"r = {style.fixed(correlation)}"
    axes.text(0.5, 0.5, text, ha="center", va="center", color=style.FAINT, size=9)


def draw_margin(axes: Axes, sample: Sample, element: int) -> None:
    """One parameter's density, with prior and truth where they are known."""
    limits = sample.limits(element)
    edges = np.linspace(*limits, style.cells(sample.draws.shape[1], most=32) + 1)
    posterior = _density(sample.draws[element], edges)
    axes.stairs(posterior, edges, fill=True, color=style.LIGHT_BLUE)
    top = posterior.max()
    if sample.prior is not None and np.isfinite(sample.prior[element]).all():
        prior = _density(sample.prior[element], edges)
        axes.stairs(prior, edges, color=style.FAINT, linewidth=1.2, baseline=None)
        top = max(top, prior.max())
    if sample.truth is not None:
        axes.axvline(sample.truth[element], color=style.VERMILION)
    axes.set_xlim(limits)
    axes.set_ylim(0, 1.08 * top or 1)


def _density(draws: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Density of `draws (draw,)` in each cell; what lies outside the edges counts in the total."""
    counts, _ = np.histogram(draws, bins=edges)
    return np.asarray(counts / len(draws) / np.diff(edges))


def draw_pair(axes: Axes, sample: Sample, x: int, y: int) -> None:
    """Two parameters: the draws, the regions that hold 50 % and 90 % of them, and the truth."""
    edges = [np.linspace(*sample.limits(element), CELLS + 1) for element in (x, y)]
    first, second = sample.draws[x], sample.draws[y]
    axes.plot(
        first[:MOST_POINTS],
        second[:MOST_POINTS],
        ".",
        color=style.BLUE,
        alpha=0.3,
        markersize=2.5,
        markeredgewidth=0,
        zorder=1,
    )
    counts, _, _ = np.histogram2d(first, second, bins=edges)
    density = smoothed(counts)
    levels = [_level(density, mass) for mass in (0.9, 0.5)]
    if 0 < levels[0] < levels[1] < density.max():
        # To the very edge, so that a density at a bound isn't cut off half a cell before it.
        middle = [np.r_[edge[0], (edge[1:] + edge[:-1]) / 2, edge[-1]] for edge in edges]
        axes.contourf(
            *middle,
            np.pad(density, 1, mode="edge").T,
            levels=[*levels, density.max()],
            colors=[style.PALE_BLUE, style.LIGHT_BLUE],
            zorder=2,
        )
    if sample.truth is not None:
        axes.axvline(sample.truth[x], color=style.VERMILION, linewidth=0.9, zorder=3)
        axes.axhline(sample.truth[y], color=style.VERMILION, linewidth=0.9, zorder=3)


def smoothed(counts: np.ndarray) -> np.ndarray:
    """Density of `counts (cell, cell)`, whose total it keeps: at edges it is reflected."""
    return np.asarray(gaussian_filter(counts, SMOOTHING, mode="reflect"))


def _level(density: np.ndarray, mass: float) -> float:
    """The height above which `density (cell, cell)` holds this share of its mass."""
    ordered = np.sort(density, axis=None)[::-1]
    held = np.cumsum(ordered)
    return float(ordered[np.searchsorted(held, mass * held[-1])])
