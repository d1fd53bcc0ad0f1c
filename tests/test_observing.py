"""Real data beside a model that has not been trained yet."""

from __future__ import annotations

import json

import pytest

from tests.cli import ANSCOMBE, SPECS, abi


def test_real_data_that_fit_are_shown_beside_simulated_ones():
    checked = abi("check", SPECS / "regression.yaml", "--observed", ANSCOMBE, "--json")
    assert checked.exit_code == 0, checked.output
    observed = json.loads(checked.stdout)["observed"]
    assert observed["datasets"] == 4
    found = {one["name"]: one for one in observed["elements"]}
    assert found.keys() == {"N", "x", "y"}
    assert (found["x"]["members"], found["N"]["low"], found["N"]["high"]) == ("11", 11, 11)
    shown = abi("check", SPECS / "regression.yaml", "--observed", ANSCOMBE).stdout
    assert "4 data sets in " in shown
    assert "simulated max" in shown


def test_a_unit_that_the_model_does_not_know_is_told(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("x,y\n" + "".join(f"0.{i},{1e5 + i}\n" for i in range(8)))
    checked = abi("check", SPECS / "regression.yaml", "--observed", data)
    assert checked.exit_code == 0
    assert "warning: y: 100% of the values" in checked.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [("x,z\n1,2\n", "expected the column y"), ("x,y\n1,two\n", "row 2, column y")],
)
def test_real_data_that_do_not_fit_are_refused_as_sample_does(text, said, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text(text)
    checked = abi("check", SPECS / "regression.yaml", "--observed", data)
    assert checked.exit_code == 4
    assert said in checked.stderr
