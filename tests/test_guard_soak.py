"""The guard on runs that were trained to the end: what it sees, what it leaves alone (`make soak`).

It prints, of ten thousand data sets that four models have made, how many are told of by the guard
and by `predict --check`; and, of a hundred data sets with each fault, how many.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abi_cli.data import Loaded, collect, write_simulations
from abi_cli.guard import UNLIKE
from abi_cli.guard.replicated import STRANGE
from abi_cli.model.prediction import replications
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Ragged, concatenate, count
from abi_cli.workflow.calibration.calibrating import DRAWS, calibrated
from abi_cli.workflow.opened.drawing import Drawing, header_of
from abi_cli.workflow.opened.opening import model_of
from abi_cli.workflow.session import Session
from tests.cli import SPECS, abi_process

NUMBER = 100
PANEL = SPECS / "panel"


def model(rng: np.random.Generator, size: int, noise: np.ndarray | None = None):
    """Data sets of regression.yaml: x, the line, sigma and residuals in units of sigma."""
    beta = rng.normal([2, 0], [3, 1], (NUMBER, 2))
    sigma = rng.gamma(1, 1, (NUMBER, 1))
    x = rng.normal(size=(NUMBER, size))
    e = rng.normal(size=(NUMBER, size)) if noise is None else noise
    return x, beta[:, :1] + beta[:, 1:] * x, sigma, e


def faulty(name: str, size: int, seed: int = 1) -> Datasets:
    """A hundred data sets with a fault."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(2, (NUMBER, size)) if name == "t with 2 degrees" else None
    x, line, sigma, e = model(rng, size, noise)
    y = line + sigma * e
    quarter = size // 4
    if name == "y × 10":
        y = 10 * y
    elif name == "y × 1000":
        y = 1000 * y
    elif name == "y + 5 prior sds":
        y = y + 15
    elif name == "−y − 20":
        y = -y - 20
    elif name == "x + 10":
        x = x + 10
    elif name == "y constant":
        y = np.full_like(y, 3.0)
    elif name == "a quarter of y copied":
        y[:, :quarter] = y[:, quarter : 2 * quarter]
    elif name == "curve of one residual sd":
        y = y + sigma * (x**2 - 1)
    elif name == "one outlier of 6 residual sds":
        y[:, 0] = line[:, 0] + 6 * sigma[:, 0]
    elif name == "variance that grows with x":
        y = line + sigma * e * np.exp(x / 2)
    sizes = np.full(NUMBER, size)
    return {"N": sizes, "x": Ragged(x.ravel(), sizes), "y": Ragged(y.ravel(), sizes)}


FAULTS = (
    "none",
    "y × 10",
    "y × 1000",
    "y + 5 prior sds",
    "−y − 20",
    "x + 10",
    "y constant",
    "t with 2 degrees",
    "a quarter of y copied",
    "curve of one residual sd",
    "one outlier of 6 residual sds",
    "variance that grows with x",
)


