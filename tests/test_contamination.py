"""Errors in what is learned from (`training: {noise: …}`): who has some, and who has none."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from abi_cli.errors import SpecError
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.spec import NoiseSection, TrainingSection, dump_spec, parse_spec
from abi_cli.training.contamination import Contamination, asked_of
from abi_cli.training.sources import Fresh, Stored, changed
from abi_cli.variables import Layout, Ragged, Variable, array_of, concatenate, count, take
from abi_cli.workflow.request import read_model
from tests import engine
from tests.cli import SPECS, abi
from tests.model_tasks import assert_equal
from tests.test_resume import SPEC as RESUMED
from tests.test_resume import StopAt, assert_same, training_of

ROWS = 4_000
LAYOUT = Layout(
    tuple(
        Variable(name, role, ragged=name in ("y", "k"), event=event)
        for name, role, event in (
            ("N", "context", ()),
            ("mu", "parameter", ()),
            ("y", "observable", (2,)),
            ("k", "observable", ()),
            ("z", "observable", ()),
            ("signal", "observable", (3,)),
            ("rate", "observable", ()),
        )
    )
)


@pytest.fixture(scope="module")
def data():
    """Sets of vectors in which numbers are missing, counts, numbers, vectors and shares."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(3, 9, ROWS)
    y = rng.normal([0, 50], [1, 10], (sizes.sum(), 2))
    y[rng.uniform(size=y.shape) < 0.1] = np.nan
    return {
        "N": sizes,
        "mu": rng.normal(size=ROWS),
        "y": Ragged(y, sizes),
        "k": Ragged(rng.poisson(2, sizes.sum()).astype(float), sizes),
        "z": rng.gamma(2, size=ROWS),
        "signal": rng.normal(size=(ROWS, 3)) * [1, 0, 100],
        "rate": rng.uniform(size=ROWS),
    }


def contaminated(data, noise, seed=7, places=None):
    made = Contamination.of(noise, data, LAYOUT, seed=seed)
    assert made is not None
    return made(data, np.arange(count(data)) if places is None else places)


def test_a_share_of_the_numbers_of_a_share_of_the_data_sets_has_errors_of_the_scale(data):
    noise = {"y": NoiseSection(scale=0.5, share=0.3, datasets=0.4)}
    before, after = array_of(data["y"]), array_of(contaminated(data, noise)["y"])
    there = ~np.isnan(before)
    np.testing.assert_array_equal(np.isnan(after), ~there)
    differs = there & (before != after)
    row = np.repeat(np.arange(ROWS), data["y"].row_size)
    some = np.bincount(row, differs.any(axis=1)) > 0
    assert differs[some[row] & there.all(axis=1)].mean() == pytest.approx(0.3, abs=0.03)
    assert some.mean() == pytest.approx(0.4 * 0.96, abs=0.03)  # few have none by chance
    for k, sd in enumerate((1, 10)):
        errors = (after - before)[differs[:, k], k] / sd
        low, middle, high = np.quantile(errors, (0.25, 0.5, 0.75))
        assert (low, middle, high) == pytest.approx((-0.5, 0, 0.5), abs=0.05)
        assert 10 < np.abs(errors).max() <= 50 * 1.05  # the sd is an estimate
    assert (differs[:, 0] != differs[:, 1]).any()


def test_everything_else_stays_as_it_is(data):
    after = contaminated(data, {"y": 0.5})
    for name in set(data) - {"y"}:
        assert after[name] is data[name]


def test_errors_follow_from_seed_and_place_alone(data):
    whole = contaminated(data, 0.5)
    rows = np.array([5, 17, 3_000])
    made = Contamination.of(0.5, data, LAYOUT, seed=7)
    assert_equal(made(take(data, rows), rows), take(whole, rows))
    again = Contamination.from_config(json.loads(json.dumps(made.to_config())))
    assert_equal(again(data, np.arange(ROWS)), whole)
    for other in (
        contaminated(data, 0.5, seed=8),
        contaminated(data, 0.5, places=np.arange(ROWS) + 1),
        made(data, np.arange(ROWS), Purpose.PILOT),
    ):
        assert np.nanmean(array_of(other["y"]) != array_of(whole["y"])) > 0.01


