"""Observed data among simulated ones: what the guard says, the map, posteriors near them."""

import csv
import json

import numpy as np
import pytest

from abi_cli.diagnostics import Inputs, Summaries, diagnose, flatten, measure
from abi_cli.listener import Listener
from tests.cli import abi
from tests.diagnostics_examples import posterior, read


def summaries(rng, rows):
    """Correlated, of very different scales, one of them always the same."""
    z = rng.standard_normal((rows, 3))
    mixed = z @ np.array([[1.0, 0.8, 0.1], [0.0, 0.5, 0.2], [0.0, 0.0, 1e-3]])
    return np.concatenate([mixed, np.full((rows, 1), 7.0)], axis=1)


def test_what_the_guard_says_is_said_and_shown(tmp_path):
    rng = np.random.default_rng(3)
    draws, truth = posterior(datasets=40, draws=30)
    simulated = summaries(rng, 400)
    observed = {"good": simulated[5], "odd": simulated.max(axis=0) * 5}
    seen = Summaries(simulated, observed, {"good": 0.5, "odd": 0.002}, "odd looks odd.")
    inputs = Inputs({"theta": draws}, {"theta": truth}, summaries=seen)
    metrics = diagnose(inputs, tmp_path, listener=Listener())
    assert metrics.observed == {"good": 0.5, "odd": 0.002}
    assert "odd looks odd." in metrics.notes
    page = (tmp_path / "report.html").read_text()
    assert "odd looks odd." in page
    assert '<td data-label="data set">good</td><td data-label="p">0.500</td>' in page
    with (tmp_path / "figures" / "summary_map.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["dataset"] for row in rows if row["what"] == "observed"] == ["good", "odd"]
    simulated_map = np.array(
        [[float(r["first"]), float(r["second"])] for r in rows if r["what"] == "simulated"]
    )
    np.testing.assert_allclose(simulated_map.std(axis=0), 1, rtol=1e-6)


def test_a_run_is_asked_about_real_data(small_run, tmp_path):
    data = tmp_path / "data.csv"
    rng = np.random.default_rng(0)
    x = rng.normal(size=10)
    rows = ["dataset,x,y"]
    rows += [f"usual,{a},{1 + 2 * a + 0.3 * rng.normal()}" for a in x]
    rows += [f"wild,{a},{1e4 * a}" for a in x]
    data.write_text("\n".join(rows))
    arguments = ("--datasets", 60, "--draws", 20, "-j", 0, "-o", tmp_path / "out")
    result = abi("diagnose", small_run, "--observed", data, *arguments)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["observed"]
    assert found["wild"] < 0.001 < found["usual"]
    assert result.stderr.count("unlike the simulations") == 1
    assert "Observed data: 1 of 2 data sets looks unlike the simulations: wild" in result.stderr
    result = abi("diagnose", small_run, "--near", data, *arguments, "--force")
    assert result.exit_code == 0, result.stderr
    assert "near usual, 60 data sets, width by ranks" in result.stdout
    near = json.loads((tmp_path / "out" / "metrics.json").read_text())["near"]
    assert near["wild"].keys() == {"beta[0]", "beta[1]", "sigma"}
    both = abi("diagnose", small_run, "--near", data, "--observed", data, *arguments, "--force")
    assert both.exit_code == 2


def test_posteriors_are_judged_near_observed_data():
    """Too wide where the summary is large alone: found near an observed one there alone."""
    rng = np.random.default_rng(6)
    y = rng.normal(size=2_000)
    truth = y + rng.normal(size=2_000)
    width = np.where(y > 1.2, 1.8, 1.0)[:, None]
    draws = y[:, None] + width * rng.normal(size=(2_000, 200))
    summaries = Summaries(
        np.stack([y, rng.normal(size=2_000)], axis=1),
        {"here": np.array([2.0, 0.0]), "there": np.array([-1.0, 0.0])},
    )
    near = summaries.nearest()
    assert {label: len(index) for label, index in near.items()} == {"here": 200, "there": 200}
    assert y[near["here"]].mean() > 1 > 0 > y[near["there"]].mean()
    scalars = flatten({"t": draws}, {"t": truth}, labels={})
    metrics = measure(scalars, read(scalars), near=near)
    assert metrics.near["here"]["t"].sd_ratio > 1.4
    assert metrics.near["there"]["t"].sd_ratio == pytest.approx(1, abs=0.15)
    assert "too wide" in metrics.verdict.sentence
    assert metrics.verdict.parameters["t"].reason.endswith(" near here")
