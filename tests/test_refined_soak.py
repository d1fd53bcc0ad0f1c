"""Refined posteriors of a thousand data sets beside exact ones, of runs good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

import abi_cli
from tests.cli import SPECS, abi_process
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
def test_refined_posteriors_of_a_thousand_data_sets_are_exact(name, tmp_path, capsys):
    truth = simulate_regression(NUMBER, np.random.default_rng(5))
    for key in ("beta", "sigma"):
        truth.pop(key)
    exact = ExactRegression.given(truth["x"], truth["y"])
    mean, sd = exact.moments()
    posterior = abi_cli.load(trained(tmp_path, name), refine=True)
    drawn = posterior.sample(truth, draws=DRAWS, seed=1)
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
    assert np.median(its_error) <= 0.01
    assert (off < 4).mean() > 0.995