def judged(session: Session, datasets: Datasets, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The p-values of data sets by the guard, and by calibrated checks."""
    labels = [str(i) for i in range(count(datasets))]
    loaded = Loaded(labels, datasets, (), lambda _: "", lambda *_: "")
    scores = session.guarding().look(loaded)
    assert scores is not None
    simulator = model_of(session.run).need_simulator()
    header = header_of(session.run, {}, Drawing(DRAWS, seed), loaded, labels, {})
    draws = collect(header, session.networks.sample(datasets, draws=DRAWS, seed=seed)).values
    tasks = replications(simulator, session.run.layout, draws, datasets, seed=seed)
    replicated = concatenate(task.simulate() for task in tasks)
    checked = calibrated(session, simulator, datasets, replicated, labels, draws=DRAWS, seed=seed)
    return scores.p, checked.p


def told(session: Session, datasets: Datasets) -> tuple[float, float]:
    """How many of a hundred are told of by the guard, and by checks."""
    guard, checks = judged(session, datasets)
    return 100 * float((guard < UNLIKE).mean()), 100 * float((checks < STRANGE).mean())


def table(run: Path) -> dict[tuple[str, int], tuple[float, float]]:
    """Of every fault at both sizes; printed."""
    session = Session.open(run)
    found = {}
    print("\n| fault | N | guard | checks |\n| --- | ---: | ---: | ---: |")
    sizes = [(name, size) for size in (100, 14) for name in FAULTS]
    for name, size in [*sizes, ("ten times N", 2_000)]:
        own = found[name, size] = told(session, faulty(name, size))
        print(f"| {name} | {size} | {own[0]:.0f} | {own[1]:.0f} |", flush=True)
    return found


def shares(run: Path) -> dict[str, float]:
    """Of 10,000 data sets of the model, how many the guard and the checks tell of; printed.

    Checks are calibrated anew for each thousand.
    """
    session = Session.open(run)
    simulator = model_of(session.run).need_simulator()
    guard, checks = [], []
    for start in range(0, 10_000, 1_000):
        own = simulator.simulate(seed=2, purpose=Purpose.DIAGNOSE, start=start, stop=start + 1_000)
        for kept, p in zip((guard, checks), judged(session, own, seed=3 + start), strict=True):
            kept.append(p)
    p_guard, p_checks = np.concatenate(guard), np.concatenate(checks)
    least = min(float((p < STRANGE).mean()) for p in checks)
    most = max(float((p < STRANGE).mean()) for p in checks)
    found = {
        "guard": float((p_guard < UNLIKE).mean()),
        "checks": float((p_checks < STRANGE).mean()),
    }
    print(
        f"| {run.parent.name} | {100 * found['guard']:.2f} % | {100 * found['checks']:.1f} % "
        f"({100 * least:.1f} to {100 * most:.1f} of each thousand) |",
        flush=True,
    )
    return found


@pytest.fixture(scope="module", params=["regression", "local_level", "outbreak", "zeros"])
def own_run(request, tmp_path_factory):
    """A model of each kind, with its defaults."""
    name = request.param
    if name == "regression":
        return request.getfixturevalue("run")
    folder = tmp_path_factory.mktemp(name)
    result = abi_process("train", PANEL / f"{name}.yaml", "-o", folder / "run", "-q")
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The regression, for 5 to 200 observations."""
    folder = tmp_path_factory.mktemp("regression")
    code = (SPECS / "regression_vectorised.py").read_text()
    (folder / "regression_vectorised.py").write_text(code.replace("(5, 15)", "(5, 201)"))
    (folder / "spec.yaml").write_text((SPECS / "regression_vectorised.yaml").read_text())
    result = abi_process("train", folder / "spec.yaml", "-o", folder / "run", "-q")
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.mark.soak
def test_of_the_models_own_as_many_are_told_of_as_should_be(own_run):
    found = shares(own_run)
    assert 0.008 < found["guard"] < 0.012
    assert 0.04 < found["checks"] < 0.06


@pytest.mark.soak
def test_an_absurd_data_set_among_many_is_named(run, tmp_path):
    session = Session.open(run)
    simulator = model_of(session.run).need_simulator()
    own = simulator.simulate(seed=4, purpose=Purpose.DIAGNOSE, start=0, stop=10_000)
    y = own["y"]
    assert isinstance(y, Ragged)
    of = np.repeat(np.arange(10_000), y.row_size)
    own["y"] = Ragged(np.where(of == 4_711, 1_000 * y.values + 5_000, y.values), y.row_size)
    write_simulations(tmp_path / "many.npz", own, session.run.layout)
    result = abi_process(
        "sample", run, tmp_path / "many.npz", "-n", 20, "-o", tmp_path / "draws.npz"
    )
    assert result.returncode == 0, result.stderr
    print(result.stderr)
    assert "4711" in result.stderr


@pytest.mark.soak
def test_faults_are_told_of(run):
    found = table(run)
    for (name, size), (guard, checks) in found.items():
        if name == "none":
            assert guard <= 5
            assert checks <= 12
        elif size >= 100:
            assert max(guard, checks) >= 90, (name, size)
