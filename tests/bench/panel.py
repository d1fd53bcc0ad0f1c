"""How close the defaults come on the panel's models, beside exact posteriors.

`python -m tests.bench.panel` trains each model of `specs/panel` with what its spec says, that is
with the defaults, as a whole process, and compares posteriors of the data sets of `panel_oracle`
with the exact ones. For the worst parameter of each model it prints

- err: |posterior mean − exact mean| in exact sds, median and 90 % over data sets;
- sd: posterior sd ÷ exact sd, median, and 5 and 95 % over data sets, the one farthest from 1;

and for all of them KL: the mean of log p(θ | y) − log q(θ | y) over data sets, an estimate of the
mean Kullback–Leibler divergence, in nats per parameter, with its standard error. Data sets whose
reference is worth fewer than 2,000 effective draws are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench.panel_models import ASIDE, CHOOSING
from tests.bench.panel_oracle import KEPT, SPECS, datasets_of

DRAWS = 1_000
EFFECTIVE = 2_000


@dataclass(frozen=True)
class Closeness:
    """Of one trained model.

    Arguments:
        kl, kl_error: Nats per parameter.
        error: |mean error| in exact sds, `(dataset, parameter)`.
        ratio: sd ÷ exact sd, `(dataset, parameter)`.
        left_out: Data sets whose reference is not sure.
    """

    kl: float
    kl_error: float
    error: np.ndarray
    ratio: np.ndarray
    left_out: int

    @property
    def held(self) -> bool:
        """Whether the bars hold: 0.15 and 0.45 sds, 0.9 to 1.15, 0.05 nats."""
        middle = np.median(self.ratio, axis=0)
        return bool(
            np.median(self.error, axis=0).max() <= 0.15
            and np.quantile(self.error, 0.9, axis=0).max() <= 0.45
            and middle.min() >= 0.9
            and middle.max() <= 1.15
            and self.kl <= 0.05
        )

    def cells(self) -> list[str]:
        """Of a row of the table."""
        middle = np.median(self.ratio, axis=0)
        low, high = np.quantile(self.ratio, (0.05, 0.95), axis=0)
        return [
            f"{self.kl:.3f} ± {self.kl_error:.3f}",
            f"{np.median(self.error, axis=0).max():.2f}",
            f"{np.quantile(self.error, 0.9, axis=0).max():.2f}",
            f"{middle[np.argmax(np.abs(np.log(middle)))]:.2f}",
            f"{low.min():.2f} to {high.max():.2f}",
            "yes" if self.held else "no",
        ]


@dataclass(frozen=True)
class Reference:
    """Exact posteriors of a model's data sets.

    Arguments:
        row: Of `datasets_of`, `(dataset,)`.
        mean, sd: `(dataset, parameter)`.
        log_truth: log p(θ | y) of the truths, `(dataset,)`.
        sure: Those that are worth enough effective draws, `(dataset,)`.
    """

    row: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    log_truth: np.ndarray
    sure: np.ndarray

    @classmethod
    def read(cls, name: str) -> Reference:
        """What `panel_oracle` has kept of a model."""
        file = KEPT / f"{name}.csv"
        if not file.is_file():
            sys.exit(f"{file} is not there; python -m tests.bench.panel_oracle {name} makes it")
        table = np.genfromtxt(file, delimiter=",", names=True)
        columns = [c for c in table.dtype.names if c.startswith("mean")]
        mean = np.stack([table[c] for c in columns], axis=1)
        sd = np.stack([table[c.replace("mean", "sd")] for c in columns], axis=1)
        sure = table["effective"] >= EFFECTIVE
        return cls(table["row"].astype(int), mean, sd, table["log_truth"], sure)

    def closeness(self, error: np.ndarray, ratio: np.ndarray, log_q: np.ndarray) -> Closeness:
        """Of approximate posteriors.

        Arguments:
            error: Posterior mean − exact mean, in exact sds, `(dataset, parameter)`.
            ratio: Posterior sd ÷ exact sd, `(dataset, parameter)`.
            log_q: Log densities of the truths, `(dataset,)`.
        """
        kl = (self.log_truth - log_q)[self.sure] / error.shape[1]
        return Closeness(
            float(kl.mean()),
            float(kl.std() / np.sqrt(len(kl))),
            np.abs(error[self.sure]),
            ratio[self.sure],
            int((~self.sure).sum()),
        )


def closeness(run: Path, name: str) -> Closeness:
    """Compare a run's posteriors with the exact ones."""
    from abi_cli import backend
    from abi_cli.run.archive import load_approximator
    from abi_cli.variables import take

    backend.select(os.environ.get("KERAS_BACKEND"), spec_backend=None, device=None, threads=None)
    networks = load_approximator(run / "model.keras")
    reference = Reference.read(name)
    model, rows = datasets_of(name)
    rows = take(rows, reference.row)
    parameters = [variable.name for variable in model.layout(rows).of("parameter")]
    mean, sd = reference.mean, reference.sd
    total, squares = np.zeros_like(mean), np.zeros_like(mean)
    for block in networks.sample(rows, draws=DRAWS, seed=3):
        number = len(next(iter(block.values.values())))
        at = slice(block.first_dataset, block.first_dataset + number)
        parts = [np.asarray(block.values[n], float) for n in parameters]
        values = np.concatenate([p.reshape(*p.shape[:2], -1) for p in parts], axis=2)
        off = (values - mean[at, None]) / sd[at, None]
        total[at] += off.sum(axis=1)
        squares[at] += (off**2).sum(axis=1)
    error = total / DRAWS
    ratio = np.sqrt(np.maximum(squares / DRAWS - error**2, 0))
    log_q = networks.log_prob(rows, {n: rows[n] for n in parameters})
    return reference.closeness(error, ratio, log_q)


def trained(name: str, run: Path, *, seed: int, overrides: list[str]) -> float:
    """Train a model as a whole process; gives the seconds that it took."""
    chosen = [option for override in overrides for option in ("-s", override)]
    command = ["abi", "train", str(SPECS / f"{name}.yaml"), "-o", str(run), "--force", "-q"]
    began = time.perf_counter()
    script = Path(sys.executable).with_name(command[0])
    subprocess.run([script, *command[1:], "--seed", str(seed), *chosen], check=True)
    return time.perf_counter() - began


HEADER = (
    "| model | seed | s | KL per parameter | err, median | err, 90 % | sd ratio | 5 to 95 % "
    "| held |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)


def main() -> None:
    """Print a row for each model and seed, as each is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[*CHOOSING, *ASIDE])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-s", "--set", action="append", default=[], help="as of abi train")
    parser.add_argument("--runs", type=Path, default=Path("build/panel"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    print(HEADER, flush=True)
    for name in options.models:
        for seed in range(1, options.seeds + 1):
            run = options.runs / f"{name}-{seed}"
            seconds = trained(name, run, seed=seed, overrides=options.set)
            cells = closeness(run, name).cells()
            print("|", " | ".join([name, str(seed), f"{seconds:.0f}", *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
