"""Posterior calibration: ranks of truths that are drawn from the posterior of a real data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abi_cli.diagnostics.uniformity import uniformity
from abi_cli.variables import Layout, Ragged, Variable, count
from abi_cli.workflow.calibration.joining import TRUTHS, joined, ranks_of, room
from tests.cli import ANSCOMBE, abi

N = Variable("N", "context", ragged=False, event=(), length_of=("x", "y"))
DOSE = Variable("dose", "context", ragged=False, event=())
X = Variable("x", "given", ragged=True, event=())
Y = Variable("y", "observable", ragged=True, event=())
THETA = Variable("theta", "parameter", ragged=False, event=())
LAYOUT = Layout((N, DOSE, X, THETA, Y))


def members(*values):
    return Ragged(np.array(values, float), np.array([len(values)]))


ONE = {
    "N": np.array([3]),
    "dose": np.array([7.0]),
    "x": members(1, 2, 3),
    "y": members(10, 20, 30),
}


def test_members_join_and_are_counted():
    made = {"y": Ragged(np.arange(6.0), np.array([3, 3]))}
    whole = joined(ONE, made, {"x": 2, "y": 2}, LAYOUT, number=2)
    assert whole["N"].tolist() == [5, 5]
    assert whole["dose"].tolist() == [7, 7]
    assert whole["x"].values.tolist() == [1, 2, 3, 1, 2] * 2
    assert whole["y"].values.tolist() == [10, 20, 30, 0, 1, 10, 20, 30, 3, 4]
    assert whole["y"].row_size.tolist() == [5, 5]


@pytest.mark.parametrize(("largest", "more"), [(10, 3), (5, 2), (4, 1), (3, None), (2, None)])
def test_no_more_join_than_were_trained_or_than_there_are(largest, more):
    simulated = {name: Ragged(np.zeros(largest), np.array([largest])) for name in ("x", "y")}
    expected = None if more is None else {"x": more, "y": more}
    assert room(ONE, simulated, LAYOUT) == expected


def ranks(*, width=1.0, shift=0.0, seed=1):
    """θ ~ N(0, 1), members of N(θ, 1): of posteriors off by width and shift wherever asked."""
    rng = np.random.default_rng(seed)

    def sample(datasets, draws):
        y = datasets["y"]
        owner = np.repeat(np.arange(count(datasets)), y.row_size)
        sd = 1 / np.sqrt(1 + y.row_size)
        mean = np.bincount(owner, y.values) * sd**2 + shift * sd
        noise = rng.standard_normal((len(sd), draws))
        return {"theta": mean[:, None] + width * sd[:, None] * noise}

    def replicate(_one, parameters):
        theta = parameters["theta"][0]
        values = theta[:, None] + rng.standard_normal((len(theta), 3))
        return {"y": Ragged(values.reshape(-1), np.full(len(theta), 3))}

    one = {**ONE, "y": members(0.2, 0.9, 1.5)}
    found = ranks_of(one, {"x": 3, "y": 3}, LAYOUT, sample, replicate, seed=seed)
    assert found["theta"].shape == (TRUTHS,)
    return uniformity(found["theta"])


def test_ranks_of_exact_posteriors_are_uniform():
    p = [ranks(seed=seed).p for seed in range(40)]
    assert sum(one < 0.05 for one in p) <= 7


@pytest.mark.parametrize(("width", "shift"), [(0.7, 0.0), (1.4, 0.0), (1.0, 1.0)])
def test_posteriors_that_are_off_are_found(width, shift):
    assert ranks(width=width, shift=shift).p < 1e-3


def test_near_real_sets_truths_are_drawn_from_their_posteriors(small_run, tmp_path):
    """Anscombe's have 11 members, and 14 were trained: so three join."""
    arguments = ("--datasets", 210, "--draws", 20, "-j", 0, "-o", tmp_path / "near")
    result = abi("diagnose", small_run, "--near", ANSCOMBE, *arguments)
    assert result.exit_code == 0, result.stderr
    assert "near I joined with 3 replicated members, 400 data sets" in result.stdout


def test_what_is_no_set_is_not_joined():
    from abi_cli.workflow.calibration.joining import _no_sets

    fixed = Layout((THETA, replace(Y, ragged=False, event=(3,))))
    assert "fixed shape" in (_no_sets(fixed, frozenset()) or "")
    assert "series" in (_no_sets(LAYOUT, frozenset({"y"})) or "")
    assert _no_sets(LAYOUT, frozenset()) is None
