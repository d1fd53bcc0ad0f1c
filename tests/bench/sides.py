"""The two sides of the comparison: each trains, is timed, and is held against exact posteriors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from abi_cli.variables import Datasets, Ragged
from tests.bench.measure import REPOSITORY, cold, read_files, run
from tests.oracles import (
    ConjugateRegression,
    Divergence,
    ExactRegression,
    mean_kl,
    simulate_conjugate,
    simulate_regression,
)

BENCH = REPOSITORY / "tests" / "bench"
PEER = BENCH / "peer.py"
SPECS = REPOSITORY / "specs"


@dataclass(frozen=True)
class Model:
    """A model with exact posteriors: how to draw data sets, how to know their posteriors."""

    simulate: Callable[[int, np.random.Generator], Datasets]
    posterior: type[ExactRegression] | type[ConjugateRegression]


REGRESSION = Model(simulate_regression, ExactRegression)
CONJUGATE = Model(simulate_conjugate, ConjugateRegression)


@dataclass(frozen=True)
class Workload:
    """A spec, and the model whose exact posteriors it is measured by."""

    spec: str
    model: Model
    title: str


ONE_DRAW = Workload("regression", REGRESSION, "one-draw functions")
VECTORISED = Workload("regression_vectorised", REGRESSION, "vectorised functions")
TUTORIAL = Workload("tutorial", REGRESSION, "the tutorial's optimizer")
SECOND = Workload("conjugate", CONJUGATE, "the second exact model")


@dataclass(frozen=True)
class Fixed:
    """Data sets that no side has seen, in files.

    Arguments:
        folder: Where `data.npz` and `theta.csv` are: the data sets and their true parameters.
        log_p: `(dataset,)`, exact log posterior density of the true parameters.
        sigma: `(dataset,)`, true residual standard deviations.
    """

    folder: Path
    log_p: np.ndarray
    sigma: np.ndarray

    @classmethod
    def draw(cls, model: Model, folder: Path, datasets: int) -> Fixed:
        """Draw and write them; always the same ones."""
        folder.mkdir(parents=True, exist_ok=True)
        data = model.simulate(datasets, np.random.default_rng(20_000))
        x, y, beta, sigma = (data[name] for name in ("x", "y", "beta", "sigma"))
        assert isinstance(x, Ragged)
        assert isinstance(y, Ragged)
        np.savez(
            folder / "data.npz",
            x=x.values,
            y=y.values,
            row_size=x.row_size,
            **{name: value for name, value in data.items() if not isinstance(value, Ragged)},
        )
        elements = [f"beta[{i}]" for i in range(beta.shape[1])]
        with (folder / "theta.csv").open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            rows.writerow(["dataset", *elements, "sigma"])
            for i, (b, s) in enumerate(zip(beta.tolist(), sigma.tolist(), strict=True)):
                rows.writerow([i, *b, s])
        exact = model.posterior.given(x, y)
        return cls(folder, exact.log_density(beta, sigma), sigma)

    @property
    def data(self) -> Path:
        """The data sets."""
        return self.folder / "data.npz"

    @property
    def theta(self) -> Path:
        """Their true parameters."""
        return self.folder / "theta.csv"

    def divergence(self, log_q: np.ndarray) -> Divergence:
        """How far approximate log densities of the truths are from the exact ones."""
        return mean_kl(log_q, self.log_p, sigma=self.sigma)


NUM_BATCHES = 128
"""Batches of an epoch, here and in the specs: of 64 data sets."""


@dataclass(frozen=True)
class Result:
    """One training and what came of it; times in seconds, memory in bytes.

    Arguments:
        whole: The training process from start to saved result.
        first_epoch: The first epoch of training, compilation included.
        epoch: The median of later ones.
        peak: Memory of the largest process that trains.
        sample: The first call for 200 × 1,000 posterior draws, and the fastest of the next two.
        sample_peak: Memory of the process that draws.
        divergence: From the exact posteriors.
        weights: How many there are.
    """

    side: str
    backend: str
    spec: str
    seed: int
    whole: float
    first_epoch: float
    epoch: float
    peak: int
    sample: tuple[float, float]
    sample_peak: int
    divergence: Divergence
    weights: int


@dataclass(frozen=True)
class Abi:
    """Our side, through its commands.

    Arguments:
        python: Of the environment that has abi.
        folder: For runs.
        epochs: Of every training.
    """

    python: Path
    folder: Path
    epochs: int

    def result(self, workload: Workload, backend: str, seed: int, fixed: Fixed) -> Result:
        """Train a spec and measure."""
        abi = self.python.parent / "abi"
        place = self.run_folder(workload, backend, seed)
        on = ["--backend", backend, "--quiet", "--force"]
        spec = SPECS / f"{workload.spec}.yaml"
        length = f"training.epochs={self.epochs}"
        words = [abi, "train", spec, "-o", place, "--seed", str(seed), "-s", length, *on]
        read_files(self.python, "keras, abi_cli.training.loop, abi_cli.workflow.training", backend)
        with cold() as env:
            trained = run(words, env=env)
        table = place.with_suffix(".csv")
        run([abi, "log-prob", place, fixed.data, "--at", fixed.theta, "-o", table, *on])
        with table.open(newline="", encoding="utf-8") as stream:
            log_q = np.array([float(row["log_prob"]) for row in csv.DictReader(stream)])
        with (place / "history.csv").open(newline="", encoding="utf-8") as stream:
            epochs = [
                float(row["seconds_training"]) + float(row["seconds_waiting"])
                for row in csv.DictReader(stream)
            ]
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        words = [self.python, "-m", "tests.bench.ours", "draws", place, fixed.data]
        with cold() as env:
            drawn = run(words, env={**env, "KERAS_BACKEND": backend})
        return Result(
            side="abi",
            backend=backend,
            spec=workload.spec,
            seed=seed,
            whole=trained.seconds,
            first_epoch=manifest["timings"]["compiling"] + epochs[0],
            epoch=median(epochs[1:]),
            peak=trained.peak,
            sample=(drawn.answer["sample"][0], min(drawn.answer["sample"][1:])),
            sample_peak=drawn.peak,
            divergence=fixed.divergence(log_q),
            weights=drawn.answer["weights"],
        )

    def run_folder(self, workload: Workload, backend: str, seed: int) -> Path:
        """Where a training's run is."""
        return self.folder / f"abi-{workload.spec}-{backend}-{seed}"


