"""`log_likelihood` and `log_prior`: the model's density as a quantity that posteriors answer to."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.workflow.request import read_model
from tests.cli import abi
from tests.model_tasks import train_rows

CODE = """
import numpy as np

def draws(rng):
    return {"mu": rng.normal(), "sigma": rng.gamma(3.0)}

def likelihood(rng, mu, sigma):
    return {"x": rng.normal(mu, sigma, rng.integers(3, 9))}

def each(x, mu, sigma):
    return -0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)

def total(x, mu, sigma, batch_size):
    assert mu.shape == sigma.shape == (batch_size,)
    return sum(each(value, mu, sigma) for value in x)

def log_prior(mu, sigma):
    return -0.5 * mu**2 - 0.5 * np.log(2 * np.pi) + 2 * np.log(sigma) - sigma - np.log(2)

def bounded(x, mu):
    return 0.0 if (x > mu - 3).all() else -np.inf

def infinite(x, mu):
    return np.inf

def unknown(x, theta):
    return 0.0
"""
DECLARED = "{mu: normal, sigma: {gamma: {shape: 3}}}"


def model(folder, *, prior=DECLARED, more="", **fields):
    (folder / "m.py").write_text(CODE)
    fields = {"prior": prior, "likelihood": "m.py:likelihood", **fields}
    lines = "\n".join(f"  {name}: {value}" for name, value in fields.items())
    (folder / "spec.yaml").write_text(
        f"name: density\nmodel:\n{lines}\nobservables: {{x: {{kind: set}}}}\n"
        f"training: {{epochs: 1, num_batches: 2, batch_size: 8}}\n{more}"
    )
    return read_model(folder / "spec.yaml")


@pytest.mark.parametrize("likelihood", ["each", "total"])
@pytest.mark.parametrize(
    "fields", [{}, {"prior": "m.py:draws", "log_prior": "m.py:log_prior"}], ids=["declared", "said"]
)
def test_it_is_that_of_the_model(tmp_path, likelihood, fields):
    judged = model(tmp_path, log_likelihood=f"m.py:{likelihood}", **fields).judged
    data = train_rows(read_model(tmp_path / "spec.yaml").simulator, 0, 5)
    rng = np.random.default_rng(1)
    draws = {"mu": rng.normal(size=(5, 7)), "sigma": rng.gamma(3.0, size=(5, 7))}
    (name, got), *others = judged.of(draws, data).items()
    assert (name, others) == ("log_joint", [])
    expected = stats.norm.logpdf(draws["mu"]) + stats.gamma.logpdf(draws["sigma"], 3.0)
    for row, x in enumerate(np.split(data["x"].values, np.cumsum(data["x"].row_size)[:-1])):
        at = x[:, None], draws["mu"][row], draws["sigma"][row]
        expected[row] += stats.norm.logpdf(*at).sum(axis=0)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_without_the_priors_it_is_the_likelihoods(tmp_path):
    judged = model(tmp_path, prior="m.py:draws", log_likelihood="m.py:each").judged
    assert judged.density.name == "log_likelihood"
    nuisance = model(tmp_path, log_likelihood="m.py:each", more="parameters: {mu: {}}\n")
    assert nuisance.judged.density.name == "log_likelihood"  # sigma's draws are not known


def test_check_shows_it_and_diagnose_ranks_it(tmp_path):
    model(tmp_path, log_likelihood="m.py:each")
    checked = json.loads(abi("check", tmp_path / "spec.yaml", "--json").stdout)
    assert [view["name"] for view in checked["quantities"]] == ["log_joint"]
    assert checked["sources"]["log_likelihood"].endswith("each(x, mu, sigma)")
    run = tmp_path / "run"
    assert abi("train", tmp_path / "spec.yaml", "-o", run, "-q", "--jobs", 0).exit_code == 0
    judged = abi("diagnose", run, "--datasets", 20, "-n", 30)
    assert judged.exit_code in (0, 1), judged.output
    metrics = json.loads((run / "diagnostics" / "metrics.json").read_text())
    assert "log_joint" in json.dumps(metrics)


def test_impossible_draws_are_ranked_lowest_and_told_of(tmp_path):
    model(tmp_path, log_likelihood="m.py:bounded")
    run = tmp_path / "run"
    assert abi("train", tmp_path / "spec.yaml", "-o", run, "-q", "--jobs", 0).exit_code == 0
    judged = abi("diagnose", run, "--datasets", 20, "-n", 30)
    assert judged.exit_code in (0, 1), judged.output
    assert "log_joint is −inf for" in judged.stderr


def test_what_is_no_density_is_refused(tmp_path):
    data = train_rows(model(tmp_path).simulator, 0, 2)
    draws = {"mu": np.zeros((2, 3)), "sigma": np.ones((2, 3))}
    with pytest.raises(UserFunctionError, match="by infinite is \\+inf"):
        model(tmp_path, log_likelihood="m.py:infinite").judged.of(draws, data)
    found = model(tmp_path, log_likelihood="m.py:unknown")
    with pytest.raises(SpecError, match="unknown takes theta, which is no variable"):
        found.judged.refuse_unfit(found.simulator.layout(data))
    with pytest.raises(SpecError, match="Expected log_prior where a function draws the prior"):
        model(tmp_path, log_likelihood="m.py:each", log_prior="m.py:log_prior")
    with pytest.raises(SpecError, match="Expected log_likelihood beside log_prior"):
        model(tmp_path, prior="m.py:draws", log_prior="m.py:log_prior")
