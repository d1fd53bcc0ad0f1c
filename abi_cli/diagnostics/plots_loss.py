"""The picture of a training: its loss, and the learning rate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from abi_cli.diagnostics import layout, style


def loss(history: Sequence[Mapping[str, float]]) -> Figure:
    """Training and validation loss, and the learning rate, epoch by epoch.

    Arguments:
        history: One row for each epoch: `epoch`, `loss` and, where known, `val_loss` and
            `learning_rate`.
    """
    epoch = np.array([row["epoch"] for row in history])
    validation, rates = _column(history, "val_loss"), _column(history, "learning_rate")
    figure, axes = layout.single(
        "Loss",
        "What training minimises, averaged over each epoch. It should have levelled off"
        + ("." if validation is None else ", and validation should not part from training."),
    )
    draw_loss(axes, epoch, _column(history, "loss"), validation)
    lowest = axes
    if rates is not None:
        axes.tick_params(labelbottom=False)
        box = axes.get_position()
        axes.set_position((box.x0, box.y0 + 0.31 * box.height, box.width, 0.69 * box.height))
        lowest = figure.add_axes((box.x0, box.y0, box.width, 0.24 * box.height))
        lowest.plot(epoch, rates, color=style.GREY)
        lowest.set_ylim(0, 1.15 * rates.max() or 1)
        style.plain_ticks(lowest, x=8, y=2)
        lowest.set_ylabel("learning\nrate")
    lowest.set_xlabel("epoch")
    for each in (axes, lowest):
        each.set_xlim(epoch.min() - 0.5, epoch.max() + 0.5)
        each.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        each.yaxis.set_label_coords(-0.086, 0.5)
    return figure


def draw_loss(
    axes: Axes, epoch: np.ndarray, train: np.ndarray | None, validation: np.ndarray | None
) -> None:
    """Losses `(epoch,)` of training and, where there is one, of validation."""
    shown = []
    for values, color, label in (
        (train, style.BLUE, "training"),
        (validation, style.VERMILION, "validation"),
    ):
        if values is None:
            continue
        axes.plot(
            epoch,
            values,
            color=color,
            label=f"{label}, {style.short(float(values[-1]))} at the end",
            marker="." if len(epoch) <= 60 else "",
            markersize=5,
        )
        shown.append(values)
    if shown and (first := _zoom_past_the_start(axes, np.stack(shown))) is not None:
        axes.plot([], [], " ", label=f"starts above the picture, at {style.short(first)}")
    style.plain_ticks(axes, x=8, y=5)
    axes.set_ylabel("loss")
    axes.legend(frameon=False, loc="best", fontsize=8.5)


def _zoom_past_the_start(axes: Axes, losses: np.ndarray) -> float | None:
    """Let the first epochs leave the picture if they would flatten all others.

    Arguments:
        losses: `(curve, epoch)`.

    Returns the first loss if it left.
    """
    finite = losses[np.isfinite(losses)]
    later = losses[:, losses.shape[1] // 5 :]
    later = later[np.isfinite(later)]
    if not later.size:
        return None
    bottom, top = float(finite.min()), float(finite.max())
    reach = min(top, bottom + 3 * (float(later.max()) - bottom))
    if reach <= bottom:  # flat, or a single epoch: matplotlib's own choice is good
        return None
    pad = 0.06 * (reach - bottom)
    axes.set_ylim(bottom - pad, reach + pad)
    return float(losses[0, 0]) if losses[0, 0] > reach + pad else None


def _column(history: Sequence[Mapping[str, float]], name: str) -> np.ndarray | None:
    """A column of the history `(epoch,)`, if every row has it."""
    if not all(name in row for row in history):
        return None
    return np.array([row[name] for row in history], dtype=np.float64)
