"""Runs of every format that was released open for ever, and give the draws that they gave.

`tests/frozen/abi.run-1/NAME/` holds a run as it was trained, with networks as small as they get,
and `tests/frozen/abi.run-1/NAME.csv` the draws that it gave then. A run that is there is never made
again. When the format changes (`abi_cli.run.SCHEMA`), make some of the new one, and leave these:

    python -m tests.test_frozen    # makes those that are missing of the present format
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from abi_cli.data import read_draws
from abi_cli.manifest import SCHEMA
from tests.cli import ANSCOMBE, SPECS, abi

FROZEN = Path(__file__).parent / "frozen"
PRESENT = FROZEN / SCHEMA.replace("/", "-")

TINY = ("training.epochs=1", "training.num_batches=2")
KINDS = {
    "coupling_flow": (
        "networks.summary={deep_set: {summary_dim: 2, width: 4, depth: 1}}",
        "networks.inference={coupling_flow: {depth: 2, width: 4}}",
    ),
    "spline": (
        "networks.summary={set_transformer: {summary_dim: 2, width: 4, heads: 2, depth: 1}}",
        "networks.inference={coupling_flow: {depth: 2, width: 4, transform: spline, bins: 4}}",
    ),
    "flow_matching": (
        "networks.summary={deep_set: {summary_dim: 2, width: 4, depth: 1}}",
        "networks.inference={flow_matching: {depth: 1, width: 4, steps: 2}}",
    ),
}
"""What the runs of the present format are trained with."""

RUNS = sorted(path.parent for path in FROZEN.glob("*/*/manifest.json"))


def sample(run: Path, target: Path) -> None:
    result = abi("sample", run, ANSCOMBE, "-n", 4, "--seed", 3, "-o", target, "-q")
    assert result.exit_code == 0, result.stderr


def test_there_are_runs_of_the_present_format():
    assert {run.name for run in RUNS if run.parent == PRESENT} >= set(KINDS)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_a_frozen_run_gives_the_draws_that_it_gave(run, tmp_path):
    sample(run, tmp_path / "draws.csv")
    expected, found = read_draws(run.with_suffix(".csv")), read_draws(tmp_path / "draws.csv")
    assert found.labels == expected.labels
    for name, values in expected.values.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_a_frozen_run_is_shown(run):
    shown = abi("show", run, "--json")
    assert shown.exit_code == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["changed"] == []
    assert [variable["name"] for variable in document["layout"]] == ["N", "beta", "sigma", "x", "y"]
    assert document["adapter"]


def freeze() -> None:
    """Train the missing runs of the present format."""
    for name, overrides in KINDS.items():
        run = PRESENT / name
        if run.exists():
            continue
        options = [part for one in (*TINY, *overrides) for part in ("-s", one)]
        result = abi("train", SPECS / "regression.yaml", "-o", run, "-j", 0, *options)
        assert result.exit_code == 0, result.stderr
        sample(run, run.with_suffix(".csv"))


if __name__ == "__main__":
    freeze()
