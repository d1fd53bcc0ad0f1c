"""`--refine`: posteriors of a run that was trained for a moment, made exact by its density."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from scipy import stats

import abi_cli
from abi_cli.data import read_draws
from abi_cli.refinement import refining
from abi_cli.workflow.opened.refining import CERTIFIED
from tests.cli import ANSCOMBE, abi

CODE = """
import numpy as np

def likelihood(rng, mu, N):
    return {"x": rng.normal(mu, 1.0, N)}

def log_likelihood(x, mu, batch_size):
    if x[0] > 100:  # data sets that ask for what is no density
        some = np.where(mu > 1.5, np.nan, -0.5 * (mu - 1) ** 2)
        bad = {101: mu + np.nan, 102: mu + np.inf, 103: np.zeros(3), 104: mu - np.inf, 105: some}
        return bad[x[0]]
    return -0.5 * ((x - mu[:, None]) ** 2).sum(axis=1) - len(x) * 0.5 * np.log(2 * np.pi)
"""

SPEC = """
name: tiny
model:
  meta: {N: {integers: {low: 3, high: 9}}}
  prior: {mu: {normal: {scale: 2}}}
  likelihood: m.py:likelihood
  log_likelihood: m.py:log_likelihood
observables: {x: {kind: set}}
networks:
  summary: {deep_set: {width: 8, summary_dim: 4}}
  inference: {coupling_flow: {depth: 2, width: 8}}
training: {epochs: 1, num_batches: 4, batch_size: 16}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refining")
    (folder / "m.py").write_text(CODE)
    (folder / "spec.yaml").write_text(SPEC)
    trained = abi("train", folder / "spec.yaml", "-o", folder / "run", "-q", "-j", 0)
    assert trained.exit_code == 0, trained.output
    return folder / "run"


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(4)
    sets = {f"s{k}": rng.normal(rng.normal(0, 2), 1, k + 3).round(2) for k in range(5)}
    return sets | {"far": np.full(8, 11.0)}


