"""The picture of a data set beside data that its posterior generates.

Like all pictures it expects `style.styled()` around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.plots_posteriors import LEVELS
from abi_cli.diagnostics.style import padded, reach
from abi_cli.variables import Ragged, Value, array_of, element_names

MOST_PANELS = 9
MOST_POINTS = 1_500
"""Members of replicated sets that are shown."""


DENSITY = "density"
"""The y-axis of histograms."""


@dataclass(frozen=True)
class Replicas:
    """One data set, and those that its posterior generates.

    Arguments:
        label: Of the data set.
        observed: Variable → its value, of one data set.
        replicated: Observable → its value, of one data set for each draw.
        series: Variables whose members have an order.
        times: Series → the variable that says when.
    """

    label: str
    observed: Mapping[str, Value]
    replicated: Mapping[str, Value]
    series: frozenset[str] = frozenset()
    times: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Panel:
    """A panel: what it shows, and how it is drawn."""

    title: str
    x: str
    y: str
    draw: Callable[[Axes], None]


def predictive(one: Replicas, *, remark: str = "") -> Figure:
    """One data set beside data that its posterior generates.

    Sets are shown as scatters or histograms, series as bands over time, vectors as intervals.
    """
    panels = list(_panels(one))
    left_out = len(panels) - MOST_PANELS
    more = f"{left_out} more panels are left out." if left_out > 0 else ""
    panels = panels[:MOST_PANELS]
    grid = layout.grid(
        [style.printable(panel.title) for panel in panels],
        title="Data and replicated data",
        subtitle=[
            f"Data set {style.printable(one.label)}, and data that its posterior generates. "
            "The data should look like one more of them.",
            more,
            remark,
        ],
        x_label="",
        y_label="",
        gap=(0.75, 0.85),
    )
    for axes, panel in zip(grid.axes, panels, strict=True):
        panel.draw(axes)
        axes.set_xlabel(panel.x, labelpad=2)
        axes.set_ylabel(panel.y, labelpad=2)
        style.plain_ticks(axes)
    counted = all(panel.y == DENSITY for panel in panels)
    line: Literal["-", ""] = "-" if one.series or counted else ""
    dot: Literal["o", ""] = "" if counted else "o"
    layout.legend(
        grid.figure,
        [
            Line2D([], [], color=style.INK, marker=dot, markersize=4, linestyle=line, label="data"),
            Patch(color=style.LIGHT_BLUE, label="replicated"),
        ],
    )
    return grid.figure


def _panels(one: Replicas) -> list[_Panel]:
    """A panel for each scalar of the observables, or for each that goes with another one."""
    panels: list[_Panel] = []
    partner: str | None = None
    for name, value in one.observed.items():
        if isinstance(value, Ragged) and name not in one.series and value.values.ndim == 1:
            partner = name  # the first: what is given comes before what is observed
            break
    for name in one.replicated:
        value = one.observed[name]
        if name in one.series:
            panels += _of_series(one, name)
        elif isinstance(value, Ragged):
            panels += _of_set(one, name, partner)
        else:
            panels += _of_vector(one, name)
    return panels


def _columns(value: Value) -> np.ndarray:
    """Elements of what a data set has, `(member, element)`."""
    numbers = array_of(value).astype(np.float64)
    return numbers.reshape(len(numbers), -1)


def _elements(name: str, value: Value) -> tuple[str, ...]:
    return element_names(name, array_of(value).shape[1:])


def _of_set(one: Replicas, name: str, partner: str | None) -> list[_Panel]:
    """Scatters against the set's partner; histograms of what has none."""
    if name == partner:
        others = [
            n for n, v in one.replicated.items() if isinstance(v, Ragged) and n not in one.series
        ]
        if len(others) > 1:
            return []  # it is along the axis of the others
        partner = None
    own, new = _columns(one.observed[name]), _columns(one.replicated[name])
    names = _elements(name, one.observed[name])
    if partner is not None:
        x = _columns(one.observed[partner])[:, 0]
        if partner in one.replicated:
            new_x = _columns(one.replicated[partner])[:, 0]
        else:
            new_x = np.tile(x, len(new) // max(len(x), 1))
        if len(x) == len(own) and len(new_x) == len(new):
            return [
                _Panel(title, partner, title, _scatter(x, own[:, k], new_x, new[:, k]))
                for k, title in enumerate(names)
            ]
    return [
        _Panel(title, title, DENSITY, _histogram(own[:, k], new[:, k]))
        for k, title in enumerate(names)
    ]


def _scatter(
    x: np.ndarray, y: np.ndarray, new_x: np.ndarray, new_y: np.ndarray
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        some = np.linspace(0, len(new_x) - 1, min(MOST_POINTS, len(new_x))).astype(int)
        axes.plot(
            new_x[some],
            new_y[some],
            ".",
            color=style.LIGHT_BLUE,
            alpha=0.55,
            markersize=4,
            markeredgewidth=0,
            zorder=1,
        )
        axes.plot(x, y, "o", color=style.INK, markersize=4, markeredgewidth=0, zorder=2)
        _limit(axes.set_xlim, x, new_x)
        _limit(axes.set_ylim, y, new_y)

    return draw


def _limit(setter: Callable[[float, float], object], own: np.ndarray, new: np.ndarray) -> None:
    """All of the data, and replicated data but for single far ones."""
    new, own = new[np.isfinite(new)], own[np.isfinite(own)]
    low, high = reach(new)
    low, high = min(low, own.min(initial=low)), max(high, own.max(initial=high))
    setter(*padded(float(low), float(high), 0.05))


def _histogram(own: np.ndarray, new: np.ndarray) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        there, others = own[np.isfinite(own)], new[np.isfinite(new)]
        low, high = reach(others)
        low, high = min(low, there.min(initial=low)), max(high, there.max(initial=high))
        edges, coarse = _edges(low, high, there, others)
        density = np.histogram(others, edges)[0] / len(others) / np.diff(edges)
        axes.stairs(density, edges, fill=True, color=style.LIGHT_BLUE)
        top = density.max()
        if len(there) > 1:
            data = np.histogram(there, coarse)[0] / len(there) / np.diff(coarse)
            axes.stairs(data, coarse, color=style.INK, linewidth=1.2)
            top = max(top, data.max())
        tick = top if len(there) == 1 else 0.06 * top
        for value in there if len(there) <= 50 else ():
            axes.plot([value, value], [0, tick], color=style.INK, linewidth=1)
        axes.set_ylim(0, 1.08 * top or 1)

    return draw


def _edges(
    low: float, high: float, own: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges of cells for replicated values, and wider ones for a data set's own few.

    Where all are whole numbers, each cell has as many of them as any other.
    """
    cells = style.cells(len(others), most=24)
    if all((values == np.round(values)).all() for values in (own, others)):
        whole = max(1, math.ceil((high - low + 1) / cells))
        edges = np.arange(low - 0.5, high + whole + 0.5, whole)
        return edges, edges
    edges = np.linspace(low, high if high > low else low + 1, cells + 1)
    few = cells // (2 if len(own) > 50 else 3)
    return edges, np.linspace(edges[0], edges[-1], few + 1)


def _of_series(one: Replicas, name: str) -> list[_Panel]:
    own = _columns(one.observed[name])
    value = one.replicated[name]
    time = (one.times or {}).get(name)
    at = np.arange(len(own), dtype=np.float64)
    if time is not None and time in one.observed and len(_columns(one.observed[time])) == len(own):
        at = _columns(one.observed[time])[:, 0]
    return [
        _Panel(title, time or "step", title, _bands(at, own[:, k], _steps(value, k, len(own))))
        for k, title in enumerate(_elements(name, one.observed[name]))
    ]


def _steps(value: Value, element: int, steps: int) -> np.ndarray:
    """An element of replicated series, `(draw, step)`; NaN where one is shorter."""
    numbers = _columns(value)[:, element]
    if not isinstance(value, Ragged):
        return numbers[:, None]
    found = np.full((len(value.row_size), steps), np.nan)
    for row, (start, size) in enumerate(zip(value.starts(), value.row_size, strict=True)):
        kept = min(int(size), steps)
        found[row, :kept] = numbers[int(start) : int(start) + kept]
    return found


def _bands(at: np.ndarray, own: np.ndarray, new: np.ndarray) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        low, lower, middle, upper, high = np.nanquantile(new, LEVELS, axis=0)
        axes.fill_between(at, low, high, color=style.PALE_BLUE)
        axes.fill_between(at, lower, upper, color=style.LIGHT_BLUE)
        axes.plot(at, middle, color=style.BLUE, linewidth=1)
        axes.plot(
            at,
            own,
            color=style.INK,
            linewidth=0.9,
            marker=".",
            markersize=3 if len(at) <= 100 else 0,
        )

    return draw


def _of_vector(one: Replicas, name: str) -> list[_Panel]:
    own, new = _columns(one.observed[name])[0], _columns(one.replicated[name])
    if len(own) == 1:
        return [_Panel(name, name, DENSITY, _histogram(own, new[:, 0]))]
    return [_Panel(name, "element", name, _elements_beside(own, new))]


def _elements_beside(own: np.ndarray, new: np.ndarray) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        place = np.arange(len(own))
        low, lower, _, upper, high = np.quantile(new, LEVELS, axis=0)
        width = float(np.clip(60 / len(own), 0.5, 4))
        axes.vlines(place, low, high, color=style.PALE_BLUE, linewidth=width)
        axes.vlines(place, lower, upper, color=style.LIGHT_BLUE, linewidth=width)
        axes.plot(place, own, "o", color=style.INK, markersize=min(4, width + 1))
        shown = np.concatenate([low, high, own])
        _limit(axes.set_ylim, own, shown)

    return draw
