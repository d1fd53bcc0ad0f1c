"""Runs side by side: proper scores, paired intervals, and what differs between specs."""

import json
from math import erf, exp, pi, sqrt

import numpy as np
import pytest

from abi_cli.diagnostics import flatten
from abi_cli.diagnostics.comparison import crps, paired
from abi_cli.workflow.comparing import _differing, _flat
from tests.cli import SPECS, abi


def test_the_crps_of_a_normal_posterior_is_as_in_closed_form():
    """E = sd (z (2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery 2007, eq. 21)."""
    rng = np.random.default_rng(0)
    truth, sd = np.array([0.3, -1.0, 2.0, 0.0]), 0.7
    draws = sd * rng.standard_normal((4, 20_000))
    got = crps(flatten({"t": draws}, {"t": truth}, labels={}))["t"] * truth.std(ddof=1)
    z = truth / sd
    phi = np.array([exp(-0.5 * v**2) / sqrt(2 * pi) for v in z])
    centre = np.array([erf(v / sqrt(2)) for v in z])
    np.testing.assert_allclose(got, sd * (z * centre + 2 * phi - 1 / sqrt(pi)), atol=0.02)


def test_two_draws_already_make_an_unbiased_crps():
    rng = np.random.default_rng(1)
    truth = rng.standard_normal(40_000)
    few, many = rng.standard_normal((40_000, 2)), rng.standard_normal((40_000, 200))
    means = [
        crps(flatten({"t": draws}, {"t": truth}, labels={}))["t"].mean() for draws in (few, many)
    ]
    assert means[0] == pytest.approx(means[1], abs=0.012)
    assert means[1] == pytest.approx(1 / sqrt(pi), abs=0.01)  # E|X − θ| / 2, both normal


def test_paired_intervals_are_narrow_where_scores_move_together():
    rng = np.random.default_rng(2)
    common = 10 * rng.standard_normal(500)
    worse = paired(common + 0.1 + 0.1 * rng.standard_normal(500), common)
    assert worse.word == "worse"
    assert worse.interval[1] - worse.interval[0] < 0.03
    assert paired(common, common).word == ""
    assert paired(common - 0.1 + 0.1 * rng.standard_normal(500), common).word == "better"
    assert paired(common + 5 * rng.standard_normal(500), common).word == "no telling"


def test_fields_that_differ_are_named_with_their_values():
    one = {"training": {"epochs": 3}, "adapter": [{"log": "x"}, {"drop": "y"}], "same": [1, 2]}
    other = {"training": {"epochs": 4}, "adapter": [{"log": "x"}], "same": [1, 2]}
    assert _differing([_flat(one), _flat(other)]) == {
        "training.epochs": ("3", "4"),
        "adapter.1.drop": ("y", ""),
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One that has learned for a while, one that hasn't, one of another model."""
    folder = tmp_path_factory.mktemp("runs")
    spec = SPECS / "regression_vectorised.yaml"
    for name, changes in (
        ("long", ("-s", "training.epochs=3", "-s", "training.num_batches=64")),
        ("short", ("-s", "training.epochs=1", "-s", "training.num_batches=2")),
    ):
        assert abi("train", spec, "-o", folder / name, "-q", "-j", 0, *changes).exit_code == 0
    brief = ("-s", "training.epochs=1", "-s", "training.num_batches=2", "-j", 0)
    other = abi("train", SPECS / "conjugate.yaml", "-o", folder / "other", "-q", *brief)
    assert other.exit_code == 0
    return folder


def test_the_longer_trained_run_is_the_better_one(runs):
    arguments = ("compare", runs / "short", runs / "long", "--datasets", 300, "--draws", 100)
    shown = abi(*arguments)
    assert shown.exit_code == 0, shown.stderr
    for word in ("training.epochs", "−log q", "CRPS sigma", "better", "code/"):
        assert word in shown.stdout + shown.stderr
    assert f"{runs / 'long'} is closer to exact posteriors than {runs / 'short'}" in shown.stdout
    document = json.loads(abi(*arguments, "--json").stdout)
    assert document["schema"] == "abi.comparison/1"
    assert document["specs"]["training.epochs"] == ["1", "3"]
    short, long = document["runs"]
    assert short["scores"]["−log q"]["mean"] == 0
    assert long["scores"]["nats lost, at least"]["word"] in ("better", "no telling")
    score = long["scores"]["−log q"]
    assert score["word"] == "better"
    assert score["score"] - short["scores"]["−log q"]["score"] == pytest.approx(score["mean"])


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (("long",), 2, "Expected two runs or more"),
        (("long", "none"), 6, "is not a run"),
        (("long", "other"), 6, "answer the same data about the same parameters"),
    ],
)
def test_what_can_not_be_compared_is_said(runs, names, code, said):
    result = abi("compare", *(runs / name for name in names), "--datasets", 10, "--draws", 10)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
