"""Base distributions of flows, and how couplings begin from pilot data."""

import numpy as np
import pytest
from scipy import stats

from abi_cli import backend
from tests import engine


def some(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("degrees", [1.2, 3.0, 200.0])
def test_the_heavy_tailed_base_is_students_t(degrees):
    from abi_cli.nn.base import StudentT

    base = StudentT(dim=1)
    base.log_degrees.assign([np.log(degrees - 1)])
    z = np.linspace(-40, 40, 41, dtype="float32")[:, None]
    oracle = stats.t(degrees)
    np.testing.assert_allclose(
        backend.to_numpy(base.log_prob(z)), oracle.logpdf(z[:, 0]), rtol=1e-4, atol=1e-4
    )
    draws = backend.to_numpy(base.draw(some((20_000, base.noise_dim))))[:, 0]
    assert stats.kstest(draws, oracle.cdf).pvalue > 0.01
    far = backend.to_numpy(base.draw(np.array([[9.0, 9.0], [0.0, 0.0]], "float32")))
    assert np.isfinite(far).all()


def test_actnorm_begins_with_unit_scale_on_the_pilot():
    """Also inside of an ensemble; a flow without it takes no notice."""
    options = {"depth": 3, "width": 8, "actnorm": True, "permutation": "orthogonal"}
    theta, c = 3 + 5 * some((400, 2)) * [1, 0.1], some((400, 3), 1)
    config = {"ensemble": {"network": {"coupling_flow": options}, "members": 2}}
    made = engine.built("inference network", config, 2, 3, 1)
    assert made.adapts
    made.adapt(theta.astype("float32"), c)
    for member in made.members:
        z = backend.to_numpy(member.forward(theta.astype("float32"), c)[0])
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-3)
    plain = engine.built("inference network", {"coupling_flow": {}}, 2, 3, 1)
    assert not plain.adapts


def test_networks_adapt_to_standardized_parameters_of_the_pilot():
    made = engine.approximator(inference={"coupling_flow": {"width": 8, "actnorm": True}})
    first = np.exp(backend.to_numpy(made.inference_network.log_scale.value)[0, 0])
    # The pilot's parameters are standardized given the data, on other rows than these.
    np.testing.assert_allclose(first, 1, atol=0.2)
    assert (first != 1).all()


def test_rotations_are_orthogonal_and_learned():
    config = {"coupling_flow": {"depth": 2, "width": 8, "permutation": "orthogonal"}}
    flow = engine.built("inference network", config, 4, 0, 1)
    rotations = backend.to_numpy(flow.fixed()[1])
    identity = rotations @ np.swapaxes(rotations, 1, 2)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-5)
    assert np.abs(rotations).max() < 0.999
    assert flow.mirrors.trainable
    alone = engine.built("inference network", config, 1, 0, 1)
    assert not hasattr(alone, "mirrors")


def test_halves_are_swapped():
    from abi_cli.nn.flow import swapped_masks

    expected = [[0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 0]]
    np.testing.assert_array_equal(swapped_masks(3, 4), expected)
    assert not swapped_masks(1, 4).any()
