"""The style of every picture: one palette, one matplotlib style, one way of numbers and axes.

The colours are Okabe and Ito's, which colour-blind readers tell apart. Blue is what the posterior
says, vermilion is what to look at, grey is what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

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

LONGEST_LABEL = 22
"""Characters; what is longer loses its middle."""


@contextmanager
def styled() -> Iterator[None]:
    """The style of every picture, for as long as one is being drawn."""
    # Whatever the user's own matplotlibrc says.
    with mpl_style.context(STYLE, after_reset=True):
        yield


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


def plain_ticks(axes: Axes, *, x: int = 4, y: int = 4) -> None:
    """Set at most so many ticks, with short numbers: 0.25, 1200, 3e6."""
    for axis, most in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def unit_ticks(axes: Axes, *, both: bool = False) -> None:
    """Ranks or shares, from 0 to 1, along the x-axis, or along both."""
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if both:
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def cells(number: int, *, most: int) -> int:
    """Cells of a histogram of so many values: 2 n^⅓ (Rice's rule), so that bars aren't noise."""
    return int(np.clip(2 * number ** (1 / 3), 8, most))


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


METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None},
    "svg": {"Date": None},
}
"""Without what differs from one machine or moment to the next."""


def save(draw: Callable[[], Figure], *files: Path) -> Figure:
    """Draw a figure in the one style and write it, by extension, whole or not at all."""
    with styled():
        figure = draw()
        for file in files:
            kind = file.suffix.removeprefix(".")
            with placing.replacing(file) as place:
                figure.savefig(place, format=kind, dpi=DPI, metadata=METADATA[kind])
    return figure


def write_below(figure: Figure, height: float, stream: BinaryIO) -> None:
    """Write the lowest `height` inches of a figure as PNG."""
    below = Bbox.from_bounds(0, 0, figure.get_figwidth(), height)
    with styled():
        figure.savefig(stream, format="png", dpi=DPI, metadata=METADATA["png"], bbox_inches=below)


_ROOM = 2.0
"""Widths of the central 98 % that a value may lie away from them and still be shown."""


def reach(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value to show; what is not finite plays no part."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.01, 0.99])
    room = _ROOM * (high - low)
    near = values[(values >= low - room) & (values <= high + room)]
    return float(near.min()), float(near.max())


def beyond(limits: tuple[float, float], *values: np.ndarray) -> int:
    """The number of rows of `values (row,)` that lie beyond limits in any of them."""
    return int(np.any([(own < limits[0]) | (own > limits[1]) for own in values], axis=0).sum())


def unshown(number: int) -> str:
    """A line for a note on a picture; empty where all is shown."""
    return f"\n{number:,} beyond" if number else ""


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Limits with some room around them, `share` of their distance; of one value, around it."""
    pad = share * (high - low) or 0.5
    return low - pad, high + pad
