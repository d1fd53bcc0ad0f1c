"""Inference networks beside the peer's of the same kind, after equal times of training.

    python -m tests.bench.networks --seconds 60 --seeds 1

Each cell (a network on a task of `posteriors.py`) is trained for `--seconds`, everything from the
start of the process on included: a rehearsal of a few epochs tells how many fit. Then 200 data sets
× 1,000 draws are made, and held against exact draws:

- C2ST: how often a classifier (scikit-learn's multilayer perceptron, 5-fold) tells our draws of a
  data set from exact ones; the mean over data sets, 0.5 being perfect (Lopez-Paz & Oquab 2016,
  arXiv:1610.06545);
- gap: mean of log p − log q over exact draws, nats: the Kullback–Leibler divergence;
- draws: thousands a second in the second call, compilation over.

What has been measured is kept in `build/bench/networks`, and `--resume` goes on from there. A full
page takes about (seconds + 30) × cells: 60 cells with one seed, an hour and a half.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.measure import REPOSITORY, cold, environment, find_python, run
from tests.bench.posteriors import TASKS

WORK = REPOSITORY / "build" / "bench" / "networks"
BENCH = REPOSITORY / "tests" / "bench"
DATASETS, DRAWS = 200, 1_000
COMPARED = 10
"""Data sets whose draws are classified."""

DENSITIES = 50
"""Exact draws of each of those at which densities are taken: the peer's ODEs take minutes."""

OURS: dict[str, tuple[Any, str | None]] = {
    "coupling_flow": ("coupling_flow", "coupling_flow"),
    "coupling_flow_spline": ({"coupling_flow": {"transform": "spline"}}, "coupling_flow_spline"),
    "autoregressive_flow": ({"autoregressive_flow": {"transform": "spline"}}, None),
    "gaussian_mixture": ("gaussian_mixture", None),
    "ensemble": ({"ensemble": {"members": 3}}, None),
    "flow_matching": ("flow_matching", "flow_matching"),
    "diffusion": ("diffusion", "diffusion"),
    "consistency": ("consistency", "consistency"),
}
"""Row → how a spec says it, and the peer's network of the same kind."""

MODEL = """
import numpy as np
from tests.bench.posteriors import TASKS

task = TASKS["{task}"]

def prior(rng, batch_size):
    return {{"theta": task.prior(rng, batch_size)}}

def likelihood(rng, theta, batch_size):
    return {{"y": task.data(rng, theta)}}
"""


def c2st(one: np.ndarray, other: np.ndarray, seed: int = 0) -> float:
    """How often a classifier tells rows of two samples apart, `(draw, dim)` each; 0.5 to 1."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import cross_val_score
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    rows = StandardScaler().fit(other).transform(np.concatenate([one, other]))
    label = np.repeat([0, 1], [len(one), len(other)])
    order = np.random.default_rng(seed).permutation(len(rows))
    width = 10 * one.shape[1]
    classifier = MLPClassifier((width, width), max_iter=300, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(cross_val_score(classifier, rows[order], label[order], cv=5).mean())


class Target:
    """A task's data sets that no side has seen, with exact draws, in a file."""

    def __init__(self, name: str):
        self.name, self.file = name, WORK / f"{name}.npz"
        task, rng = TASKS[name], np.random.default_rng(7_000)
        self.y = task.data(rng, task.prior(rng, DATASETS))
        exact = [task.posterior(rng, y, DRAWS) for y in self.y[:COMPARED]]
        self.draws, self.log_p = (np.stack(values) for values in zip(*exact, strict=True))
        few = self.draws[:, :DENSITIES]
        np.savez(self.file, y=self.y, y_exact=self.y[:COMPARED], exact=few)

    def judge(self, theta: np.ndarray, log_q: np.ndarray | None) -> dict[str, Any]:
        """How far draws and densities are from exact ones."""
        scores = [c2st(q, p) for q, p in zip(theta[:COMPARED], self.draws, strict=True)]
        gap = None
        if log_q is not None:
            gap = float(np.mean(self.log_p[:, : log_q.shape[1]] - log_q))
        return {"c2st": float(np.mean(scores)), "c2st_sd": float(np.std(scores)), "gap": gap}


