"""Replicated data: they are what the likelihood makes of the draws, and nothing else."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from abi_cli import workflow
from abi_cli.diagnostics.predictive import check, statistics_of, without_ends_of_binary
from abi_cli.errors import DataError, UserFunctionError
from abi_cli.model.functions import UserFunction
from abi_cli.model.prediction import Replication
from abi_cli.variables import Layout, Ragged, Variable, take
from abi_cli.workflow.calibration.replicating import refuse_gaps
from tests.cli import ANSCOMBE, SMALL, abi

BATCHED = """
import numpy as np

def meta(rng):
    return {"N": rng.integers(3, 6)}

def prior(rng, batch_size):
    return {"mu": rng.normal(size=batch_size), "tau": rng.normal(size=batch_size)}

def likelihood(rng, mu, N, batch_size):
    return {"x": mu[:, None] + 0.001 * rng.normal(size=(batch_size, N))}

def highest(x):
    return np.max(x)

def shifted(x, mu):
    return np.mean(x) - mu

def doubled(mu):
    return 2 * mu
"""

SPEC = """
name: batched
model:
  meta: model.py:meta
  prior: model.py:prior
  likelihood: model.py:likelihood
  quantities: {highest: model.py:highest, shifted: model.py:shifted,
    doubled: model.py:doubled}
