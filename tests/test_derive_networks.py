"""Networks of specs that leave them out: statistics beside them, and what keeps its old ones."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli import registry
from abi_cli.adapter import network_inputs
from abi_cli.adapter.adapter import SUMMARY_STATISTICS, Adapter
from abi_cli.networks.derive import derived_networks
from abi_cli.spec import TrainingSection, parse_spec
from abi_cli.training.derive import derived_training, fitting_few
from abi_cli.variables import Layout, Ragged, Variable, take
from tests.adapter_examples import step
from tests.cli import abi
from tests.engine import LAYOUT, normal_sets

SPEC = """
name: any
parameters: {a: {}, b: {}}
observables: {y: {kind: set}}
"""


def layout(*parameters, gaps=False):
    drawn = [Variable(name, "parameter", ragged=False, event=()) for name in parameters]
    return Layout((*drawn, Variable("y", "observable", ragged=True, event=(), missing=gaps)))


def derived(networks, *, parameters=("a", "b"), series=(), adapted=False, gaps=False):
    section = parse_spec(SPEC + networks).networks
    known = layout(*parameters, gaps=gaps)
    return derived_networks(section, known, series=series, adapted=adapted)


def test_what_is_left_out_is_derived_with_statistics():
    found = derived("")
    assert found.summary.name == "deep_set"
    assert found.statistics.name == "mlp"
    assert found.inference.name == "coupling_flow"
    assert derived("", series=("y",)).summary.name == "convolutional"
    assert derived("", adapted=True).summary is None  # perhaps there is nothing to summarize


def test_statistics_take_the_place_of_a_networks_own():
    found = derived("networks: {summary: {deep_set: {width: 48}}}")
    assert (found.summary.width, found.summary.moment_features) == (48, 1)
    assert found.statistics is not None


def spelt_out(name):
    options = registry.get("summary network", name)().to_config()
    return f"networks: {{summary: {options}}}".replace("None", "null").replace("True", "true")


@pytest.mark.parametrize(
    "networks",
    [
        "networks: {summary: {deep_set: {moment_features: 1}}}",
        "networks: {summary: deep_set, statistics: null}",
        "networks: {summary: null}",
        spelt_out("deep_set"),
        spelt_out("time_series"),
        spelt_out("mlp"),
    ],
)
def test_a_spec_that_says_all_keeps_its_networks(networks):
    section = parse_spec(SPEC + networks).networks
    found = derived(networks, adapted=True)
    assert found.statistics is None
    assert found.summary == section.summary


def test_where_values_may_be_missing_a_networks_own_statistics_are_not_enough():
    written = "networks: {summary: {deep_set: {moment_features: 8}}}"
    assert derived(written).statistics is None
    found = derived(written, gaps=True)
    assert found.statistics is not None
    assert found.summary.moment_features == 1
    assert derived(spelt_out("deep_set"), gaps=True).statistics is None


def test_a_parameter_alone_has_splines():
    alone = derived("", parameters=("a",))
    assert alone.inference.transform == "spline"
    assert derived("").inference.transform == "auto"
    written = derived("networks: {inference: coupling_flow}", parameters=("a",))
    assert written.inference.transform == "affine"


RNG = np.random.default_rng(5)
SIZES = RNG.integers(5, 15, size=400)
MU = RNG.normal(size=400)
PILOT = {
    "mu": MU,
    "y": Ragged(np.repeat(MU, SIZES) + RNG.normal(size=SIZES.sum()), SIZES),
}
STEPS = (
    step("as_set", keys=["y"]),
    step("rename", **{"from": "mu", "to": "inference_variables"}),
    step("rename", **{"from": "y", "to": "summary_variables"}),
)


def test_an_adapter_makes_statistics_of_what_its_steps_are_given():
    adapter = Adapter.fit(STEPS, PILOT, missing=("y",))
    adapter = adapter.with_statistics(PILOT, given=(), series=())
    inputs = network_inputs(adapter.forward(PILOT))
    assert inputs[SUMMARY_STATISTICS].shape[0] == 400
    means = [
        PILOT["y"].values[start : start + n].mean()
        for start, n in zip(PILOT["y"].starts(), SIZES, strict=True)
    ]
    assert np.abs(np.corrcoef(inputs[SUMMARY_STATISTICS].T, means)[-1, :-1]).max() > 0.999
    again = Adapter.from_config(adapter.to_config()).forward(PILOT)
    np.testing.assert_array_equal(
        network_inputs(again)[SUMMARY_STATISTICS], inputs[SUMMARY_STATISTICS]
    )


def test_statistics_of_a_data_set_do_not_depend_on_others():
    adapter = Adapter.fit(STEPS, PILOT).with_statistics(PILOT, given=(), series=())
    together = adapter.forward(PILOT)[SUMMARY_STATISTICS]
    alone = adapter.forward(take(PILOT, slice(7, 8)))[SUMMARY_STATISTICS]
    np.testing.assert_allclose(alone[0], together[7], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("numbers", "written", "epochs"), [(100, "", 200), (101, "", 100), (5, "{epochs: 7}", 7)]
)
def test_small_data_sets_are_trained_on_for_longer(numbers, written, epochs):
    section = parse_spec(SPEC + f"training: {written}\n" * bool(written)).training
    rows = {"y": np.zeros((3, numbers)), "other": np.zeros((3, 500))}
    assert derived_training(section, rows, ["y"]).epochs == epochs


WRITTEN = """
name: line
model: {prior: line.py:prior, likelihood: line.py:likelihood}
parameters: {m: {}}
adapter:
  - {kind}: y
  - rename: {from: m, to: inference_variables}
  - rename: {from: y, to: summary_variables}
