"""The style of every picture: one palette, one matplotlib style, one layout.

The colours are Okabe and Ito's, which colour-blind readers tell apart. Blue is what the posterior
says, vermilion is what to look at, grey is what was expected.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib import style as mpl_style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.ticker import FuncFormatter, MaxNLocator

from abi_cli import placing

BLUE = "#0072B2"
LIGHT_BLUE = "#56A3D1"
PALE_BLUE = "#C5DEEF"
VERMILION = "#D55E00"
GREY = "#8C8C8C"
BAND = "#E3E3E3"
INK = "#262626"
FAINT = "#5F5F5F"

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of several curves in one panel."""

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib and has β₀ and σ
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlepad": 5,
    "axes.unicode_minus": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "figure.facecolor": "white",
    "svg.hashsalt": "abi",  # or names in the file would differ from time to time
}
DPI = 150

MARGIN = 0.25
"""Inches around everything."""

TITLE_SIZE, SUBTITLE_SIZE, LINE = 12.0, 8.5, 0.165
"""Points, points, and the inches between two lines of a subtitle."""

LONGEST_LABEL = 22
"""Characters; what is longer loses its middle."""


@dataclass(frozen=True)
class Grid:
    """A figure with as many panels as it has parameters.

    Arguments:
        figure: What they are in.
        axes: The panels, row after row.
        columns: How many stand side by side.
    """

    figure: Figure
    axes: tuple[Axes, ...]
    columns: int

    def is_left(self, panel: int) -> bool:
        """Whether a panel is the first of its row."""
        return panel % self.columns == 0

    def is_bottom(self, panel: int) -> bool:
        """Whether no panel stands below a panel."""
        return panel + self.columns >= len(self.axes)


@contextmanager
def styled() -> Iterator[None]:
    """The style of every picture, for as long as one is being drawn."""
    # Whatever the user's own matplotlibrc says.
    with mpl_style.context(STYLE, after_reset=True):
        yield


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


def grid(
    labels: Sequence[str],
    *,
    title: str,
    subtitle: str,
    x_label: str,
    y_label: str,
    gap: tuple[float, float] = (0.45, 0.55),
) -> Grid:
    """A figure of square panels under a heading.

    Arguments:
        labels: `(element,)`, the titles of the panels.
        title, subtitle: What it shows, and what a reader should see in it.
        x_label, y_label: What is along the axes of every panel.
        gap: Inches between panels, sideways and downwards, for their ticks and titles.
    """
    panels = len(labels)
    columns = grid_columns(panels)
    rows = math.ceil(panels / columns)
    side = panel_size(panels)
    left, bottom = MARGIN + 0.58, MARGIN + 0.42
    width = left + columns * side + (columns - 1) * gap[0] + MARGIN
    lines = wrapped(subtitle, width - 2 * MARGIN)
    top = heading_height(lines) + 0.28
    height = bottom + rows * side + (rows - 1) * gap[1] + top

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    heading(figure, title=title, lines=lines)
    size = label_size(labels, side, most=10)
    axes = []
    for panel, label in enumerate(labels):
        row, column = divmod(panel, columns)
        x = left + column * (side + gap[0])
        y = height - top - side - row * (side + gap[1])
        axes.append(figure.add_axes((x / width, y / height, side / width, side / height)))
        axes[-1].set_title(label, size=size)
    middle_x = (left + (width - left - MARGIN) / 2) / width
    middle_y = (bottom + (height - bottom - top) / 2) / height
    figure.text(middle_x, MARGIN * 0.7 / height, x_label, ha="center", va="bottom")
    figure.text(MARGIN * 0.7 / width, middle_y, y_label, rotation=90, ha="left", va="center")
    return Grid(figure, tuple(axes), columns)


def printable(label: str) -> str:
    """A label that can be drawn: not too long, and dollars that are no formula as they are."""
    try:
        MathTextParser("path").parse(label)
    except ValueError:
        label = label.replace("$", r"\$")
    if "$" in label or len(label) <= LONGEST_LABEL:
        return label
    return f"{label[:11]}…{label[-10:]}"


def label_size(labels: Sequence[str], inches: float, *, most: float) -> float:
    """The size, in points and at most `most`, at which the longest label fits a panel."""
    longest = max((len(label) for label in labels if "$" not in label), default=1)
    return float(min(most, 72 * inches / (0.62 * longest)))


def wrapped(text: str, inches: float) -> list[str]:
    """A subtitle in lines that fit a width."""
    return textwrap.wrap(text, width=max(20, int(inches * 16.2)))


def heading_height(lines: list[str]) -> float:
    """Inches that a heading takes."""
    return MARGIN + 0.24 + LINE * len(lines)


def heading(figure: Figure, *, title: str, lines: list[str]) -> None:
    """Write title and subtitle at the upper left of a figure."""
    width, height = figure.get_size_inches()
    x = MARGIN / width
    top = height - MARGIN * 0.7
    figure.text(x, top / height, title, size=TITLE_SIZE, weight="bold", ha="left", va="top")
    for i, line in enumerate(lines):
        y = (top - 0.26 - LINE * i) / height
        figure.text(x, y, line, size=SUBTITLE_SIZE, color=FAINT, ha="left", va="top")


def legend(figure: Figure, handles: list[Artist]) -> None:
    """A legend at the upper right, beside the title."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
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


def plain_ticks(axes: Axes, *, x: int = 4, y: int = 4) -> None:
    """Set at most so many ticks, with short numbers: 0.25, 1200, 3e6."""
    for axis, most in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """A number as short as it may be, with a true minus sign: 0.25, 1200, 3e6."""
    text = f"{value + 0.0:.4g}"  # + 0.0, or zero may be negative
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-").replace("-", "−")


def fixed(value: float) -> str:
    """A number with two decimals and a true minus sign."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def note(axes: Axes, text: str, *, x: float = 0.04, y: float = 0.97) -> None:
    """A small remark in a corner of a panel, in axes' fractions."""
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        size=8,
        color=FAINT,
        ha="left" if x < 0.5 else "right",
        va="top" if y > 0.5 else "bottom",
        bbox={"facecolor": "white", "alpha": 0.75, "pad": 1.5, "linewidth": 0},
    )


_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None},
    "svg": {"Date": None},
}
"""Without what differs from one machine or moment to the next."""


def save(draw: Callable[[], Figure], *files: Path) -> None:
    """Draw a figure in the one style and write it, by extension, whole or not at all."""
    with styled():
        figure = draw()
        for file in files:
            kind = file.suffix.removeprefix(".")
            with placing.replacing(file) as place:
                figure.savefig(place, format=kind, dpi=DPI, metadata=_METADATA[kind])
