"""`given: {file: …}`: what data sets come with, drawn from a file of real ones."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import yaml

from abi_cli.errors import DataError, SpecError, UserFunctionError
from abi_cli.model.streams import Purpose
from abi_cli.variables import Ragged, take
from abi_cli.workflow.request import read_model
from tests.cli import abi
from tests.model_tasks import assert_equal

CODE = """
import numpy as np

def meta(rng):
    return {"N": int(rng.integers(3, 9))}

def likelihood(rng, mu, x):
    return {"y": mu * np.asarray(x) + rng.normal(size=np.shape(x))}

def batched(rng, mu, x, batch_size):
    mu = mu.reshape(-1, *[1] * (x.ndim - 1))
    return {"y": mu * x + rng.normal(size=x.shape)}

def spoils(rng, mu, x):
    x[:] = 0
    return {"y": mu + rng.normal(size=3)}
"""
SETS = {"a": [1.5, 2.5, 3.5], "b": [4.5, 5.5], "c": [6.5, 7.5, 8.5], "d": [9.5, 10.5]}
TABLES = {
    "sets.csv": "dataset,x\n" + "".join(f"{k},{x}\n" for k, v in SETS.items() for x in v),
    "one.csv": "x,site\n" + "".join(f"{x + 0.5},7\n" for x in range(20)),
    "rows.csv": "x\n0.25\n1.25\n2.25\n",
    "sets.jsonl": "".join(f'{{"dataset": "{k}", "x": {v}}}\n' for k, v in SETS.items()),
}


def model(folder, *, file, kind="set", **fields):
    """A model whose likelihood takes x from a file."""
    (folder / "model.py").write_text(CODE)
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    np.savez(folder / "sets.npz", x=np.concatenate([*SETS.values()]), row_size=[3, 2, 3, 2])
    given = {"file": file} | {k: fields.pop(k) for k in ("resample", "size") if k in fields}
    spec = {
        "name": "design",
        "model": {
            "given": given,
            "prior": {"mu": "normal"},
            "likelihood": "model.py:likelihood",
            **fields,
        },
    }
    if kind:
        spec["observables"] = {"x": {"kind": kind}, "y": {"kind": kind}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    return read_model(folder / "spec.yaml").simulator


def rows(simulator, start, stop):
    return simulator.simulate(seed=3, purpose=Purpose.TRAIN, start=start, stop=stop)


def as_sets(value):
    assert isinstance(value, Ragged)
    return [tuple(part) for part in np.split(value.values, np.cumsum(value.row_size)[:-1])]


@pytest.mark.parametrize("file", ["sets.csv", "sets.jsonl", "sets.npz"])
@pytest.mark.parametrize("likelihood", ["likelihood", "batched"])
def test_each_data_set_of_the_file_is_as_frequent_as_the_others(tmp_path, file, likelihood):
    simulator = model(tmp_path, file=file, likelihood=f"model.py:{likelihood}")
    data = rows(simulator, 0, 9_600)
    drawn = as_sets(data["x"])
    assert set(drawn) == {tuple(values) for values in SETS.values()}
    for values in SETS.values():
        # a chunk of 32 has sets of one size, so that shares vary as those of 300 chunks do
        assert drawn.count(tuple(values)) / len(drawn) == pytest.approx(0.25, abs=0.06)
    assert simulator.layout(data)["x"].role == "given"
    later = rows(simulator, 40, 80)
    assert_equal(later, take(rows(simulator, 0, 96), slice(40, 80)))


@pytest.mark.parametrize("likelihood", ["likelihood", "batched"])
def test_rows_of_a_single_set_are_drawn_with_replacement(tmp_path, likelihood):
    fields = {"meta": "model.py:meta", "likelihood": f"model.py:{likelihood}"}
    data = rows(model(tmp_path, file="one.csv", size="N", **fields), 0, 640)
    np.testing.assert_array_equal(data["x"].row_size, data["N"])
    assert set(data["x"].values) == {x + 0.5 for x in range(20)}
    assert any(len(set(values)) < len(values) for values in as_sets(data["x"]))
    assert (data["site"] == 7).all()
    as_many = rows(model(tmp_path, file="one.csv", likelihood=fields["likelihood"]), 0, 64)
    assert (as_many["x"].row_size == 20).all()
    four = model(tmp_path, file="one.csv", likelihood=fields["likelihood"], size=4)
    assert (rows(four, 0, 64)["x"].row_size == 4).all()


@pytest.mark.parametrize("likelihood", ["likelihood", "batched"])
def test_a_file_is_taken_as_it_is_without_resampling(tmp_path, likelihood):
    fields = {"resample": False, "likelihood": f"model.py:{likelihood}"}
    data = rows(model(tmp_path, file="one.csv", **fields), 0, 64)
    assert set(as_sets(data["x"])) == {tuple(x + 0.5 for x in range(20))}


@pytest.mark.parametrize("likelihood", ["likelihood", "batched"])
def test_each_row_is_a_data_set_where_nothing_is_a_set(tmp_path, likelihood):
    simulator = model(tmp_path, file="rows.csv", kind=None, likelihood=f"model.py:{likelihood}")
    drawn = rows(simulator, 0, 3_200)["x"]
    shares = [(drawn == x).mean() for x in (0.25, 1.25, 2.25)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)


def test_what_is_taken_from_a_file_is_not_changed_by_a_function(tmp_path):
    simulator = model(tmp_path, file="sets.csv", likelihood="model.py:spoils")
    assert set(as_sets(rows(simulator, 0, 32)["x"])) == set(map(tuple, SETS.values()))


def test_what_a_file_cannot_give_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"Expected one data set in sets.csv.*got 4"):
        model(tmp_path, file="sets.csv", resample=False)
    with pytest.raises(SpecError, match=r"Expected a single set in sets.csv, to take 3"):
        model(tmp_path, file="sets.csv", size=3)
    with pytest.raises(SpecError, match=r"got 3 data sets, without a set or series"):
        model(tmp_path, file="rows.csv", kind=None, size=3)
    with pytest.raises(DataError, match=r"there is no such file"):
        model(tmp_path, file="absent.csv")
    (tmp_path / "bad.csv").write_text("x,the rate\n1,2\n")
    with pytest.raises(DataError, match=r"can't be an argument"):
        model(tmp_path, file="bad.csv")
    np.savez(tmp_path / "two.npz", x=np.zeros(3), y=np.zeros(4))
    with pytest.raises(SpecError, match=r"one length in two.npz.*got 3, 4 members"):
        model(tmp_path, file="two.npz")
    simulator = model(tmp_path, file="one.csv", size="N", meta={"N": {"normal": {}}})
    with pytest.raises(UserFunctionError, match=r"Expected a whole number of rows.*N = "):
        rows(simulator, 0, 2)


def test_a_run_keeps_its_design_and_is_trained_again_from_it(tmp_path):
    model(tmp_path, file="sets.csv")
    with (tmp_path / "spec.yaml").open("a") as spec:
        spec.write("\ntraining: {epochs: 1, num_batches: 2, batch_size: 8}\n")
    run = tmp_path / "run"
    budget = ("--jobs", 0, "-q")
    made = abi("train", tmp_path / "spec.yaml", "-o", run, *budget)
    assert made.exit_code == 0, made.output
    assert (run / "code" / "sets.csv").read_text() == TABLES["sets.csv"]
    for file in TABLES:
        (tmp_path / file).unlink()
    again = abi("train", run, "-o", tmp_path / "again", *budget)
    assert again.exit_code == 0, again.output
    losses = []
    for folder in (run, tmp_path / "again"):
        with (folder / "history.csv").open() as history:
            losses.append([row["loss"] for row in csv.DictReader(history)])
    assert losses[0] == losses[1]
    shown = abi("check", run)
    assert "x from code/sets.csv, one of its 4 data sets at random" in shown.stdout


def test_all_of_a_file_counts_as_seen_in_training(tmp_path):
    simulator = model(tmp_path, file="sets.csv")
    x = simulator.layout(rows(simulator, 0, 1))["x"]
    assert (x.low, x.high) == (1.5, 10.5)


def test_a_misspelt_column_of_the_file_is_named(tmp_path):
    model(tmp_path, file="rows.csv", kind=None)
    (tmp_path / "temps.csv").write_text("Temperature\n60\n70\n")
    text = (tmp_path / "spec.yaml").read_text().replace("rows.csv", "temps.csv")
    spec = tmp_path / "misspelt.yaml"
    spec.write_text(text + "data: {columns: {x: Temprature}}\n")
    with pytest.raises(DataError, match="expected the column Temprature") as refused:
        read_model(spec)
    assert refused.value.hint == "Did you mean Temperature?"
    spec.write_text(text + "data: {columns: {x: Temperature, y: Outcome}}\n")
    assert read_model(spec).simulator is not None
