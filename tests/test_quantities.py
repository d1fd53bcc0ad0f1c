"""Quantities of interest: functions of the parameters, for every draw and for the truths."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest

import abi_cli
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.quantities import OF_TRUTHS, Quantities
from abi_cli.variables import DrawBlock, Layout, Ragged, Variable, take
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

def turns(N):
    return np.zeros((1, 4) if N == 2 else (4, 1))

def nothing(sigma):
    return float("nan")

def endless(sigma):
    return 1e30 * sigma / 1e-30

def words(sigma):
    return "one"

def groups(beta, N):
    return beta[0] + np.arange(N)

def sometimes(sigma):
    return np.inf if sigma > 4 else sigma

def noisy(beta, rng):
    return rng.normal(beta[0])

def noisily(beta, rng, batch_size):
    return beta[:, 0] + np.random.normal(size=batch_size)
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
    trained = abi("train", folder / "spec.yaml", "-o", folder / "run", "-j", 0)
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
        ("turns", r"must have one shape in all data sets, .* got \(1, 4\) and \(4, 1\)"),
        ("nothing", "is not a number"),
        ("words", "must be a number or an array"),
    ],
)
def test_what_can_not_be_used_is_refused(function, said, folder):
    with pytest.raises(UserFunctionError, match=said):
        quantities(folder, q=function).of(PARAMETERS, DATA)


def test_data_sets_have_values_for_their_own_groups(folder):
    values = quantities(folder, q="groups").of(PARAMETERS, DATA)["q"]
    beta = PARAMETERS["beta"][..., :1]
    np.testing.assert_allclose(values[0, :, :2], beta[0] + [0, 1], rtol=1e-6)
    np.testing.assert_allclose(values[1], beta[1] + np.arange(4), rtol=1e-6)
    assert np.isnan(values[0, :, 2:]).all()
    block = DrawBlock(0, 0, {name: value[:1] for name, value in PARAMETERS.items()})
    (more,) = quantities(folder, q="groups").added([block], DATA, events={"q": (4,)})
    np.testing.assert_array_equal(more.values["q"], values[:1])


@pytest.mark.parametrize("function", ["noisy", "noisily"])
def test_what_they_draw_depends_on_seed_data_set_and_draw_alone(function, folder):
    def of(rows=slice(None), name="q", **where):
        given = {n: value[rows] for n, value in PARAMETERS.items()}
        return quantities(folder, **{name: function}).of(given, take(DATA, rows), **where)[name]

    whole = of()
    np.testing.assert_array_equal(of(slice(1, 2), first=1), whole[1:])
    assert len(np.unique(whole - PARAMETERS["beta"][..., 0])) == whole.size
    for other in (of(seed=2), of(name="p"), of(first_draw=OF_TRUTHS)):
        assert (other != whole).all()


def test_each_draw_is_told_as_it_is_done(folder):
    told = []
    quantities(folder, a="effect", b="fitted").of(PARAMETERS, DATA, advance=told.append)
    assert sum(told) == 2 * 6
    assert quantities(folder, a="fitted").slow(10**6) is None
    assert quantities(folder, a="effect").slow(999) is None
    assert quantities(folder, a="effect", b="fitted").slow(200_000) == (
        "effect is called for each of 200,000 draws: with an argument batch_size, and an axis of "
        "draws in what it takes and gives, for a thousand at once"
    )


def test_an_infinite_one_is_refused_where_it_would_be_written(folder):
    own = quantities(folder, q="endless")
    with pytest.raises(UserFunctionError) as error:
        own.refuse_infinite(own.of(PARAMETERS, DATA), ["anna", "berta"])
    assert error.value.message == (
        "q is infinite for 6 of 6 draws, in single precision: draw 0 of data set anna is the first"
    )
    assert error.value.hint == "Give its logarithm, or leave it out: --skip q."


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


def test_a_diagnosis_leaves_out_what_it_cannot_rank_and_says_so(folder, tmp_path):
    code = folder / "model.py"
    more = ("groups", "sometimes", "noisy")
    added = [w for n in more for w in ("-s", f"model.quantities.{n}={code}:{n}")]
    out = tmp_path / "diagnostics"
    diagnosed = abi(
        *("diagnose", folder / "run", "--datasets", 30, "-n", 20, "-o", out),
        *(*added, "--skip", "effect"),
    )
    assert diagnosed.exit_code == 0, diagnosed.output
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"noisy", "fitted[0]", "groups[4]"} <= set(metrics["parameters"])
    assert not {"effect", "sometimes"} & set(metrics["parameters"])
    assert metrics["skipped"]["effect"] == "--skip"
    assert re.fullmatch(
        r"infinite in \d+ of 30 data sets, data set \d+ first; its logarithm may not be",
        metrics["skipped"]["sometimes"],
    )
    assert re.fullmatch(r"not there in \d+ of 30 data sets", metrics["skipped"]["groups[9]"])
    for name, why in metrics["skipped"].items():
        assert f"note: {name} is left out: {why}" in diagnosed.stderr


def test_what_is_added_is_a_quantity_and_what_is_skipped_is_there(folder):
    sample = ("sample", folder / "run", ANSCOMBE, "-n", 2)
    refused = abi(*sample, "-s", "training.epochs=5")
    assert refused.exit_code == 2
    assert (
        "expected -s model.quantities.NAME=FILE.py:FUNCTION, since all else was learned and stays "
        "as it is; got training.epochs=5" in refused.stderr
    )
    code = folder / "model.py"
    refused = abi(*sample, "-s", f"model.quantities.q={code}:efect")
    assert refused.exit_code == 2
    assert "expected a function efect" in refused.stderr
    assert "Did you mean effect?" in refused.stderr
    refused = abi(*sample, "-s", f"model.quantities.q={code}:unknown")
    assert refused.exit_code == 3
    assert "takes betta, which is no variable of the model" in refused.stderr
    refused = abi(*sample, "--quantities", "--skip", "efect")
    assert refused.exit_code == 2
    assert "expected a quantity to skip, of effect, fitted; got efect" in refused.stderr
    refused = abi(*sample, "--skip", "effect")
    assert refused.exit_code == 2
    assert "expected --skip with --quantities; got it alone" in refused.stderr


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "npz", "nc", "parquet"])
def test_ragged_ones_are_written_and_read_again(suffix, folder, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("dataset,x,y\nA,0,1\nA,1,2\nB,0,1\nB,2,5\nB,3,5\n")
    out = tmp_path / f"draws.{suffix}"
    added = ("-s", f"model.quantities.q={folder / 'model.py'}:groups")
    sampled = abi("sample", folder / "run", data, "-n", 3, "-o", out, *added, "--skip", "effect")
    assert sampled.exit_code == 0, sampled.output
    found = json.loads(abi("summary", out, "--json").stdout)["rows"]
    named = [(row["dataset"], row["parameter"]) for row in found if row["parameter"][0] == "q"]
    assert named == [("A", "q[0]"), ("A", "q[1]"), ("B", "q[0]"), ("B", "q[1]"), ("B", "q[2]")]
    mean = {(row["dataset"], row["parameter"]): row["mean"] for row in found}
    assert mean["B", "q[2]"] == pytest.approx(mean["B", "beta[0]"] + 2, abs=1e-5)


def test_draws_that_lack_a_value_now_and_then_are_refused(tmp_path):
    (tmp_path / "draws.csv").write_text("dataset,draw,a,b\nA,0,1,\nA,1,2,3\nB,0,4,\nB,1,4,\n")
    refused = abi("summary", tmp_path / "draws.csv")
    assert refused.exit_code == 4
    assert (
        f"{tmp_path / 'draws.csv'}, row 2, column b: expected a number; got none, where other "
        "draws of this data set have one" in refused.stderr
    )
    (tmp_path / "draws.jsonl").write_text('{"dataset": "A", "a": [1, 2], "b": [null, 3]}\n')
    refused = abi("summary", tmp_path / "draws.jsonl")
    assert refused.exit_code == 4
    assert "b[0]: expected a number; got null" in refused.stderr


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