def test_a_number_is_of_all_that_are_continuous(data):
    after = contaminated(data, 3)
    changes = {n for n in data if not np.array_equal(array_of(after[n]), array_of(data[n]), True)}
    assert changes == {"y", "z", "signal", "rate"}
    assert (after["signal"][:, 1] == 0).all()  # a constant has no sd
    assert (after["z"] >= 0).all()
    assert ((after["rate"] >= 0) & (after["rate"] <= 1)).all()
    assert (array_of(after["y"])[:, 0] < -20).any()


@pytest.mark.parametrize(
    ("noise", "message", "place"),
    [
        ({"k": 1}, "k has whole numbers", "training.noise.k"),
        ({"N": 1}, r"Expected an observable, to have errors \(y, k, .*got N", "training.noise.N"),
        ({"mu": 1}, "got mu", "training.noise.mu"),
    ],
)
def test_what_can_have_none_is_refused(data, noise, message, place):
    with pytest.raises(SpecError, match=message) as refused:
        asked_of(noise, data, LAYOUT)
    assert refused.value.place == place


def test_counts_that_lack_some_are_counts_still(data):
    counts = np.where(np.arange(len(array_of(data["k"]))) % 5 == 0, np.nan, array_of(data["k"]))
    layout = Layout((LAYOUT["mu"], LAYOUT["k"]))
    with pytest.raises(SpecError, match="all have whole numbers") as refused:
        asked_of(0.5, {"mu": data["mu"], "k": Ragged(counts, data["k"].row_size)}, layout)
    assert refused.value.place == "training.noise"


def test_a_spec_is_refused_where_it_is_written_before_anything_is_simulated():
    for command in ("check", "train"):
        result = abi(command, SPECS / "regression.yaml", "-s", "training.noise.sigma=1")
        assert result.exit_code == 3
        assert "Expected an observable, to have errors (x, y); got sigma" in result.stderr
        assert "training.noise.sigma=1" in result.stderr


def regression():
    simulator = read_model(SPECS / "regression.yaml").need_simulator()
    training = TrainingSection(epochs=1, num_batches=8, batch_size=64, validation=32)
    return simulator, training


class Untouched:
    """An adapter that leaves all as it is."""

    def forward(self, datasets):
        return datasets


def test_of_fresh_simulations_those_that_are_learned_from_have_errors_and_no_others():
    simulator, training = regression()
    pilot = simulator.simulate(seed=3, purpose=Purpose.PILOT, start=0, stop=500)
    noise = Contamination.of(0.5, pilot, simulator.layout(pilot), seed=3)
    with Workers(0) as workers:
        clean, wild = (Fresh(simulator, workers, training, seed=3) for _ in range(2))
        wild.contaminate(noise)
        first = concatenate(islice(wild.parts(Untouched()), 2))
        before = concatenate(islice(clean.parts(Untouched()), 2))
        index = np.array([3, 700, 1_500])
        assert_equal(wild.rows(Untouched(), index), take(first, index))
        for held_out in ("validation", "reference"):
            sides = []
            for source in (clean, wild):
                made = getattr(source, held_out)(*[Untouched()][: held_out == "validation"])
                sides.append(made if isinstance(made, dict) else concatenate(made))
            assert_equal(*sides)
    errors = array_of(first["y"]) != array_of(before["y"])
    assert 0.03 < errors.mean() < 0.07
    np.testing.assert_array_equal(array_of(first["N"]), array_of(before["N"]))


