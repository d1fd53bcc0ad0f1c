"""Refined posteriors of a thousand data sets beside exact ones, of runs good and bad."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

import abi_cli
from abi_cli.errors import UserFunctionError
from abi_cli.variables import Ragged
from abi_cli.workflow.opened import refining
from tests.cli import SPECS, abi, abi_process
from tests.oracles import ExactRegression, simulate_regression

NUMBER, DRAWS, NEIGHBOUR = 1_000, 1_000, 5

DENSITIES = """

def log_prior(beta, sigma, batch_size):
    z = (beta - np.array([2.0, 0.0])) / np.array([3.0, 1.0])
    return -0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi * 3) - sigma


def log_likelihood(beta, sigma, x, y, batch_size):
    z = (y - beta[:, :1] - beta[:, 1:] * x) / sigma[:, None]
    return -0.5 * z**2 - np.log(sigma[:, None]) - 0.5 * np.log(2 * np.pi)
"""

RUNS = {
    "as it is": ([], None),
    "two epochs": (["training.epochs=2"], None),
    "another prior": ([], ("np.random.gamma(1, 1)", "np.random.gamma(3, 1)")),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name → the run; each is trained once."""
    return cache(lambda name: trained(tmp_path_factory.mktemp("run"), name))


def trained(folder: Path, name: str) -> Path:
    """The tutorial's run, with its densities."""
    overrides, changed = RUNS[name]
    code = (SPECS / "regression.py").read_text()
    if changed is not None:
        code = code.replace(*changed)
    (folder / "regression.py").write_text(code + DENSITIES)
    spec = (SPECS / "tutorial.yaml").read_text()
    named = "  log_likelihood: regression.py:log_likelihood\n  log_prior: regression.py:log_prior\n"
    (folder / "spec.yaml").write_text(spec.replace("model:\n", "model:\n" + named))
    options = [word for one in overrides for word in ("-s", one)]
    result = abi_process("train", folder / "spec.yaml", "-o", folder / "run", "-q", *options)
    assert result.returncode == 0, result.stderr
    return folder / "run"


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback–Leibler divergence from draws `(draw, dim)` of both (Wang, Kulkarni, Verdú 2009).

    By distances to the fifth neighbour among draws of p (but itself) and among those of q.
    """
    own = KDTree(p).query(p, NEIGHBOUR + 1)[0][:, -1]
    other = KDTree(q).query(p, NEIGHBOUR)[0][:, -1]
    return float(p.shape[1] * np.log(other / own).mean() + np.log(len(q) / (len(p) - 1)))


def white(draws: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    return (draws - mean) / sd


@pytest.mark.soak
@pytest.mark.parametrize("name", RUNS)
def test_refined_posteriors_of_a_thousand_data_sets_are_exact(name, runs, capsys, monkeypatch):
    truth = simulate_regression(NUMBER, np.random.default_rng(5))
    for key in ("beta", "sigma"):
        truth.pop(key)
    exact = ExactRegression.given(truth["x"], truth["y"])
    mean, sd = exact.moments()
    posterior = abi_cli.load(runs(name), refine=True)
    if name == "another prior":
        with pytest.raises(UserFunctionError, match="not the density"):
            posterior.sample({"x": np.arange(5.0), "y": np.arange(5.0)})
        monkeypatch.setattr(refining, "refuse_disagreement", lambda *_, **__: None)
    labels = np.repeat(np.arange(NUMBER), truth["x"].row_size)
    table = {"dataset": labels, "x": truth["x"].values, "y": truth["y"].values}
    drawn = posterior.sample(table, draws=DRAWS, seed=1)
    q = np.concatenate([drawn.values["beta"], drawn.values["sigma"][..., None]], axis=-1)
    (b, s), (b2, s2) = (exact.draws(DRAWS, np.random.default_rng(k)) for k in (1, 2))
    p, again = (np.concatenate([x, y[..., None]], axis=-1) for x, y in ((b, s), (b2, s2)))
    kl = np.array(
        [
            divergence(white(p[k], mean[k], sd[k]), white(q[k], mean[k], sd[k]))
            - divergence(white(p[k], mean[k], sd[k]), white(again[k], mean[k], sd[k]))
            for k in range(NUMBER)
        ]
    )
    error = np.abs(q.mean(axis=1) - mean) / sd
    ratio = q.std(axis=1) / sd
    evidence, its_error = (
        drawn.certificates[key] for key in ("log_evidence", "log_evidence_error")
    )
    off = np.abs(evidence - exact.log_evidence) / np.maximum(its_error, 1e-12)
    middle, most = np.median(error, axis=0).max(), error.max()
    with capsys.disabled():
        print(f"\n{name}: {kl.mean():.4f} ± {kl.std() / np.sqrt(NUMBER):.4f} nats")
        print(f"  means off by {middle:.3f} sd in the median, {most:.2f} at the most")
        print(f"  sds {np.quantile(ratio, [0.01, 0.5, 0.99]).round(3)} of the exact ones")
        print(f"  log evidence to {np.quantile(its_error, [0.5, 0.99, 1]).round(4)}", end=", ")
        print(f"off by {np.quantile(off, [0.5, 0.99, 1]).round(2)} of that")
    assert kl.mean() <= 0.02
    assert middle <= 0.06
    np.testing.assert_allclose(np.median(ratio, axis=0), 1, atol=0.03)
    assert np.median(its_error) <= (0.01 if name == "as it is" else 0.02)
    assert (off < 4).mean() > 0.995


def left_out(x: Ragged, y: Ragged) -> np.ndarray:
    """Log p(y_i | the others) of every member, by the evidences of both."""
    whole = ExactRegression.given(x, y).log_evidence
    found, start = [], 0
    for size, evidence in zip(x.row_size, whole, strict=True):
        rows = np.arange(start, start + size)
        others = np.array([np.delete(rows, i) for i in range(size)])
        sizes = np.full(size, size - 1)
        without = [Ragged(of.values[others].ravel(), sizes) for of in (x, y)]
        found.append(evidence - ExactRegression.given(*without).log_evidence)
        start += size
    return np.concatenate(found)


@pytest.mark.soak
def test_elpd_of_two_regressions_is_that_of_leaving_each_member_out(runs, tmp_path, capsys):
    truth = simulate_regression(20, np.random.default_rng(6))
    x, y = truth["x"], truth["y"]
    labels = np.repeat(np.arange(20), x.row_size)
    rows = [f"{k},{a},{b}" for k, a, b in zip(labels, x.values, y.values, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["dataset,x,y", *rows]) + "\n")
    two = runs("as it is"), runs("two epochs")
    told = abi("compare", *two, "--observed", tmp_path / "data.csv", "--json")
    assert told.exit_code == 0, told.output
    exact = left_out(x, y)
    for one, name in zip(json.loads(told.stdout)["runs"], RUNS, strict=False):
        each = [row["members"] for row in one["rows"]]
        own, khat = (np.concatenate([of[key] for of in each]) for key in ("elpd", "khat"))
        off, trusted = np.abs(own - exact), khat < 0.6
        with capsys.disabled():
            print(
                f"\n{name}: elpd of {len(own)} members off by {np.median(off):.3f} in the median, "
                f"{off[trusted].max():.3f} at the most where k-hat is below 0.6 ({trusted.sum()})"
            )
        assert np.median(off) < 0.02
        assert off[trusted].max() < 0.25