def fitting(seconds: float, epochs: list[float], whole: float) -> int:
    """How many epochs take a process `seconds`, judging by one with the epochs that it took."""
    each = float(np.median(epochs[1:]))
    start = whole - sum(epochs[1:])
    return max(3, round((seconds - start) / each))


def ours(task: str, words: Any, target: Target, options: argparse.Namespace, seed: int) -> Any:
    """Train and judge one of our networks, on TensorFlow or JAX as asked for."""
    import yaml

    folder = WORK / "ours"
    folder.mkdir(exist_ok=True)
    (folder / f"{task}_task.py").write_text(MODEL.format(task=task))
    model = {"prior": f"{task}_task.py:prior", "likelihood": f"{task}_task.py:likelihood"}
    spec = {"name": task, "model": model, "networks": {"inference": words}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    abi = Path(sys.executable).parent / "abi"

    def trained(epochs: int) -> tuple[float, list[float], float]:
        command = [abi, "train", folder / "spec.yaml", "-o", folder / "run", "--force", "--quiet"]
        command += ["--seed", str(seed), "-s", f"training.epochs={epochs}"]
        with cold() as env:
            measured = run(
                [*command, "--backend", options.backend],
                env={**env, "PYTHONPATH": str(REPOSITORY)},
            )
        import csv

        with (folder / "run" / "history.csv").open() as stream:
            took = [
                float(row["seconds_training"]) + float(row["seconds_waiting"])
                for row in csv.DictReader(stream)
            ]
        return measured.seconds, took, measured.peak

    whole, epochs, _ = trained(4)
    number = fitting(options.seconds, epochs, whole)
    whole, _, _ = trained(number)
    answer = run(
        [sys.executable, "-m", "tests.bench.networks", "--draw", folder / "run", target.file],
        env={"KERAS_BACKEND": options.backend},
    ).answer
    results = dict(np.load(folder / "run" / "bench.npz"))
    judged = target.judge(results["theta"], results.get("log_q"))
    return {**judged, "seconds": whole, "epochs": number, "sample": answer["sample"]}


def draw(path: Path, data: Path) -> None:
    """Draws and densities of a run of ours; seconds of two calls as JSON."""
    from abi_cli.workflow import load

    stored = dict(np.load(data))
    approximator = load(path).networks
    calls = []
    for _ in range(2):
        began = time.perf_counter()
        blocks = list(approximator.sample({"y": stored["y"]}, draws=DRAWS, seed=1))
        calls.append(time.perf_counter() - began)
    theta = np.empty((DATASETS, DRAWS, stored["exact"].shape[-1]), np.float32)
    for block in blocks:
        sets, made = block.shape
        first, start = block.first_dataset, block.first_draw
        theta[first : first + sets, start : start + made] = block.values["theta"]
    results = {"theta": theta}
    if approximator.inference_network.has_density:
        exact = stored["exact"]
        rows = {"y": np.repeat(stored["y_exact"], exact.shape[1], axis=0)}
        at = {"theta": exact.reshape(-1, exact.shape[-1])}
        results["log_q"] = approximator.log_prob(rows, at).reshape(exact.shape[:2])
    np.savez(path / "bench.npz", **results)
    print(json.dumps({"sample": calls}))


def peers(
    python: Path, task: str, network: str, target: Target, options: argparse.Namespace, seed: int
) -> Any:
    """Train and judge one of the peer's networks."""
    out = WORK / "peer.npz"
    command = [python, BENCH / "peer_networks.py", task, network, out, "--seed", str(seed)]
    env = {"KERAS_BACKEND": options.peer_backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    tried = run([*command, "--epochs", "4"], env=env)
    number = fitting(options.seconds, tried.answer["epochs"], tried.seconds)
    measured = run([*command, "--epochs", str(number), "--data", target.file], env=env)
    results = dict(np.load(out))
    judged = target.judge(results["theta"], results.get("log_q"))
    answer = measured.answer
    trained = sum(answer["epochs"])
    return {**judged, "seconds": trained, "epochs": number, "sample": answer["sample"]}


def page(results: dict[tuple[str, str, str], list[dict[str, Any]]]) -> Iterator[str]:
    """Markdown: medians over seeds, and what the comparison amounts to."""
    yield "| task | network | side | C2ST | gap, nats | 1,000 draws a second | epochs |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    figures = {}
    for (task, network, side), cells in results.items():
        score = float(np.median([cell["c2st"] for cell in cells]))
        gaps = [cell["gap"] for cell in cells]
        gap = "–" if gaps[0] is None else f"{np.median(gaps):.3f}"
        took = float(np.median([cell["sample"][-1] for cell in cells]))
        figures[task, network, side] = score, took
        rate = DATASETS * DRAWS / took / 1_000
        epochs = int(np.median([cell["epochs"] for cell in cells]))
        yield f"| {task} | {network} | {side} | {score:.3f} | {gap} | {rate:,.0f} | {epochs} |"
    pairs = [key[:2] for key in figures if key[2] == "peer" and (*key[:2], "abi") in figures]
    if not pairs:
        return
    differences = {p: figures[(*p, "abi")][0] - figures[(*p, "peer")][0] for p in pairs}
    better = sum(d < 0 for d in differences.values())
    worst = max(differences, key=differences.__getitem__)
    yield ""
    yield f"C2ST is better than the peer's in {better} of {len(pairs)} cells; at most "
    yield f"{differences[worst]:+.3f} worse ({' '.join(worst)}); promised: most, and 0.02."
    slow = {
        p: figures[(*p, "abi")][1] / figures[(*p, "peer")][1]
        for p in pairs
        if p[1] in ("flow_matching", "diffusion")
    }
    if slow:
        most = max(slow.values())
        yield f"Draws of flow_matching and diffusion take at most 1/{1 / most:.1f} of the peer's"
        yield "time; promised: 1/5."


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.networks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each training, whole")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--networks", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--backend", default="tensorflow", help="of ours")
    parser.add_argument("--peer-backend", default="jax")
    parser.add_argument("--resume", action="store_true", help="keep what has been measured")
    parser.add_argument("--draw", nargs=2, type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Both sides in turn, cell by cell; then the page."""
    options = parse()
    if options.draw:
        draw(*options.draw)
        return
    if not options.resume:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    python = find_python((3, 12))
    if python is None:
        raise SystemExit("The peer needs Python 3.12 or newer; none was found.")
    peer = environment(REPOSITORY / ".venv-peer", python, ["bayesflow==2.1.*", "tensorflow", "jax"])
    results: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for seed in range(1, options.seeds + 1):
        for task in options.tasks:
            target = Target(task)
            for network in options.networks:
                words, theirs = OURS[network]
                for side in ("abi", *(("peer",) if theirs else ())):
                    record = WORK / f"{side}-{task}-{network}-{seed}.json"
                    if not record.exists():
                        print(f"{side}: {network} on {task}, seed {seed}", file=sys.stderr)
                        found = (
                            ours(task, words, target, options, seed)
                            if side == "abi"
                            else peers(peer, task, str(theirs), target, options, seed)
                        )
                        record.write_text(json.dumps(found))
                    cell = json.loads(record.read_text())
                    results.setdefault((task, network, side), []).append(cell)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{options.seconds:g} s of training each, {cores} cores, {options.seeds} seeds; ours on")
    print(f"{options.backend}, the peer's on {options.peer_backend}.\n")
    print("\n".join(page(results)))


if __name__ == "__main__":
    main()
