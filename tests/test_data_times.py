"""Series are put in the order of their times, whatever the order of the file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.data import Naming, Part, read_datasets, read_several, read_simulations
from abi_cli.errors import DataError
from abi_cli.spec import parse_spec
from abi_cli.variables import Layout, Variable
from tests.cli import SPECS, abi

SERIES = Layout(
    (
        Variable("mu", "parameter", False, ()),
        Variable("cases", "observable", True, ()),
        Variable("noise", "observable", True, ()),
    )
)
TIMES = Naming(times={"cases": "day"})
TABLE = "dataset,day,cases,noise\na,3,30,1\nb,1,10,2\na,1,10,3\na,2.5,25,4\nb,0,0,5\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "data.csv").write_text(TABLE)
    return tmp_path / "data.csv"


def test_steps_are_sorted_within_their_series(table):
    loaded = read_datasets(table, SERIES, naming=TIMES)
    assert loaded.labels == ["a", "b"]
    assert loaded.notes == ()
    np.testing.assert_array_equal(loaded.datasets["cases"].values, [10, 25, 30, 0, 10])
    np.testing.assert_array_equal(loaded.datasets["noise"].values, [1, 3, 4, 2, 5])  # no time
    plain = read_datasets(table, SERIES)
    np.testing.assert_array_equal(plain.datasets["cases"].values, [30, 10, 25, 10, 0])


def test_objects_and_arrays_have_times_too(tmp_path):
    entry = {"dataset": "a", "day": [3, 1, 2], "cases": [30, 10, 20], "noise": [1, 2, 3]}
    (tmp_path / "data.jsonl").write_text(json.dumps(entry))
    arrays = {name: np.array(value) for name, value in entry.items() if name != "dataset"}
    np.savez(tmp_path / "data.npz", **arrays)
    for file in ("data.jsonl", "data.npz"):
        loaded = read_datasets(tmp_path / file, SERIES, naming=TIMES)
        np.testing.assert_array_equal(loaded.datasets["cases"].values, [10, 20, 30])


def test_simulations_to_learn_from_are_sorted(table):
    table.write_text(TABLE.replace("dataset,", "mu,dataset,").replace("\na", "\n1,a"))
    table.write_text(table.read_text().replace("\nb", "\n2,b"))
    stored = read_simulations(table, SERIES, naming=TIMES).datasets
    np.testing.assert_array_equal(stored["cases"].values, [10, 25, 30, 0, 10])


def test_a_file_of_one_variable_has_its_times(tmp_path):
    (tmp_path / "cases.csv").write_text("dataset,day,cases\na,2,20\na,1,10\n")
    (tmp_path / "noise.csv").write_text("dataset,noise\na,1\na,2\n")
    parts = [Part(tmp_path / f"{name}.csv", name) for name in ("cases", "noise")]
    loaded = read_several(parts, SERIES, naming=TIMES)
    np.testing.assert_array_equal(loaded.datasets["cases"].values, [10, 20])


def test_without_times_the_order_stays_and_that_is_said(table):
    table.write_text("dataset,cases,noise\na,30,1\na,10,2\n")
    loaded = read_datasets(table, SERIES, naming=TIMES)
    np.testing.assert_array_equal(loaded.datasets["cases"].values, [30, 10])
    assert loaded.notes == (f"{table}: no day: the steps of cases stay in order",)


REFUSED = {
    "twice": (
        TABLE.replace("a,2.5", "a,3"),
        "expected each day of a series once; got 3 twice in data set a",
    ),
    "a gap": (TABLE.replace("a,2.5", "a,"), "expected a number; got an empty cell"),
    "a date": (TABLE.replace("a,2.5", "a,2020-01-01"), "expected a number; got '2020-01-01'"),
}


@pytest.mark.parametrize(
    "days",
    [("2024-02-01", "2024-01-31", "2023-12-31"), ("2024-01-01T12:30", "2024-01-01", "1999-01-01")],
)
def test_dates_are_times(days, tmp_path):
    rows = "".join(f"a,{day},{value}\n" for day, value in zip(days, (30, 20, 10), strict=True))
    table = tmp_path / "data.csv"
    table.write_text(f"dataset,day,cases\n{rows}")
    layout = Layout((Variable("cases", "observable", True, ()),))
    loaded = read_datasets(table, layout, naming=TIMES)
    np.testing.assert_array_equal(loaded.datasets["cases"].values, [10, 20, 30])
    objects = tmp_path / "data.jsonl"
    objects.write_text(json.dumps({"day": days, "cases": [30, 20, 10]}))
    loaded = read_datasets(objects, layout, naming=TIMES)
    np.testing.assert_array_equal(loaded.datasets["cases"].values, [10, 20, 30])


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_times_that_are_none_are_refused(text, message, table):
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        read_datasets(table, SERIES, naming=TIMES)


def test_a_spec_says_it_of_series_alone(tmp_path):
    text = (SPECS / "regression.yaml").read_text()
    series = text + "observables: {x: {kind: series, time: day}, y: {kind: series, time: day}}\n"
    assert parse_spec(series).times() == {"x": "day", "y": "day"}
    (tmp_path / "spec.yaml").write_text(series.replace("x: {kind: series", "x: {kind: set"))
    result = abi("check", tmp_path / "spec.yaml")
    assert result.exit_code == 3
    assert "expected a time of a series; got one of a set" in result.stderr
