"""No draw, estimate or density that is not finite leaves: its data set is refused by its place."""

from __future__ import annotations

import numpy as np
import pytest

import abi_cli
from abi_cli.adapter.step import AdapterError
from abi_cli.data import Loaded
from abi_cli.data.datasets import read_datasets
from abi_cli.data.several import Part, read_several
from abi_cli.errors import DataError
from abi_cli.variables import Layout
from abi_cli.workflow.opened.refusing import refusing
from tests.cli import abi
from tests.data_examples import LINE

X = [0.0, 0.1, 0.2, 0.3, 0.4]
FILL = 9.96921e36
"""netCDF's fill value."""


@pytest.fixture
def table(tmp_path):
    """A table of two data sets, with one cell in line 8 that stands for nothing."""
    path = tmp_path / "data.csv"
    rows = [f"{label},{x},{y}" for label in "ab" for y, x in enumerate(X)]
    rows[6] = f"b,0.1,{FILL}"
    path.write_text("dataset,x,y\n" + "\n".join(rows) + "\n")
    return path


SAID = "row 8, column y: expected a number like those simulated, "


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "-n", 5, "--format", "csv"),
        ("sample", "-n", 5, "--points", "mean"),
        ("sample", "-n", 5, "--grouped", "--format", "csv"),
        ("estimate", "-n", 5),
        ("predict", "-n", 5),
    ],
    ids=lambda command: "-".join(map(str, command[::2])),
)
def test_a_data_set_without_finite_posterior_is_refused(small_run, table, tmp_path, command):
    name, *options = command
    result = abi(name, small_run, table, *options, "-q", "-o", tmp_path / "out.csv")
    assert result.exit_code == 4, result.output
    assert SAID in result.stderr
    assert "got 9.96921e+36: data set b has no posterior of finite numbers" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_density_that_is_none_is_refused(small_run, table, tmp_path):
    at = tmp_path / "at.csv"
    at.write_text("dataset,beta[0],beta[1],sigma\na,0,0,1\nb,0,0,1\n")
    result = abi("log-prob", small_run, table, "--at", at)
    assert (result.exit_code, result.stdout) == (4, "")
    assert SAID in result.stderr
    table.write_text(table.read_text().replace(str(FILL), "1"))
    at.write_text(at.read_text().replace("b,0,0,1", "b,0,1e300,1"))
    result = abi("log-prob", small_run, table, "--at", at)
    assert result.exit_code == 4
    assert f"{at}: Expected finite numbers in inference_variables" in result.stderr


def test_from_python(small_run, table):
    posterior = abi_cli.load(small_run)
    for ask in (posterior.sample, posterior.estimate):
        with pytest.raises(DataError, match=SAID.split(":")[0]):
            ask(table, draws=5)
    frame = {"x": X, "y": [1, 2, 3, 4, 1e30]}
    with pytest.raises(DataError, match="row 6, column y"):
        posterior.log_prob(frame, {"beta[0]": [0.0], "beta[1]": [0.0], "sigma": [1.0]})


def test_what_single_precision_has_no_room_for_is_an_error_of_data(small_run, table):
    """It was one of the spec, without a place in the file."""
    table.write_text(table.read_text().replace(str(FILL), "1e60"))
    result = abi("sample", small_run, table, "-n", 5, "--format", "csv")
    assert result.exit_code == 4
    assert f"{table}, row 8, column y: expected" in result.stderr


@pytest.mark.parametrize("suffix", ["jsonl", "npz", "json"])
def test_the_place_is_named_in_every_format(small_run, table, tmp_path, suffix):
    other = tmp_path / f"data.{suffix}"
    converted = abi("convert", table, other, "--kind", "data", "-q")
    assert converted.exit_code == 0, converted.output
    result = abi("sample", small_run, other, "-n", 5, "-o", tmp_path / "out.csv", "-q")
    place = {
        "jsonl": "line 2, y[1]",
        "npz": "data set at index 1, y[1]",
        "json": "item 2, y[1]",
    }[suffix]
    assert result.exit_code == 4, result.output
    assert f"{other}, {place}: expected a number like" in result.stderr