@dataclass(frozen=True)
class Peer:
    """BayesFlow, through `peer.py`.

    Arguments:
        python: Of the environment that has it.
        folder: For what it saves.
        epochs: Of every training.
    """

    python: Path
    folder: Path
    epochs: int

    def result(self, workload: Workload, backend: str, seed: int, fixed: Fixed) -> Result:
        """Train on a spec's functions and measure."""
        place = self.model_file(workload, backend, seed)
        env = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        options = ["--seed", str(seed), "--epochs", str(self.epochs)]
        functions = SPECS / f"{workload.spec}.py"
        read_files(self.python, "bayesflow", backend)
        trained = run([self.python, PEER, "train", functions, place, *options], env=env)
        densities = place.with_suffix(".npz")
        drawn = run([self.python, PEER, "evaluate", place, fixed.data, densities], env=env)
        epochs = trained.answer["epochs"]
        return Result(
            side="peer",
            backend=backend,
            spec=workload.spec,
            seed=seed,
            whole=trained.seconds,
            first_epoch=epochs[0],
            epoch=median(epochs[1:]),
            peak=trained.peak,
            sample=(drawn.answer["sample"][0], min(drawn.answer["sample"][1:])),
            sample_peak=drawn.peak,
            divergence=fixed.divergence(np.load(densities)["log_q"]),
            weights=trained.answer["weights"],
        )

    def model_file(self, workload: Workload, backend: str, seed: int) -> Path:
        """Where a training's estimator is."""
        return self.folder / f"peer-{workload.spec}-{backend}-{seed}.keras"
