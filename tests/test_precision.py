"""Equal numbers, and numbers that are as good as equal, have no sd to divide by."""

import re

import numpy as np
import pytest

from abi_cli.data.preparing import prepared
from abi_cli.diagnostics.features import features_of
from abi_cli.diagnostics.joint import _standardized
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.errors import DataError
from abi_cli.precision import almost_constant
from abi_cli.variables import Ragged
from tests.cli import abi


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
    near = Summaries(rows, {"off": off}).nearest()["off"]
    np.testing.assert_array_equal(near, Summaries(rows[:, :1], {"off": off[:1]}).nearest()["off"])


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


def test_draws_that_are_equal_have_no_sd():
    draws = np.full((1, 3, 1), 0.1)  # their mean is off 0.1
    residual, sd = _standardized(draws)
    assert np.abs(residual).max() < 1e-15
    assert sd == 1


def test_a_parameter_that_never_differs_comes_back_and_a_column_has_a_scale(tmp_path):
    """In units of rounding, the way back through a logarithm would be far off."""
    (tmp_path / "m.py").write_text(
        "def prior(): return {'s': 0.1}\ndef like(s, rng): return {'y': rng.normal(0, s, 3)}\n"
    )
    (tmp_path / "m.yaml").write_text(
        "name: m\nmodel: {prior: m.py:prior, likelihood: m.py:like}\nadapter:\n"
        "  - constrain: {keys: s, lower: 0, method: log}\n"
        "  - rename: {from: s, to: inference_variables}\n"
        "  - rename: {from: y, to: summary_variables}\n"
    )
    checked = abi("check", tmp_path / "m.yaml")
    assert checked.exit_code == 0, checked.output
    assert "comes back off" not in checked.output
    (tmp_path / "data.csv").write_text("x,y\n0.1,1\n0.1,2\n0.1,5\n")
    begun = abi("init", tmp_path / "new", "--from", tmp_path / "data.csv")
    assert begun.exit_code == 0, begun.output
    model = "".join(path.read_text() for path in (tmp_path / "new").glob("*.py"))
    assert not re.search(r"e-1[0-9]", model)