def test_draws_that_overflow_are_not_written(small_run, table, tmp_path, monkeypatch):
    """Also where data are like the simulations, and the network alone is to blame."""
    table.write_text(table.read_text().replace(str(FILL), "1"))
    back = Layout.parameters_of

    def overflowing(self, parameters, shape):
        values = back(self, parameters, shape)
        values["sigma"][1, 2] = np.inf
        return values

    monkeypatch.setattr(Layout, "parameters_of", overflowing)
    result = abi("sample", small_run, table, "-n", 5, "-o", tmp_path / "out.csv", "-q")
    assert result.exit_code == 4
    assert f"{table}, row 7: data set b has no posterior of finite numbers" in result.stderr
    assert not (tmp_path / "out.csv").exists()
    diagnosed = abi("diagnose", small_run, "--datasets", 10, "-n", 10, "-j", 0)
    assert diagnosed.exit_code == 6, diagnosed.output
    assert "simulated by the run's own model" in diagnosed.stderr


def cells(loaded: Loaded) -> dict[tuple[str, float], str]:
    """Every number of data sets with where it is."""
    return {
        (name, float(array[at])): loaded.cell(name, tuple(map(int, at)))
        for name, value in loaded.datasets.items()
        for array in [getattr(value, "values", value)]
        for at in np.ndindex(array.shape)
    }


def test_cells_are_those_of_the_file_whatever_their_order(tmp_path):
    (tmp_path / "one.csv").write_text("y,dataset,x\n10,b,1\n20,a,2\n30,b,3\n")
    found = cells(read_datasets(tmp_path / "one.csv", LINE))
    assert found["x", 1.0].endswith("one.csv, row 2, column x")
    assert found["y", 20.0].endswith("one.csv, row 3, column y")
    assert found["x", 3.0].endswith("one.csv, row 4, column x")
    (tmp_path / "x.csv").write_text("dataset,x\na,1\nb,2\nb,3\n")
    (tmp_path / "y.csv").write_text("dataset,y\nb,4\na,5\nb,6\n")
    found = cells(read_several([Part(tmp_path / "x.csv"), Part(tmp_path / "y.csv")], LINE))
    assert found["x", 1.0].endswith("x.csv, row 2, column x")
    assert found["y", 5.0].endswith("y.csv, row 3, column y")
    assert found["y", 6.0].endswith("y.csv, row 4, column y")
    (tmp_path / "A.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "B.csv").write_text("x,y\n5,6\n")
    each = read_several([Part(tmp_path / "B.csv"), Part(tmp_path / "A.csv")], LINE, each=True)
    assert cells(each)["y", 4.0].endswith("A.csv, row 3, column y")
    assert cells(each)["x", 5.0].endswith("B.csv, row 2, column x")


def test_what_a_step_refuses_is_the_fault_of_the_data():
    loaded = Loaded([*"ab"], {}, (), place=lambda row: f"d.csv, row {row}", cell=lambda *_: "")
    with pytest.raises(DataError) as found, refusing(loaded, Layout(())):
        raise AdapterError("Expected 2 axes; got 3", place="adapter.0")
    assert (found.value.exit_code, found.value.place) == (4, "d.csv, row 0")


@pytest.mark.parametrize("command", [("diagnose", "-n", 20), ("compare",)], ids=lambda c: c[0])
def test_a_file_of_simulations_is_to_blame_for_what_is_in_it(small_run, tmp_path, command):
    sims = tmp_path / "sims.csv"
    rows = [f"{k},1,1,1,0.{x},{x}" for k in range(4) for x in range(5)]
    rows[7] = f"1,1,1,1,0.1,{FILL}"
    sims.write_text("dataset,beta[0],beta[1],sigma,x,y\n" + "\n".join(rows) + "\n")
    name, *options = command
    runs = [small_run] * (2 if name == "compare" else 1)
    result = abi(name, *runs, "--data", sims, *options, "-q")
    assert result.exit_code == 4, result.output
    assert str(sims) in result.stderr
