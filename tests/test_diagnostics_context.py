"""Faults that hold for some contexts only, and cancel over all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from abi_cli.diagnostics import Outcome, flatten, measure
from abi_cli.diagnostics.context import LEAST, bins_of
from abi_cli.diagnostics.inputs import Inputs
from abi_cli.diagnostics.plots_context import by_context
from abi_cli.diagnostics.report import study
from abi_cli.diagnostics.style import styled
from abi_cli.listener import SILENT
from abi_cli.variables import Ragged
from tests.diagnostics_examples import read


def judged(*, width=np.ones_like, shift=np.zeros_like, datasets=2_000, seed=0):
    """θ ~ N(0, 1) from N members of N(θ, 1); sds off by `width(N)`, means by `shift(N)` sds."""
    rng = np.random.default_rng([seed, 6])
    theta, size = rng.normal(size=datasets), rng.integers(2, 20, size=datasets)
    mean = theta + rng.normal(size=datasets) / np.sqrt(size)
    sd = 1 / np.sqrt(size + 1)
    centre = mean * size * sd**2 + shift(1.0 * size) * sd
    noise = rng.normal(size=(datasets, 200)) * (width(1.0 * size) * sd)[:, None]
    draws = (centre[:, None] + noise).astype(np.float32)
    scalars = flatten({"theta": draws}, {"theta": theta}, labels={})
    return measure(scalars, read(scalars), context={"N": size})


def test_faults_that_cancel_over_all_sizes_are_found_at_theirs():
    metrics = judged(shift=lambda size: np.where(size < 11, 0.4, -0.4))
    assert metrics.parameters["theta"].uniformity.p_location > 0.001
    assert metrics.verdict.outcome is Outcome.FAIL
    assert "where N is" in metrics.verdict.sentence
    first, *_, last = metrics.by_context
    assert first.elements["theta"].mean_score < -0.3
    assert last.elements["theta"].mean_score > 0.3
    config = metrics.to_config()["by_context"]
    assert [part["variable"] for part in config] == ["N"] * len(metrics.by_context)
    assert sum(part["datasets"] for part in config) == 2_000
    low, high = config[0]["parameters"]["theta"]["mean_score_interval"]
    assert low < first.elements["theta"].mean_score < high


def test_errors_fall_with_the_size_and_exact_posteriors_are_not_accused():
    metrics = judged()
    errors = [part.nrmse["theta"] for part in metrics.by_context]
    assert errors == sorted(errors, reverse=True)
    outcomes = [judged(seed=seed).verdict.outcome for seed in range(20)]
    assert outcomes.count(Outcome.FAIL) + outcomes.count(Outcome.WARN) <= 3


def test_widths_are_told_apart():
    metrics = judged(width=lambda size: np.where(size < 8, 0.7, 1.0))
    ratios = [part.elements["theta"].sd_ratio for part in metrics.by_context]
    assert ratios[0] == pytest.approx(0.7, abs=0.08)
    assert ratios[-1] == pytest.approx(1.0, abs=0.08)


def test_bins_hold_enough_and_equal_values_stay_together():
    rng = np.random.default_rng(1)
    context = {
        "N": rng.integers(1, 4, size=1_500),
        "t": rng.normal(size=1_500),
        "two": rng.random(1_500) < 0.05,
        "constant": np.ones(1_500),
    }
    bins = bins_of(context)
    assert {part.variable for part in bins} == {"N", "t"}
    for variable in ("N", "t"):
        own = [part for part in bins if part.variable == variable]
        index = np.concatenate([part.index for part in own])
        assert sorted(index) == list(range(1_500))
        assert min(len(part.index) for part in own) >= LEAST
        for before, after in pairwise(own):
            assert before.high < after.low
    assert [str(part) for part in bins if part.variable == "N"] == ["N is 1", "N is 2", "N is 3"]
    assert len([part for part in bins if part.variable == "t"]) == 5
    assert bins_of({"t": rng.normal(size=2 * LEAST - 1)}) == []


def test_the_picture_shows_every_context():
    metrics = judged()
    with styled():
        figure = by_context(metrics.by_context, {"theta": "θ"})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["width by ranks", "mean normal score", "NRMSE"]
    values = figure.axes[2].lines[0].get_ydata()
    assert list(values) == [part.nrmse["theta"] for part in metrics.by_context]
    metrics.by_context[0].nrmse["theta"] = 300.0  # by one absurd value
    with styled():
        figure = by_context(metrics.by_context, {"theta": "θ"})
    assert figure.axes[2].get_ylim() == (0, 2)


def test_nats_are_told_by_context():
    """Of posteriors that are half as wide as they should be where members are few."""
    rng = np.random.default_rng(11)
    theta, size = rng.normal(size=2_000), rng.integers(2, 20, size=2_000)
    few = size < 8
    y = rng.normal(np.repeat(theta, size))
    mean = np.bincount(np.repeat(np.arange(2_000), size), y) / (size + 1)
    sd = np.where(few, 0.5, 1.0) / np.sqrt(size + 1)
    draws = mean[:, None] + sd[:, None] * rng.normal(size=(2_000, 200))
    inputs = Inputs(
        {"theta": draws},
        {"theta": theta},
        data={"y": Ragged(y, size)},
        context={"N": size},
    )
    parts = study(inputs, listener=SILENT).metrics.to_config()["by_context"]
    losses = {part["high"]: part["loss"]["classifier"] for part in parts}
    exact = 0.5 / 0.5**2 - np.log(2) - 0.5
    assert losses[min(losses)]["nats"] == pytest.approx(exact, abs=0.35)
    assert losses[min(losses)]["interval"][0] > 0.2
    assert losses[max(losses)]["interval"][0] < 0.02
    for own in losses.values():
        assert own["interval"][0] < own["nats"] < own["interval"][1]
