"""`abi estimate`: of a network that gives estimates alone, and of draws."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import abi_cli
from abi_cli import workflow
from abi_cli.errors import UsageError
from tests.cli import ANSCOMBE, SMALL, SPECS, abi

USUAL = ["mean", "sd", "q5", "median", "q95"]


@pytest.fixture(scope="module")
def point_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "point"
    options = "networks.inference={point: {estimates: [sd, mean], quantiles: [0.9, 0.1]}}"
    budget = ("-s", "training.validation=64")
    result = abi("train", SPECS / "regression.yaml", "-o", path, "-s", options, *SMALL, *budget)
    assert result.exit_code == 0, result.stderr
    assert f"abi estimate {path} DATA.csv" in result.stderr
    assert "nats" not in result.stderr
    assert "abi sample" not in result.stderr
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_point_run_gives_what_it_was_trained_for(point_run):
    result = abi("estimate", point_run, ANSCOMBE, "--progress", "none")
    assert result.exit_code == 0, result.stderr
    assert "wrote sd, mean, q10, q90 of beta[0], beta[1], sigma in 4 data sets" in result.stderr
    assert "seed" not in result.stderr
    rows = rows_of(result.stdout)
    assert list(rows[0]) == ["dataset", "parameter", "sd", "mean", "q10", "q90"]
    assert [(row["dataset"], row["parameter"]) for row in rows[:4]] == [
        ("I", "beta[0]"),
        ("I", "beta[1]"),
        ("I", "sigma"),
        ("II", "beta[0]"),
    ]
    for row in rows:
        assert float(row["sd"]) > 0
        assert float(row["q10"]) < float(row["mean"]) < float(row["q90"])
    assert all(float(row["q10"]) > 0 for row in rows if row["parameter"] == "sigma")
    assert float(rows[0]["mean"]) == pytest.approx(7.4, abs=1)


def test_every_format_holds_the_same_estimates(point_run, tmp_path):
    for suffix in ("csv", "tsv", "jsonl", "npz"):
        result = abi("estimate", point_run, ANSCOMBE, "-o", tmp_path / f"e.{suffix}", "-q")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    document = json.loads(abi("estimate", point_run, ANSCOMBE, "--json").stdout)
    assert document["schema"] == "abi.estimates/1"
    text = (tmp_path / "e.csv").read_text()
    assert (tmp_path / "e.tsv").read_text() == text.replace(",", "\t")
    lines = list(map(json.loads, (tmp_path / "e.jsonl").read_text().splitlines()))
    arrays = np.load(tmp_path / "e.npz")
    assert arrays["dataset"].tolist() == ["I", "II", "III", "IV"]
    assert arrays["estimate"].tolist() == ["sd", "mean", "q10", "q90"]
    assert arrays["beta"].shape == (4, 4, 2)
    for row, told in zip(rows_of(text), document["rows"], strict=True):
        label, element = row.pop("dataset"), row.pop("parameter")
        assert (told["dataset"], told["parameter"]) == (label, element)
        i = arrays["dataset"].tolist().index(label)
        for place, (name, cell) in enumerate(row.items()):
            value = np.float32(cell)
            assert np.float32(told[name]) == value
            line = lines[i][element[:4] if element != "sigma" else element][name]
            inside = line if element == "sigma" else line[int(element[5])]
            assert np.float32(inside) == value
            stored = arrays["sigma" if element == "sigma" else "beta"][i, place]
            assert (stored if element == "sigma" else stored[int(element[5])]) == value


def test_of_a_run_with_draws_they_are_those_of_draws(small_run):
    result = abi("estimate", small_run, ANSCOMBE, "-n", 200, "--progress", "none")
    assert result.exit_code == 0, result.stderr
    assert "(seed 1)" in result.stderr
    rows = rows_of(result.stdout)
    draws = abi_cli.load(small_run).sample(ANSCOMBE, draws=200).elements()
    for row in rows:
        values = draws[row["parameter"]][["I", "II", "III", "IV"].index(row["dataset"])]
        expected = [values.mean(), values.std(ddof=1), *np.quantile(values, [0.05, 0.5, 0.95])]
        assert [float(row[name]) for name in USUAL] == pytest.approx(expected, rel=1e-4)
    python = abi_cli.load(small_run).estimate(ANSCOMBE, draws=200)
    assert list(python.names) == USUAL
    assert str(python.values["sigma"][0, 0]) == rows[2]["mean"]
    other = abi("estimate", small_run, ANSCOMBE, "-n", 200, "--seed", 7)
    assert rows_of(other.stdout) != rows
    assert abi("estimate", small_run, ANSCOMBE, "-n", 1).exit_code == 2


def test_python_gets_the_same_estimates(point_run):
    posterior = abi_cli.load(point_run)
    got = posterior.estimate(ANSCOMBE)
    assert got.names == ("sd", "mean", "q10", "q90")
    assert got.values["beta"].shape == (4, 4, 2)
    rows = rows_of(abi("estimate", point_run, ANSCOMBE).stdout)
    assert rows[0]["mean"] == str(got.values["beta"][0, 1, 0])
    table = {"x": [-1.0, 0, 0.5, 1, 2], "y": np.arange(5.0)}
    assert posterior.estimate(table).values["sigma"].shape == (1, 4)
    at = {"beta[0]": [1.0], "beta[1]": [1.0], "sigma": [1.0]}
    for refused in (
        lambda: posterior.sample(table),
        lambda: posterior.log_prob(table, at),
        lambda: posterior.estimate(table, draws=10),
        lambda: posterior.estimate(table, seed=1),
    ):
        with pytest.raises(UsageError):
            refused()
    written = workflow.estimate(point_run, ANSCOMBE).estimates()
    np.testing.assert_array_equal(written.values["beta"], got.values["beta"])


TRANSCRIPT = {
    ("sample", "DATA"): "error: RUN has no posterior draws: its network, point, gives estimates "
    "alone\nhint: abi estimate RUN DATA; for draws, train it with another network, such as "
    "-s networks.inference=coupling_flow\n",
    ("log-prob", "DATA", "--at", "DATA"): "error: RUN has no posterior density: its network, "
    "point, has none\nhint: Train it with another network, such as "
    "-s networks.inference=coupling_flow\n",
    ("diagnose", "-n", "5"): "error: expected no --draws: point, the network of RUN, has no draws, "
    "and its estimates are judged\nhint: For draws, train it with another network, such as "
    "-s networks.inference=coupling_flow\n",
    ("estimate", "DATA", "-n", "5"): "error: point, the network of RUN, estimates without draws, "
    "and has no use for their number or seed\nhint: Leave out --draws and --seed.\n",
    ("estimate", "DATA", "-o", "e.nc"): "error: e.nc: expected one of the formats csv, tsv, "
    "jsonl, json, npz, parquet; got 'nc'\nhint: The extension of a file says its format; --format "
    "says that of the output.\n",
}


@pytest.mark.parametrize("call", TRANSCRIPT, ids=" ".join)
def test_what_it_does_not_have_is_refused_with_the_remedy(call, point_run):
    command, *rest = call
    arguments = [ANSCOMBE if word == "DATA" else word for word in rest]
    before = sorted(point_run.rglob("*"))
    result = abi(command, point_run, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.replace(str(point_run), "RUN") == TRANSCRIPT[call]
    assert sorted(point_run.rglob("*")) == before


def test_a_seed_of_the_environment_is_a_default_that_it_leaves_unused(point_run, monkeypatch):
    monkeypatch.setenv("ABI_SEED", "7")
    assert abi("estimate", point_run, ANSCOMBE).exit_code == 0
    assert abi("estimate", point_run, ANSCOMBE, "--seed", 7).exit_code == 2


def test_the_environments_seed_is_that_of_draws(small_run, monkeypatch):
    seven = abi("estimate", small_run, ANSCOMBE, "-n", 20, "--seed", 7).stdout
    monkeypatch.setenv("ABI_SEED", "7")
    assert abi("estimate", small_run, ANSCOMBE, "-n", 20).stdout == seven


def test_a_check_builds_it():
    result = abi(
        "check", SPECS / "regression.yaml", "-s", "networks.inference=point", "--build", "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["built"]["weights"]["inference network"] > 1_000


def test_an_ensemble_of_it_is_refused():
    word = "networks.inference={ensemble: {network: point}}"
    result = abi("check", SPECS / "regression.yaml", "-s", word)
    assert result.exit_code == 3
    assert "point" in result.stderr
