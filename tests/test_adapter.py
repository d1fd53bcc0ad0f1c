"""The adapter as a whole, on the tutorial's chain of steps."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abi_cli import registry
from abi_cli.adapter import Adapter, AdapterError, network_inputs, sources
from abi_cli.errors import DataError
from abi_cli.variables import Ragged, count

TUTORIAL = [
    {"broadcast": {"keys": "N", "to": "x"}},
    {"as_set": {"keys": ["x", "y"]}},
    {"constrain": {"keys": "sigma", "lower": 0}},
    {"standardize": {"exclude": "N"}},
    {"sqrt": {"keys": "N"}},
    {"concatenate": {"keys": ["beta", "sigma"], "into": "inference_variables"}},
    {"concatenate": {"keys": ["x", "y"], "into": "summary_variables"}},
    {"rename": {"from": "N", "to": "inference_conditions"}},
]


def steps(*configs):
    return tuple(registry.from_config("step", config) for config in configs)


def simulations(datasets, *, seed, low=5, high=15):
    """Sets of the tutorial's regression: y = β₀ + β₁ x + σ ε."""
    rng = np.random.default_rng(seed)
    row_size = rng.integers(low, high, size=datasets)
    beta = rng.normal([2.0, 0.0], [3.0, 1.0], size=(datasets, 2))
    sigma = rng.gamma(1.0, 1.0, size=datasets)
    row = np.repeat(np.arange(datasets), row_size)
    x = rng.normal(size=len(row))
    y = beta[row, 0] + beta[row, 1] * x + sigma[row] * rng.normal(size=len(row))
    return {
        "N": row_size,
        "beta": beta,
        "sigma": sigma,
        "x": Ragged(x, row_size),
        "y": Ragged(y, row_size),
    }


@pytest.fixture(scope="module")
def adapter():
    return Adapter.fit(steps(*TUTORIAL), simulations(2000, seed=1))


def without(data, *names):
    return {name: value for name, value in data.items() if name not in names}


def parameters(datasets, *, seed):
    return without(simulations(datasets, seed=seed), "N", "x", "y")


def test_the_tutorial_arrives_in_the_shapes_it_shows(adapter):
    inputs = network_inputs(adapter.forward(simulations(500, seed=2, low=5, high=6)))
    assert {name: array.shape for name, array in inputs.items()} == {
        "summary_variables": (500, 5, 2),
        "summary_mask": (500, 5),
        "inference_conditions": (500, 1),
        "inference_variables": (500, 3),
    }


def test_the_tutorial_is_computed_by_hand(adapter):
    pilot, data = simulations(2000, seed=1), simulations(7, seed=2)
    inputs = network_inputs(adapter.forward(data))
    line = np.log(np.expm1(pilot["sigma"]))
    sigma = (np.log(np.expm1(data["sigma"])) - line.mean()) / line.std()
    beta = (data["beta"] - pilot["beta"].mean(axis=0)) / pilot["beta"].std(axis=0)
    np.testing.assert_allclose(
        inputs["inference_variables"], np.column_stack([beta, sigma]), rtol=1e-6
    )
    np.testing.assert_allclose(inputs["inference_conditions"][:, 0], np.sqrt(data["N"]), rtol=1e-6)
    first = data["N"][0]
    y = (data["y"].values[:first] - pilot["y"].values.mean()) / pilot["y"].values.std()
    np.testing.assert_allclose(inputs["summary_variables"][0, :first, 1], y, rtol=1e-5, atol=1e-6)


def test_inverse_undoes_forward(adapter):
    data = simulations(20, seed=3)
    back = adapter.inverse(adapter.forward(data))
    assert back.keys() == data.keys()
    for name, value in data.items():
        is_set = isinstance(value, Ragged)
        actual, expected = (back[name].values, value.values) if is_set else (back[name], value)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_without_parameters_the_rest_is_the_same(adapter):
    data = simulations(20, seed=3)
    whole = network_inputs(adapter.forward(data))
    told = network_inputs(adapter.forward(without(data, "beta", "sigma")))
    assert told.keys() == whole.keys() - {"inference_variables"}
    for name, array in told.items():
        np.testing.assert_array_equal(array, whole[name])


def test_draws_come_back_as_parameters_within_bounds(adapter):
    z = np.random.default_rng(4).normal(scale=30, size=(1000, 3)).astype(np.float32)
    draws = adapter.inverse({"inference_variables": z})
    assert {name: value.shape for name, value in draws.items()} == {
        "beta": (1000, 2),
        "sigma": (1000,),
    }
    assert all(value.dtype == np.float64 for value in draws.values())
    assert (draws["sigma"].astype(np.float32) > 0).all()
    again = adapter.forward({**simulations(1000, seed=1, low=5, high=6), **draws})
    inside = draws["sigma"] > 1e-37
    np.testing.assert_allclose(again["inference_variables"][inside], z[inside], rtol=1e-6)


@given(
    beta=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
    exponent=st.floats(-12, 4),
)
def test_log_det_is_that_of_a_numerical_jacobian(adapter, beta, exponent):
    at = np.array([*beta, 10.0**exponent])
    width = np.array([1e-3, 1e-3, 1e-4 * at[2]])
    ends = np.concatenate([at + np.diag(width), at - np.diag(width)])
    forward = network_inputs_in_double(adapter, ends)
    jacobian = (forward[:3] - forward[3:]) / (2 * width[:, None])
    expected = np.linalg.slogdet(jacobian)[1]
    actual = adapter.log_det({"beta": at[None, :2], "sigma": at[2:]})
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def network_inputs_in_double(adapter, theta):
    data = {**simulations(len(theta), seed=1), "beta": theta[:, :2], "sigma": theta[:, 2]}
    return adapter.forward(data)["inference_variables"]


