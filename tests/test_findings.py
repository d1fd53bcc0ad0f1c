"""What a rehearsal warns of: constants and heavy tails, by element, with advice that fits."""

import json
import re

import numpy as np
import pytest

from abi_cli.data import read_draws
from tests.cli import SMALL, abi

SPEC = """
name: odd
model: {prior: odd.py:prior, likelihood: odd.py:likelihood, noise_free: [y]}
parameters: {r: {}}
"""

MODEL = """
import numpy as np

def prior(rng):
    return {"r": rng.normal()}

def likelihood(r, rng):
    return {"y": %s}
"""


@pytest.fixture
def warned(tmp_path):
    """A function from what the likelihood returns to the warnings."""

    def warned(data, prior=None):
        (tmp_path / "odd.yaml").write_text(SPEC)
        text = MODEL % data
        (tmp_path / "odd.py").write_text(
            text.replace("rng.normal()}", f"{prior}}}", 1) if prior else text
        )
        checked = abi("check", tmp_path / "odd.yaml", "--json")
        assert checked.exit_code == 0, checked.output
        return [(f["message"], f["hint"]) for f in json.loads(checked.stdout)["findings"]]

    return warned


def test_an_element_that_is_always_the_same_is_named(warned):
    ((message, hint),) = warned("np.array([7_999_000, r])")
    assert message == "y[0] is always 7999000"
    assert hint == (
        "Nothing can be learned from it: of data that have another value there you are told."
    )
    ((message, _),) = warned("np.array([1, 2, 3, 4, 5, r])")
    assert message == "y[0], y[1], y[2] and 2 more are always the same: y[0] is 1"


def test_an_element_that_differs_by_less_than_is_told_is_named(warned):
    ((message, hint),) = warned("np.array([1.7e9 + np.clip(r, -1, 1), r])")
    assert message == (
        "y[0] is almost always the same, 1.7e+09: what they differ by, 2, is below what single "
        "precision tells"
    )
    assert hint.endswith("- shift: {keys: y, by: -1.7e+09}")


def test_heavy_tails_of_data_and_of_parameters_get_their_own_advice(warned):
    ((message, hint),) = warned("np.exp(9 * r + 0 * np.arange(5))")
    assert message.startswith("y[0], y[1], y[2] and 2 more have heavy tails: half of y[0] is ")
    assert "a step before standardize suits: - log: y. " in hint
    ((_, hint),) = warned("np.arange(5) * np.exp(9 * r)")[1:]
    assert "- log: {keys: y, p1: true}. " in hint
    ((message, hint), *_) = warned("np.array([np.tanh(r)])", prior="rng.standard_cauchy()")
    assert message.startswith("r has heavy tails: half of it is ")
    assert "for a positive parameter" in hint


def test_heavy_tails_that_a_step_has_brought_in_are_no_news(warned, tmp_path):
    spec = tmp_path / "odd.yaml"
    warned("np.array([np.exp(rng.normal() * 9)])", prior="np.exp(rng.uniform(-30, -10))")
    steps = [
        "constrain: {keys: r, lower: 0, method: log}",
        "log: y",
        "standardize: {}",
        "rename: {from: r, to: inference_variables}",
        "rename: {from: y, to: summary_variables}",
    ]
    for some, heavy in ((steps[2:], True), (steps, False)):
        spec.write_text(SPEC + "adapter:\n" + "".join(f"  - {step}\n" for step in some))
        assert ("heavy tails" in abi("check", spec).stdout) == heavy


def test_inputs_that_nothing_brings_to_a_scale_are_named(warned, tmp_path):
    spec = tmp_path / "odd.yaml"
    warned("np.array([8e6 * r])")
    spec.write_text(
        SPEC + "adapter:\n"
        "  - rename: {from: r, to: inference_variables}\n"
        "  - rename: {from: y, to: summary_variables}\n"
    )
    checked = abi("check", spec)
    assert "summary_variables has values up to " in checked.stdout
    assert "Is a variable left out of standardize?" in checked.stdout


def test_data_that_differ_from_a_constant_of_training_are_told_of(warned, tmp_path, monkeypatch):
    """It trains, although one entry is 7,999,000 always, and says what it has never seen."""
    warned("np.array([7_999_000, 10 + 1e-15 * r, r + rng.normal()])")
    monkeypatch.setattr("tests.cli.PILOT", 2_000)  # after 500, constants still move the draws
    run = tmp_path / "run"
    trained = abi("train", tmp_path / "odd.yaml", "-o", run, *SMALL, "-q")
    assert trained.exit_code == 0, trained.output
    (tmp_path / "same.jsonl").write_text('{"y": [7999000, 10, 1.5]}\n')
    (tmp_path / "other.jsonl").write_text('{"dataset": "Kiel", "y": [7999001, 10.01, 1.5]}\n')
    draws = {}
    for name in ("same", "other"):
        out = tmp_path / f"{name}.draws.csv"
        result = abi("sample", run, tmp_path / f"{name}.jsonl", "-n", 20, "-o", out)
        assert result.exit_code == 0, result.stderr
        draws[name] = read_draws(out).values["r"]
        told = "y[0] is 7999001 in data set Kiel: it was 7999000 in all simulations; so of 1 more"
        assert (told in result.stderr) is (name == "other"), result.stderr
    np.testing.assert_allclose(draws["same"], draws["other"], atol=0.05)
    streamed = abi("stream", run, "-n", 2, "-q", stdin='{"y": [7999001, 10, 1.5]}')
    assert json.loads(streamed.stdout)["warnings"] == [
        "y[0] is 7999001 in data set 1: it was 7999000 in all simulations"
    ]


def test_a_slow_simulator_is_told_with_what_it_means(tmp_path, monkeypatch):
    """Ten hours of training, and next to nothing seen of the model."""
    monkeypatch.setattr("abi_cli.workflow.checking.rehearsing.usable_cores", lambda: 2)
    (tmp_path / "slow.yaml").write_text(
        "name: slow\nmodel: {prior: {mu: {normal: {scale: 5}}}, likelihood: slow.py:likelihood}\n"
        "training: {epochs: 30, num_batches: 128, batch_size: 64}\n"
    )
    (tmp_path / "slow.py").write_text(
        "import time\ndef likelihood(mu, rng):\n"
        "    time.sleep(0.6)\n    return {'y': rng.normal(mu, 1, size=3)}\n"
    )
    checked = abi("check", tmp_path / "slow.yaml", "--json")
    assert checked.exit_code == 0, checked.output
    found = [f["message"] for f in json.loads(checked.stdout)["findings"]]
    few, long = (next(m for m in found if word in m) for word in ("only", "training simulates"))
    assert re.match(r"only [2-8] data sets could be simulated in ", few)
    assert re.fullmatch(
        r"training simulates 245,760 data sets: about \d+ hours with 2 processes", long
    )
