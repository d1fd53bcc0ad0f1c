"""Values that are missing: left out of simulations, told to the networks, read from files."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest
from scipy import stats

from abi_cli.adapter import Adapter, AdapterError, network_inputs
from abi_cli.data import Naming, read_datasets
from abi_cli.data.meanings import Missing
from abi_cli.errors import DataError
from abi_cli.listener import Listener
from abi_cli.model.gaps import with_gaps
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.spec import parse_spec
from abi_cli.variables import Layout, Ragged, Variable, take
from abi_cli.workflow.learning.stored import stored_simulations
from abi_cli.workflow.request import read_model
from tests.adapter_examples import step
from tests.cli import abi
from tests.model_tasks import assert_equal, train_rows

CODE = """
def likelihood(mu, N, rng):
    return {"x": rng.normal(size=(N, 2)), "y": rng.normal(mu, size=N), "z": rng.normal(mu)}
"""
SPEC = """
name: gaps
model:
  meta: {N: {integers: {low: 4, high: 9}}}
  prior: {mu: normal}
  likelihood: model.py:likelihood
observables: {x: {kind: set}, y: {kind: set}}
missing: {y: 0.2, x: 0.1}
training: {epochs: 1, num_batches: 4}
"""


def simulator(folder, *overrides, code=CODE):
    (folder / "model.py").write_text(code)
    return Simulator.from_spec(parse_spec(SPEC, overrides=overrides), folder)


def gaps_of(value):
    return np.isnan(value.values if isinstance(value, Ragged) else value)


def test_values_are_left_out_at_their_rate_and_nothing_else_changes(tmp_path):
    data = train_rows(simulator(tmp_path), 0, 3000)
    full = train_rows(simulator(tmp_path, "missing={}"), 0, 3000)
    for name, rate in (("y", 0.2), ("x", 0.1)):
        gaps = gaps_of(data[name])
        share = gaps.reshape(len(gaps), -1).mean(axis=1)
        size = data[name].row_size
        means = np.add.reduceat(share, np.cumsum(size) - size) / size
        assert stats.ttest_1samp(means, rate).pvalue > 1e-3
        np.testing.assert_array_equal(data[name].values[~gaps], full[name].values[~gaps])
    assert not gaps_of(data["z"]).any()
    np.testing.assert_array_equal(data["N"], full["N"])


def gaps_in(rate, *, sets=4000, size=50, series=()):
    value = Ragged(np.zeros((sets * size, 2)), np.full(sets, size))
    data = with_gaps(
        {"y": value}, {"y": rate}, seed=1, purpose=Purpose.TRAIN, start=0, series=series
    )
    return np.isnan(data["y"].values).reshape(sets, size, 2)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_every_share_from_none_upwards_is_seen(rate):
    share = gaps_in(rate).mean(axis=(1, 2))
    assert stats.ttest_1samp(share, rate).pvalue > 1e-3
    complete = np.mean(share == 0)
    assert complete > 0.9 * 0.2 * (1 - rate)
    ends = np.histogram(share[share > 0], bins=(0, rate / 2, rate, 1))[0]
    assert (ends > 0.1 * len(share)).all()


def test_given_its_share_every_number_of_a_data_set_is_missing_alike():
    gaps = gaps_in((0.3, 0.3))
    assert stats.binomtest(int(gaps.sum()), gaps.size, 0.3).pvalue > 1e-3
    pairs = (gaps[:, 1:] & gaps[:, :-1]).sum()
    assert stats.binomtest(int(pairs), gaps[:, 1:].size, 0.09).pvalue > 1e-3
    assert abs(np.corrcoef(gaps.reshape(-1, 2).T)[0, 1]) < 0.01


def test_a_range_of_shares_is_kept():
    share = gaps_in((0.2, 0.4), size=2000, sets=300).mean(axis=(1, 2))
    assert stats.kstest(share, stats.uniform(0.2, 0.2).cdf).pvalue > 1e-3


def test_gaps_of_series_come_in_blocks_too():
    one = gaps_in((0.2, 0.2), series=("y",))[:, :, 0]
    assert abs(one.mean() - 0.2) < 0.01
    joined = (one[:, 1:] & one[:, :-1]).mean(axis=1)
    assert np.mean(joined > 0.1) > 0.2
    assert np.mean(joined < 0.06) > 0.3


def test_blocks_of_gaps_may_have_begun_before_the_series():
    one = gaps_in((0.2, 0.2), series=("y",), sets=20_000, size=20)[:, :, 0]
    joined = (one[:, 1:] & one[:, :-1]).mean(axis=0)
    assert joined[0] == pytest.approx(joined.mean(), abs=0.01)


def test_gaps_depend_on_their_row_alone(tmp_path):
    model = simulator(tmp_path)
    assert_equal(train_rows(model, 40, 70), take(train_rows(model, 0, 96), slice(40, 70)))
    other = model.simulate(seed=7, purpose=Purpose.DIAGNOSE, start=0, stop=96)
    assert (gaps_of(other["y"])[:300] != gaps_of(train_rows(model, 0, 96)["y"])[:300]).any()


def test_whole_numbers_may_be_missing_too():
    rates = {"k": (0.5, 0.5)}
    data = with_gaps({"k": np.arange(1000)}, rates, seed=1, purpose=Purpose.PILOT, start=0)
    assert 400 < np.isnan(data["k"]).sum() < 600


def test_a_likelihood_may_leave_values_out_itself(tmp_path):
    code = CODE.replace(
        '"y": rng.normal(mu, size=N)',
        '"y": [v if v < 1 else float("nan") for v in rng.normal(mu, size=N)]',
    )
    data = train_rows(simulator(tmp_path, "missing={y: null}", code=code), 0, 200)
    assert gaps_of(data["y"]).any()
    assert np.nanmax(data["y"].values) < 1


PILOT = {
    "mu": np.random.default_rng(1).normal(size=40),
    "z": np.where(np.arange(40) % 4, np.random.default_rng(2).normal(5, 2, size=40), np.nan),
    "y": Ragged(
        np.where(np.arange(120) % 3, np.random.default_rng(3).normal(3, 2, size=120), np.nan),
        np.full(40, 3),
    ),
    "x": Ragged(np.random.default_rng(4).normal(size=(120, 2)), np.full(40, 3)),
}
STEPS = (
    step("as_set", keys=["x", "y"]),
    step("standardize"),
    step("rename", **{"from": "mu", "to": "inference_variables"}),
    step("concatenate", keys=["x", "y"], into="summary_variables"),
    step("rename", **{"from": "z", "to": "inference_conditions"}),
)


def test_the_networks_are_told_what_is_missing():
    adapter = Adapter.fit(STEPS, PILOT, missing=("y", "z"))
    adapted = adapter.forward(PILOT)
    summary = adapted["summary_variables"].values
    assert summary.shape == (120, 4)
    gaps = np.isnan(PILOT["y"].values)
    np.testing.assert_array_equal(summary[:, 3], gaps)
    assert (summary[gaps, 2] == 0).all()
    known = summary[~gaps, 2]
    assert (known.mean(), known.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    np.testing.assert_array_equal(adapted["inference_conditions"][:, 1], np.isnan(PILOT["z"]))
    assert all(np.isfinite(array).all() for array in network_inputs(adapted).values())
    again = Adapter.from_config(adapter.to_config()).forward(PILOT)
    assert_equal(again, adapted)


def test_a_pilot_without_gaps_leaves_room_for_them():
    full = dict(PILOT)
    full["y"] = Ragged(np.nan_to_num(PILOT["y"].values, nan=1.5), PILOT["y"].row_size)
    adapter = Adapter.fit(STEPS, full, missing=("y", "z"))
    assert adapter.forward(full)["summary_variables"].values.shape == (120, 4)
    assert adapter.forward(PILOT)["summary_variables"].values[:, 3].any()


def test_nothing_else_may_be_missing():
    adapter = Adapter.fit(STEPS, PILOT, missing=("y", "z"))
    with pytest.raises(AdapterError, match="Expected numbers in z; got NaN in data set 0"):
        Adapter.fit(STEPS, PILOT, missing=("y",))
    x = PILOT["x"].values.copy()
    x[10, 1] = np.nan
    with pytest.raises(AdapterError, match="Expected numbers in x; got NaN in data set 3") as error:
        adapter.forward({**PILOT, "x": Ragged(x, PILOT["x"].row_size)})
    assert error.value.row == 3


def test_parameters_are_not_made_of_what_may_be_missing():
    steps = (*STEPS[:2], step("concatenate", keys=["mu", "z"], into="inference_variables"))
    with pytest.raises(AdapterError, match="Expected parameters that are never missing"):
        Adapter.fit(steps, PILOT, missing=("y", "z"))


LAYOUT = Layout(
    (
        Variable("x", "observable", ragged=True, event=()),
        Variable("y", "observable", ragged=True, event=(), missing=True),
    )
)


@pytest.mark.parametrize("cell", ["", "NA", "nan", "null", "."])
def test_missing_cells_are_read_where_they_may_be(cell, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(f"x,y\n1,2\n3,{cell}\n")
    np.testing.assert_array_equal(read_datasets(path, LAYOUT).datasets["y"].values, [2, np.nan])
    path.write_text(f"x,y\n1,2\n{cell},3\n")
    with pytest.raises(DataError, match=r"missing value|empty cell"):
        read_datasets(path, LAYOUT)


def test_other_words_for_missing_are_the_specs(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,y\n1,2\n3,-99\n")
    data = read_datasets(path, LAYOUT, naming=Naming(missing=Missing.of(["-99"]))).datasets
    np.testing.assert_array_equal(data["y"].values, [2, np.nan])
    path.write_text("x,y\n1,2\n3,lost\n")
    with pytest.raises(DataError, match="got 'lost'"):
        read_datasets(path, LAYOUT)


def test_null_is_missing_in_json(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"x": [1, 2], "y": [null, 3]}\n')
    data = read_datasets(path, LAYOUT).datasets
    np.testing.assert_array_equal(data["y"].values, [np.nan, 3])
    path.write_text('{"x": [1, null], "y": [2, 3]}\n')
    with pytest.raises(DataError):
        read_datasets(path, LAYOUT)


def test_stored_simulations_get_the_gaps_that_they_lack(tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    file = tmp_path / "data.npz"
    only_y = ("-s", "missing={y: 0.2}")
    simulated = abi("simulate", tmp_path / "spec.yaml", "-n", 500, *only_y, "-o", file)
    assert simulated.exit_code == 0, simulated.output
    model = read_model(tmp_path / "spec.yaml")
    told = []
    listener = Listener()
    listener.note = told.append
    stored = stored_simulations(file, model, seed=1, listener=listener)
    assert gaps_of(stored["x"]).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(stored["y"].values, np.load(file)["y"])
    (note,) = told
    assert "leaves out 0.1 of x, as" in note


FUSED = """
adapter:
  - as_set: [x]
  - as_time_series: [y]
  - rename: {from: mu, to: inference_variables}
  - group: {keys: [x, y], into: summary_variables}