@pytest.mark.parametrize("bounds", [{"lower": 1}, {"upper": -2}, {"lower": -3, "upper": 4}])
def test_a_density_carried_back_integrates_to_one(bounds):
    rng = np.random.default_rng(5)
    low, high = bounds.get("lower", -9), bounds.get("upper", 9)
    adapter = Adapter.fit(
        steps(
            {"constrain": {"keys": "mu", **bounds}},
            {"standardize": {}},
            {"rename": {"from": "mu", "to": "inference_variables"}},
        ),
        {"mu": rng.uniform(low, high, size=500)},
    )
    # From draw to draw at equal steps in z; the mass in between by the trapezoidal rule in μ.
    z = np.linspace(-9, 9, 20001)[:, None]
    mu = adapter.inverse({"inference_variables": z})["mu"]
    density = np.exp(-0.5 * z[:, 0] ** 2 + adapter.log_det({"mu": mu})) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(np.trapezoid(density, mu), 1.0, atol=1e-5)


def test_support_is_where_every_step_is_defined(adapter):
    outside = parameters(6, seed=6)
    outside["sigma"][[1, 3]] = 0.0, -1.0
    outside["beta"][4, 1] = np.inf
    np.testing.assert_array_equal(
        adapter.in_support(outside), [True, False, True, False, False, True]
    )


def test_draws_in_single_precision_are_judged_in_double():
    adapter = Adapter.fit(
        steps(
            {"constrain": {"keys": "p", "lower": 0.1}},
            {"rename": {"from": "p", "to": "inference_variables"}},
        ),
        {"p": np.array([0.2, 0.3])},
    )
    draw = {"p": np.array([0.1], dtype=np.float32)}  # above the double 0.1
    assert adapter.in_support(draw).all()
    assert np.isfinite(adapter.forward(draw)["inference_variables"]).all()
    assert np.isfinite(adapter.log_det(draw)).all()


def test_what_is_saved_is_exact(adapter):
    back = Adapter.from_config(json.loads(json.dumps(adapter.to_config())))
    assert back.steps == adapter.steps
    assert back.event == adapter.event
    for ours, theirs in zip(back.states, adapter.states, strict=True):
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            np.testing.assert_array_equal(array, theirs[name], strict=True)
    data = simulations(50, seed=7)
    ours, theirs = network_inputs(back.forward(data)), network_inputs(adapter.forward(data))
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], strict=True)


def test_every_step_can_be_watched(adapter):
    data = simulations(3, seed=1)
    seen = []
    watched = Adapter.fit(adapter.steps, data, watch=lambda *step: seen.append(step))
    assert [title for title, _ in seen] == [next(iter(config)) for config in TUTORIAL]
    assert seen[0][1]["N"].shape == (3, 1)
    last = seen[-1][1]
    assert last.keys() == watched.forward(data).keys()
    assert count(last) == 3


def test_it_knows_what_it_is_made_of(adapter):
    assert adapter.parameters == {"beta", "sigma"}
    assert adapter.conditions == {"N", "x", "y"}
    assert adapter.dim == 3
    assert sources(adapter.fitted, "summary_variables") == {"x", "y"}
    assert sources((), "a", "b") == {"a", "b"}


def test_a_network_input_may_be_told_by_its_own_name():
    pilot = {"inference_variables": np.arange(3.0), "inference_conditions": np.arange(3.0)}
    adapter = Adapter.fit((), pilot)
    assert adapter.forward({"inference_conditions": np.arange(2.0)}).keys() == {
        "inference_conditions"
    }


def test_one_scalar_parameter_keeps_its_shape():
    adapter = Adapter.fit(
        steps({"rename": {"from": "mu", "to": "inference_variables"}}), {"mu": np.arange(4.0)}
    )
    inputs = network_inputs(adapter.forward({"mu": np.arange(4.0)}))
    assert inputs["inference_variables"].shape == (4, 1)
    assert adapter.inverse(inputs)["mu"].shape == (4,)


def test_a_missing_observable_is_named(adapter):
    data = without(simulations(3, seed=1), "y", "beta", "sigma")
    with pytest.raises(DataError, match="Expected N, x, y; got no y"):
        adapter.forward(data)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([{"sqrt": {"keys": "Nn"}}], r"adapter\.0\.sqrt: .*; got Nn\nDid you mean N\?"),
        (
            [*TUTORIAL[5:6], {"sqrt": {"keys": "sigma"}}],
            r"adapter\.1\.sqrt: Expected one of the variables at this step, "
            "N, x, y, inference_variables; got sigma",
        ),
        ([{"standardize": {"exclude": "M"}}], r"adapter\.0\.standardize: .*; got M"),
        (
            [{"constrain": {"keys": "beta", "lower": 0}}],
            r"adapter\.0\.constrain: .* above 0 of beta",
        ),
        (TUTORIAL[:5], "Expected a variable inference_variables after the last step; got N, beta"),
        ([{"rename": {"from": "x", "to": "inference_variables"}}], "got a set or series"),
    ],
)
def test_a_chain_that_does_not_hold_is_refused(configs, message):
    with pytest.raises(AdapterError, match=message):
        Adapter.fit(steps(*configs), simulations(20, seed=1))


def test_values_outside_the_domain_are_placed(adapter):
    data = simulations(3, seed=1)
    data["sigma"][1] = -1
    with pytest.raises(AdapterError) as raised:
        adapter.forward(data)
    assert raised.value.place == "adapter.2.constrain"
    assert (raised.value.variable, raised.value.row) == ("sigma", 1)


def test_the_adapter_needs_numpy_alone():
    code = (
        "import sys, abi_cli.adapter; from abi_cli import registry; registry.names('step');"
        "print([m for m in ('keras', 'tensorflow', 'jax', 'torch', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
