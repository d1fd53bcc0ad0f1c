"""Trainings in processes of their own, to be interrupted in every way, and how they compare."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np

from tests.cli import words

MODEL = """
def meta(rng):
    return {"N": int(rng.integers(3, 9))}


def likelihood(rng, mu, sigma, N):
    return {"x": rng.normal(mu, sigma, N)}
"""

STUCK = """
import pathlib
import time

from model import meta


def likelihood(rng, mu, sigma, N):
    if pathlib.Path(__file__).with_name("stuck").exists():
        time.sleep(3600)
    return {"x": rng.normal(mu, sigma, N)}
"""
"""A simulation that doesn't end once there is a file of that name beside it."""

SPEC = """
name: toy
model:
  meta: model.py:meta
  prior: {mu: normal, sigma: {gamma: {shape: 3}}}
  likelihood: model.py:likelihood
observables: {x: {kind: set}}
networks:
  summary: {deep_set: {summary_dim: 4, width: 16}}
  inference: {gaussian_mixture: {components: 1}}
training:
  epochs: 40
  num_batches: 50
  batch_size: 8
  validation: 100
  callbacks:
    - early_stopping: {patience: 40, min_delta: 0.05}
    - reduce_lr_on_plateau: {patience: 1, min_delta: 0.2}
  checkpoint_every: 0.001
"""
"""Two blocks an epoch, all saved; the best epoch is not the last, and the rate falls early."""

STORED = """
name: stored
parameters: {mu: {}, sigma: {}}
observables: {x: {kind: set}}
networks:
  summary: {deep_set: {summary_dim: 4, width: 16}}
  inference: {gaussian_mixture: {components: 1}}
training: {epochs: 60, batch_size: 16, checkpoint_every: 0.001}
"""


def lay_out(folder: Path) -> None:
    """Write both specs, the model and stored simulations."""
    (folder / "model.py").write_text(MODEL)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "stuck.py").write_text(STUCK)
    stuck = SPEC.replace("model.py", "stuck.py").replace("epochs: 40", "epochs: 4000")
    (folder / "stuck.yaml").write_text(stuck)
    (folder / "stored.yaml").write_text(STORED)
    rng = np.random.default_rng(3)
    mu, sigma = rng.normal(size=900), rng.gamma(3.0, size=900)
    sizes = rng.integers(3, 9, size=900)
    values = np.repeat(mu, sizes) + np.repeat(sigma, sizes) * rng.normal(size=sizes.sum())
    np.savez(folder / "sims.npz", mu=mu, sigma=sigma, x=values, row_size=sizes)


class Training:
    """`abi train` in a process of its own.

    Arguments:
        run: The run folder.
        arguments: Of the command.
        prepare: Called in the process before the command.

    Attributes:
        begun: The steps that were saved before.
    """

    started: ClassVar[list[Training]] = []

    def __init__(self, run: Path, *arguments: object, prepare: Callable[[], object] | None = None):
        self.run = run
        self.process = subprocess.Popen(
            words("train", *arguments),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            preexec_fn=prepare,
        )
        Training.started.append(self)
        self.said = ""
        self.begun = self.step()

    def step(self) -> int:
        """Of the latest state; −1 where there is none."""
        try:
            return int((self.run / "state" / "latest").read_text()[:8])
        except (OSError, ValueError):
            return -1

    def until(self, steps: int) -> Training:
        """Wait until it has saved so many steps."""
        while self.step() < max(self.begun, 0) + steps:
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.002)
        return self

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, and wait; gives the exit code."""
        if number is not None:
            self.process.send_signal(number)
        _, self.said = self.process.communicate(timeout=300)
        return self.process.returncode


def end_all() -> None:
    """End what a test that has failed left behind."""
    while Training.started:
        training = Training.started.pop()
        if training.process.poll() is None:
            training.end(signal.SIGKILL)


def history(run: Path) -> list[dict[str, str]]:
    """All but the seconds."""
    with (run / "history.csv").open(newline="") as lines:
        return [
            {name: text for name, text in row.items() if not name.startswith("seconds")}
            for row in csv.DictReader(lines)
        ]


def weights(run: Path, folder: Path) -> dict[str, np.ndarray]:
    """Of model.keras, by name.

    Arguments:
        folder: For scratch.
    """
    import zipfile

    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(run / "model.keras") as archive:
        file = archive.extract("model.weights.h5", folder)
    with h5py.File(file) as stored:
        stored.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


def assert_same(run: Path, other: Path, folder: Path) -> None:
    """The same weights, the same history but for the seconds."""
    assert history(run) == history(other)
    one, two = weights(run, folder), weights(other, folder)
    assert one.keys() == two.keys()
    assert len(one) > 4
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name], err_msg=name)


def manifest(run: Path) -> dict[str, object]:
    return json.loads((run / "manifest.json").read_text())
