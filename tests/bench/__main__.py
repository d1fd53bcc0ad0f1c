"""`make bench`: abi beside the peer, on one machine, in turn, as a table of ratios.

Both sides learn the same model from the same number of fresh simulations, in processes timed whole
and with empty caches of compiled code; then both meet the same data sets, whose exact posteriors
are known. Every figure is the median over seeds. The table is printed on standard output; what has
been measured so far is kept in `build/bench`, and `--resume` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.bench import table
from tests.bench.measure import REPOSITORY, environment, find_python, run, version_of
from tests.bench.sides import (
    BENCH,
    CONJUGATE,
    NUM_BATCHES,
    ONE_DRAW,
    PEER,
    REGRESSION,
    SECOND,
    SPECS,
    TUTORIAL,
    VECTORISED,
    Abi,
    Fixed,
    Peer,
    Result,
    Workload,
)
from tests.oracles import Divergence

NEWEST_PEER = "bayesflow==2.1.*"
OLDER_PEER = "bayesflow==2.0.*"
"""For machines without a Python that the peer's current version runs on."""

WORK = REPOSITORY / "build" / "bench"


def main() -> None:
    """Set up, run both sides in turn, print."""
    arguments = parse()
    if not arguments.resume:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    python = find_python((3, 12))
    peer_python = environment(
        REPOSITORY / ".venv-peer",
        python or sys.executable,
        [NEWEST_PEER if python else OLDER_PEER, "tensorflow", "jax"],
    )
    ours = Path(sys.executable)
    if python and version_of(python) != version_of(ours):
        ours = environment(REPOSITORY / ".venv-bench", python, ["-e", ".[jax]"])
    abi, peer = Abi(ours, WORK, arguments.epochs), Peer(peer_python, WORK, arguments.epochs)
    if not python:
        print(f"No Python 3.12 or newer found: the peer is {OLDER_PEER}", file=sys.stderr)

    fixed = {
        model: Fixed.draw(model, WORK / model.posterior.__name__, arguments.datasets)
        for model in (REGRESSION, CONJUGATE)
    }
    results = []
    for side, workload, backend, seed in plan(arguments):
        record = WORK / f"{side}-{workload.spec}-{backend}-{seed}.json"
        if not record.exists():
            print(f"{side}: {workload.title}, {backend}, seed {seed}", file=sys.stderr)
            one = {"abi": abi, "peer": peer}[side]
            result = one.result(workload, backend, seed, fixed[workload.model])
            record.write_text(json.dumps(asdict(result)))
        results.append(read(record))
    found = list(steps(abi, peer, results, fixed[REGRESSION]))
    print("\n".join(report(abi, peer, results, found)))


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind of ours")
    parser.add_argument("--peer-seeds", type=int, default=3, help="trainings of the peer's")
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"])
    parser.add_argument("--epochs", type=int, default=30, help="fewer for a rehearsal")
    parser.add_argument("--datasets", type=int, default=10_000, help="with exact posteriors")
    parser.add_argument("--resume", action="store_true", help="keep what build/bench has")
    return parser.parse_args()


def plan(arguments: argparse.Namespace) -> Iterator[tuple[str, Workload, str, int]]:
    """Side, workload, backend and seed of each training: the two sides take turns."""
    for seed in range(1, max(arguments.seeds, arguments.peer_seeds) + 1):
        for backend in arguments.backends:
            for workload in (VECTORISED, ONE_DRAW):
                if seed <= arguments.peer_seeds:
                    yield "peer", workload, backend, seed
                if seed <= arguments.seeds:
                    yield "abi", workload, backend, seed
            if seed <= arguments.seeds:
                yield "abi", SECOND, backend, seed
    for backend in arguments.backends:
        yield "abi", TUTORIAL, backend, 1


def read(record: Path) -> Result:
    """A result from its file."""
    fields = json.loads(record.read_text())
    kl = fields.pop("divergence")
    deciles = tuple(kl.pop("deciles"))
    sample = tuple(fields.pop("sample"))
    return Result(**fields, sample=sample, divergence=Divergence(**kl, deciles=deciles))


def steps(abi: Abi, peer: Peer, results: list[Result], fixed: Fixed) -> Iterator[table.Step]:
    """A training step of each side and its matrix products, on each backend."""
    for side in ("abi", "peer"):
        of = [r for r in results if r.side == side and r.spec == VECTORISED.spec and r.seed == 1]
        products = WORK / f"products-{side}.json"
        if side == "abi" and of:
            run_folder = abi.run_folder(VECTORISED, of[0].backend, 1)
            command = [abi.python, "-m", "tests.bench.ours", "products", run_folder, fixed.data]
            run([*command, products], env={"KERAS_BACKEND": "jax"})
        elif of:
            command = [peer.python, PEER, "products"]
            run([*command, SPECS / "regression.py", products], env={"KERAS_BACKEND": "jax"})
        for result in of:
            env = {"KERAS_BACKEND": result.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            least, took = [], []
            run_folder = abi.run_folder(VECTORISED, result.backend, 1)
            command = [abi.python, "-m", "tests.bench.ours", "step", run_folder, fixed.data]
            for _ in range(3):  # in turn: the machine's speed drifts
                floor = run([abi.python, BENCH / "floor.py", products], env=env)
                least.append(floor.answer["seconds"])
                took.append(
                    run(command, env=env).answer["step"]
                    if side == "abi"
                    else result.epoch / NUM_BATCHES
                )
            yield table.Step(side, result.backend, median(took), median(least))


def versions(python: Path, names: Sequence[str]) -> str:
    """Python and packages of an environment, in words."""
    code = (
        "import json, platform, sys; from importlib.metadata import version; "
        "print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))"
    )
    answer = run([python, "-c", code, *names]).answer
    return ", ".join(f"{n} {v}" for n, v in zip(["Python", *names], answer, strict=True))


def report(abi: Abi, peer: Peer, results: list[Result], found: list[table.Step]) -> Iterator[str]:
    """The page."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    libraries = ["keras", "tensorflow", "jax", "numpy"]
    yield f"`{shlex.join(['python', '-m', 'tests.bench', *sys.argv[1:]])}`, "
    yield f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, {platform.machine()} {platform.system()}."
    yield f"abi: {versions(abi.python, ['abi-cli', *libraries])}."
    yield f"Peer: {versions(peer.python, ['bayesflow', *libraries])}."
    yield f"{abi.epochs} epochs of {NUM_BATCHES} batches of 64, all of fresh simulations; "
    yield "medians over seeds; ratio: abi's figure ÷ the peer's better one."
    yield ""
    yield from table.comparison(results)
    yield ""
    yield "Kullback–Leibler divergence from the exact posteriors, nats; median seed:"
    yield ""
    yield from table.closeness(results)
    yield ""
    yield "A training step and its network's matrix products, forward and backward, in one loop:"
    yield ""
    yield from table.steps(found)
    yield ""
    took = median(run([abi.python.parent / "abi", "--help"]).seconds for _ in range(5))
    yield f"`abi --help`: {took:.2f} s, median of 5 (must 0.3 s, aim 0.15 s)."


if __name__ == "__main__":
    main()
