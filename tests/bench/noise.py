"""What errors in training (`training: {noise: …}`) do to posteriors of faulty and of good data.

    python -m tests.bench.noise --epochs 20

The regression of specs/regression.py, N up to 14, by default networks, is trained without errors
and with some. Data sets of fourteen observations with a fault are then sampled. Of intercept, slope
and sigma, over data sets:

- off: the median distance of posterior medians from the truth, in sds of the exact posterior of the
  same data without the fault: 0.67 is what the best can do;
- covered: how often the central 90 % of the draws hold the truth;
- wide: the median of the draws' quartile width, as an sd, in the same unit;
- none: how many of a thousand have no finite posterior;

and of data without a fault the KL divergence from exact posteriors, in nats.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import abi_cli
import abi_cli.workflow
from abi_cli.errors import Unanswerable
from abi_cli.variables import Datasets, Ragged, take
from tests.cli import SPECS, abi_process
from tests.oracles import ExactRegression, mean_kl

SPEC = """
name: noise
model:
  meta: regression_vectorised.py:meta
  prior: regression_vectorised.py:prior
  likelihood: regression_vectorised.py:likelihood
observables: {x: {kind: set}, y: {kind: set}}
"""
TRAININGS = ("null", "{y: 0.25}", "{y: 1}", "{y: {scale: 1, share: 0.3}}")
FAULTS = ("none", "one outlier of 6 residual sds", "t with 2 degrees", "y + 5 prior sds")
NUMBER, SIZE, DRAWS = 1_000, 14, 500


def regressions(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truths `(dataset, 3)`, x, the line, and standard normal residuals `(dataset, obs)`."""
    rng = np.random.default_rng(seed)
    beta = rng.normal([2, 0], [3, 1], (NUMBER, 2))
    sigma = rng.gamma(1, 1, NUMBER)
    x, e = rng.normal(size=(2, NUMBER, SIZE))
    return np.column_stack([beta, sigma]), x, beta[:, :1] + beta[:, 1:] * x, e


def datasets(x: np.ndarray, y: np.ndarray) -> Datasets:
    """As the model has them."""
    sizes = np.full(len(x), SIZE)
    return {"N": sizes, "x": Ragged(x.ravel(), sizes), "y": Ragged(y.ravel(), sizes)}


def with_fault(fault: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths `(dataset, 3)`, x and y `(dataset, obs)`."""
    truth, x, line, e = regressions()
    sigma = truth[:, 2:]
    if fault == "t with 2 degrees":
        e = np.random.default_rng(2).standard_t(2, e.shape)
    y = line + sigma * e
    if fault.startswith("one outlier"):
        y[:, 0] = line[:, 0] + 6 * sigma[:, 0]
    if fault.startswith("y + 5"):
        y = y + 15
    return truth, x, y


def judged(draws: np.ndarray, truth: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Off, covered and wide of every parameter, `(3, parameter)`.

    Arguments:
        draws: `(dataset, draw, parameter)`.
        sd: Of exact posteriors of data without the fault, `(dataset, parameter)`.
    """
    low, lower, median, upper, high = np.quantile(draws, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1)
    off = np.median(np.abs(median - truth) / sd, axis=0)
    covered = np.mean((low < truth) & (truth < high), axis=0)
    return np.stack([off, covered, np.median((upper - lower) / 1.349 / sd, axis=0)])


def exact(x: np.ndarray, y: np.ndarray) -> tuple[ExactRegression, np.ndarray]:
    """Posteriors by quadrature, and draws of them `(dataset, draw, 3)`."""
    data = datasets(x, y)
    posterior = ExactRegression.given(data["x"], data["y"])  # type: ignore[arg-type]
    beta, sigma = posterior.draws(DRAWS, np.random.default_rng(3))
    return posterior, np.concatenate([beta, sigma[:, :, None]], axis=2)


def row(name: str, found: np.ndarray, none: int = 0) -> str:
    """Of the table: each figure of intercept, slope and sigma."""
    cells = [" / ".join(f"{value:.2f}" for value in figures) for figures in found]
    return f"| {name} | {' | '.join(cells)} | {none} |"


def trained(folder: Path, noise: str, epochs: int) -> abi_cli.workflow.Session:
    """A run, opened."""
    run = folder / f"run{TRAININGS.index(noise)}"
    options = ("-s", f"training.noise={noise}", "-s", f"training.epochs={epochs}", "-q")
    result = abi_process("train", folder / "spec.yaml", "-o", run, *options)
    assert result.returncode == 0, result.stderr
    return abi_cli.load(run)


def sampled(run: abi_cli.workflow.Session, data: Datasets) -> tuple[np.ndarray, np.ndarray]:
    """Draws `(dataset, draw, 3)` of those data sets that have a posterior, and which these are."""
    there = np.arange(NUMBER)
    while True:
        try:
            blocks = run.networks.sample(take(data, there), draws=DRAWS, seed=1)
            parts = [block.values for block in blocks]
        except Unanswerable as none:
            there = np.delete(there, none.rows)
            continue
        beta, sigma = (np.concatenate([p[n] for p in parts]) for n in ("beta", "sigma"))
        return np.concatenate([beta, sigma[:, :, None]], axis=2), there


def divergence(run: abi_cli.workflow.Session) -> str:
    """From exact posteriors of data without a fault."""
    truth, x, y = with_fault("none")
    beta, sigma = truth[:, :2], truth[:, 2]
    log_q = run.networks.log_prob(datasets(x, y), {"beta": beta, "sigma": sigma})
    found = mean_kl(log_q, exact(x, y)[0].log_density(beta, sigma), sigma=sigma)
    return f"{found.mean:.3f} ± {found.standard_error:.3f} nats"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs
    spreads = exact(*with_fault("none")[1:])[1].std(axis=1)
    print("| fault, training | off | covered | wide | none |\n| --- | --- | --- | --- | --- |")
    for fault in FAULTS:
        truth, x, y = with_fault(fault)
        print(row(f"{fault}: exact, without errors", judged(exact(x, y)[1], truth, spreads)))
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        code = "regression_vectorised.py"
        (folder / code).write_text((SPECS / code).read_text())
        (folder / "spec.yaml").write_text(SPEC)
        for noise in TRAININGS:
            run = trained(folder, noise, epochs)
            for fault in FAULTS:
                truth, x, y = with_fault(fault)
                draws, rows = sampled(run, datasets(x, y))
                found = judged(draws, truth[rows], spreads[rows])
                print(row(f"{fault}: {noise}", found, NUMBER - len(rows)), flush=True)
            print(f"KL, {noise}: {divergence(run)}", flush=True)


if __name__ == "__main__":
    main()
