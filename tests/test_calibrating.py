"""`predict --check` of data in which values are missing, with exact posteriors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from abi_cli.listener import SILENT
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.spec import parse_spec
from abi_cli.variables import DrawBlock, Ragged, count, share_missing
from abi_cli.workflow.calibration import calibrating
from abi_cli.workflow.calibration.replicating import lacking_as_much, lacking_the_same, left_out
from abi_cli.workflow.request import Compute

CODE = """
import numpy as np

def prior(batch_size, rng):
    return {"mu": 3 * rng.normal(size=batch_size)}

def likelihood(mu, batch_size, rng):
    return {"y": mu[:, None] + rng.normal(size=(batch_size, 30)), "z": rng.normal(mu)}
"""
SPEC = """
name: gaps
model: {prior: model.py:prior, likelihood: model.py:likelihood, chunk: 100}
observables: {y: {kind: set}}
missing: {y: 0.05, z: null}
"""


@pytest.fixture
def simulator(tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    return Simulator.from_spec(parse_spec(SPEC), tmp_path)


class Exact:
    """Networks whose posteriors are exact: y ~ N(mu, 1), z ~ N(mu, 1), mu ~ N(0, 3²)."""

    def sample(self, data, *, draws, seed):
        y = data["y"]
        values = y.values.reshape(len(y), -1)
        number = (~np.isnan(values)).sum(axis=1) + 1
        variance = 1 / (number + 1 / 9)
        mean = variance * (np.nansum(values, axis=1) + data["z"])
        noise = np.random.default_rng(seed).normal(size=(len(y), draws))
        mu = mean[:, None] + np.sqrt(variance)[:, None] * noise
        yield DrawBlock(0, 0, {"mu": mu.astype(np.float32)})


def checked(simulator, data, draws=40):
    layout = simulator.layout(data)
    session = SimpleNamespace(
        run=SimpleNamespace(layout=layout),
        networks=Exact(),
        spec=parse_spec(SPEC),
        compute=Compute(jobs=0),
        listener=SILENT,
    )
    (block,) = Exact().sample(data, draws=draws, seed=5)
    mu = block.values["mu"].astype(float).ravel()
    rng = np.random.default_rng(6)
    y = mu[:, None] + rng.normal(size=(len(mu), 30))
    replicated = {"y": Ragged(y.ravel(), np.full(len(mu), 30)), "z": rng.normal(mu)}
    labels = [str(i) for i in range(count(data))]
    return calibrating.calibrated(session, simulator, data, replicated, labels, draws=draws, seed=3)


@pytest.mark.parametrize(("missing", "least"), [(12, 0.02), (24, 0.0)])
def test_of_data_that_lack_far_more_than_usual_as_few_are_strange_as_of_others(
    simulator, missing, least
):
    """Held against complete ones, 24 % and 73 % of them were, at 5 %."""
    data = simulator.simulate(seed=9, purpose=Purpose.DIAGNOSE, start=0, stop=300)
    y = data["y"].values.reshape(300, 30).copy()
    y[:, :missing] = np.nan  # whichever: they are exchangeable
    data["y"] = Ragged(y.ravel(), data["y"].row_size)
    found = checked(simulator, data)
    assert least < (found.p < 0.05).mean() < 0.09


def test_simulated_data_sets_lack_as_much_as_the_data_do(simulator):
    data = simulator.simulate(seed=9, purpose=Purpose.DIAGNOSE, start=0, stop=300)
    shares = share_missing(data["y"])
    like = lacking_as_much(simulator, data)
    assert like.missing == {"y": (shares.min(), shares.max()), "z": 0.0}
    data["y"] = Ragged(np.where(np.arange(9_000) % 2, np.nan, 1.0), data["y"].row_size)
    same = lacking_as_much(simulator, data)
    again = same.simulate(seed=1, purpose=Purpose.DIAGNOSE, start=0, stop=300)
    assert share_missing(again["y"]).mean() == pytest.approx(0.5, abs=0.02)


def test_replicated_data_lack_what_the_data_lack(simulator):
    assert left_out(simulator) == ("y",)
    sizes = np.array([2, 3])
    data = {"y": Ragged(np.array([1, np.nan, 1, 1, np.nan]), sizes), "z": np.array([1, np.nan])}
    made = {"y": Ragged(np.arange(10.0), np.repeat(sizes, 2)), "z": np.arange(4.0)}
    found = lacking_the_same(["y", "given"], data, made, draws=2)
    gaps = [False, True] * 2 + [False, False, True] * 2
    np.testing.assert_array_equal(found["y"].values, np.where(gaps, np.nan, np.arange(10)))
    assert found["z"] is made["z"]
    other = made | {"y": Ragged(np.arange(8.0), np.full(4, 2))}
    assert lacking_the_same(["y"], data, other, draws=2)["y"] is other["y"]