def test_of_stored_simulations_each_pass_has_errors_of_its_own():
    sets = engine.normal_sets(900, seed=5)
    noise = Contamination.of(0.5, sets, engine.LAYOUT, seed=7)
    stored = Stored(sets, TrainingSection(batch_size=16), seed=7)
    before = concatenate(islice(stored.parts(Untouched()), 2))
    stored.contaminate(noise)
    wild = concatenate(islice(stored.parts(Untouched()), 2))
    size = count(before) // 2
    for half in (slice(0, size), slice(size, None)):
        errors = array_of(take(before, half)["x"]) != array_of(take(wild, half)["x"])
        assert 0.02 < errors.mean() < 0.08
    index = np.array([2, 400, 1_000])
    assert_equal(stored.rows(Untouched(), index), take(wild, index))
    clean = stored.validation(Untouched())
    assert np.isin(array_of(clean["x"]), array_of(sets["x"]).astype(np.float32)).all()


def test_errors_come_after_what_else_changes_data():
    double = changed(None, lambda data, _: {"x": 2 * data["x"]})
    shifted = changed(double, lambda data, places: {"x": data["x"] + places})
    np.testing.assert_array_equal(shifted({"x": np.ones(2)}, np.arange(2))["x"], [2, 3])


def test_a_training_goes_on_with_the_same_errors(tmp_path):
    text = RESUMED.replace("  epochs: 4", "  noise: {x: 1}\n  epochs: 2")
    whole = training_of(tmp_path / "whole", text=text)
    folder = tmp_path / "stopped"
    with pytest.raises(Exception, match="the test"):
        training_of(folder, text=text, stop=StopAt(2))
    assert_same(training_of(folder, text=text), whole)
    without = training_of(tmp_path / "without", text=text.replace("  noise: {x: 1}\n", ""))
    assert whole.history[0]["loss"] != without.history[0]["loss"]


@pytest.fixture(scope="module")
def robust(tmp_path_factory):
    """A run whose data had errors, and what was said of it."""
    folder = tmp_path_factory.mktemp("robust")
    (folder / "model.py").write_text(MODEL)
    (folder / "spec.yaml").write_text(MODEL_SPEC)
    options = ("-s", "training.epochs=1", "-s", "training.num_batches=2", "-j", "0")
    result = abi("train", folder / "spec.yaml", "-o", folder / "run", *options)
    assert result.exit_code == 0, result.stderr
    return folder / "run", result.stderr


MODEL = """
import numpy as np

def likelihood(mu, rng):
    return {"k": rng.poisson(1, 4), "y": rng.normal(mu, 1, 4)}

def log_likelihood(mu, y):
    return -0.5 * ((y - mu) ** 2 + np.log(2 * np.pi))
"""
MODEL_SPEC = """
name: robust
model:
  prior: {mu: normal}
  likelihood: model.py:likelihood
  log_likelihood: model.py:log_likelihood
observables: {k: {kind: set}, y: {kind: set}}
training: {noise: {y: {scale: 0.5, share: 0.2}}}
"""


def test_the_spec_of_a_run_says_it(robust):
    run, said = robust
    assert "learns from data with errors of y, not of k" in said
    spec = parse_spec((run / "spec.yaml").read_text())
    assert spec.training.noise == {"y": NoiseSection(scale=0.5, share=0.2, datasets=0.5)}
    assert parse_spec(dump_spec(spec)) == spec


def test_what_judges_or_undoes_it_says_so(robust, tmp_path):
    run, _ = robust
    data = tmp_path / "data.csv"
    data.write_text("k,y\n" + "1,0.3\n" * 4)
    plain = abi("sample", run, data, "-n", 10)
    assert plain.exit_code == 0
    assert "--refine makes these posteriors exact" not in plain.stderr
    refined = abi("sample", run, data, "-n", 10, "--refine", "-j", "0")
    assert "are those of the model without errors (training.noise)" in refined.stderr
    judged = abi("diagnose", run, "--datasets", 100, "-n", 20, "-j", "0")
    assert "judges by data without errors" in judged.stderr
