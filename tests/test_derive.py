"""The adapter of a spec that leaves it out."""

import numpy as np
import pytest

from abi_cli.adapter import Adapter, AdapterError
from abi_cli.adapter.derive import derived_steps
from abi_cli.model.support import Support
from abi_cli.spec import read_spec
from abi_cli.variables import Layout, Ragged, Variable
from tests.cli import ANSCOMBE, SMALL, SPECS, abi

MINIMAL = """
name: minimal
model:
  meta: {place}:meta
  prior: {place}:prior
  likelihood: {place}:likelihood
observables:
  x: {{kind: set}}
  y: {{kind: set}}
"""


def variable(name, role, *, ragged=False, event=(), length_of=()):
    return Variable(name, role, ragged=ragged, event=event, length_of=length_of)


def configs(*variables, series=(), **supports):
    steps = derived_steps(Layout(variables), series=series, supports=supports)
    return [step.to_config() for step in steps]


def named(found, name):
    return [step[name] for step in found if name in step]


MU = variable("mu", "parameter")
X = variable("x", "observable", ragged=True)


def test_sets_are_summarized_and_context_is_a_condition():
    found = configs(MU, X, variable("z", "observable"), variable("t", "context"))
    assert [options["keys"] for options in named(found, "as_set")] == [["x"]]
    joined = {options["into"]: options["keys"] for options in named(found, "concatenate")}
    assert joined == {
        "inference_variables": ["mu"],
        "summary_variables": ["x"],
        "inference_conditions": ["t", "z"],
    }
    assert named(found, "standardize")[0]["include"] == ["mu", "x", "t", "z"]


def test_observables_of_fixed_shape_alone_are_summarized():
    found = configs(MU, variable("z", "observable", event=(3,)))
    joined = {options["into"]: options["keys"] for options in named(found, "concatenate")}
    assert joined == {"inference_variables": ["mu"], "summary_variables": ["z"]}


def test_an_observable_of_several_axes_is_summarized_where_it_is_alone():
    image = variable("image", "observable", event=(8, 8, 3))
    joined = {
        options["into"]: options["keys"] for options in named(configs(MU, image), "concatenate")
    }
    assert joined["summary_variables"] == ["image"]
    with pytest.raises(AdapterError, match="image"):
        configs(MU, image, X)


def test_series_are_series():
    found = configs(MU, X, variable("s", "observable", ragged=True), series=("s",))
    assert named(found, "as_set")[0]["keys"] == ["x"]
    assert named(found, "as_time_series")[0]["keys"] == ["s"]


def test_counts_are_told_by_their_root_and_not_standardized():
    found = configs(MU, X, variable("N", "context", length_of=("x",)))
    assert named(found, "sqrt")[0]["keys"] == ["N"]
    assert "N" not in named(found, "standardize")[0]["include"]


def test_parameters_are_constrained_by_their_supports():
    names = ("a", "b", "c", "d", "e")
    found = configs(
        *(variable(name, "parameter") for name in names),
        X,
        a=Support(0.0, None),
        b=Support(0.0, None, heavy=True),
        c=Support(-1.0, 1.0, heavy=True),
        d=Support(None, None),
        e=Support(0.0, None),
    )
    assert named(found, "constrain") == [
        {"keys": ["a", "e"], "lower": 0.0, "upper": None, "method": None},
        {"keys": ["b"], "lower": 0.0, "upper": None, "method": "log"},
        {"keys": ["c"], "lower": -1.0, "upper": 1.0, "method": None},
    ]


@pytest.mark.parametrize(
    "strange",
    [variable("m", "parameter", event=(2, 2)), variable("t", "context", ragged=True)],
    ids=["matrix", "ragged context"],
)
def test_what_has_to_be_said_is_asked_for(strange):
    with pytest.raises(AdapterError, match=strange.name):
        configs(MU, X, strange)


def test_derived_steps_fit_and_come_back():
    rng = np.random.default_rng(1)
    size = rng.integers(2, 9, 300)
    data = {
        "N": size,
        "mu": rng.normal(size=300),
        "sigma": rng.gamma(1.0, size=300),
        "x": Ragged(rng.normal(size=size.sum()), size),
    }
    layout = Layout(
        (variable("N", "context", length_of=("x",)), MU, variable("sigma", "parameter"), X)
    )
    steps = derived_steps(layout, series=(), supports={"sigma": Support(0.0, None)})
    adapter = Adapter.fit(steps, data)
    there = adapter.forward(data)
    back = adapter.inverse({"inference_variables": there["inference_variables"]})
    np.testing.assert_allclose(back["sigma"], data["sigma"], rtol=1e-9)
    assert (adapter.inverse({"inference_variables": np.full((5, 2), -40.0)})["sigma"] > 0).all()
    assert there["inference_conditions"].shape == (300, 1)


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "minimal.yaml"
    place = tmp_path / "model.py"
    place.write_text((SPECS / "regression_vectorised.py").read_text("utf-8"), "utf-8")
    path.write_text(MINIMAL.format(place="model.py"), "utf-8")
    return path


def test_the_smallest_spec_trains_and_its_run_says_what_was_derived(spec, tmp_path):
    trained = abi("train", spec, "-o", tmp_path / "run", *SMALL)
    assert trained.exit_code == 0, trained.output
    assert "derived the adapter" in trained.stderr
    complete = read_spec(tmp_path / "run" / "spec.yaml")
    assert next(step.name for step in complete.adapter or ()) == "as_set"
    assert complete.networks.summary is not None
    assert abi("sample", tmp_path / "run", ANSCOMBE, "-n", 5).exit_code == 0
    filled = abi("fill", spec)
    (tmp_path / "full.yaml").write_text(filled.stdout, "utf-8")
    assert read_spec(tmp_path / "full.yaml").adapter == complete.adapter


def test_a_positive_parameter_that_nothing_constrains_is_warned_of(spec):
    found = abi("check", spec, "--strict")
    assert found.exit_code == 1
    assert "sigma is always above 0" in found.stdout
    assert abi("check", SPECS / "regression_vectorised.yaml", "--strict").exit_code == 0
