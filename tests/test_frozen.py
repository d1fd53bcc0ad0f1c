"""Runs of every format that was released open for ever, and give the answers that they gave.

`tests/frozen/abi.run-1/NAME/` holds a run as it was trained, with networks as small as they get,
`NAME-data.*` beside it some data sets (without: `specs/data/anscombe.csv`), and `NAME.csv` the
answers that it gave to them then. A run that is there is never made again. When the format changes
(`abi_cli.run.manifest.SCHEMA`), make some of the new one, and leave these:

    python -m tests.test_frozen    # makes those that are missing of the present format

`python -m tests.same_as COMMIT` trains their specs again, and compares with what a commit makes of
them.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import yaml

from abi_cli import registry
from abi_cli.run.manifest import SCHEMA
from tests import engine  # noqa: F401  # chooses the backend before Keras is loaded
from tests.cli import ANSCOMBE, SPECS, abi

FROZEN = Path(__file__).parent / "frozen"
PRESENT = FROZEN / SCHEMA.replace("/", "-")

TINY = ("training.epochs=1", "training.num_batches=2")

MODEL = """
import numpy as np

def members(mu, sigma, N, rng):
    return {"x": rng.normal(mu, sigma, N)}

def steps(mu, sigma, N, rng):
    return {"x": rng.normal(mu, sigma, N).cumsum()}

def signal(mu, sigma, rng):
    return {"x": mu + rng.normal(0, sigma, 5).cumsum()}

def trials_and_scores(mu, sigma, N, rng):
    return {"trials": rng.normal(mu, sigma, N), "scores": rng.normal(mu, 1, 3)}

def choices(mu, sigma, N, rng):
    choice = rng.integers(0, 2, N)
    return {"y": rng.normal(mu * choice, sigma), "choice": choice}
"""
"""The likelihoods of what is trained."""


@dataclass(frozen=True)
class Kind:
    """A run that is frozen.

    Arguments:
        likelihood: The function of `MODEL` that it is trained on.
        sections: Of the spec, beside the model.
        summary, inference: The networks.
        statistics: The network that reads statistics; by default there is none.
        data: The format of its data sets; CSV is written by hand.
    """

    likelihood: str
    sections: str
    summary: str
    inference: str
    statistics: str = "null"
    data: str = "jsonl"

    def spec(self, name: str) -> str:
        """The whole spec."""
        return f"""
name: {name}
model:
  meta: {{N: {{integers: {{low: 4, high: 8}}}}}}
  prior: {{mu: normal, sigma: {{gamma: {{shape: 2}}}}}}
  likelihood: model.py:{self.likelihood}
{self.sections}
networks: {{summary: {self.summary}, statistics: {self.statistics}, inference: {self.inference}}}
training: {{batch_size: 8}}
"""


REGRESSIONS = {
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
"""What `specs/regression.yaml` is changed by for the first runs of the present format."""

SERIES = "observables: {x: {kind: series}}"
KINDS = {
    "autoregressive": Kind(
        "steps",
        SERIES,
        "{recurrent: {summary_dim: 2, width: 3}}",
        "{autoregressive_flow: {depth: 2, width: 3}}",
    ),
    "diffusion": Kind(
        "steps",
        SERIES,
        "{time_series: {summary_dim: 2, width: 3, skip: 2, cell: lstm, bidirectional: false}}",
        "{diffusion: {depth: 1, width: 3, steps: 2, sampler: sde}}",
    ),
    "consistency": Kind(
        "steps",
        SERIES,
        "{time_series_transformer: {summary_dim: 2, width: 2, depth: 1, heads: 1, time_dim: 2}}",
        "{consistency: {depth: 1, width: 3}}",
    ),
    "ensemble": Kind(
        "steps",
        SERIES,
        "{convolutional: {summary_dim: 2, width: 3, widths: [2, 3]}}",
        "{ensemble: {members: 2, network: "
        "{coupling_flow: {depth: 2, width: 3, base: student_t, permutation: swap}}}}",
    ),
    "point": Kind(
        "signal",
        "",
        "{convolutional: {summary_dim: 2, width: 3, widths: [2, 3]}}",
        "{point: {depth: 1, width: 3, estimates: [mean, median, sd], expectiles: [0.1]}}",
    ),
    "gaussian_mixture": Kind(
        "signal",
        "",
        "{mlp: {summary_dim: 2, width: 3, depth: 1}}",
        "{gaussian_mixture: {components: 2, depth: 1, width: 3}}",
    ),
    "fusion": Kind(
        "trials_and_scores",
        """
adapter:
  - as_set: trials
  - constrain: {keys: sigma, lower: 0}
  - standardize: {}
  - concatenate: {keys: [mu, sigma], into: inference_variables}
  - group: {keys: [trials, scores], into: summary_variables}
""",
        "{fusion: {summary_dim: 2, head: {mlp: {width: 3, depth: 1}}, networks: "
        "{trials: {deep_set: {summary_dim: 2, width: 3, depth: 1}}, "
        "scores: {mlp: {summary_dim: 2, width: 3, depth: 1}}}}}",
        "{coupling_flow: {depth: 2, width: 3, base: mixture, components: 2, "
        "permutation: orthogonal, actnorm: true}}",
    ),
    "missing": Kind(
        "choices",
        """
