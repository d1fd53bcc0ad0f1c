"""Padding, masks and the sizes that sets are padded to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abi_cli.adapter import AdapterError, bucket_of, bucket_sizes, network_inputs
from abi_cli.variables import Ragged

sizes = st.lists(st.integers(0, 9), max_size=8).map(lambda sizes: np.array(sizes, dtype=np.int64))


@given(row_size=sizes, dim=st.sampled_from([None, 1, 2, 5]), spare=st.integers(0, 3))
def test_padding_lays_members_in_rows_of_zeros(row_size, dim, spare):
    event = () if dim is None else (dim,)
    values = np.random.default_rng(1).normal(size=(int(row_size.sum()), *event))
    size = int(row_size.max(initial=0)) + spare
    inputs = network_inputs({"summary_variables": Ragged(values, row_size)}, size=size)
    padded, mask = inputs["summary_variables"], inputs["summary_mask"]
    assert padded.dtype == mask.dtype == np.float32
    assert padded.shape == (len(row_size), size, dim or 1)
    start = 0
    for row, members in enumerate(row_size):
        expected = values[start : start + members].reshape(members, dim or 1).astype(np.float32)
        np.testing.assert_array_equal(padded[row, :members], expected)
        np.testing.assert_array_equal(padded[row, members:], 0.0)
        np.testing.assert_array_equal(mask[row], np.arange(size) < members)
        start += members


def test_by_default_sets_are_padded_to_the_largest():
    adapted = {"summary_variables": Ragged(np.ones((5, 2)), np.array([2, 3]))}
    assert network_inputs(adapted)["summary_variables"].shape == (2, 3, 2)
    with pytest.raises(ValueError, match="at most 2 members; got 3"):
        network_inputs(adapted, size=2)


def test_members_may_lie_in_memory_in_any_order():
    values = np.asfortranarray(np.arange(10.0).reshape(5, 2))
    adapted = {"summary_variables": Ragged(values, np.array([2, 3]))}
    np.testing.assert_array_equal(
        network_inputs(adapted)["summary_variables"][1], [[4, 5], [6, 7], [8, 9]]
    )


def test_what_is_not_a_set_is_only_flattened_or_passed_on():
    adapted = {
        "inference_variables": np.arange(3),
        "inference_conditions": np.arange(12.0).reshape(3, 2, 2),
        "summary_variables": np.ones((3, 7, 2)),
        "nuisance": np.ones(3),
    }
    inputs = network_inputs(adapted)
    assert {name: array.shape for name, array in inputs.items()} == {
        "inference_variables": (3, 1),
        "inference_conditions": (3, 4),
        "summary_variables": (3, 7, 2),
    }
    assert all(array.dtype == np.float32 for array in inputs.values())


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e39])
def test_numbers_that_single_precision_cannot_hold_are_named(bad):
    values = np.ones((6, 2))
    values[3, 1] = bad
    with pytest.raises(AdapterError, match="finite numbers in summary_variables; got") as raised:
        network_inputs({"summary_variables": Ragged(values, np.array([2, 0, 1, 3]))})
    assert (raised.value.variable, raised.value.row) == ("summary_variables", 3)
    with pytest.raises(AdapterError, match="finite numbers in inference_variables") as raised:
        network_inputs({"inference_variables": values})
    assert raised.value.row == 3


def test_sets_belong_to_the_summary():
    ragged = Ragged(np.ones((5, 2)), np.array([2, 3]))
    with pytest.raises(AdapterError, match="inference_conditions to have one shape"):
        network_inputs({"inference_conditions": ragged})
    with pytest.raises(AdapterError, match=r"numbers or vectors; got shape \(2, 2\)"):
        network_inputs({"summary_variables": Ragged(np.ones((5, 2, 2)), np.array([2, 3]))})


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(5, 14, (14,), id="small-sets-share-one"),
        pytest.param(20, 200, (50, 100, 200), id="halves"),
        pytest.param(900, 1000, (1000,), id="similar-sets-share-one"),
        pytest.param(7, 7, (7,), id="all-alike"),
        pytest.param(0, 0, (0,), id="no-members"),
    ],
)
def test_bucket_sizes(low, high, expected):
    assert bucket_sizes(np.arange(low, high + 1)) == expected


@given(row_size=st.lists(st.integers(0, 10**6), min_size=1).map(np.array), most=st.integers(1, 8))
def test_buckets_hold_every_pilot_set_and_are_few(row_size, most):
    found = bucket_sizes(row_size, most=most)
    assert 1 <= len(found) <= most
    assert list(found) == sorted(set(found))
    assert found[-1] == row_size.max()
    padded = bucket_of(row_size, found)
    assert (padded >= row_size).all()
    assert set(padded) == set(found)  # none is compiled in vain


@given(
    row_size=st.lists(st.integers(0, 10**9), min_size=1).map(np.array),
    known=st.lists(st.integers(0, 5000), min_size=1, max_size=5, unique=True).map(sorted),
)
def test_any_set_finds_a_bucket_and_large_ones_waste_at_most_half(row_size, known):
    padded = bucket_of(row_size, tuple(known))
    assert (padded >= row_size).all()
    for size, members in zip(padded, row_size, strict=True):
        if members <= known[-1]:
            assert size == min(k for k in known if k >= members)
        else:
            assert size < 2 * members
            assert np.log2(size / max(known[-1], 1)) % 1 == 0
