"""Looks: more data sets until it can be told, without more errors than one look makes."""

from pathlib import Path

import pytest

from abi_cli.diagnostics.faults import DEFAULT_LIMITS
from abi_cli.errors import UsageError
from abi_cli.workflow.calibration.validation import Validation


def test_looks_double_and_share_both_error_rates():
    looks = list(Validation(until_sure=True).looks())
    assert [look.datasets for look, _ in looks] == [1_000, 2_000, 4_000, 8_000]
    limits = [DEFAULT_LIMITS.spending(share) for _, share in looks]
    assert sum(own.p for own in limits) == pytest.approx(DEFAULT_LIMITS.p)
    assert sum(1 - own.interval for own in limits) == pytest.approx(1 - DEFAULT_LIMITS.interval)
    assert list(Validation(300).looks()) == [(Validation(300), 1.0)]


@pytest.mark.parametrize(
    ("asked", "option"), [({"datasets": 300}, "--datasets"), ({"data": Path("a.npz")}, "--data")]
)
def test_a_number_that_is_asked_for_is_not_ignored(asked, option):
    with pytest.raises(UsageError, match=option):
        next(Validation(until_sure=True, **asked).looks())
