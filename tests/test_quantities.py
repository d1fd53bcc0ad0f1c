"""Quantities of interest: functions of the parameters, for every draw and for the truths."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest

import abi_cli
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.quantities import Quantities
from abi_cli.variables import DrawBlock, Layout, Ragged, Variable
from tests.cli import ANSCOMBE, abi

CODE = """
import numpy as np

def likelihood(beta, sigma, N, rng):
    x = rng.normal(size=N)
    return {"x": x, "y": rng.normal(beta[0] + beta[1] * x, sigma)}

def effect(beta, sigma):
    return beta[1] / sigma

def fitted(beta, x, N, batch_size):
    assert beta.shape == (batch_size, 2) and len(x) == N
    return beta[:, :1] + beta[:, 1:] * np.array([[x.min(), x.max()]])

def raises(beta):
    raise ValueError("no")

def unknown(betta):
    return 1.0

def shapes(N):
    return np.zeros(N)

def nothing(sigma):
    return float("nan")

def endless(sigma):
    return 1e30 * sigma / 1e-30

def words(sigma):
    return "one"
"""
SPEC = """
name: quantities
model:
  meta: {N: {integers: {low: 5, high: 15}}}
  prior: {beta: {normal: {size: 2}}, sigma: {gamma: {shape: 3}}}
  likelihood: model.py:likelihood
  quantities: {effect: model.py:effect, fitted: model.py:fitted}
observables: {x: {kind: set}, y: {kind: set}}
training: {epochs: 1, num_batches: 4}
"""
RNG = np.random.default_rng(1)
PARAMETERS = {
    "beta": RNG.normal(size=(2, 3, 2)).astype(np.float32),
    "sigma": RNG.gamma(2, size=(2, 3)).astype(np.float32),
}
DATA = {"N": np.array([2, 4]), "x": Ragged(RNG.normal(size=6), np.array([2, 4]))}
LAYOUT = Layout(
    (
        Variable("N", "context", ragged=False, event=()),
        Variable("beta", "parameter", ragged=False, event=(2,)),
        Variable("sigma", "parameter", ragged=False, event=()),
        Variable("x", "observable", ragged=True, event=()),
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantities")
    (folder / "model.py").write_text(CODE)
    (folder / "spec.yaml").write_text(SPEC)
    trained = abi("train", folder / "spec.yaml", "-o", folder / "run")
    assert trained.exit_code == 0, trained.output
    return folder


def quantities(folder, **functions):
    return Quantities.load({n: f"model.py:{f}" for n, f in functions.items()}, folder)


def test_they_are_functions_of_every_draw(folder):
    values = quantities(folder, effect="effect", fitted="fitted").of(PARAMETERS, DATA)
    beta, sigma = PARAMETERS["beta"], PARAMETERS["sigma"]
    np.testing.assert_allclose(values["effect"], beta[..., 1] / sigma, rtol=1e-6)
    ends = np.array([[x.min(), x.max()] for x in (DATA["x"].values[:2], DATA["x"].values[2:])])
    expected = beta[..., :1] + beta[..., 1:] * ends[:, None]
    np.testing.assert_allclose(values["fitted"], expected, rtol=1e-5, atol=1e-6)


def test_blocks_carry_them_beside_the_parameters(folder):
    block = DrawBlock(1, 5, {name: value[1:] for name, value in PARAMETERS.items()})
    (more,) = quantities(folder, fitted="fitted").added([block], DATA)
    assert (more.first_dataset, more.first_draw) == (1, 5)
    whole = quantities(folder, fitted="fitted").of(PARAMETERS, DATA)
    np.testing.assert_array_equal(more.values["fitted"], whole["fitted"][1:])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raises", r"raises raised ValueError: no \(draw 0 of data set 0, beta = "),
        ("shapes", "must have one shape in all data sets"),
        ("nothing", "is not a number"),
        ("endless", "is infinite for some draws"),
        ("words", "must be a number or an array"),
    ],
)
def test_what_can_not_be_used_is_refused(function, said, folder):
    with pytest.raises(UserFunctionError, match=said):
        quantities(folder, q=function).of(PARAMETERS, DATA)


def test_names_and_arguments_must_fit_the_model(folder):
    with pytest.raises(SpecError, match="takes betta, which is no variable") as error:
        quantities(folder, q="unknown").refuse_unfit(LAYOUT)
    assert "Did you mean beta?" in str(error.value)
    with pytest.raises(SpecError, match="Expected a new name"):
        quantities(folder, sigma="effect").refuse_unfit(LAYOUT)


def test_a_check_shows_them_and_points_at_what_is_wrong(folder):
    checked = abi("check", folder / "spec.yaml")
    assert checked.exit_code == 0, checked.output
    assert "fitted[1]" in checked.stdout
    wrong = abi("check", folder / "spec.yaml", "-s", "model.quantities.q=model.py:unknown")
    assert wrong.exit_code == 3
    assert "E202: unknown takes betta" in wrong.stderr


def test_draws_come_with_them_when_they_are_asked_for(folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    data = tmp_path / "data.csv"
    data.write_text("dataset,x,y\nA,0,1\nA,1,2\nB,0,1\nB,2,5\nB,3,5\n")
    plain = abi("sample", run, data, "-n", 3, "--format", "csv")
    assert plain.stdout.splitlines()[0] == "dataset,draw,beta[0],beta[1],sigma"
    sampled = abi("sample", run, data, "-n", 3, "--format", "csv", "--quantities")
    assert sampled.exit_code == 0, sampled.output
    assert "executes" in sampled.stderr
    rows = list(csv.DictReader(io.StringIO(sampled.stdout)))
    assert list(rows[0])[2:] == ["beta[0]", "beta[1]", "sigma", "effect", "fitted[0]", "fitted[1]"]
    for row in rows:
        value = {name: float(cell) for name, cell in row.items() if name not in ("dataset", "draw")}
        assert value["effect"] == pytest.approx(value["beta[1]"] / value["sigma"], rel=1e-5)
        assert value["fitted[0]"] == pytest.approx(value["beta[0]"], abs=1e-5)
    for suffix in ("npz", "nc", "jsonl"):
        out = tmp_path / f"draws.{suffix}"
        assert abi("sample", run, data, "-n", 3, "-o", out, "--quantities").exit_code == 0
        assert "effect" in abi("summary", out).stdout


def test_a_diagnosis_judges_them(folder):
    diagnosed = abi("diagnose", folder / "run", "--datasets", 100, "-n", 50)
    assert diagnosed.exit_code in (0, 1), diagnosed.output
    metrics = json.loads((folder / "run" / "diagnostics" / "metrics.json").read_text())
    assert {"effect", "fitted[0]", "fitted[1]"} <= set(metrics["parameters"])


def test_a_run_without_any_says_so(small_run):
    refused = abi("sample", small_run, ANSCOMBE, "--quantities")
    assert refused.exit_code == 2
    assert "names no quantities" in refused.stderr


def test_draws_from_python_come_with_them_too(folder):
    posterior = abi_cli.load(folder / "run")
    table = {"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, 3.0, 5.0, 5.0]}
    draws = posterior.sample(table, draws=4, quantities=True)
    beta, sigma = draws.values["beta"], draws.values["sigma"]
    np.testing.assert_allclose(draws.values["effect"], beta[..., 1] / sigma, rtol=1e-6)
    assert draws.values["fitted"].shape == (1, 4, 2)
    assert "effect" not in posterior.sample(table, draws=4).values