observables: {y: {kind: set}, choice: {kind: set}}
missing: {y: 0.2}
data: {dataset: subject, columns: {y: response}, categories: {choice: [left, right]}}
""",
        "{set_transformer: {summary_dim: 2, width: 2, heads: 1, seeds: 1, depth: 1, inducing: 1}}",
        "{coupling_flow: {depth: 2, width: 3, transform: spline, bins: 3}}",
        statistics="{mlp: {summary_dim: 2, width: 3, depth: 1}}",
        data="csv",
    ),
}
"""Every other network, and series, signals, fusion, missing values, categories and statistics."""

RUNS = sorted(path.parent for path in FROZEN.glob("*/*/manifest.json"))
each_run = pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")


def data_of(run: Path) -> Path:
    """Data sets of the kind that a frozen run was trained on."""
    return next(run.parent.glob(f"{run.name}-data.*"), ANSCOMBE)


def answer(run: Path, target: Path) -> None:
    """Draws of a run, or estimates where it has no others, in a file."""
    asked = ("estimate",) if run.name == "point" else ("sample", "-n", 4, "--seed", 3)
    result = abi(*asked, run, data_of(run), "-o", target, "-q")
    assert result.exit_code == 0, result.stderr


def cells(file: Path) -> list[list[float | str]]:
    """The cells of a table, numbers as such."""

    def read(cell: str) -> float | str:
        try:
            return float(cell)
        except ValueError:
            return cell

    with file.open(encoding="utf-8", newline="") as stream:
        return [[read(cell) for cell in row] for row in csv.reader(stream)]


def test_there_are_runs_of_the_present_format():
    assert {run.name for run in RUNS if run.parent == PRESENT} >= {*REGRESSIONS, *KINDS}


def test_every_network_has_a_run():
    def names(config: object) -> set[str]:
        inner = config.values() if isinstance(config, dict) else ()
        keys = set(config) if isinstance(config, dict) else set()
        return keys.union(*map(names, inner))

    specs = [yaml.safe_load((run / "spec.yaml").read_text(encoding="utf-8")) for run in RUNS]
    found = set().union(*(names(spec["networks"]) for spec in specs))
    for kind in ("summary network", "inference network"):
        assert set(registry.names(kind)) <= found


@each_run
def test_a_frozen_run_gives_the_answers_that_it_gave(run, tmp_path):
    answer(run, tmp_path / "answers.csv")
    expected, found = cells(run.with_suffix(".csv")), cells(tmp_path / "answers.csv")
    for row, other in zip(expected, found, strict=True):
        numbers = [place for place, cell in enumerate(row) if isinstance(cell, float)]
        np.testing.assert_allclose(
            [other[place] for place in numbers], [row[place] for place in numbers], rtol=1e-4
        )
        words = set(range(len(row))) - set(numbers)
        assert [row[place] for place in words] == [other[place] for place in words]


@each_run
def test_a_frozen_run_is_shown(run):
    shown = abi("show", run, "--json")
    assert shown.exit_code == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["changed"] == []
    layout = {variable["name"] for variable in document["layout"]}
    assert layout >= ({"beta", "sigma"} if run.name in REGRESSIONS else {"mu", "sigma"})
    assert document["adapter"]


@each_run
def test_keras_opens_a_frozen_run(run):
    """With the weights that this package reads."""
    import keras

    from abi_cli import backend
    from abi_cli.run.archive import load_approximator

    opened = keras.saving.load_model(run / "model.keras")
    ours = load_approximator(run / "model.keras")
    for one, other in zip(opened.variables, ours.variables, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(one.value), backend.to_numpy(other.value))


def done(*words: object) -> None:
    """A command that must not fail."""
    result = abi(*words)
    assert result.exit_code == 0, result.stderr


def freeze() -> None:
    """Train the missing runs of the present format."""
    tiny = [word for one in TINY for word in ("-s", one)]
    for name, overrides in REGRESSIONS.items():
        run = PRESENT / name
        if not run.exists():
            written = [word for one in overrides for word in ("-s", one)]
            done("train", SPECS / "regression.yaml", "-o", run, "-j", 0, *tiny, *written)
            answer(run, run.with_suffix(".csv"))
    for name, kind in KINDS.items():
        run = PRESENT / name
        if run.exists():
            continue
        with TemporaryDirectory() as folder:
            spec = Path(folder) / "spec.yaml"
            (spec.parent / "model.py").write_text(MODEL)
            spec.write_text(kind.spec(name))
            done("train", spec, "-o", run, "-j", 0, *tiny)
            shutil.rmtree(run / "state")
            if kind.data == "jsonl":
                done("simulate", spec, "-n", 3, "-j", 0, "-o", run.with_name(f"{name}-data.jsonl"))
        answer(run, run.with_suffix(".csv"))


if __name__ == "__main__":
    freeze()
