"""What the steps mean that reshape, select, count and map whole vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from abi_cli import registry
from abi_cli.adapter import Adapter
from abi_cli.adapter.step import AdapterError
from abi_cli.variables import Ragged, take
from tests.adapter_examples import dense, ragged, step

PARAMETERS = {"theta": np.linspace(0.1, 0.9, 50), "k": np.resize([0, 1], 50)}
INTO = step("rename", **{"from": "theta", "to": "inference_variables"})


@pytest.mark.parametrize(
    "one_way",
    [
        step("sqrt", keys="theta"),
        step("apply", include="theta", forward="square"),
        step("apply", include="theta", forward="exp"),
        step("apply", include="theta", forward="tanh"),
        step("apply", include="theta", forward="sigmoid"),
    ],
    ids=lambda one: str(one.to_config()),
)
def test_parameters_are_not_let_through_what_folds_or_ends(one_way):
    """The square of −1 is 1: draws below 0 would come back above."""
    with pytest.raises(AdapterError, match=r"draws of theta can .* draws are anywhere") as error:
        Adapter.fit((one_way, INTO), PARAMETERS)
    assert error.value.place == f"adapter.0.{one_way.name}"


def test_conditions_are_let_through():
    steps = (
        INTO,
        step("one_hot", keys="k", num_classes=2),
        step("take", keys="k", indices=[0]),
        step("sqrt", keys="k"),
        step("rename", **{"from": "k", "to": "inference_conditions"}),
    )
    adapted = Adapter.fit(steps, PARAMETERS).forward({"k": np.array([0, 1])})
    np.testing.assert_array_equal(adapted["inference_conditions"], [[1.0], [0.0]])


@pytest.mark.parametrize("forward", ["log", "arctanh", "logit", "sinh", "tan", "negative"])
def test_parameters_come_back_from_anywhere_through_what_reaches_every_number(forward):
    adapter = Adapter.fit((step("apply", include="theta", forward=forward), INTO), PARAMETERS)
    z = np.linspace(-12, 12, 401, dtype=np.float32)
    theta = adapter.inverse({"inference_variables": z[:, None]})
    assert adapter.in_support(theta).all()
    assert (np.diff(theta["theta"]) * (-1 if forward == "negative" else 1) >= 0).all()


# Subsamples


@pytest.mark.parametrize("low", [None, 2])
def test_a_subsample_favours_no_member(low):
    """Neither by its place nor by its value, even where many members are equal."""
    rng = np.random.default_rng(1)
    size = rng.integers(23, 26, 4000)  # so many that hardly two sets of zeros and ones are equal
    values = rng.normal(size=size.sum()) if low is None else rng.integers(0, low, size.sum())
    x = Ragged(values.astype(np.float64), size)
    place = np.arange(len(values)) - np.repeat(x.starts(), size)
    marked = Ragged(np.stack([x.values, place], axis=1), size)
    after = step("random_subsample", key="x", sample_size=2).forward({"x": marked}, {})["x"]
    assert (after.row_size == 2).all()
    chosen = after.values[:, 1].reshape(-1, 2)
    assert (chosen[:, 0] < chosen[:, 1]).all()
    of_one_size = chosen[size == 24]
    counts = np.bincount(of_one_size.ravel().astype(int), minlength=24)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert abs(after.values[:, 0].mean() - x.values.mean()) < 4 * x.values.std() / np.sqrt(8000)
    pairs = np.bincount((of_one_size[:, 0] * 24 + of_one_size[:, 1]).astype(int), minlength=24**2)
    upper = np.triu(np.ones((24, 24), bool), 1).ravel()
    assert stats.chisquare(pairs[upper]).pvalue > 1e-3


def test_a_subsample_depends_on_the_set_and_the_seed_alone():
    data = {"x": ragged(2)}

    def taken(seed, data):
        return step("random_subsample", key="x", sample_size=1, seed=seed).forward(data, {})["x"]

    np.testing.assert_array_equal(taken(0, data).values, taken(0, data).values)
    alone = taken(0, take(data, np.array([2])))
    np.testing.assert_array_equal(alone.values, taken(0, data).values[2:3])
    assert any((taken(0, data).values != taken(seed, data).values).any() for seed in range(1, 5))


def test_small_sets_stay_whole_and_shares_are_rounded_up():
    x = Ragged(np.arange(10.0), np.array([1, 3, 6]))
    after = step("random_subsample", key="x", sample_size=4).forward({"x": x}, {})["x"]
    np.testing.assert_array_equal(after.row_size, [1, 3, 4])
    after = step("random_subsample", key="x", sample_size=0.4).forward({"x": x}, {})["x"]
    np.testing.assert_array_equal(after.row_size, [1, 2, 3])


# Vectors


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6))
@pytest.mark.parametrize("method", ["log_ratio", "stick"])
def test_every_draw_is_a_simplex(method, z):
    simplex = step("as_simplex", keys="p", method=method)
    p = simplex.inverse({"p": np.array([z])}, {})["p"]
    single = p.astype(np.float32)
    assert (single > 0).all()
    assert single.sum() == pytest.approx(1, abs=1e-6)
    assert simplex.in_support({"p": single.astype(np.float64)}, {}).all()


@given(st.lists(st.floats(-1e3, 80), min_size=2, max_size=6))
def test_every_draw_ascends_in_single_precision(z):
    ordered = step("as_ordered", keys="a")
    a = ordered.inverse({"a": np.array([z])}, {})["a"]
    single = a.astype(np.float32)
    assert (np.diff(single) > 0).all()
    assert ordered.in_support({"a": single.astype(np.float64)}, {}).all()


@given(st.lists(st.floats(-4, 4), min_size=6, max_size=6))
@pytest.mark.parametrize(
    ("name", "diagonal"), [("as_correlation_matrix", -1), ("as_covariance_matrix", 0)]
)
def test_every_draw_is_a_matrix_of_its_kind(name, diagonal, z):
    matrix = step(name, keys="c")
    c = matrix.inverse({"c": np.array([z])}, {})["c"]
    np.testing.assert_array_equal(c, np.swapaxes(c, 1, 2))
    assert np.linalg.eigvalsh(c).min() > 0
    if diagonal:
        np.testing.assert_array_equal(np.diagonal(c, 0, 1, 2), 1)
    np.testing.assert_allclose(matrix.forward({"c": c}, {})["c"], [z], atol=1e-5)


def test_the_density_of_a_simplex_is_that_of_its_first_elements():
    """The standard normal, taken to the simplex and integrated over it, is one."""
    for method in ("log_ratio", "stick"):
        simplex = step("as_simplex", keys="p", method=method)
        edges = np.linspace(0, 1, 401)
        mid = (edges[1:] + edges[:-1]) / 2
        first, second = np.meshgrid(mid, mid, indexing="ij")
        inside = first + second < 1
        p = np.stack([first, second, 1 - first - second], axis=-1)[inside]
        z = simplex.forward({"p": p}, {})["p"]
        log_p = stats.norm().logpdf(z).sum(axis=1) + simplex.log_det({"p": p}, {})
        assert np.exp(log_p).sum() / 400**2 == pytest.approx(1, abs=0.01)


# What is refused


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"apply": {"include": "a", "forward": "exp", "inverse": "sqrt"}}, "Expected log, which"),
        ({"apply": {"include": "a", "forward": "gamma"}}, "Input should be"),
        ({"scale": {"keys": "a", "by": 0}}, "other than 0"),
        ({"scale": {"keys": "a", "by": [1.0, 0.0]}}, "other than 0"),
        ({"split": {"key": "a", "into": "b"}}, "at least 2"),
        ({"split": {"key": "a", "into": ["b", "c"], "indices_or_sections": 3}}, "each of 3 pieces"),
        ({"split": {"key": "a", "into": ["b", "c", "d"], "indices_or_sections": [2, 1]}}, "ascend"),
        ({"random_subsample": {"key": "x", "sample_size": 1.5}}, "whole number, or a share"),
        ({"random_subsample": {"key": "x", "sample_size": 0}}, "greater than 0"),
        ({"convert_dtype": {"from": "float64", "to": "int64"}}, "holds fractions"),
        ({"group": {"keys": "a", "into": "g", "prefix": "x_"}}, "begin with 'x_'; got a"),
        ({"expand_dims": {"keys": "a", "axis": 1}}, "count from the last"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(config, message):
    with pytest.raises(ValidationError, match=message):
        registry.from_config("step", config)


@pytest.mark.parametrize(
    ("refused", "data", "message"),
    [
        (step("scale", keys="a", by=[1, 2, 3]), {"a": dense(2)}, "one number, or 2 .* got 3"),
        (step("shift", keys="a", by=[1, 2]), {"a": dense()}, "one number, or 1 .* got 2"),
        (step("drop", keys="b"), {"a": dense()}, "Expected one of the variables .* got b"),
        (step("split", key="a", into=["b", "c"]), {"a": dense(3)}, "multiple of 2"),
        (step("split", key="a", into=["b", "c"]), {"a": dense()}, "at least 1 axes"),
        (
            step("split", key="a", into=["b", "c"], indices_or_sections=[5]),
            {"a": dense(3)},
            "below 3",
        ),
        (step("take", keys="a", indices=[0, 3]), {"a": dense(3)}, r"shape is \(3,\); got 3"),
        (step("take", keys="a", indices=[0]), {"a": dense()}, r"shape is \(\); got 0"),
        (step("squeeze", keys="a"), {"a": dense(2)}, "length one; got a of shape"),
        (step("expand_dims", keys="a", axis=-3), {"a": dense(2)}, "from −1 to -2"),
        (step("ungroup", key="h"), {"g.a": dense()}, r"a group \(g\); got h"),
        (step("random_subsample", key="a", sample_size=2), {"a": dense(3)}, "a set or series"),
        (step("as_simplex", keys="a"), {"a": dense()}, "sum to one of a; got shape"),
        (step("as_covariance_matrix", keys="a"), {"a": dense(2, 3)}, "matrices of a; got shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(refused, data, message):
    with pytest.raises(AdapterError, match=message):
        refused.fit(data)


@pytest.mark.parametrize(
    ("refused", "value", "message"),
    [
        (step("log", keys="a"), [1.0, 0.0], "finite values above 0 of a; got 0 in data set 1"),
        (step("apply", include="a", forward="logit"), [1.0], "below 1 of a; got 1"),
        (step("as_simplex", keys="a"), [[0.5, 0.5], [0.5, 0.6]], r"got \[0.5, 0.6\] in data set 1"),
        (step("as_simplex", keys="a"), [[0.0, 1.0]], "positive numbers"),
        (step("as_ordered", keys="a"), [[0.0, 0.0]], "ascending"),
        (step("as_covariance_matrix", keys="a"), [[[1.0, 2.0], [2.0, 1.0]]], "positive definite"),
        (step("as_covariance_matrix", keys="a"), [[[1.0, 0.0], [0.5, 1.0]]], "symmetric"),
        (step("as_correlation_matrix", keys="a"), [[[2.0, 0.0], [0.0, 1.0]]], "ones on the"),
        (step("one_hot", keys="a", num_classes=2), [0, 2], "whole numbers from 0 to 1 of a; got 2"),
    ],
)
def test_values_outside_the_domain_are_refused(refused, value, message):
    with pytest.raises(AdapterError, match=message):
        refused.forward({"a": np.array(value)}, {})


@pytest.mark.parametrize("name", ["take", "random_subsample", "one_hot"])
def test_what_has_no_density_says_so(name):
    options = {
        "take": {"keys": "x", "indices": [0]},
        "random_subsample": {"key": "x", "sample_size": 1},
        "one_hot": {"keys": "x", "num_classes": 2},
    }
    with pytest.raises(AdapterError, match="Expected a density of x; got none, because"):
        step(name, **options[name]).log_det({"x": ragged(2)}, {})
