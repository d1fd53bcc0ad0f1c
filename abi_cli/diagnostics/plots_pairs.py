"""The pictures of joint distributions: every pair of parameters, in the prior and in a posterior.

Beyond `MOST_PAIRED` parameters pairs would be too small to read; each parameter is then shown by
itself. Like all pictures these expect `style.styled()` around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from abi_cli.diagnostics import style
from abi_cli.diagnostics.reach import beyond, reach

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
            draws.
        prior: `(element, draw)`, to be shown behind posterior draws.
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
            low, high = min(low, self.truth[element]), max(high, self.truth[element])
        pad = 0.06 * (high - low) or 0.5
        # A bound at zero is a bound: no room for what can't be.
        floor = 0.0 if draws.min() >= 0 and low - pad < 0 else -np.inf
        return max(floor, float(low - pad)), float(high + pad)

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
    parts = [subtitle, more, sample.unseen(), remark]
    figure = draw(sample, title=title, subtitle=" ".join(filter(None, parts)))
    handles: list[Artist] = []
    if sample.truth is not None or sample.prior is not None:
        handles.append(Patch(color=style.LIGHT_BLUE, label="posterior"))
    if sample.truth is not None:
        handles.append(Line2D([], [], color=style.VERMILION, label="truth"))
    if sample.prior is not None:
        handles.append(Line2D([], [], color=style.FAINT, linewidth=1.2, label="prior"))
    if handles:
        style.legend(figure, handles)
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


def _margins(sample: Sample, *, title: str, subtitle: str) -> Figure:
    """Each parameter by itself."""
    grid = style.grid(
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


def _corner(sample: Sample, *, title: str, subtitle: str) -> Figure:
    """Margins on the diagonal, pairs below it, their correlations above."""
    count = len(sample.labels)
    side = {1: 4.0, 2: 2.6, 3: 2.1, 4: 1.8}.get(count, 1.45)
    gap, left, bottom = 0.12, style.MARGIN + 0.62, style.MARGIN + 0.45
    width = left + count * side + (count - 1) * gap + style.MARGIN
    lines = style.wrapped(subtitle, width - 2 * style.MARGIN)
    top = style.heading_height(lines) + 0.15
    height = bottom + count * side + (count - 1) * gap + top
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    style.heading(figure, title=title, lines=lines)

    correlation = correlations(sample.draws)
    limits = [sample.limits(k) for k in range(count)]
    for row in range(count):
        for column in range(count):
            x = left + column * (side + gap)
            y = height - top - side - row * (side + gap)
            axes = figure.add_axes((x / width, y / height, side / width, side / height))
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
            _label_outside(axes, sample, row, column, figure)
    return figure


def _label_outside(axes: Axes, sample: Sample, row: int, column: int, figure: Figure) -> None:
    """Ticks everywhere, numbers and names at the left and lower edge only."""
    few = 3 if len(sample.labels) <= 4 else 2
    style.plain_ticks(axes, x=few, y=few)
    width = axes.get_position().width * figure.get_figwidth()
    size = style.label_size(sample.labels, width, most=11)
    if row == column:
        axes.set_yticks([])
    if row == len(sample.labels) - 1:
        axes.set_xlabel(sample.labels[column], size=size)
        axes.xaxis.set_label_coords(0.5, -0.4 / width)
    else:
        axes.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        axes.set_ylabel(sample.labels[row], size=size)
        axes.yaxis.set_label_coords(-0.55 / width, 0.5)
    else:
        axes.tick_params(labelleft=False)


def _write_correlation(axes: Axes, correlation: float) -> None:
    axes.axis("off")
    text = f"r = {style.fixed(correlation)}"
    axes.text(0.5, 0.5, text, ha="center", va="center", color=style.FAINT, size=9)


def draw_margin(axes: Axes, sample: Sample, element: int) -> None:
    """One parameter's density, with prior and truth where they are known."""
    limits = sample.limits(element)
    edges = np.linspace(*limits, 33)
    posterior = _density(sample.draws[element], edges)
    axes.stairs(posterior, edges, fill=True, color=style.LIGHT_BLUE)
    top = posterior.max()
    if sample.prior is not None:
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
    density = gaussian_filter(counts, SMOOTHING, mode="nearest")
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


def _level(density: np.ndarray, mass: float) -> float:
    """The height above which `density (cell, cell)` holds this share of its mass."""
    ordered = np.sort(density, axis=None)[::-1]
    held = np.cumsum(ordered)
    return float(ordered[np.searchsorted(held, mass * held[-1])])
