"""Draw `anscombe.png`: four data sets and the regression lines that their posteriors allow.

python specs/pictures/anscombe.py runs/regression
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np

import abi_cli

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "anscombe.csv"


def main(run: str) -> None:
    """Sample the four posteriors and draw one panel for each."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    points = defaultdict(list)
    with DATA.open(newline="") as stream:
        for row in csv.DictReader(stream):
            points[row["dataset"]].append((float(row["x"]), float(row["y"])))
    beta = abi_cli.load(run).sample(DATA, draws=4000).values["beta"]

    x = np.linspace(-2.2, 3.4, 100)
    figure, panels = plt.subplots(1, 4, figsize=(10, 2.9), sharey=True, layout="constrained")
    for panel, (label, pairs), draws in zip(panels, points.items(), beta, strict=True):
        lines = draws[:, :1] + draws[:, 1:] * x
        for low, high in ((2.5, 97.5), (25, 75)):
            band = np.percentile(lines, [low, high], axis=0)
            panel.fill_between(x, *band, color="#0072B2", alpha=0.2, linewidth=0)
        panel.plot(x, lines.mean(axis=0), color="#0072B2", linewidth=1.5)
        panel.plot(*zip(*pairs, strict=True), "o", color="#222222", markersize=4.5)
        mean, sd = draws.mean(axis=0), draws.std(axis=0)
        panel.set_title(f"Data set {label}", loc="left", fontsize=11, fontweight="bold")
        panel.annotate(
            "\n".join(f"β{i} = {mean[k]:.2f} ± {sd[k]:.2f}" for k, i in enumerate("₀₁")),
            (0.05, 0.95),
            xycoords="axes fraction",
            va="top",
            fontsize=9,
            color="#0072B2",
        )
        panel.set_xlabel("x, standardized")
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_ylim(2.5, 15)
        panel.set_xlim(x[0], x[-1])
    panels[0].set_ylabel("y")
    figure.savefig(HERE / "anscombe.png", dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