networks: {summary: {fusion: {networks: {x: deep_set, y: time_series}}}}
"""


def test_values_may_be_missing_in_a_group(tmp_path):
    model = simulator(tmp_path)
    data = train_rows(model, 0, 50)
    spec = parse_spec(SPEC.replace("y: {kind: set}", "y: {kind: series}") + FUSED)
    adapted = Adapter.fit(spec.adapter, data, missing={"x", "y"}).forward(data)
    for name, features in (("x", 2), ("y", 1)):
        told = adapted[f"summary_variables.{name}"].values
        gaps = gaps_of(data[name]).reshape(-1, features)
        np.testing.assert_array_equal(told[:, features:], gaps)
        assert not told[:, :features][gaps].any()


def test_a_group_with_gaps_is_trained_and_sampled(tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("y: {kind: set}", "y: {kind: series}") + FUSED)
    data, run = tmp_path / "data.npz", tmp_path / "run"
    for command in (
        ("train", spec, "-o", run, "-j", 0),
        ("simulate", spec, "-n", 3, "-o", data),
        ("sample", run, data, "-n", 2, "--format", "csv"),
    ):
        done = abi(*command)
        assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 7
    assert "nan" not in done.stdout


def test_a_model_with_gaps_is_checked_trained_and_sampled(tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    checked = abi("check", spec)
    assert checked.exit_code == 0, checked.output
    assert re.search(r"(1[5-9]|2[0-5])[.]\d%", checked.stdout)
    assert "missing" in checked.stdout
    run = tmp_path / "run"
    trained = abi("train", spec, "-o", run, "-j", 0)
    assert trained.exit_code == 0, trained.output
    for suffix in ("csv", "jsonl", "npz"):
        data = tmp_path / f"data.{suffix}"
        simulated = abi("simulate", spec, "-n", 3, "-o", data)
        assert simulated.exit_code == 0, simulated.output
        sampled = abi("sample", run, data, "-n", 2, "--format", "csv")
        assert sampled.exit_code == 0, sampled.output
        rows = list(csv.DictReader(io.StringIO(sampled.stdout)))
        if suffix == "csv":
            first = rows
        assert rows == first
    assert len(first) == 6
    assert abi("diagnose", run, "--datasets", 100).exit_code == 0


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("missing={w: 0.1}", "E202: Expected variables of the model"),
        ("missing={mu: 0.1}", "E202: Expected a variable that data have"),
        ("missing={y: 1}", "E106: Expected a number below 1"),
    ],
)
def test_what_cannot_be_missing_is_refused(override, said, tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    refused = abi("check", tmp_path / "spec.yaml", "-s", override)
    assert refused.exit_code == 3
    assert said in refused.stderr
