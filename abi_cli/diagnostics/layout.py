"""The layout of every picture: panels of one size under a heading, placed in inches.

A picture is a `Sheet` of panels. Those with one panel for each parameter are a `grid`, which
chooses rows and columns; those with one wide panel are `single`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from abi_cli.diagnostics.style import FAINT, label_size

MARGIN = 0.25
"""Inches around everything."""

TITLE_SIZE, SUBTITLE_SIZE, LINE = 12.0, 8.5, 0.165
"""Points, points, and the inches between two lines of a subtitle."""

TITLE, SUBTITLE = "title", "subtitle"
"""Names of the texts of a heading, by which they are found again in a figure, and in an SVG."""


@dataclass(frozen=True)
class Grid:
    """A figure and its panels.

    Arguments:
        figure: What they are in.
        axes: The panels, row after row.
        columns: How many stand side by side.
    """

    figure: Figure
    axes: tuple[Axes, ...]
    columns: int

    def share_numbers(self) -> None:
        """Keep numbers at the leftmost panel of a row and the lowest of a column alone."""
        for panel, axes in enumerate(self.axes):
            if panel % self.columns:
                axes.tick_params(labelleft=False)
            if panel + self.columns < len(self.axes):
                axes.tick_params(labelbottom=False)

    def name_axes(self, x_label: str, y_label: str) -> None:
        """Say once, below and at the left of all panels, what is along their axes."""
        width, height = self.figure.get_size_inches()
        first, last = self.axes[0].get_position(), self.axes[-1].get_position()
        right = self.axes[min(self.columns, len(self.axes)) - 1].get_position().x1
        x, y = (first.x0 + right) / 2, (last.y0 + first.y1) / 2
        edge = MARGIN * 0.7
        self.figure.text(x, edge / height, x_label, ha="center", va="bottom")
        self.figure.text(edge / width, y, y_label, rotation=90, ha="left", va="center")


@dataclass(frozen=True)
class Sheet:
    """Panels of one size, in inches.

    Arguments:
        panels, columns: How many there are, and how many side by side.
        size: Width and height of a panel.
        gap: Between panels, sideways and downwards, for their ticks and titles.
        left, bottom: Beside and below all of them, for numbers and names.
        above: Between them and the heading, for their titles.
    """

    panels: int
    columns: int
    size: tuple[float, float]
    gap: tuple[float, float] = (0.45, 0.55)
    left: float = MARGIN + 0.58
    bottom: float = MARGIN + 0.42
    above: float = 0.28

    def figure(self, title: str, *subtitle: str) -> Grid:
        """A figure with these panels, empty, under a heading.

        Arguments:
            title, subtitle: What it shows, and sentences on what a reader should see in it.
        """
        rows = math.ceil(self.panels / self.columns)
        steps = self.size[0] + self.gap[0], self.size[1] + self.gap[1]
        width = self.left + self.columns * steps[0] - self.gap[0] + MARGIN
        text = " ".join(filter(None, map(str.strip, subtitle)))
        lines = textwrap.wrap(text, width=max(20, int((width - 2 * MARGIN) * 16.2)))
        top = heading_height(len(lines)) + self.above
        height = self.bottom + rows * steps[1] - self.gap[1] + top
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        _write_heading(figure, title, lines)
        axes = []
        for panel in range(self.panels):
            row, column = divmod(panel, self.columns)
            x = self.left + column * steps[0]
            y = height - top - self.size[1] - row * steps[1]
            box = x / width, y / height, self.size[0] / width, self.size[1] / height
            axes.append(figure.add_axes(box))
        return Grid(figure, tuple(axes), self.columns)


def single(
    title: str, *subtitle: str, size: tuple[float, float] = (5.8, 3.1)
) -> tuple[Figure, Axes]:
    """A figure of one wide panel, whose numbers and names stand at its left and below it."""
    made = Sheet(1, 1, size, left=0.95, bottom=0.6, above=0.15).figure(title, *subtitle)
    return made.figure, made.axes[0]


def grid(
    labels: Sequence[str],
    *,
    title: str,
    subtitle: Sequence[str],
    x_label: str,
    y_label: str,
    gap: tuple[float, float] = (0.45, 0.55),
) -> Grid:
    """A figure of square panels, one for each label.

    Arguments:
        labels: `(element,)`, the titles of the panels.
        title, subtitle, gap: As of a `Sheet`.
        x_label, y_label: What is along the axes of every panel.
    """
    side = panel_size(len(labels))
    made = Sheet(len(labels), grid_columns(len(labels)), (side, side), gap).figure(title, *subtitle)
    size = label_size(labels, side, most=10)
    for axes, label in zip(made.axes, labels, strict=True):
        axes.set_title(label, size=size)
    made.name_axes(x_label, y_label)
    return made


def grid_columns(panels: int) -> int:
    """The number of panels side by side: one row up to four, then few gaps and about 4 : 3."""
    if panels <= 4:
        return panels

    def untidiness(columns: int) -> float:
        rows = math.ceil(panels / columns)
        return (rows * columns - panels) / columns + 2 * abs(math.log(columns / rows / 1.3))

    return min(range(3, 9), key=untidiness)


def panel_size(panels: int) -> float:
    """The side of a panel in inches: the more, the smaller."""
    if panels <= 4:
        return 4.0 if panels == 1 else 2.7
    return 2.3 if panels <= 12 else 1.75


def heading_height(lines: int) -> float:
    """Inches that a heading with so many lines below its title takes."""
    return MARGIN + 0.24 + LINE * lines


def _write_heading(figure: Figure, title: str, lines: Sequence[str]) -> None:
    """Title and subtitle at the upper left of a figure."""
    width, height = figure.get_size_inches()
    x, top = MARGIN / width, height - MARGIN * 0.7
    figure.text(
        x, top / height, title, gid=TITLE, size=TITLE_SIZE, weight="bold", ha="left", va="top"
    )
    for i, line in enumerate(lines):
        y = (top - 0.26 - LINE * i) / height
        figure.text(x, y, line, gid=SUBTITLE, size=SUBTITLE_SIZE, color=FAINT, ha="left", va="top")


def take_heading(figure: Figure) -> tuple[str, str, float]:
    """Take the heading off a figure, for a page that has it as text.

    Gives title and subtitle, and the height in inches of what is left, a legend included.
    """
    texts: dict[str, list[Text]] = {TITLE: [], SUBTITLE: []}
    for text in figure.texts:
        if (name := text.get_gid()) in (TITLE, SUBTITLE):
            texts[str(name)].append(text)
            text.set_visible(False)
    width, height = figure.get_size_inches()
    room = 0.42 if figure.legends else 0.1
    left = float(height) - heading_height(len(texts[SUBTITLE])) + room
    for legend in figure.legends:
        legend.set_loc("upper left")  # of a picture wider than a phone, the left is seen first
        legend.set_bbox_to_anchor((MARGIN / width, (left - 0.12) / height), figure.transFigure)
    title, subtitle = (" ".join(t.get_text() for t in own) for own in texts.values())
    return title, subtitle, left


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """A legend at the upper right, beside the title; none of nothing."""
    if not handles:
        return
    width, height = figure.get_size_inches()
    figure.legend(
        handles=list(handles),
        loc="upper right",
        bbox_to_anchor=(1 - MARGIN / width, 1 - MARGIN * 0.8 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=8.5,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.8,
        columnspacing=1.2,
    )
