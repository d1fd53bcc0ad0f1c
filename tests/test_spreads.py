"""Equal numbers, and numbers that are as good as equal, have no sd to divide by."""

import numpy as np
import pytest

from abi_cli.data.preparing import prepared
from abi_cli.diagnostics.features import features_of
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.errors import DataError
from abi_cli.spreads import almost_constant
from abi_cli.variables import Ragged


def test_what_rounding_makes_of_equal_numbers_is_constant():
    """The mean of a thousand times 0.1 is off 0.1, and so the sd is off 0."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=1000)
    gap = np.where(noise > 1, np.nan, 3.0)
    unknown = np.full(1000, np.nan)
    columns = [0.1 + 0 * noise, 1e9 + 10 * noise, 1e9 + 1e4 * noise, noise, gap, unknown]
    found = almost_constant(np.stack(columns, axis=1))
    np.testing.assert_array_equal(found, [True, True, False, False, True, False])
    assert almost_constant(np.full(5, 7))
    assert not almost_constant(np.zeros((0, 2))).any()


def test_summaries_that_are_constant_but_for_rounding_say_nothing():
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=300), 1e5 * (1 + 6e-8 * rng.normal(size=300))], axis=1)
    rows = rows.astype(np.float32).astype(np.float64)
    off = rows[0] + [0.0, 0.05]  # many sds of the rounding
    p = Summaries(rows, {"off": off}).typicality()["off"]
    assert p == Summaries(rows[:, :1], {"off": off[:1]}).typicality()["off"]


def test_equal_members_are_not_standardized_by_what_rounding_leaves():
    members = np.full(3, 0.1)
    assert np.square(members - np.sum(members) / 3).any()  # this is what would be divided by
    with pytest.raises(DataError, match="differ within data set a"):
        prepared("x", Ragged(members, np.array([3])), "standardize_within", ["a"])


def test_features_that_are_constant_but_for_rounding_stay_small():
    rows = np.full(200, 0.3)
    rows[:80] = np.nextafter(0.3, 1)
    rng = np.random.default_rng(3)
    assert np.abs(features_of({"x": rows, "y": rng.normal(size=200)})[:, 0]).max() < 1e-6
