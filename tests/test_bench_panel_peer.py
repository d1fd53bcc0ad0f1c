"""What the peer is given of the panel's models: all that abi sees, and where padding is."""

import numpy as np

from abi_cli.variables import Layout, Ragged
from tests.bench.panel_peer import arrays_of, longest_of

ROLES = {"N": "context", "theta": "parameter", "y": "observable"}


def test_members_lie_under_the_mask_and_zeros_elsewhere():
    size = np.array([2, 3])
    rows = {
        "N": size,
        "theta": np.array([0.5, -0.5]),
        "y": Ragged(np.array([1.0, np.nan, 3.0, 4.0, 5.0]), size),
    }
    layout = Layout.of_values(rows, ROLES, missing={"y"})
    arrays = arrays_of(layout, rows, longest=4)
    np.testing.assert_array_equal(arrays["mask"], [[1, 1, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(arrays["members"][..., 0], [[1, 0, 0, 0], [3, 4, 5, 0]])
    np.testing.assert_array_equal(arrays["members"][..., 1], [[1, 0, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_allclose(arrays["conditions"][:, 0] ** 2, size, rtol=1e-6)
    np.testing.assert_array_equal(arrays["theta"], [[0.5], [-0.5]])


def test_the_longest_size_is_the_one_that_the_spec_can_draw():
    assert (longest_of("quadratic"), longest_of("logistic"), longest_of("arma")) == (20, 300, 0)
