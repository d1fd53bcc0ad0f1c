"""Laws that networks obey, on the backend that KERAS_BACKEND names."""

import numpy as np
import pytest

from abi_cli import backend
from tests import engine


@pytest.fixture(
    params=[(1, 0), (1, 3), (2, 3), (3, 3), (10, 4)], ids=lambda p: f"dim{p[0]}-c{p[1]}"
)
def flow(request):
    from abi_cli.nn.coupling import AffineCouplingFlow

    dim, conditions = request.param
    made = AffineCouplingFlow(dim=dim, depth=6, width=8, activation="silu", seed=3)
    made.build((None, conditions))
    engine.disturb(made)
    made.conditions = conditions
    return made


def some(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def forward(flow, theta, c):
    """Noise of parameters, by the density's own path."""
    from keras import ops

    kept = {}
    square = ops.square

    def watched(z):
        kept["z"] = z
        return square(z)

    ops.square = watched
    try:
        flow.log_prob(theta, c)
    finally:
        ops.square = square
    return backend.to_numpy(kept["z"])


def test_forward_undoes_inverse(flow):
    z, c = some((5, 7, flow.dim)), some((5, 1, flow.conditions), 1)
    theta = backend.to_numpy(flow.inverse(z, c))
    again = forward(flow, theta.reshape(35, flow.dim), np.repeat(c[:, 0], 7, axis=0))
    np.testing.assert_allclose(again, z.reshape(35, flow.dim), atol=1e-4)


def test_log_density_is_that_of_the_noise_and_the_jacobian(flow):
    """log q(θ) = log N(z) − log |∂θ/∂z|, the Jacobian by central differences."""
    z, c = some((1, flow.dim), 2), some((1, 1, flow.conditions), 3)
    step = 1e-2
    around = np.stack([z + step * sign * np.eye(flow.dim, dtype="float32")[i]
                       for i in range(flow.dim) for sign in (1, -1)])  # fmt: skip
    moved = backend.to_numpy(flow.inverse(around.reshape(1, -1, flow.dim), c))[0]
    jacobian = (moved[0::2] - moved[1::2]) / (2 * step)
    theta = backend.to_numpy(flow.inverse(z[None], c))[0]
    expected = -0.5 * (z**2).sum() - 0.5 * flow.dim * np.log(2 * np.pi)
    expected -= np.linalg.slogdet(jacobian)[1]
    got = backend.to_numpy(flow.log_prob(theta, c[:, 0]))[0]
    assert got == pytest.approx(expected, abs=0.02 * flow.dim)


@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(dim):
    from abi_cli.nn.coupling import AffineCouplingFlow

    flow = AffineCouplingFlow(dim=dim, depth=5, width=8, activation="silu", seed=3)
    flow.build((None, 2))
    engine.disturb(flow)
    axis = np.linspace(-15, 15, 601, dtype="float32")
    grid = np.stack(np.meshgrid(*[axis] * dim), -1).reshape(-1, dim)
    c = np.repeat(some((1, 2)), len(grid), axis=0)
    density = np.exp(backend.to_numpy(flow.log_prob(grid, c)).astype("float64"))
    assert density.sum() * (axis[1] - axis[0]) ** dim == pytest.approx(1.0, abs=0.01)


@pytest.fixture
def deep_set():
    from abi_cli.nn.deep_set import DeepSet

    made = DeepSet(summary_dim=5, width=16, depth=2, moment_features=8, activation="silu")
    made.build((None, None, 3))
    x = some((64, 9, 3))
    made.adapt(x, np.ones((64, 9), "float32"))
    return made


def test_a_padded_and_a_shuffled_set_have_the_same_summary(deep_set):
    x = some((4, 6, 3), 5)
    mask = np.ones((4, 6), "float32")
    plain = backend.to_numpy(deep_set(x, mask))
    shuffled = backend.to_numpy(deep_set(x[:, [3, 0, 5, 1, 4, 2]], mask))
    padded = backend.to_numpy(
        deep_set(np.pad(x, ((0, 0), (0, 5), (0, 0))), np.pad(mask, ((0, 0), (0, 5))))
    )
    np.testing.assert_allclose(shuffled, plain, atol=1e-4)
    np.testing.assert_allclose(padded, plain, atol=1e-4)
    assert np.ptp(plain, axis=0).min() > 1e-2


@pytest.mark.parametrize("size", [0, 1, 2])
def test_tiny_sets_have_finite_summaries(deep_set, size):
    mask = np.zeros((2, 4), "float32")
    mask[:, :size] = 1
    x = some((2, 4, 3)) * mask[..., None]
    assert np.isfinite(backend.to_numpy(deep_set(x, mask))).all()


def test_regressions_are_least_squares():
    from abi_cli.nn.moments import regressions, statistics_of

    x = some((1, 40, 3), 7)
    x[..., 2] += 2 * x[..., 0] - x[..., 1] + 3
    got = backend.to_numpy(regressions(x, np.ones((1, 40), "float32")))[0]
    assert len(got) == statistics_of(3)
    design = np.column_stack([x[0, :, :2], np.ones(40)])
    solution, residual, *_ = np.linalg.lstsq(design, x[0, :, 2].astype("float64"), rcond=None)
    np.testing.assert_allclose(got[-3:], solution, atol=1e-4)
    # in order: means, log D and means' deviations per feature, then coefficients
    np.testing.assert_allclose(got[:3], x[0].mean(0), atol=1e-5)
    log_variances = [got[3], got[4], got[5]]
    np.testing.assert_allclose(log_variances[-1], np.log(residual[0] / 40), atol=1e-3)


def test_residuals_keep_their_size_where_members_almost_lie_on_a_line():
    from abi_cli.nn.moments import regressions

    x = some((1, 20, 2), 8)
    x[..., 1] = 1.5 * x[..., 0] + 1e-4 * x[..., 1] + 2
    got = backend.to_numpy(regressions(x, np.ones((1, 20), "float32")))[0]
    design = np.column_stack([x[0, :, 0], np.ones(20)]).astype("float64")
    _, residual, *_ = np.linalg.lstsq(design, x[0, :, 1].astype("float64"), rcond=None)
    assert got[3] == pytest.approx(np.log(residual[0] / 20), abs=0.05)


def test_a_stack_of_layers_has_the_gradient_of_the_unrolled_one():
    """Against central differences of the whole, in every kind of argument."""
    depth, dim = 4, 3
    w, x, c = some((depth, dim, dim)) * 0.5, some((2, dim), 1), some((2, dim), 2)

    def layer(carry, weights, shared):
        from keras import ops

        (y,) = carry
        return (ops.tanh(ops.matmul(y, weights[0]) + shared),)

    def total(x, w, c):
        from keras import ops

        return ops.sum(ops.square(backend.scan_layers(layer, (x,), [w], c)[0]))

    got = gradients(total, [x, w, c])
    rng = np.random.default_rng(4)
    for number, gradient in enumerate(got):
        direction = rng.normal(size=gradient.shape).astype("float32")
        moved = [x, w, c], [x, w, c]
        moved[0][number] = moved[0][number] + 1e-2 * direction
        moved[1][number] = moved[1][number] - 1e-2 * direction
        up, down = (float(backend.to_numpy(total(*arguments))) for arguments in moved)
        assert (gradient * direction).sum() == pytest.approx((up - down) / 2e-2, rel=0.02, abs=0.01)


def gradients(function, arrays):
    if backend.name() == "jax":
        import jax

        return [np.asarray(g) for g in jax.grad(function, argnums=(0, 1, 2))(*arrays)]
    import tensorflow as tf

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return [g.numpy() for g in tape.gradient(value, tensors)]
