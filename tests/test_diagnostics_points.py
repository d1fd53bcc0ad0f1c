"""Point estimates, held against the truths that they are estimates of."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from scipy import stats

from abi_cli.diagnostics import measure_points
from abi_cli.errors import DataError
from tests.cli import SMALL, SPECS, abi

NAMES = ("mean", "sd", "median", "q5", "q95")


def estimates(*, shift=0.0, width=1.0, datasets=4_000, names=NAMES):
    """Of N(0, 1) given y ~ N(θ, 0.5²), off by `shift` posterior sds and a factor `width`."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(datasets)
    y = truth + 0.5 * rng.standard_normal(datasets)
    sd = 5**-0.5
    centre = 0.8 * y + shift * sd
    level = {"median": 0.5, "q5": 0.05, "q95": 0.95, "q30": 0.3}
    values = [
        centre
        if name == "mean"
        else np.full(datasets, width * sd)
        if name == "sd"
        else np.full(datasets, (width * sd) ** 2)
        if name == "variance"
        else centre + width * sd * stats.norm.ppf(level.get(name, 0.5))
        for name in names
    ]
    return {"mu": np.stack(values, axis=1)}, {"mu": truth}


def judged(names=NAMES, **how):
    return measure_points(names, *estimates(names=names, **how), labels={})


def test_exact_estimates_pass():
    found = judged()
    assert found.verdict.outcome.value == "pass", found.verdict.sentence
    own = found.parameters["mu"]
    for name, expected in {"mean": 0, "sd": 1, "median": 0.5, "q5": 0.05, "q95": 0.95}.items():
        assert own[name].expected == expected
        assert own[name].interval[0] - 0.01 < expected < own[name].interval[1] + 0.01
    assert found.nrmse["mu"] == pytest.approx(5**-0.5, abs=0.01)


@pytest.mark.parametrize(
    ("how", "names", "says"),
    [
        ({"shift": 0.3}, NAMES, r"mu is 0\.[23]\d sd too high in its mean \(p = "),
        ({"shift": -0.3}, NAMES, r"mu is 0\.[23]\d sd too low in its mean \(p = "),
        ({"width": 0.7}, ("mean", "sd"), r"mu is (29|3[01]) % too small in its sd \(p = "),
        ({"width": 1.5}, ("mean", "variance"), r"mu is (49|5[01]) % too large in its sd \(p = "),
        (
            {"width": 0.6},
            ("q5", "q95"),
            r"mu is off in its q5, with 1\d\.\d % of the truths below it, not 5 % ",
        ),
        (
            {"shift": 0.3},
            ("median",),
            r"mu is off in its median, with 6\d\.\d % of the truths below it, not 50 %",
        ),
    ],
)
def test_what_is_off_fails(how, names, says):
    verdict = judged(names, **how).verdict
    assert verdict.outcome.value == "fail"
    assert re.match(f"Posteriors can't be trusted: {says}", verdict.sentence), verdict.sentence


def test_few_data_sets_can_not_tell():
    found = judged(datasets=60).verdict
    assert found.outcome.value == "cannot tell"
    assert found.parameters["mu"].reason.startswith("too few data sets for mean, sd, median")


def test_intervals_hold_what_is_right_nine_times_of_ten():
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.standard_normal(300)
        values = np.stack([np.zeros(300), np.ones(300), np.full(300, -1.0)], axis=1)
        own = measure_points(("mean", "sd", "q15.8655"), {"a": values}, {"a": truth}, labels={})
        one = own.parameters["a"]
        held.append([e.interval[0] <= e.expected <= e.interval[1] for e in one.values()])
    np.testing.assert_allclose(np.mean(held, axis=0), 0.9, atol=0.06)


def test_expectiles_are_said_not_to_be_judged():
    with pytest.raises(DataError, match="Expected an estimate that can be judged"):
        judged(("e50",))
    values, truth = estimates(names=("mean", "e50"))
    found = measure_points(("mean", "e50"), values, truth, labels={})
    assert found.skipped == {"e50": "expectiles are not judged"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "run"
    network = ("-s", "networks.inference=point")
    trained = abi("train", SPECS / "regression.yaml", "-o", path, *network, *SMALL)
    assert trained.exit_code == 0, trained.stderr
    return path


def test_the_pinball_loss_is_least_at_the_quantile_of_the_posterior():
    """At the median it is half the mean absolute error; of N(0, 1) at level τ it is φ(Φ⁻¹(τ))."""
    rng = np.random.default_rng(3)
    truth = rng.standard_normal(20_000)
    found = {
        shift: measure_points(
            ["median", "q90"],
            {"t": np.tile([0.0 + shift, 1.2816 + shift], (20_000, 1))},
            {"t": truth},
            labels={},
        ).parameters["t"]
        for shift in (-0.3, 0.0, 0.3)
    }
    assert found[0.0]["median"].pinball == pytest.approx(0.3989, abs=0.01)
    assert found[0.0]["q90"].pinball == pytest.approx(0.1755, abs=0.01)
    for which in ("median", "q90"):
        least = found[0.0][which].pinball
        assert least < min(found[-0.3][which].pinball, found[0.3][which].pinball)


def test_a_run_of_point_estimates_is_diagnosed(run):
    diagnosed = abi("diagnose", run, "--datasets", 200, "-j", 0)
    assert diagnosed.exit_code == 0, diagnosed.stderr
    assert "exact estimates give" in diagnosed.stdout
    metrics = json.loads((run / "diagnostics" / "metrics.json").read_text())
    assert metrics["schema"] == "abi.point-metrics/1"
    assert metrics["parameters"].keys() == {"beta[0]", "beta[1]", "sigma"}
    own = metrics["parameters"]["sigma"]["estimates"]
    assert own.keys() == {"mean", "sd", "q5", "median", "q95"}
    with (run / "diagnostics" / "figures" / "quantiles.csv").open() as file:
        rows = {(row["parameter"], row["quantile"]): row for row in csv.DictReader(file)}
    assert float(rows["sigma", "q5"]["share"]) == own["q5"]["found"]
    assert (run / "diagnostics" / "figures" / "quantiles.png").is_file()
    shown = json.loads(abi("diagnose", run, "--datasets", 50, "-j", 0, "--json").stdout)
    assert shown["schema"] == metrics["schema"]
    assert shown["parameters"].keys() == metrics["parameters"].keys()


@pytest.mark.parametrize(
    ("option", "value"), [("--draws", 50), ("--show", 0), ("--challenge", "5m")]
)
def test_what_only_draws_have_is_refused(run, option, value):
    refused = abi("diagnose", run, option, value)
    assert refused.exit_code == 2
    assert (
        f"expected no {option}: point, the network of {run}, has no draws, and its estimates are "
        "judged" in refused.stderr
    )
