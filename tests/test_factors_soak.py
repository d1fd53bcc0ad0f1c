"""Bayes factors of a hundred t-tests beside the exact ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import gammaln

from tests.cli import abi_process

NUMBER = 100
SHAPE, SCALE = 3.0, 2.0
"""Of the inverse gamma prior of the variance."""

CODE = """
import numpy as np

def effect(variance, delta, N, rng):
    return {"y": rng.normal(delta * np.sqrt(variance), np.sqrt(variance), N)}

def none(variance, N, rng):
    return {"y": rng.normal(0, np.sqrt(variance), N)}

def none_density(variance, y, batch_size):
    return -0.5 * y**2 / variance[:, None] - 0.5 * np.log(2 * np.pi * variance[:, None])

def effect_density(variance, delta, y, batch_size):
    return none_density(variance, y - (delta * np.sqrt(variance))[:, None], batch_size)
"""

SPEC = """
name: NAME
model:
  meta: {N: {integers: {low: 5, high: 41}}}
  prior:
    variance: {inverse_gamma: {shape: 3, scale: 2}}
EFFECT
  likelihood: m.py:NAME
  log_likelihood: m.py:NAME_density
observables: {y: {kind: set}}
training: {epochs: 20}
"""


def log_evidence(y: np.ndarray, *, effect: bool) -> float:
    """Log p(y), with σ² and, if there is one, the effect δ ~ N(0, 1) integrated out."""
    n, squares = len(y), (y**2).sum()
    spread = 0.0
    if effect:  # y | σ² ~ N(0, σ² (I + 1 1ᵀ))
        squares -= y.sum() ** 2 / (n + 1)
        spread = 0.5 * np.log(n + 1)
    return float(
        SHAPE * np.log(SCALE)
        - gammaln(SHAPE)
        + gammaln(SHAPE + n / 2)
        - (SHAPE + n / 2) * np.log(SCALE + squares / 2)
        - 0.5 * n * np.log(2 * np.pi)
        - spread
    )


@pytest.mark.soak
def test_bayes_factors_of_t_tests_are_exact(tmp_path, capsys):
    (tmp_path / "m.py").write_text(CODE)
    runs = []
    for name, effect in (("effect", "    delta: {normal: {scale: 1}}"), ("none", "")):
        spec = tmp_path / f"{name}.yaml"
        spec.write_text(SPEC.replace("NAME", name).replace("EFFECT", effect))
        runs.append(tmp_path / f"{name}_run")
        trained = abi_process("train", spec, "-o", runs[-1], "-q")
        assert trained.returncode == 0, trained.stderr
    rng = np.random.default_rng(11)
    variance = SCALE / rng.gamma(SHAPE, size=NUMBER)
    delta = np.where(rng.random(NUMBER) < 0.5, 0.0, rng.normal(size=NUMBER))
    sets = [
        rng.normal(d * np.sqrt(v), np.sqrt(v), rng.integers(5, 41))
        for d, v in zip(delta, variance, strict=True)
    ]
    rows = [f"{k},{value!r}" for k, y in enumerate(sets) for value in y.tolist()]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["dataset,y", *rows]) + "\n")
    said = abi_process("compare", *runs, "--observed", data, "--evidence", "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)["runs"][1]["rows"]
    exact = np.array([log_evidence(y, effect=False) - log_evidence(y, effect=True) for y in sets])
    factor, error = (
        np.array([row[key] for row in told])
        for key in ("log_bayes_factor", "log_bayes_factor_error")
    )
    z = np.abs(factor - exact) / error
    with capsys.disabled():
        print(f"\n{(z < 2).sum()} of {NUMBER} within 2 errors, all within {z.max():.1f}")
        print(
            f"  errors {np.quantile(error, [0.5, 1]).round(4)}, log factors {exact.min():.1f}",
            end="",
        )
        print(f" to {exact.max():.1f}")
    assert (z < 2).sum() >= 90
    assert z.max() < 4
