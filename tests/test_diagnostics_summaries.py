"""Whether observed data are like simulated ones, by the network's summaries."""

import csv
import json

import numpy as np
import pytest

from abi_cli.diagnostics import Inputs, Summaries, diagnose, flatten, measure
from abi_cli.diagnostics.summaries import likeness
from abi_cli.listener import Listener
from tests.cli import abi
from tests.diagnostics_examples import posterior, read


def summaries(rng, rows):
    """Correlated, of very different scales, one of them always the same."""
    z = rng.standard_normal((rows, 3))
    mixed = z @ np.array([[1.0, 0.8, 0.1], [0.0, 0.5, 0.2], [0.0, 0.0, 1e-3]])
    return np.concatenate([mixed, np.full((rows, 1), 7.0)], axis=1)


def test_data_of_the_model_have_uniform_p_values():
    rng = np.random.default_rng(1)
    observed = {str(n): row for n, row in enumerate(summaries(rng, 2_000))}
    p = np.array(list(Summaries(summaries(rng, 4_000), observed).typicality().values()))
    assert np.abs(np.quantile(p, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.035


def test_what_is_far_out_in_a_direction_of_little_variance_is_found():
    rng = np.random.default_rng(2)
    simulated = summaries(rng, 1_000)
    odd = simulated[0].copy()
    odd[2] += 0.02  # 0.2 of its own sds, but nothing of it is explained by the others
    inside = simulated.mean(axis=0)
    p = Summaries(simulated, {"odd": odd, "inside": inside}).typicality()
    assert p["odd"] == 1 / 1_001  # never 0: it might be one of them
    assert p["inside"] > 0.99


def test_unlike_data_are_said_and_shown(tmp_path):
    rng = np.random.default_rng(3)
    draws, truth = posterior(datasets=40, draws=30)
    simulated = summaries(rng, 400)
    seen = Summaries(simulated, {"good": simulated[5], "odd": simulated.max(axis=0) * 5})
    inputs = Inputs({"theta": draws}, {"theta": truth}, summaries=seen)
    metrics = diagnose(inputs, tmp_path, listener=Listener())
    assert metrics.observed["odd"] < 0.01 < metrics.observed["good"]
    (told,) = [note for note in metrics.notes if note.startswith("Observed data are unlike")]
    assert "1 of 2 data sets have p < 0.01, chance alone gives 0.02 of 2: odd (p = 0.002)." in told
    page = (tmp_path / "report.html").read_text()
    assert "Observed data are unlike those that the model makes: 1 of 2 data sets" in page
    assert f"<tr><td>good</td><td>{metrics.observed['good']:.3f}</td></tr>" in page
    with (tmp_path / "figures" / "summary_map.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["dataset"] for row in rows if row["what"] == "observed"] == ["good", "odd"]
    simulated_map = np.array(
        [[float(r["first"]), float(r["second"])] for r in rows if r["what"] == "simulated"]
    )
    np.testing.assert_allclose(simulated_map.std(axis=0), 1, rtol=1e-6)


def test_what_is_told_of_observed_data_is_one_line_and_held_against_chance():
    rng = np.random.default_rng(1)
    usual = {str(n): p for n, p in enumerate(rng.uniform(0.0005, 1, size=8_526))}
    few = sum(p < 0.01 for p in usual.values())
    assert likeness(usual) == (
        f"Observed data are like those that the model makes: {few} of 8,526 data sets have "
        "p < 0.01; chance alone gives 85 of 8,526.",
    )
    (told,) = likeness({**usual, **{f"odd{n}": 0.001 for n in range(400)}})
    assert told.startswith(
        f"Observed data are unlike those that the model makes: {few + 400} of 8,926 data sets have "
        "p < 0.01, chance alone gives 89 of 8,926: "
    )
    assert f"and {few + 397} more, in metrics.json. The network was not trained on" in told
    assert len(told) < 400
    assert likeness({}) == ()
    assert likeness({"a": 0.5}) == (
        "Observed data are like those that the model makes: 0 of 1 data sets have p < 0.01; chance "
        "alone gives 0.01 of 1.",
    )
    assert "unlike" in likeness({"a": 0.001})[0]
    assert "unlike" not in likeness({**dict.fromkeys("bcdefghijk", 0.5), "a": 0.009})[0]


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
    assert found["wild"] == 1 / 61 < found["usual"]
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
