"""What each adapter step means, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import norm

from abi_cli import registry
from abi_cli.adapter.step import AdapterError, event_of
from abi_cli.variables import Ragged
from tests.adapter_examples import ROW_SIZE, dense, ragged, step

# Broadcast


@pytest.mark.parametrize(
    ("source", "target", "exclude", "expected"),
    [
        pytest.param(dense(), ragged(), -1, (1,), id="count-to-set-of-numbers"),
        pytest.param(dense(), ragged(2), -1, ("member", 1), id="count-to-set-of-vectors"),
        pytest.param(dense(), ragged(2), None, ("member", 2), id="along-all"),
        pytest.param(dense(), ragged(), None, ("member",), id="along-members"),
        pytest.param(dense(2), ragged(2), (1, 2), (1, 2), id="along-none"),
        pytest.param(dense(3), ragged(), -1, (3,), id="excluded-axis-keeps-its-length"),
        pytest.param(dense(), dense(4, 2), -1, (4, 1), id="dense"),
        pytest.param(dense(2), dense(4, 2), None, (4, 2), id="dense-vector"),
    ],
)
def test_broadcast_follows_the_axes_of_its_target(source, target, exclude, expected):
    broadcast = step("broadcast", keys="N", to="x", exclude=exclude)
    after = broadcast.forward({"N": source, "x": target}, {})["N"]
    member = ("member",) if isinstance(after, Ragged) else ()
    assert (*member, *event_of(after)) == expected
    if isinstance(after, Ragged):
        np.testing.assert_array_equal(after.row_size, target.row_size)
        rows = np.repeat(np.arange(len(ROW_SIZE)), ROW_SIZE)
        np.testing.assert_array_equal(after.values.reshape(len(rows), -1)[:, 0], source[rows])


def test_broadcast_has_no_density_where_it_repeats():
    broadcast = step("broadcast", keys="a", to="w", exclude=None)
    with pytest.raises(AdapterError, match="Expected a density of a; got none"):
        broadcast.log_det({"a": dense(), "w": dense(2)}, {})


# Constrain

BOUNDS = [
    {"lower": 0.0},
    {"lower": 0.0, "method": "log"},
    {"lower": 0.1},
    {"lower": -2.5, "method": "log"},
    {"upper": 0.0},
    {"upper": 1e6},
    {"upper": 0.3, "method": "log"},
    {"lower": 0.0, "upper": 1.0},
    {"lower": -1e-3, "upper": 1e5},
]
by_bounds = pytest.mark.parametrize("bounds", BOUNDS, ids=str)


@by_bounds
@given(z=st.floats(-1e308, 1e308))
def test_draws_are_strictly_inside_in_single_precision(bounds, z):
    constrain = step("constrain", keys="a", **bounds)
    single = constrain.inverse({"a": np.array([z])}, {})["a"].astype(np.float32)
    draw = single.astype(np.float64)
    assert np.isfinite(draw).all()
    assert draw[0] > bounds.get("lower", -np.inf)
    assert draw[0] < bounds.get("upper", np.inf)
    assert constrain.in_support({"a": draw}, {}).all()


@by_bounds
@pytest.mark.parametrize("exponent", [-30, -12, -6, -1, 0, 1, 6, 30])
def test_near_and_far_from_the_edges_the_map_is_exact(bounds, exponent):
    constrain = step("constrain", keys="a", **bounds)
    lower, upper = bounds.get("lower"), bounds.get("upper")
    distance = 10.0**exponent
    if lower is not None and upper is not None:
        distance = min(distance, (upper - lower) / 3)
    sides = [lower + distance] if lower is not None else []
    sides += [upper - distance] if upper is not None else []
    for x in sides:
        nearest = min(abs(x - bound) for bound in (lower, upper) if bound is not None)
        if nearest < 1e4 * np.spacing(abs(x)):
            continue  # float64 can't tell the distance
        at = {"a": np.array([x])}
        up, down = x + 1e-3 * nearest, x - 1e-3 * nearest
        ends = constrain.forward({"a": np.array([down, up])}, {})["a"]
        slope = (ends[1] - ends[0]) / (up - down)
        np.testing.assert_allclose(constrain.log_det(at, {}), np.log(slope), atol=2e-6)
        if nearest > np.spacing(np.float32(abs(x))):  # else draws keep that much away
            back = constrain.inverse(constrain.forward(at, {}), {})["a"]
            np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-11 * nearest)


@by_bounds
def test_constrain_increases_and_covers_the_line(bounds):
    constrain = step("constrain", keys="a", **bounds)
    z = np.linspace(-100.0, 100.0, 2001)
    x = constrain.inverse({"a": z}, {})["a"]
    assert (np.diff(x) >= 0).all()
    apart = x[(x > x[0]) & (x < x[-1])]  # the ends are as close to a bound as draws get
    assert len(apart) > 500
    assert (np.diff(apart) > 0).all()
    for bound, end in ((bounds.get("lower"), x[0]), (bounds.get("upper"), x[-1])):
        if bound is not None:
            np.testing.assert_allclose(end, bound, rtol=1e-6, atol=1e-30)


def test_one_bound_is_softplus_by_default_and_log_when_asked():
    x = {"a": np.array([0.5, 40.0])}
    softplus = step("constrain", keys="a", lower=0).forward(x, {})["a"]
    np.testing.assert_allclose(softplus, np.log(np.expm1([0.5, 40.0])))
    log = step("constrain", keys="a", lower=0, method="log").forward(x, {})["a"]
    np.testing.assert_allclose(log, np.log([0.5, 40.0]))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf])
def test_values_outside_are_named(bad):
    constrain = step("constrain", keys="x", lower=0)
    values = ragged().values.copy()
    values[5] = bad  # the second member of data set 2
    data = {"x": Ragged(values, ROW_SIZE)}
    with pytest.raises(AdapterError, match=f"above 0 of x; got {bad:g} in data set 2") as raised:
        constrain.forward(data, {})
    assert (raised.value.variable, raised.value.row) == ("x", 2)
    np.testing.assert_array_equal(constrain.in_support(data, {}), [True, True, False, True])


def test_sqrt_takes_zero_but_has_no_density_there():
    data = {"N": np.array([0, 4])}
    np.testing.assert_array_equal(step("sqrt", keys="N").forward(data, {})["N"], [0.0, 2.0])
    np.testing.assert_array_equal(step("sqrt", keys="N").in_support(data, {}), [False, True])
    with pytest.raises(AdapterError, match="values of 0 and above of N; got -1 in data set 0"):
        step("sqrt", keys="N").forward({"N": np.array([-1, 4])}, {})


# Standardize


def test_what_is_whole_has_one_mean_and_sd():
    data = {"image": 3 + dense(4, 5) * np.arange(1, 6), "a": dense(2)}
    standardize = step("standardize", whole="image")
    after = standardize.forward(data, standardize.fit(data))
    assert after["image"].mean() == pytest.approx(0, abs=1e-12)
    assert after["image"].std() == pytest.approx(1)
    assert np.ptp(after["image"].std(axis=(0, 1))) > 0.5
    np.testing.assert_allclose(after["a"].std(axis=0), 1)


def test_standardize_gives_each_feature_mean_0_and_sd_1():
    rng = np.random.default_rng(1)
    row_size = rng.integers(0, 9, size=300)
    members = rng.normal([10.0, -3.0], [5.0, 0.1], size=(row_size.sum(), 2))
    data = {"x": Ragged(members, row_size), "m": rng.normal(7, 2, size=(300, 4, 3))}
    standardize = step("standardize")
    after = standardize.forward(data, standardize.fit(data))
    for pooled in (after["x"].values, after["m"].reshape(-1, 3)):
        np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(pooled.std(axis=0), 1, rtol=1e-12)


def test_heavy_tails_are_scaled_by_quantiles_and_stay_linear():
    """What data say of parameters mostly is."""
    rng = np.random.default_rng(1)
    data = {"a": np.stack([rng.standard_cauchy(9999) * 2 + 5, rng.normal(size=9999)], axis=1)}
    state = step("standardize").fit(data)
    assert state["a.location"][0] == np.median(data["a"][:, 0])
    quarter, three_quarters = np.quantile(data["a"][:, 0], [0.25, 0.75])
    np.testing.assert_allclose(state["a.scale"][0], (three_quarters - quarter) / 1.349)
    np.testing.assert_allclose(state["a.scale"][1], data["a"][:, 1].std())
    np.testing.assert_array_equal(state["a.linear"], [0, 0])


@pytest.mark.parametrize(("ratio", "heavy"), [(2.8, False), (3.2, True)])
def test_tails_are_heavy_beyond_three_times_the_sd_that_the_quartiles_suggest(ratio, heavy):
    values = norm.ppf((np.arange(2000) + 0.5) / 2000)
    values[[0, -1]] = np.array([-1, 1]) * np.sqrt(1000 * (ratio**2 - 1))
    scale = step("standardize").fit({"a": values})["a.scale"]
    np.testing.assert_allclose(scale, 1.0 if heavy else values.std(), rtol=1e-2)


def test_what_is_farther_out_than_any_network_can_be_told_is_brought_in():
    """However rare: the rest stays linear."""
    values = np.random.default_rng(1).normal(size=5000)
    values[7] = -1e9
    standardize = step("standardize")
    state = standardize.fit({"a": values})
    z = standardize.forward({"a": values}, state)["a"]
    np.testing.assert_allclose(z[7], -1e4 - np.log(1e9), rtol=1e-4)
    np.testing.assert_allclose(np.delete(z, 7), np.delete(values, 7), atol=0.1)


def test_rare_events_are_not_heavy_tails():
    rare = np.zeros(1000)
    rare[:100] = 1.0  # an interquartile range of 0 says nothing about the scale
    state = step("standardize").fit({"a": rare})
    assert state["a.linear"] == 0
    np.testing.assert_allclose(state["a.scale"], 0.3)


def test_extreme_tails_come_out_small_and_have_a_density_and_a_way_back():
    rng = np.random.default_rng(2)
    data = {"a": np.exp(rng.uniform(-3, 1, 5000) * 20) * rng.lognormal(0, 0.1, 5000)}
    standardize = step("standardize")
    state = standardize.fit(data)
    z = standardize.forward(data, state)["a"]
    assert data["a"].max() / state["a.scale"] > 1e8
    assert np.abs(z).max() < 40
    np.testing.assert_allclose(
        standardize.inverse({"a": z}, state)["a"], data["a"], rtol=1e-9, atol=1e-9
    )
    order = np.argsort(data["a"])
    assert (np.diff(z[order])[np.diff(data["a"][order]) > 1e-9] > 0).all()
    x, width = data["a"][z > 10], 1e-6 * data["a"][z > 10]
    there, beyond = (standardize.forward({"a": at}, state)["a"] for at in (x, x + width))
    slope = standardize.log_det({"a": x}, state)
    np.testing.assert_allclose(slope, np.log((beyond - there) / width), atol=1e-4)


def test_a_run_of_old_keeps_its_tails():
    """Its state has no `linear`: its networks have learned from tails as they are."""
    standardize = step("standardize")
    state = {"a.location": np.zeros(()), "a.scale": np.ones(()), "a.heavy": np.ones((), bool)}
    np.testing.assert_array_equal(standardize.forward({"a": np.array([1e6])}, state)["a"], [1e6])
    np.testing.assert_array_equal(standardize.log_det({"a": np.array([1e6])}, state), [0.0])


def test_counts_of_something_rare_have_heavy_tails_by_those_that_are_not_0():
    rng = np.random.default_rng(3)
    counts = np.where(rng.uniform(size=5000) < 0.8, 0.0, np.exp(3 * rng.normal(size=5000)))
    state = step("standardize").fit({"a": counts})
    assert state["a.linear"] > 0
    assert state["a.scale"] == np.median(counts[counts > 0])


@pytest.mark.parametrize("value", [0.0, 0.1, 10.0, 7_999_000.0, -1e12])
@pytest.mark.parametrize("noise", [0.0, 1e-16, 1e-9])
def test_what_is_constant_is_its_own_location(value, noise):
    """Also where rounding, or less than single precision tells, makes a little more of it."""
    size = max(1.0, abs(value))
    values = value + noise * abs(value) * np.random.default_rng(1).normal(size=(1000, 1))
    standardize = step("standardize")
    state = standardize.fit({"a": values})
    assert np.abs(standardize.forward({"a": values}, state)["a"]).max() < 1e-6
    off = standardize.forward({"a": np.array([[value + 0.001 * size]])}, state)["a"]
    assert 0 < off[0, 0] < 0.0011


def test_what_differs_enough_is_no_constant():
    values = np.random.default_rng(1).normal(1e6, 1.0, size=2000)
    state = step("standardize").fit({"a": values})
    np.testing.assert_allclose(state["a.scale"], values.std())


def test_statistics_are_those_of_the_pilot():
    standardize = step("standardize", include="a")
    state = standardize.fit({"a": np.array([0.0, 10.0]), "b": np.array([0.0, 10.0])})
    after = standardize.forward({"a": np.array([5.0, 20.0]), "b": np.array([5.0, 5.0])}, state)
    np.testing.assert_allclose(after["a"], [0.0, 3.0])
    np.testing.assert_array_equal(after["b"], [5.0, 5.0])


def test_given_mean_and_std_are_used():
    standardize = step("standardize", mean=2, std=[1, 4])
    state = standardize.fit({"a": dense(2)})
    np.testing.assert_allclose(
        standardize.forward({"a": np.ones((1, 2))}, state)["a"], [[-1, -0.25]]
    )
    with pytest.raises(AdapterError, match="mean and std of b to be one number or 3; got 2"):
        standardize.fit({"b": dense(3)})


# Options and data that make no sense


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"constrain": {"keys": "a"}}, "lower, upper or both; got neither"),
        ({"constrain": {"keys": "a", "lower": 2, "upper": 2}}, "numbers between lower and upper"),
        ({"constrain": {"keys": "a", "lower": 3, "upper": 2}}, "numbers between lower and upper"),
        ({"constrain": {"keys": "a", "lower": 1, "upper": 1 + 1e-9}}, "single-precision numbers"),
        ({"constrain": {"keys": "a", "lower": float("inf")}}, "finite number"),
        ({"constrain": {"keys": "a", "lower": 0, "upper": 1, "method": "log"}}, "they mean logit"),
        ({"constrain": {"keys": ["a", "a"], "lower": 0}}, "each variable once; got a twice"),
        ({"concatenate": {"keys": ["a"], "into": "b", "axis": 1}}, "axis to count from the last"),
        ({"broadcast": {"keys": ["a", "b"], "to": "b"}}, "another variable in `to`"),
        ({"standardize": {"include": "a", "exclude": "a"}}, "got a in both"),
        ({"standardize": {"exclude": "a", "whole": "a"}}, "of what is standardized; got a"),
        ({"standardize": {"mean": 1}}, "mean and std, or neither"),
        ({"standardize": {"mean": 1, "std": 0}}, "std to be positive"),
        ({"standardize": {"mean": [1, float("nan")], "std": 1}}, "finite number"),
        ({"sqrt": {"keys": "a", "epsilon": 1}}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(config, message):
    with pytest.raises(ValidationError, match=message):
        registry.from_config("step", config)


@pytest.mark.parametrize(
    ("refused", "data", "message"),
    [
        (
            step("concatenate", keys=["x", "N"], into="z"),
            {"x": ragged(1), "N": dense()},
            "sets only, or none; got x, which has members, and N, which has none",
        ),
        (
            step("concatenate", keys=["a", "b"], into="z"),
            {"a": dense(2, 3), "b": dense(3, 3)},
            r"differ along axis -1 only; got \(2, 3\) of a and \(3, 3\) of b",
        ),
        (
            step("concatenate", keys=["a", "b"], into="z", axis=-2),
            {"a": dense(2), "b": dense(2)},
            "at least 2 axes to join along axis -2",
        ),
        (
            step("concatenate", keys=["x", "y"], into="z"),
            {"x": ragged(), "y": Ragged(ragged().values, ROW_SIZE[::-1])},
            "x and y to have equally many members; got 3 and 2 in data set 0",
        ),
        (
            step("concatenate", keys=["a", "b"], into="c"),
            {"a": dense(), "b": dense(), "c": dense()},
            "a new name; got c",
        ),
        (
            registry.from_config("step", {"rename": {"from": "a", "to": "b"}}),
            {"a": dense(), "b": dense()},
            "a new name; got b",
        ),
        (step("as_set", keys="a"), {"a": dense(2)}, r"a to be a set; got an array of shape \(2,\)"),
        (step("as_time_series", keys="a"), {"a": dense()}, "a to be a series"),
        (
            step("broadcast", keys="x", to="y"),
            {"x": ragged(), "y": ragged()},
            "no members; got a set",
        ),
        (
            step("broadcast", keys="a", to="x"),
            {"a": dense(2, 2), "x": ragged()},
            "at most the 1 axes of x",
        ),
        (
            step("broadcast", keys="a", to="b", exclude=None),
            {"a": dense(2), "b": dense(3)},
            r"a to fit the axes \(3,\) of b; got \(2,\)",
        ),
        (
            step("broadcast", keys="a", to="b", exclude=5),
            {"a": dense(), "b": dense(3)},
            "axes among the 2 of b; got 5",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(refused, data, message):
    with pytest.raises(AdapterError, match=message):
        refused.forward(data, refused.fit(data))


def test_variables_to_join_come_together():
    concatenate = step("concatenate", keys=["a", "b"], into="z")
    state = concatenate.fit({"a": dense(), "b": dense()})
    with pytest.raises(AdapterError, match="Expected a, b together; got no b"):
        concatenate.forward({"a": dense()}, state)
    broadcast = step("broadcast", keys="N", to="x")
    with pytest.raises(AdapterError, match="Expected x, which N is broadcast to; got none"):
        broadcast.forward({"N": dense()}, {})