observables: {x: {kind: set}}
"""


@pytest.fixture(scope="module")
def batched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batched")
    (folder / "model.py").write_text(BATCHED)
    (folder / "spec.yaml").write_text(SPEC)
    result = abi("train", folder / "spec.yaml", "-o", folder / "run", "-q", *SMALL)
    assert result.exit_code == 0, result.stderr
    (folder / "data.csv").write_text("dataset,x\na,1\na,1.1\na,1.2\nb,0\nb,0.1\nb,0.2\nb,0.3\n")
    return folder


def test_data_follow_from_their_draws(batched):
    result = abi("predict", batched / "run", batched / "data.csv", "-n", 40, "-q", "-j", 0)
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert list(rows[0]) == [
        "dataset",
        "draw",
        "N",
        "mu",
        "tau",
        "highest",
        "shifted",
        "doubled",
        "x",
    ]
    assert [len([r for r in rows if r["dataset"] == label]) for label in "ab"] == [120, 160]
    for row in rows:
        assert float(row["x"]) == pytest.approx(float(row["mu"]), abs=0.01)
        assert float(row["N"]) == {"a": 3, "b": 4}[row["dataset"]]
    noise = [float(row["x"]) - float(row["mu"]) for row in (rows[0], rows[120])]
    assert abs(noise[0] - noise[1]) > 1e-5  # each data set has its own
    first = [float(row["x"]) for row in rows[:3]]
    assert float(rows[0]["highest"]) == pytest.approx(max(first), rel=1e-6)
    assert float(rows[0]["shifted"]) == pytest.approx(
        np.mean(first) - float(rows[0]["mu"]), abs=1e-5
    )
    again = abi("predict", batched / "run", batched / "data.csv", "-n", 40, "-q", "-j", 2)
    assert again.stdout == result.stdout


def test_draws_of_a_file_are_taken(batched, tmp_path):
    (tmp_path / "draws.csv").write_text(
        "dataset,draw,mu,tau\nb,0,5,0\nb,1,6,0\na,0,-5,0\na,1,-6,0\n"
    )
    files = (batched / "data.csv", "--draws", tmp_path / "draws.csv")
    result = abi("predict", batched / "run", *files, "-q", "-j", 0)
    rows = list(csv.DictReader(result.stdout.splitlines()))
    means = {(r["dataset"], r["draw"]): round(float(r["x"])) for r in rows}
    assert means == {("a", "0"): -5, ("a", "1"): -6, ("b", "0"): 5, ("b", "1"): 6}
    (tmp_path / "few.csv").write_text("dataset,draw,mu,tau\nb,0,5,0\n")
    few = abi("predict", batched / "run", batched / "data.csv", "--draws", tmp_path / "few.csv")
    assert few.exit_code == 4
    assert "got none of a" in few.stderr


def test_checks_show_what_the_model_cannot_generate(batched):
    found = abi("predict", batched / "run", batched / "data.csv", "--json", "-q", "-j", 0)
    rows = {(r["dataset"], r["statistic"]): r for r in json.loads(found.stdout)["rows"]}
    assert rows["a", "sd of x"]["p"] == 0.0  # members differ by 0.001 in the model, 0.1 here
    assert {name for _, name in rows} >= {"mean of x", "max of x", "highest", "shifted"}
    assert rows["a", "highest"]["observed"] == pytest.approx(1.2)
    assert "doubled" not in {name for _, name in rows}  # nothing is observed of it


def test_what_of_long_vectors_is_not_looked_at_is_told(batched, monkeypatch):
    asked = ("predict", batched / "run", batched / "data.csv", "--json", "-j", 0)
    assert "looked at" not in abi(*asked).stderr
    monkeypatch.setattr("abi_cli.workflow.predicting.MOST_ELEMENTS", 0)
    assert "of the 1 numbers of x the first 0 are looked at" in abi(*asked).stderr


def test_data_are_judged_by_what_is_usual_of_simulated_ones(small_run):
    found = abi("predict", small_run, ANSCOMBE, "--check", "-n", 20, "--json", "-q", "-j", 0)
    assert found.exit_code == 0, found.stderr
    said = json.loads(found.stdout)
    rows = {(row["dataset"], row["statistic"]): row for row in said["rows"]}
    copies = rows["IV", "ties of x"]  # ten of eleven
    assert copies["marked"]
    assert copies["calibrated"] < 1e-3
    assert not any(row["marked"] for (label, _), row in rows.items() if label == "I")
    mean = rows["I", "mean of y"]
    assert mean["q5"] < mean["median"] < mean["q95"]
    (line,) = [line for line in said["verdict"] if line.startswith("data set IV is not")]
    assert "ties of x 0.726, replicated 0" in line
    refused = abi("predict", small_run, ANSCOMBE, "--check", "-o", "replicated.csv")
    assert refused.exit_code == 2


def test_what_is_given_stands_beside_replicated_data(tmp_path):
    (tmp_path / "line.py").write_text(
        "def design(rng, N):\n    return {'x': rng.normal(size=N)}\n"
        "def likelihood(b, x, rng, N):\n    return {'y': b * x + rng.normal(size=N)}\n"
    )
    (tmp_path / "line.yaml").write_text(
        "name: line\nmodel:\n  meta: {N: {integers: {low: 6, high: 9}}}\n"
        "  prior: {b: {normal: {}}}\n  given: line.py:design\n"
        "  likelihood: line.py:likelihood\n"
        "observables: {x: {kind: set}, y: {kind: set}}\n"
    )
    run = tmp_path / "run"
    result = abi("train", tmp_path / "line.yaml", "-o", run, "-q", *SMALL)
    assert result.exit_code == 0, result.stderr
    rows = "".join(f"{x},{x * x}\n" for x in (-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2))
    (tmp_path / "data.csv").write_text("x,y\n" + rows)
    found = abi("predict", run, tmp_path / "data.csv", "--check", "-n", 20, "--json", "-j", 0)
    assert found.exit_code == 0, found.stderr
    statistics = {row["statistic"] for row in json.loads(found.stdout)["rows"]}
    assert any(name.startswith("curvature") for name in statistics), statistics


def test_one_draw_functions_and_formats(small_run, tmp_path):
    for suffix in ("csv", "jsonl", "npz", "parquet"):
        target = tmp_path / f"replicated.{suffix}"
        result = abi("predict", small_run, ANSCOMBE, "-n", 3, "-o", target, "-j", 0)
        assert result.exit_code == 0, result.stderr
        assert "executes" in result.stderr
    with np.load(tmp_path / "replicated.npz") as file:
        stored = dict(file)
    assert stored["draw"].tolist() == [0, 1, 2] * 4
    assert stored["row_size"].tolist() == [11] * 12
    first = json.loads((tmp_path / "replicated.jsonl").read_text().splitlines()[0])
    np.testing.assert_allclose(stored["y"][:11], first["y"])
    assert stored["beta"].shape == (12, 2)
    # replicated data are no draws: their rows are members
    refused = abi("summary", tmp_path / "replicated.csv")
    assert refused.exit_code == 4
    assert "expected each draw of a data set once" in refused.stderr


def test_what_is_not_inferred_cannot_be_predicted_from(batched, tmp_path):
    text = (batched / "model.py").read_text().replace("rng, mu, N", "rng, mu, tau, N")
    (tmp_path / "model.py").write_text(text)
    (tmp_path / "spec.yaml").write_text(SPEC + "parameters: {mu: {}}\n")
    run = tmp_path / "run"
    assert abi("train", tmp_path / "spec.yaml", "-o", run, "-q", *SMALL).exit_code == 0
    result = abi("predict", run, batched / "data.csv", "-q")
    assert result.exit_code == 3
    assert "likelihood takes tau, which the run does not infer" in result.stderr


def test_statistics_of_members():
    x = Ragged(np.array([1.0, 3.0, np.nan, 5.0]), np.array([3, 1]))
    found = statistics_of({"x": x, "s": np.array([[1.0, 2.0], [3.0, 4.0]])})
    np.testing.assert_allclose(found["mean of x"], [2, 5])
    np.testing.assert_allclose(found["sd of x"], [1, 0])
    np.testing.assert_allclose(found["min of x"], [1, 5])
    np.testing.assert_allclose(found["max of x"], [3, 5])
    np.testing.assert_allclose(found["s[1]"], [2, 4])


@pytest.mark.parametrize(("seen", "p"), [(0.0, 0.5), (9.0, 0.0), (-9.0, 1.0)])
def test_the_p_value_is_the_share_of_larger_ones(seen, p):
    replicated = np.random.default_rng(0).normal(size=(1, 20_000))
    (found,) = check(["a"], {"T": np.array([seen])}, {"T": replicated})
    assert found.p == pytest.approx(p, abs=0.02)
    assert found.low == pytest.approx(-1.645, abs=0.05)


def test_no_p_is_told_below_one_of_the_replicated_ones():
    replicated = np.random.default_rng(0).normal(size=(1, 200))
    for seen, words in ((9.0, "< 0.005"), (-9.0, "> 0.995")):
        (found,) = check(["a"], {"T": np.array([seen])}, {"T": replicated})
        assert found.p_in_words == words
    (found,) = check(["a"], {"T": np.array([0.0])}, {"T": replicated})
    assert found.p_in_words == f"{found.p:.3f}"


def test_python_has_it(small_run):
    prediction = workflow.predict(small_run, ANSCOMBE, draws=5).predict()
    assert len(prediction.replicated["y"]) == 20
    assert len(prediction.checks()) == 4 * 8


def test_changed_code_is_not_executed(batched, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(batched / "run", run)
    code = run / "code" / "model.py"
    code.write_text(code.read_text() + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    result = abi("predict", run, batched / "data.csv", "-n", 2, "-q")
    assert result.exit_code == 6
    assert "is not the code that this run was trained with" in result.stderr
    assert not (tmp_path / "ran").exists()


def test_the_ends_of_what_is_0_or_1_are_left_out():
    binary = {"y": Ragged(np.array([0.0, 1.0, 1.0, 1.0]), np.array([2, 2]))}
    counts = {"y": Ragged(np.array([0.0, 2.0, 1.0, 1.0]), np.array([2, 2]))}
    for data, left in ((binary, 2), (counts, 4)):
        found = statistics_of(data)
        assert len(without_ends_of_binary(found, found)) == left
    one = statistics_of(binary)
    assert len(without_ends_of_binary(one, statistics_of(counts))) == 4


ONE_DRAW = """
import numpy as np

