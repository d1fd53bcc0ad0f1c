"""Whole numbers as people write them."""

from __future__ import annotations

import pytest

from abi_cli import digits
from abi_cli.digits import whole_number


@pytest.mark.parametrize("said", ["200", "2e2", "2E+2", "0.2e3", "2_00"])
def test_numbers_are_written_as_people_write_them(said):
    assert whole_number(said) == 200


@pytest.mark.parametrize("said", ["2.5", "1e-3", "nan", "", "12x", "1__0", "_1", "2.55e1", "0x10"])
def test_what_is_no_whole_number_is_none(said):
    assert whole_number(said) is None


def test_no_probability_is_called_zero():
    assert digits.probability(3.2e-5) == "p = 3e-05"
    assert digits.probability(0.0) == "p < 1e-300"
