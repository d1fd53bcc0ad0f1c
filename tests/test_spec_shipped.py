"""The specs and data that come with abi are what they say."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from abi_cli.spec import dump_spec, parse_spec, read_spec

SPECS = Path(__file__).parents[1] / "specs"


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_specs_are_read_written_and_read_again(path):
    spec = read_spec(path)
    assert spec.name == path.stem
    assert spec.ragged() == {"x", "y"}
    assert parse_spec(dump_spec(spec)) == spec
    for reference in (spec.model.meta, spec.model.prior, spec.model.likelihood):
        file, _, function = str(reference).partition(":")
        assert f"def {function}(" in (path.parent / file).read_text(encoding="utf-8")


def test_the_tutorial_asks_for_what_the_tutorial_does():
    spec = read_spec(SPECS / "tutorial.yaml")
    assert [step.name for step in spec.adapter] == [
        *("broadcast", "as_set", "constrain", "standardize", "sqrt"),
        *("concatenate", "concatenate", "rename"),
    ]
    training = spec.training
    assert (training.epochs, training.num_batches, training.batch_size) == (30, 128, 64)
    assert training.optimizer.to_config()["adam"]["clipnorm"] == 1.0
    schedule = training.learning_rate.to_config()["cosine_decay"]
    assert (schedule["initial_learning_rate"], schedule["alpha"]) == (5e-4, 1e-6)
    assert spec.networks.summary is not None
    assert spec.networks.summary.to_config()["deep_set"]["summary_dim"] == 10


def test_the_regression_is_the_tutorial_with_our_optimizer_and_schedule():
    tutorial, regression, vectorised = (
        yaml.safe_load((SPECS / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("tutorial", "regression", "regression_vectorised")
    )
    del tutorial["training"]["optimizer"], tutorial["training"]["learning_rate"]
    assert regression == {**tutorial, "name": "regression"}
    assert vectorised["adapter"] == regression["adapter"]
    assert vectorised["networks"] == regression["networks"]
    assert vectorised["training"] == regression["training"]


def anscombe() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with (SPECS / "data" / "anscombe.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: (
            np.array([float(row["x"]) for row in rows if row["dataset"] == name]),
            np.array([float(row["y"]) for row in rows if row["dataset"] == name]),
        )
        for name in dict.fromkeys(row["dataset"] for row in rows)
    }


def test_anscombes_quartet_has_one_mean_variance_and_regression_line():
    quartet = anscombe()
    assert list(quartet) == ["I", "II", "III", "IV"]
    for x, y in quartet.values():
        assert len(x) == len(y) == 11
        assert x.mean() == pytest.approx(0, abs=1e-6)
        assert x.std(ddof=1) == pytest.approx(1, abs=1e-6)
        assert y.mean() == pytest.approx(7.50, abs=0.005)
        assert y.var(ddof=1) == pytest.approx(4.125, abs=0.005)
        slope, intercept = np.polyfit(x * math.sqrt(11) + 9, y, 1)
        assert slope == pytest.approx(0.500, abs=0.0005)
        assert intercept == pytest.approx(3.00, abs=0.005)
        assert np.corrcoef(x, y)[0, 1] == pytest.approx(0.816, abs=0.001)


def test_anscombes_predictors_are_the_published_whole_numbers():
    published = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    fourth = [8] * 7 + [19] + [8] * 3
    for name, (x, _) in anscombe().items():
        assert x * math.sqrt(11) + 9 == pytest.approx(
            fourth if name == "IV" else published, abs=1e-5
        )