def likelihood(rng, mu, N):
    if mu > 2:
        raise ValueError("no such mean")
    return {"x": np.full(N, np.nan) if mu < -2 else rng.normal(mu, 1, N)}

def at_once(rng, mu, N, batch_size):
    x = mu[:, None] + rng.normal(size=(batch_size, N[0]))
    return {"x": np.where(mu[:, None] < -2, np.nan, x)}
"""


def replication(folder, mu, function="likelihood"):
    (folder / "one.py").write_text(ONE_DRAW)
    return Replication(
        UserFunction.load(f"one.py:{function}", folder),
        frozenset({"x"}),
        frozenset(),
        chunk=16,
        once=frozenset(),
        known={"N": 4},
        draws={"mu": np.asarray(mu)},
        dataset=0,
        seed=1,
    )


@pytest.mark.parametrize("function", ["likelihood", "at_once"])
def test_draws_of_which_nothing_can_be_simulated_give_their_place_to_others(function, tmp_path):
    mu = np.linspace(-1, 1, 60)
    mu[[3, 59]] = (-3, 5) if function == "likelihood" else (-3, -4)
    made = replication(tmp_path, mu, function).simulate_possible()
    assert made.lost == 2
    assert made.source[[3, 59]].tolist() == [4, 0]
    assert made.error is not None
    assert np.isfinite(made.data["x"].values).all()
    mended = replication(tmp_path, mu[made.source], function).simulate()
    np.testing.assert_array_equal(made.data["x"].values, mended["x"].values)
    whole = replication(tmp_path, np.linspace(-1, 1, 60), function).simulate_possible()
    assert (whole.lost, whole.error) == (0, None)


def test_many_draws_of_which_nothing_can_be_simulated_are_refused(tmp_path):
    mu = np.linspace(-1, 1, 60)
    mu[:4] = -3
    with pytest.raises(UserFunctionError, match="not finite") as refused:
        replication(tmp_path, mu).simulate_possible()
    assert "the prior never gives any" in refused.value.hint


def test_given_values_that_lack_are_refused():
    layout = Layout((Variable("z", "given", ragged=True, event=()),))
    data = {"z": Ragged(np.array([1.0, 2.0, np.nan]), np.array([1, 2]))}
    with pytest.raises(DataError, match="z lacks values in data set b"):
        refuse_gaps(layout, data, ["a", "b"])
    refuse_gaps(layout, take(data, np.array([0])), ["a"])
