"""Parameters standardized given statistics of the data."""

import numpy as np
import pytest

from abi_cli import backend
from tests import engine  # noqa: F401  # chooses the backend


def heteroscedastic(datasets, *, seed=0):
    """θ | u ~ N(1 + 2 u₁, exp(−3 + 2 u₂)²): posteriors whose widths differ a thousandfold."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(datasets, 3))
    log_sd = -3 + 2 * u[:, 1]
    return u, 1 + 2 * u[:, 0] + np.exp(log_sd) * rng.normal(size=datasets), log_sd


def test_mean_and_log_sd_are_found_where_widths_differ_a_thousandfold():
    from abi_cli.statistics.gaussian import fit

    u, theta, _ = heteroscedastic(8000)
    mean, log_sd = fit(np.column_stack([np.ones(len(u)), u]), theta)
    np.testing.assert_allclose(mean, [1, 2, 0, 0], atol=1e-3)
    np.testing.assert_allclose(log_sd, [-3, 0, 2, 0], atol=0.05)


@pytest.mark.parametrize("datasets", [20, 60, 500])
def test_statistics_that_say_nothing_change_nothing(datasets):
    """Or next to nothing: what is fitted predicts new data sets no worse than a constant."""
    from abi_cli.statistics.gaussian import fit

    rng = np.random.default_rng(datasets)
    u = np.column_stack([np.ones(datasets), rng.normal(size=(datasets, 12))])
    mean, log_sd = fit(u, rng.normal(size=datasets))
    fresh = np.column_stack([np.ones(5000), rng.normal(size=(5000, 12))])
    theta = rng.normal(size=5000)
    score = np.mean(0.5 * ((theta - fresh @ mean) * np.exp(-fresh @ log_sd)) ** 2 + fresh @ log_sd)
    assert score < 0.5 + 0.1


def test_the_layer_has_unit_residuals_and_stays_within_what_the_pilot_has_shown():
    from abi_cli.nn.standardization import ConditionalStandardization

    u, theta, truth = heteroscedastic(4000)
    layer = ConditionalStandardization(dim=1)
    layer.build((1, 3))
    statistics = (5 + 10 * u).astype("float32")
    before = [backend.to_numpy(x) for x in layer(statistics[:5])]
    assert not before[0].any()
    assert not before[1].any()
    layer.adapt(statistics, theta[:, None])
    mean, log_sd = (backend.to_numpy(x)[:, 0] for x in layer(statistics))
    residual = (theta - mean) * np.exp(-log_sd)
    assert residual.std() == pytest.approx(1.0, abs=0.05)
    assert abs(log_sd - truth).max() < 0.5
    far = 1e6 * np.array([[1.0] * 3, [-1.0] * 3], "float32")
    mean, beyond = (backend.to_numpy(x)[:, 0] for x in layer(far))
    np.testing.assert_allclose(beyond, [log_sd.max(), log_sd.min()], atol=1e-5)
    assert np.abs(mean).max() < 100  # not the line on to 2e5


def test_statistics_that_rounding_alone_changes_are_only_centred():
    """Single precision leaves noise on large constants: divided by it, noise is all one sees."""
    from abi_cli.nn.standardization import Scaling

    noise = np.random.default_rng(1).normal(size=(500, 1))
    statistics = np.concatenate([1e5 * (1 + 6e-8 * noise), noise], axis=1).astype("float32")
    layer = Scaling()
    layer.build((1, 2))
    layer.adapt(statistics)
    scaled = backend.to_numpy(layer(statistics))
    assert np.abs(scaled[:, 0]).max() < 1e-6
    assert scaled[:, 1].std() == pytest.approx(1, rel=1e-5)


def test_what_is_far_off_is_compressed_and_comes_back():
    from keras import ops

    from abi_cli.nn.standardization import FAR, ConditionalStandardization

    layer = ConditionalStandardization(dim=1, stages=2, compresses=True)
    theta = np.array([[-3e3], [-9.0], [-7.9], [0.3], [8.1], [500.0]], "float32")
    mean, log_sd = np.zeros((6, 1), "float32"), np.full((6, 1), -0.2, "float32")
    z, log_det = layer.standardized(theta, mean, log_sd)
    back = backend.to_numpy(layer.restored(z, mean, log_sd))
    np.testing.assert_allclose(back, theta, rtol=1e-4)
    z, log_det = backend.to_numpy(z), backend.to_numpy(log_det)
    plain = theta * np.exp(0.2)
    near = np.abs(plain) < FAR
    np.testing.assert_allclose(z[near], plain[near], rtol=1e-6)
    assert np.abs(z).max() < FAR + 11
    step = 1e-3 * np.abs(theta)
    above, _ = layer.standardized(theta + step, mean, log_sd)
    below, _ = layer.standardized(theta - step, mean, log_sd)
    slope = backend.to_numpy(ops.subtract(above, below)) / (2 * step)
    np.testing.assert_allclose(np.log(slope[:, 0]), log_det, atol=0.01)
    for wild in (96.0, 1e6):  # no training was there, but a draw of a flow may be
        assert np.isfinite(backend.to_numpy(layer.restored(np.array([[wild]], "float32"), 0, 0)))