"""
CODE = """
def prior(rng): return {"m": rng.normal()}
def likelihood(m, rng): return {"y": rng.normal(m, 1, rng.integers(3, 6))}
"""


@pytest.mark.parametrize("kind", ["set", "series"])
def test_a_network_left_out_is_derived_as_it_is_without_an_adapter(kind, tmp_path):
    (tmp_path / "line.py").write_text(CODE)
    step = {"set": "as_set", "series": "as_time_series"}[kind]
    (tmp_path / "with.yaml").write_text(WRITTEN.replace("{kind}", step))
    without = WRITTEN.partition("adapter:")[0] + f"observables: {{y: {{kind: {kind}}}}}\n"
    (tmp_path / "without.yaml").write_text(without)
    filled = []
    for name in ("with", "without"):
        result = abi("fill", tmp_path / f"{name}.yaml")
        assert result.exit_code == 0, result.output
        filled.append(parse_spec(result.stdout).networks)
        assert abi("check", tmp_path / f"{name}.yaml").exit_code == 0
    assert filled[0] == filled[1]
    assert filled[0].summary.name == {"set": "deep_set", "series": "convolutional"}[kind]


@pytest.mark.parametrize(
    ("step", "network"), [("as_set", "deep_set"), ("as_time_series", "time_series")]
)
def test_the_advice_follows_the_kind(step, network, tmp_path):
    """Where somebody says that there is to be none."""
    (tmp_path / "line.py").write_text(CODE)
    (tmp_path / "line.yaml").write_text(WRITTEN.replace("{kind}", step))
    refused = abi("check", tmp_path / "line.yaml", "-s", "networks.summary=null")
    assert refused.exit_code == 1
    noun = {"as_set": "sets", "as_time_series": "series"}[step]
    assert f"The {noun} in summary_variables need a summary network" in refused.stdout
    assert f"summary: {network}" in refused.stdout
    grouped = WRITTEN.replace("rename: {from: y, to: s", "group: {keys: [y], into: s")
    (tmp_path / "line.yaml").write_text(grouped.replace("{kind}", step))
    refused = abi("check", tmp_path / "line.yaml")
    advice = f"summary: {{fusion: {{networks: {{y: {network}}}}}}}"
    assert advice in refused.stdout
    (tmp_path / "line.yaml").write_text(
        grouped.replace("{kind}", step) + f"networks: {{{advice}}}\n"
    )
    assert abi("check", tmp_path / "line.yaml").exit_code == 0


@pytest.mark.parametrize(("stored", "size"), [(3, 64), (20, 4), (60, 8), (300, 64), (10_000, 64)])
def test_few_stored_simulations_are_learned_in_small_batches(stored, size):
    section = TrainingSection()
    assert fitting_few(section, stored).batch_size == size
    asked = TrainingSection(batch_size=64)
    assert fitting_few(asked, stored) is asked


BENT = """
name: bent
parameters: {mu: {}, sigma: {}}
observables: {x: {kind: set}}
adapter:
  - as_set: [x]
  - standardize: {include: [mu, sigma, x]}
  - concatenate: {keys: [mu, sigma], into: inference_variables}
  - rename: {from: x, to: summary_variables}
networks:
  summary: {deep_set: {width: 4, summary_dim: 4, moment_features: 1}}
  statistics: {mlp: {width: 4, summary_dim: 4}}
  inference: INFERENCE
"""


@pytest.mark.parametrize(
    ("inference", "told", "transform"),
    [
        ("{coupling_flow: {transform: auto, depth: 2, width: 4}}", "mu", "affine"),
        ("{coupling_flow: {transform: auto, depth: 2, width: 4}}", "its square", "spline"),
        ("{coupling_flow: {transform: affine, depth: 2, width: 4}}", "its square", "affine"),
        ("{ensemble: {members: 2, network: {coupling_flow: {transform: auto}}}}", "mu", "affine"),
        ("{autoregressive_flow: {transform: auto, depth: 1}}", "its square", "spline"),
    ],
)
def test_splines_are_taken_where_posteriors_of_the_pilot_have_several_modes(
    inference, told, transform
):
    from abi_cli.training.building import adapter_for, build, rebuild

    spec = parse_spec(BENT.replace("INFERENCE", inference))
    pilot = normal_sets(2_000)
    if told == "its square":
        x = pilot["x"]
        own = np.repeat(pilot["mu"], x.row_size)
        pilot = {**pilot, "x": Ragged(x.values - own + own**2, x.row_size)}
    adapter = adapter_for(spec, pilot, LAYOUT)
    made = build(spec, adapter, LAYOUT, adapter.forward(pilot), seed=1)
    chosen = getattr(made.inference, "network", made.inference)
    assert chosen.transform == transform
    again = rebuild(made.get_config(), spec.training)
    assert again.inference == made.inference
    assert [w.shape for w in again.weights] == [w.shape for w in made.weights]


def test_few_simulations_show_no_modes():
    word = registry.from_config("inference network", {"coupling_flow": {"transform": "auto"}})
    rng = np.random.default_rng(2)
    chosen = [word.suited(rng.normal(size=(60, 4))).transform for _ in range(100)]
    assert chosen.count("spline") <= 3
    signs = rng.choice([-1.0, 1.0], size=(60, 1)) + 0.2 * rng.normal(size=(60, 1))
    assert word.suited(np.tile(signs, (20, 1))).transform == "spline"
    assert word.suited(None).transform == "affine"
