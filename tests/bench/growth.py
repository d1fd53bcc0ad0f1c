"""How time and memory of abi grow: with members, batch size, data sets and draws.

    python -m tests.bench.growth --backend jax

Prints Markdown tables. Each line is a process of its own; the spec is the vectorised regression
with every data set of N members.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measured, cold, run
from tests.bench.sides import SPECS, VECTORISED
from tests.bench.table import header, line

SIZES = (10, 100, 1_000, 10_000)
BATCHES = (16, 64, 256, 1_024, 4_096)
DRAWS = ((1, 1_000), (1, 1_000_000), (200, 1_000), (10_000, 1_000))
EPOCH = 64
"""Batches of an epoch here."""


class Growth:
    """Trains and draws in a scratch folder.

    Arguments:
        folder: Scratch.
        backend: Of all runs.
    """

    def __init__(self, folder: Path, *, backend: str):
        self.folder = folder
        self.options = ["--backend", backend, "--quiet", "--force"]
        self.abi = Path(sys.executable).parent / "abi"
        for suffix in (".yaml", ".py"):
            shutil.copy(SPECS / f"{VECTORISED.spec}{suffix}", folder)

    def train(self, *, members: int, batch_size: int) -> tuple[float, Measured]:
        """Seconds of a step of the second epoch, and the whole process."""
        (self.folder / "size.py").write_text(f"def meta():\n    return {{'N': {members}}}\n")
        settings = {
            "model.meta": "size.py:meta",
            "training.epochs": 2,
            "training.num_batches": EPOCH,
            "training.batch_size": batch_size,
        }
        overrides = [word for key, value in settings.items() for word in ("-s", f"{key}={value}")]
        spec = self.folder / f"{VECTORISED.spec}.yaml"
        words = [self.abi, "train", spec, "-o", self.run_folder, *overrides, *self.options]
        with cold() as env:
            measured = run(words, env=env)
        with (self.run_folder / "history.csv").open(newline="", encoding="utf-8") as stream:
            row = list(csv.DictReader(stream))[-1]
        step = (float(row["seconds_training"]) + float(row["seconds_waiting"])) / EPOCH
        shutil.rmtree(self.run_folder.with_name(f"{self.run_folder.name}.bak"), ignore_errors=True)
        return step, measured

    def draw(self, datasets: int, draws: int) -> Measured:
        """Simulate data sets, then draw from their posteriors into a file."""
        data, out = self.folder / "data.npz", self.folder / "draws.npz"
        number = str(datasets)
        run([self.abi, "simulate", self.run_folder, "-n", number, "-o", data, "--quiet"])
        place = ["-n", str(draws), "-o", out]
        words = [self.abi, "sample", self.run_folder, data, *place, *self.options]
        with cold() as env:
            measured = run(words, env=env)
        for file in self.folder.glob("*.npz*"):
            file.unlink()
        return measured

    @property
    def run_folder(self) -> Path:
        """Where the last run is."""
        return self.folder / "run"


def tables(growth: Growth) -> Iterator[str]:
    """Every table, line by line, as it is measured."""
    yield from header(["members of a set", "ms a step", "whole process, s", "peak, GB"])
    for members in SIZES:
        step, measured = growth.train(members=members, batch_size=64)
        yield line([f"{members:,}", f"{1e3 * step:.1f}", *shown(measured)])
    yield ""
    yield from header(["batch size", "ms a step", "whole process, s", "peak, GB"])
    for batch_size in BATCHES:
        step, measured = growth.train(members=10, batch_size=batch_size)
        yield line([f"{batch_size:,}", f"{1e3 * step:.1f}", *shown(measured)])
    yield ""
    yield from header(
        ["data sets × draws, to NPZ", "draws a second", "whole process, s", "peak, GB"]
    )
    for datasets, draws in DRAWS:
        measured = growth.draw(datasets, draws)
        rate = f"{datasets * draws / measured.seconds:,.0f}"
        yield line([f"{datasets:,} × {draws:,}", rate, *shown(measured)])


def shown(measured: Measured) -> list[str]:
    """Whole seconds and peak memory."""
    return [f"{measured.seconds:.1f}", f"{measured.peak / 1e9:.2f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--backend", default="tensorflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for text in tables(Growth(Path(folder), backend=arguments.backend)):
            print(text, flush=True)


if __name__ == "__main__":
    main()
