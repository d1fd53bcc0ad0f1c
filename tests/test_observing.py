"""Real data beside a model that has not been trained yet."""

from __future__ import annotations

import json

import pytest

from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.workflow.checking.observing import observe
from abi_cli.workflow.request import read_model
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
    assert "warning: y: 100 % of the values" in checked.stdout


def test_what_the_prior_could_not_have_made_is_told_before_any_training():
    """Where a second is enough to simulate 500 data sets, as on any machine that is not busy."""
    model = read_model(SPECS / "regression.yaml")
    rows = model.need_simulator().simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=1_024)
    observed = observe(ANSCOMBE, model, model.layout(rows), rows, adapter=None, listener=Listener())
    (told,) = [one.message for one in observed.findings]
    assert "of 4 data sets look unlike the simulations" in told
    assert told.startswith("2 of 4")
    assert "IV (skewness of x 2.846, simulated −" in told


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
