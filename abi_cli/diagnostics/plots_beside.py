"""The picture of posteriors beside exact ones: where how much is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from abi_cli.diagnostics import layout, style
from abi_cli.diagnostics.beside import Beside
from abi_cli.diagnostics.pictures import Picture, Row

_COLORS = {"weights": style.BLUE, "chains": style.COLORS[4], "failed": style.VERMILION}
_WORDS = {"weights": "refined by weights", "chains": "by Markov chains", "failed": "not refined"}


def beside_picture(found: Beside) -> Picture:
    """Nats that are lost of each data set, against what tells most of where that is."""
    covariate = _covariate(found)
    return Picture(
        "beside_exact",
        "Beside exact posteriors",
        found.sentence(),
        lambda: _draw(found, covariate),
        lambda: _rows(found, covariate),
    )


def _covariate(found: Beside) -> str:
    """The weakest region's, or that which goes with what is lost most closely."""
    if found.weakest is not None:
        return found.weakest.covariate
    order = np.argsort(np.argsort(found.each))
    ranks = {name: np.argsort(np.argsort(x)) for name, x in found.covariates.items()}
    return max(ranks, key=lambda name: abs(np.corrcoef(ranks[name], order)[0, 1]))


def _draw(found: Beside, covariate: str) -> Figure:
    figure, axes = layout.single(
        "Beside exact posteriors",
        found.sentence(),
        "A point is a data set; the higher, the farther its posterior is from the exact one.",
        size=(4.9, 2.7),
    )
    values = found.covariates[covariate]
    for how, color in _COLORS.items():
        rows = np.array([one == how for one in found.how])
        if rows.any():
            y = np.maximum(found.each[rows], 1e-3)
            axes.plot(values[rows], y, ".", color=color, markersize=5, label=_WORDS[how])
    if found.weakest is not None:
        axes.axvspan(found.weakest.low, found.weakest.high, color=style.BAND, zorder=0)
    axes.set_yscale("log")
    low, high = np.quantile(values, (0.02, 0.98))
    if low > 0 and high > 30 * low:
        axes.set_xscale("log")
    axes.set_xlabel(covariate.replace("$", r"\$"))
    axes.set_ylabel("nats from exact, at least")
    layout.legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def _rows(found: Beside, covariate: str) -> Iterator[Row]:
    for row, how in enumerate(found.how):
        value = float(found.covariates[covariate][row])
        yield {"dataset": row, covariate: value, "nats": float(found.each[row]), "by": how}
