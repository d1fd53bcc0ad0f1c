"""Files in other formats, and what files hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.data import read_draws, write_simulations
from abi_cli.workflow import inspect
from tests.cli import ANSCOMBE, abi
from tests.data_examples import LINE, OF_DATASETS, OF_DRAWS, assert_same, some


@pytest.fixture(scope="module")
def draws(small_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    for suffix in OF_DRAWS:
        target = folder / f"draws.{suffix}"
        assert abi("sample", small_run, ANSCOMBE, "-n", 20, "-q", "-o", target).exit_code == 0
    return folder


@pytest.mark.parametrize("source", OF_DRAWS)
@pytest.mark.parametrize("target", OF_DRAWS)
def test_draws_stay_the_same(source, target, draws, tmp_path):
    file = tmp_path / f"converted.{target}"
    kind = ("--kind", "draws") if source in ("json", "jsonl") else ()
    result = abi("convert", draws / f"draws.{source}", file, *kind, "-q")
    assert result.exit_code == 0, result.stderr
    original, converted = read_draws(draws / "draws.npz"), read_draws(file)
    assert converted.labels == original.labels
    assert_same(converted.values, original.values)
    if {source, target} <= {"npz", "nc"}:
        assert converted.seed == 1


@pytest.mark.parametrize("source", OF_DATASETS)
@pytest.mark.parametrize("target", OF_DATASETS)
def test_data_sets_stay_the_same(source, target, tmp_path):
    file, converted = tmp_path / f"data.{source}", tmp_path / f"converted.{target}"
    datasets = some(LINE, [3, 2, 4])
    write_simulations(file, datasets, LINE)
    result = abi("convert", file, converted, "--kind", "data", "-q")
    assert result.exit_code == 0, result.stderr
    back = tmp_path / "back.npz"
    assert abi("convert", converted, back, "--kind", "data", "-q").exit_code == 0
    with np.load(back) as file:
        stored = dict(file)
    for name in ("x", "y"):
        np.testing.assert_array_equal(stored[name], datasets[name].values)
    for name in ("N", "beta", "sigma"):  # tables repeat them in each row
        np.testing.assert_array_equal(stored[name], datasets[name])


def test_it_is_said_what_is_taken_for_what(tmp_path):
    write_simulations(tmp_path / "data.csv", some(LINE, [3, 2]), LINE)
    said = abi("convert", tmp_path / "data.csv", "-").stderr
    assert "one value in each data set: N, beta, sigma" in said
    assert "sets or series: x, y" in said


def test_sets_of_one_length_are_named(tmp_path):
    write_simulations(tmp_path / "data.jsonl", some(LINE, [3, 3]), LINE)
    arguments = ("convert", tmp_path / "data.jsonl", "-", "--kind", "data", "-q")
    as_vectors = abi(*arguments).stdout.splitlines()
    as_sets = abi(*arguments, "--sets", "x,y").stdout.splitlines()
    assert as_vectors[0].endswith("x[0],x[1],x[2],y[0],y[1],y[2]")
    assert as_sets[0] == "dataset,N,beta[0],beta[1],sigma,x,y"
    assert len(as_sets) == 7


def test_estimates_are_converted(small_run, tmp_path):
    table = tmp_path / "points.csv"
    abi("sample", small_run, ANSCOMBE, "-n", 20, "--points", "mean,sd", "-q", "-o", table)
    result = abi("convert", table, tmp_path / "points.json", "-q")
    assert result.exit_code == 0, result.stderr
    document = json.loads((tmp_path / "points.json").read_text())
    assert [entry["dataset"] for entry in document] == ["I", "II", "III", "IV"]
    assert list(document[0]["sigma"]) == ["mean", "sd"]


def test_draws_without_a_seed_stay_draws(draws, tmp_path):
    assert abi("convert", draws / "draws.csv", tmp_path / "d.npz", "-q").exit_code == 0
    assert inspect(tmp_path / "d.npz").kind == "draws"


def test_what_is_not_clear_is_asked_for(draws, tmp_path):
    result = abi("convert", draws / "draws.jsonl", tmp_path / "draws.csv")
    assert result.exit_code == 2
    assert "hint: Say --kind draws, or --kind data." in result.stderr
    piped = abi("convert", "-", tmp_path / "draws.csv", stdin=b"dataset,draw,mu\n0,0,1\n")
    assert piped.exit_code == 2
    long = tmp_path / "long.csv"
    long.write_text("dataset,draw,parameter,value\na,0,mu,1\n")
    refused = abi("convert", long, tmp_path / "draws.npz")
    assert refused.exit_code == 4
    assert "Write them without --long" in refused.stderr


KINDS = {"csv": "draws", "npz": "draws", "nc": "draws", "jsonl": "draws or data sets"}


@pytest.mark.parametrize("suffix", KINDS)
def test_files_say_what_they_hold(suffix, draws, tmp_path):
    found = inspect(draws / f"draws.{suffix}")
    assert found.kind == KINDS[suffix]
    if found.kind == "draws":
        assert (found.datasets, found.draws) == (4, 20)
        assert found.variables == {"beta": "(2,)", "sigma": "()"}
    write_simulations(tmp_path / f"data.{suffix}", some(LINE, [3, 2]), LINE)
    data = inspect(tmp_path / f"data.{suffix}")
    assert (data.kind, data.datasets) == ("data sets", 2)
    assert data.variables["x"] == "2 to 3 members × ()"


def test_provenance_is_shown(draws):
    shown = abi("show", draws / "draws.nc").stdout
    for line in ("data sets     4", "seed          1", "run           regression"):
        assert line in shown
    document = json.loads(abi("show", draws / "draws.nc", "--json").stdout)
    assert document["schema"] == "abi.file/1"
    assert len(document["provenance"]["model_sha256"]) == 64


def test_what_is_no_such_file_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert abi("show", tmp_path / "notes.txt").exit_code == 2
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    assert abi("show", tmp_path / "bad.npz").exit_code == 4
    assert abi("show", tmp_path / "nowhere").exit_code == 6