@pytest.fixture(scope="module")
def data(x, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "data.csv"
    rows = [f"{label},{value}" for label, values in x.items() for value in values]
    file.write_text("\n".join(["dataset,x", *rows]) + "\n")
    return file


def exact(values):
    """Mean, sd and log evidence."""
    precision = 0.25 + len(values)
    covariance = np.eye(len(values)) + 4
    evidence = stats.multivariate_normal(np.zeros(len(values)), covariance).logpdf(values)
    return values.sum() / precision, precision**-0.5, evidence


def test_draws_and_what_is_known_of_them_come_in_every_format(run, data, x, tmp_path):
    said = abi("sample", run, data, "--refine", "-o", tmp_path / "d.nc", "-n", 500)
    assert said.exit_code == 0, said.output
    assert "executes" in said.stderr
    assert "m.py" in said.stderr
    assert "refined 6 of 6 posteriors" in said.stderr
    for suffix in ("npz", "jsonl"):
        file = tmp_path / f"d.{suffix}"
        assert abi("sample", run, data, "--refine", "-n", 500, "-o", file).exit_code == 0
    draws = read_draws(tmp_path / "d.nc")
    for suffix in ("npz", "jsonl"):
        same = read_draws(tmp_path / f"d.{suffix}")
        np.testing.assert_array_equal(same.values["mu"], draws.values["mu"])
    with h5py.File(tmp_path / "d.nc") as file, np.load(tmp_path / "d.npz") as arrays:
        told = {name: np.array(file["sample_stats"][name]) for name in CERTIFIED}
        for name, values in told.items():
            np.testing.assert_array_equal(arrays[f"sample_stats.{name}"], values)
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [line["sample_stats"]["ess"] for line in lines] == told["ess"].tolist()
    for row, values in enumerate(x.values()):
        mean, sd, evidence = exact(values)
        assert abs(told["log_evidence"][row] - evidence) < 4 * told["log_evidence_error"][row]
        assert told["log_evidence_error"][row] < 0.05
        assert abs(draws.values["mu"][row].mean() - mean) < 0.25 * sd
        np.testing.assert_allclose(draws.values["mu"][row].std(), sd, rtol=0.15)


def test_estimates_are_those_of_the_exact_posterior(run, data, x):
    told = json.loads(abi("estimate", run, data, "--refine", "--json").stdout)
    assert [one["by"] for one in told["refinement"]].count("failed") == 0
    for row, values in zip(told["rows"], x.values(), strict=True):
        mean, sd, _ = exact(values)
        np.testing.assert_allclose(row["mean"], mean, atol=0.1 * sd)
        np.testing.assert_allclose(row["sd"], sd, rtol=0.1)
        np.testing.assert_allclose(row["q95"], mean + 1.645 * sd, atol=0.2 * sd)
    shown = json.loads(abi("sample", run, data, "--refine", "--json").stdout)
    assert shown["rows"][0]["mean"] == pytest.approx(told["rows"][0]["mean"])
    assert shown["refinement"] == told["refinement"]


def test_a_data_set_is_refined_alike_whatever_else_is_in_the_file(run, data, x, tmp_path):
    fewer = tmp_path / "fewer.csv"
    rows = data.read_text().splitlines()
    fewer.write_text("\n".join(rows[: 1 + sum(len(x[f"s{k}"]) for k in range(3))]) + "\n")
    whole, part = (
        abi("sample", run, file, "--refine", "-n", 200).stdout.splitlines()
        for file in (data, fewer)
    )
    assert part == whole[: len(part)]


def test_any_number_of_processes_gives_the_same(run, data, monkeypatch):
    alone = abi("sample", run, data, "--refine", "-n", 50, "-j", 0)
    monkeypatch.setattr(refining, "WORTH_WORKERS", 0.0)
    shared = abi("sample", run, data, "--refine", "-n", 50, "-j", 2)
    assert (alone.exit_code, shared.exit_code) == (0, 0), shared.output
    assert alone.stdout == shared.stdout


def test_python_refines_too(run, x):
    session = abi_cli.load(run, refine=True)
    draws = session.sample({"x": x["far"]})
    mean, sd, _ = exact(x["far"])
    assert abs(draws.values["mu"].mean() - mean) < 0.2 * sd
    assert draws.certificates["khat"].shape == (1,)


def test_that_posteriors_can_be_refined_is_said(run, data):
    assert "--refine makes these posteriors exact" in abi("sample", run, data).stderr
    assert abi("sample", run, data, "-q").stderr == ""


BAD = {101: "is not a number (NaN)", 102: "is +inf, as none is,", 103: "its shape is (3,)"}


@pytest.mark.parametrize("first", BAD)
def test_what_is_no_density_is_refused_in_one_message(run, first):
    rows = f"dataset,x\na,0\na,1\na,2\nb,{first}\nb,1\nb,2\n"
    result = abi("sample", run, "-", "--refine", stdin=rows)
    assert result.exit_code == 5
    assert BAD[first] in result.stderr
    assert "log_likelihood" in result.stderr
    assert "data set b" in result.stderr


def test_where_numbers_overflow_candidates_are_impossible_and_that_is_told(run):
    rows = "dataset,x\na,0\na,1\na,2\nb,105\nb,-1\nb,-99\n"
    result = abi("sample", run, "-", "--refine", "-n", 50, stdin=rows)
    assert result.exit_code == 0, result.stderr
    assert "log_likelihood is not a number (NaN) for up to" in result.stderr
    assert "of the candidates of data set b, such as mu = " in result.stderr
    assert max(float(row.split(",")[2]) for row in result.stdout.splitlines()[51:]) <= 1.5


def test_where_nothing_is_possible_the_data_set_is_named_and_a_gate_fails(run):
    rows = "dataset,x\na,0\na,1\na,2\nb,104\nb,1\nb,2\n"
    result = abi("sample", run, "-", "--refine", "-n", 10, "--gate", stdin=rows)
    assert result.exit_code == 1
    assert "data set b could not be refined" in result.stderr
    assert len(result.stdout.splitlines()) == 21


def test_a_stream_with_a_gate_answers_all_and_fails_in_the_end(run, x):
    bad = [{"dataset": "a", "x": [104.0, 1.0, 2.0]}, {"dataset": "a", "x": x["s0"].tolist()}]
    lines = "".join(json.dumps(one) + "\n" for one in bad)
    gated = abi("stream", run, "--refine", "-n", 20, "--gate", stdin=lines)
    assert gated.exit_code == 1
    assert len(gated.stdout.splitlines()) == 2
    assert "data set a could not be refined" in gated.stderr
    assert abi("stream", run, "--refine", "-n", 20, stdin=lines).exit_code == 0
    assert abi("stream", run, "--gate", stdin=lines).exit_code == 2


def test_what_cannot_be_refined_is_refused(run, data, small_run, tmp_path):
    result = abi("sample", small_run, ANSCOMBE, "--refine")
    assert result.exit_code == 2
    assert "its spec names no log_likelihood" in result.stderr
    assert abi("sample", run, data, "--gate").exit_code == 2
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    code = changed / "code" / "m.py"
    code.write_text(code.read_text() + "\n# changed\n")
    assert abi("sample", changed, data, "--refine").exit_code == 6


def test_streams_and_predictions_are_of_refined_posteriors(run, data, x):
    line = json.dumps({"dataset": "s0", "x": x["s0"].tolist()}) + "\n"
    answer = json.loads(abi("stream", run, "--refine", "-n", 100, stdin=line).stdout)
    drawn = abi("sample", run, data, "--refine", "-n", 100).stdout.splitlines()[1:101]
    assert answer["mu"] == [float(row.split(",")[2]) for row in drawn]
    assert answer["sample_stats"]["log_evidence"] == pytest.approx(exact(x["s0"])[2], abs=0.1)
    predicted = abi("predict", run, data, "--refine", "-n", 100, "--format", "csv")
    assert predicted.exit_code == 0, predicted.output
    assert "refined 6 of 6" in predicted.stderr


def test_a_density_that_is_not_the_simulators_is_told_by_check_and_refused(tmp_path):
    (tmp_path / "m.py").write_text(CODE.replace("-0.5 * ((x", "-1.5 * ((x"))
    (tmp_path / "spec.yaml").write_text(SPEC)
    told = abi("check", tmp_path / "spec.yaml")
    assert told.exit_code == 0
    assert "log_likelihood is not the density of what the likelihood simulates" in told.stdout
    assert "it shows most in mu" in told.stdout or "(p = " in told.stdout
    abi("train", tmp_path / "spec.yaml", "-o", tmp_path / "run", "-q", "-j", 0)
    (tmp_path / "d.csv").write_text("x\n1\n2\n3\n")
    refused = abi("sample", tmp_path / "run", tmp_path / "d.csv", "--refine")
    assert refused.exit_code == 5
    assert "is not the density of what the likelihood simulates" in refused.stderr
    assert "log p(data | parameters)" in refused.stderr


def test_the_right_density_is_not_told_of(run):
    told = abi("check", run.parent / "spec.yaml")
    assert "density of what" not in told.stdout


def test_a_report_shows_exact_posteriors(run, data, x, tmp_path):
    from abi_cli.workflow.about_data.scoring import Scoring
    from abi_cli.workflow.request import read_model
    from abi_cli.workflow.session import SILENT, Session

    session = Session.open(run)
    loaded = session.read_all(data)
    model = read_model(run / "spec.yaml")
    scored = Scoring(session, model, 400, 3, SILENT).of(loaded, [0, 2])
    drawn = session.sample(data, draws=400, seed=3)
    exact = scored.put_into(drawn)
    for row in (0, 2):
        members = x[f"s{row}"]
        mean, sd = members.sum() / (len(members) + 0.25), (len(members) + 0.25) ** -0.5
        assert exact.values["mu"][row].mean() == pytest.approx(mean, abs=0.15 * sd)
        assert exact.values["mu"][row].std() == pytest.approx(sd, rel=0.12)
    np.testing.assert_array_equal(exact.values["mu"][[1, 3]], drawn.values["mu"][[1, 3]])
    assert drawn.values["mu"][0].std() != exact.values["mu"][0].std()

    page = tmp_path / "page.html"
    shown = abi("report", run, data, "-n", 100, "--datasets", "s0,s1", "-o", page)
    assert shown.exit_code == 0, shown.output
    text = page.read_text()
    assert "The posteriors are exact" in text
    assert "2 of 2 data sets shown in full" in text
    shown = abi("report", run, data, "-n", 100, "--no-code", "--force", "-o", page)
    assert shown.exit_code == 0, shown.output
    assert "are exact" not in page.read_text()
