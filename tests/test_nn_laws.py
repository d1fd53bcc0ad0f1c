"""Laws that networks obey, on the backend that KERAS_BACKEND names."""

from functools import cache

import numpy as np
import pytest
import yaml

from abi_cli import backend
from tests import engine

FLOWS = {
    "coupling": "coupling_flow: {depth: 6, width: 8}",
    "coupling spline": "coupling_flow: {depth: 3, width: 8, transform: spline}",
    "rotated coupling": "coupling_flow: {depth: 3, width: 8, permutation: orthogonal, "
    "actnorm: true, base: student_t}",
    "swapping coupling": "coupling_flow: {depth: 3, width: 8, permutation: swap, base: mixture}",
    "autoregressive": "autoregressive_flow: {depth: 3, width: 12}",
    "autoregressive spline": "autoregressive_flow: {depth: 2, width: 12, transform: spline}",
    "flow matching": "flow_matching: {depth: 1, width: 8, steps: 12}",
    "transported": "flow_matching: {depth: 1, width: 8, steps: 12, optimal_transport: true}",
    "diffusion": "diffusion: {depth: 2, width: 8, steps: 12}",
}
NETWORKS = {
    **FLOWS,
    "mixture": "gaussian_mixture: {components: 3, width: 8}",
    "normal": "gaussian_mixture: {components: 1, width: 8}",
    "ensemble": "ensemble: {members: 2, network: {gaussian_mixture: {components: 2, width: 8}}}",
}
DRAWN = {
    "sde": "diffusion: {depth: 1, width: 8, sampler: sde, steps: 5, prediction: noise}",
    "consistency": "consistency: {depth: 1, width: 8, steps: 3}",
}
"""Networks whose draws have no density, or another one."""

SETS = {
    "deep set": "deep_set: {summary_dim: 5, width: 16}",
    "set transformer": "set_transformer: {summary_dim: 5, width: 16}",
    "induced set transformer": "set_transformer: {summary_dim: 5, width: 16, inducing: 3}",
}
SERIES = {
    "recurrent": "recurrent: {summary_dim: 5, width: 8, depth: 2}",
    "lstm": "recurrent: {summary_dim: 5, width: 8, cell: lstm, bidirectional: false}",
    "time series": "time_series: {summary_dim: 5, width: 8, skip: 2}",
    "time series transformer": "time_series_transformer: {summary_dim: 5, width: 16}",
    "convolutional": "convolutional: {summary_dim: 5, width: 8, widths: [4, 6, 8]}",
}
FIXED = {
    "short vector": ("mlp: {summary_dim: 5, width: 16}", (3,)),
    "long vector": ("mlp: {summary_dim: 5, width: 16}", (300,)),
    "matrix": ("mlp: {summary_dim: 5, width: 16}", (3, 2)),
    "signal": ("convolutional: {summary_dim: 5, widths: [4, 6]}", (7,)),
    "long signal": ("convolutional: {summary_dim: 5, widths: [4, 6], axes: 1}", (150, 2)),
    "image": ("convolutional: {summary_dim: 5, widths: [4, 6, 8], axes: 2}", (5, 8)),
    "image with channels": ("convolutional: {summary_dim: 5, widths: [4]}", (9, 1, 2)),
}
"""Networks for data of a fixed shape, and that."""


def built(kind, words, *arguments):
    """A network as a spec names it, with no weight left at zero."""
    made = engine.built(kind, yaml.safe_load(words), *arguments)
    engine.disturb(made)
    return made


@cache
def inference(words, dim, conditions):
    """Shared: no test changes a weight."""
    return built("inference network", words, dim, conditions, 3)


@pytest.fixture(
    params=[(1, 0), (1, 3), (2, 3), (3, 3), (10, 4)], ids=lambda p: f"dim{p[0]}-c{p[1]}"
)
def sizes(request):
    return request.param


@pytest.fixture(params=FLOWS.values(), ids=FLOWS)
def flow(request, sizes):
    dim, conditions = sizes
    made = inference(request.param, dim, conditions)
    made.conditions = conditions
    return made


def some(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_forward_undoes_inverse(flow):
    noise, c = some((5, 7, flow.noise_dim)), some((5, 1, flow.conditions), 1)
    theta = backend.to_numpy(flow.inverse(noise, c)).reshape(35, flow.dim)
    again, _ = flow.forward(theta, np.repeat(c[:, 0], 7, axis=0))
    z = backend.to_numpy(flow.base.draw(noise)).reshape(35, flow.dim)
    np.testing.assert_allclose(backend.to_numpy(again), z, atol=1e-4)


def test_log_density_is_that_of_the_noise_and_the_jacobian(flow):
    """log q(θ) = log q₀(z) − log |∂θ/∂z|, the Jacobian by central differences."""
    z, c = some((1, flow.dim), 2), some((1, 1, flow.conditions), 3)
    step = 1e-2
    around = np.stack([z + step * sign * np.eye(flow.dim, dtype="float32")[i]
                       for i in range(flow.dim) for sign in (1, -1)])  # fmt: skip
    moved = backend.to_numpy(flow.backward(around.reshape(1, -1, flow.dim), c))[0]
    jacobian = (moved[0::2] - moved[1::2]) / (2 * step)
    theta = backend.to_numpy(flow.backward(z[None], c))[0]
    expected = backend.to_numpy(flow.base.log_prob(z))[0] - np.linalg.slogdet(jacobian)[1]
    got = backend.to_numpy(flow.log_prob(theta, c[:, 0]))[0]
    assert got == pytest.approx(expected, abs=0.02 * flow.dim)


@pytest.mark.parametrize("words", {**NETWORKS, **DRAWN}.values(), ids={**NETWORKS, **DRAWN})
def test_shapes(words, sizes):
    dim, conditions = sizes
    made = inference(words, dim, conditions)
    for datasets in (1, 4):
        theta, c = some((datasets, dim)), some((datasets, conditions), 1)
        noise = some((datasets, made.training_noise), 4)
        scores = [made.objective(theta, c, noise)]
        scores += [made.log_prob(theta, c)] if made.has_density else []
        for density in scores:
            assert backend.to_numpy(density).shape == (datasets,)
            assert np.isfinite(backend.to_numpy(density)).all()
        z = some((datasets, 5, made.noise_dim), 2)
        assert backend.to_numpy(made.inverse(z, c[:, None])).shape == (datasets, 5, dim)


@pytest.mark.parametrize("words", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one_and_draws_follow_it(dim, words):
    """Draws: their distribution function, one coordinate at a time, by Kolmogorov and Smirnov."""
    made = inference(words, dim, 2)
    axis = np.linspace(-15, 15, 301, dtype="float32")
    step = axis[1] - axis[0]
    grid = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, dim)
    c = some((1, 2))
    density = backend.to_numpy(made.log_prob(grid, np.repeat(c, len(grid), axis=0)))
    density = np.exp(density.astype("float64")).reshape([301] * dim)
    assert density.sum() * step**dim == pytest.approx(1.0, abs=0.01)

    draws = 4_000
    noise = some((1, draws, made.noise_dim), 6)
    theta = backend.to_numpy(made.inverse(noise, c[:, None]))[0]
    for coordinate in range(dim):
        others = tuple(other for other in range(dim) if other != coordinate)
        marginal = density.sum(axis=others) * step**dim
        at = np.interp(np.sort(theta[:, coordinate]), axis + step / 2, np.cumsum(marginal))
        distance = np.abs(at - (np.arange(draws) + 0.5) / draws).max()
        assert distance < 1.95 / np.sqrt(draws)  # exceeded once in a thousand tests


@pytest.mark.parametrize("words", {**NETWORKS, "sde": DRAWN["sde"]}.values())
def test_a_proposal_has_the_density_that_it_says(words):
    """E q / r = 1 over draws of r; they are wider than those of q, and r is never much less."""
    made = inference(words, 2, 2)
    number, c = 4_000, some((1, 1, 2), 1)
    wide = np.arange(number) % 5 == 4
    width = np.where(wide, 1.5, 1.0).astype("float32")[None, :, None]
    noise = some((1, number, made.noise_dim), 6)
    theta = backend.to_numpy(made.propose(noise, c, width))
    log_r = backend.to_numpy(made.log_proposal(theta, c))[0]
    log_q = backend.to_numpy(made.log_prob(theta[0], np.repeat(c[0], number, axis=0)))
    ratio = np.exp((log_q - log_r).astype("float64"))
    assert ratio.max() < 1.26
    assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / np.sqrt(number))
    assert ratio[wide].mean() < ratio[~wide].mean() - 0.05


def test_a_spline_is_the_identity_beyond_its_knots_and_has_an_inverse():
    from abi_cli.nn import spline

    numbers = 2 * some((400, spline.numbers_of(6)), 3)
    x = np.linspace(-9, 9, 400, dtype="float32")
    y, log_slope = (backend.to_numpy(value) for value in spline.forward(x, numbers))
    outside = np.abs(x) > spline.BOUND
    np.testing.assert_array_equal(y[outside], x[outside])
    assert not log_slope[outside].any()
    assert np.abs(y - x)[~outside].max() > 0.5
    again, _ = spline.forward(spline.inverse(y, numbers), numbers)
    np.testing.assert_allclose(backend.to_numpy(again), y, atol=1e-4)  # where it is flat x is lost
    step = 1e-2
    up, down = (backend.to_numpy(spline.forward(x + s, numbers)[0]) for s in (step, -step))
    slope = (up - down) / (2 * step)
    inside = np.abs(x) < 4.5
    assert np.median(np.abs(slope / np.exp(log_slope) - 1)[inside]) < 0.01


def test_couplings_come_in_pairs_that_keep_what_the_other_changes():
    from abi_cli.nn.flow import coupling_masks, swapped_masks

    for masks in (coupling_masks(5, 5, seed=1), swapped_masks(5, 5)):
        assert not masks[0].any()
        np.testing.assert_array_equal(masks[1::2] + masks[2::2], 1)
        assert set(masks[1:].sum(axis=1)) == {2, 3}


def test_a_coordinate_of_an_autoregressive_layer_depends_on_no_later_one():
    made = built("inference network", "autoregressive_flow: {depth: 1, width: 12}", 4, 0, 3)
    x, c = some((1, 4)), np.zeros((1, 0), "float32")
    fixed = [mask[0] for mask in made.fixed()]
    weights = [w[0] for w in made.stacked()]
    base = backend.to_numpy(made.step(x, c, fixed, weights)[0])[0]
    depends = np.zeros((4, 4), bool)
    for i in range(4):
        moved = x.copy()
        moved[0, i] += 0.5
        depends[:, i] = backend.to_numpy(made.step(moved, c, fixed, weights)[0])[0] != base
    assert depends.diagonal().all()
    assert sorted(depends.sum(axis=1)) == [1, 2, 3, 4]


def test_a_word_of_your_own_makes_its_layer():
    """Also where it is one of ours but for that; what has no layer at all is refused."""
    from abi_cli.networks.network import InferenceNetwork
    from abi_cli.networks.parts_inference import CouplingFlow
    from abi_cli.nn.build import inference_layer

    layer = object()

    class Own(CouplingFlow):
        def build(self, dim, conditions, seed):
            return layer if (dim, conditions, seed) == (2, 1, 3) else None

    class Nobodys(InferenceNetwork):
        name = "nobodys"

    assert inference_layer(Own(), 2, 1, 3) is layer
    with pytest.raises(NotImplementedError, match="nobodys"):
        inference_layer(Nobodys(), 2, 1, 3)


@pytest.fixture(scope="module", params=[*SETS.values(), *SERIES.values()], ids=[*SETS, *SERIES])
def members(request):
    made = built("summary network", request.param, (None, 3))
    made.adapt(some((64, 9, 3)), np.ones((64, 9), "float32"))
    made.ordered = request.param in SERIES.values()
    return made


def summary(members, x, mask):
    """In one compiled call: on JAX each operation would be compiled by itself."""
    return backend.to_numpy(backend.compiled(lambda *inputs: members(*inputs))(x, mask))


def test_padding_changes_no_summary_and_order_only_that_of_a_series(members):
    x = some((4, 20, 3), 5)
    mask = np.ones((4, 20), "float32")
    plain = summary(members, x, mask)
    padded = summary(members, np.pad(x, ((0, 0), (0, 5), (0, 0))), np.pad(mask, ((0, 0), (0, 5))))
    np.testing.assert_allclose(padded, plain, atol=1e-4)
    shuffled = summary(members, x[:, np.random.default_rng(1).permutation(20)], mask)
    assert np.allclose(shuffled, plain, atol=1e-4) != members.ordered
    assert np.ptp(plain, axis=0).min() > 1e-2


def test_tiny_sets_have_finite_summaries(members):
    mask = np.arange(4) < np.arange(3)[:, None]  # of none, one and two members
    x = some((3, 4, 3)) * mask[..., None]
    assert np.isfinite(summary(members, x, mask.astype("float32"))).all()


@pytest.mark.parametrize(("words", "shape"), FIXED.values(), ids=FIXED)
def test_data_of_a_fixed_shape_are_summarized(words, shape):
    """With every weight that they have: of entries, places, channels, and of all stages."""
    made = built("summary network", words, shape)
    made.adapt(some((64, *shape)))
    x = some((4, *shape), 5)
    summary = backend.to_numpy(made(x))
    assert summary.shape == (4, 5)
    assert np.ptp(summary, axis=0).min() > 1e-2
    assert backend.to_numpy(made.statistics(x, None)).shape == (4, made.statistics_dim)
    moved = backend.to_numpy(made(np.roll(x, 1, axis=1)))
    assert np.abs(moved - summary).max() > 1e-3  # where something is makes a difference


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_windows_times_a_kernel_are_a_convolution(kernel):
    from scipy.signal import correlate

    from abi_cli.nn.convolution import windows

    x, kernels = some((1, 6, 5, 1)), some((kernel, kernel), 1)
    # Along the second axis later, so its places are the outer ones.
    got = backend.to_numpy(windows(x, kernel)) @ kernels.T.reshape(-1)
    after, before = kernel // 2, (kernel - 1) // 2
    padded = np.pad(x[0, :, :, 0], ((before, after), (before, after)))
    np.testing.assert_allclose(got[0], correlate(padded, kernels, "valid"), atol=1e-5)


def test_convolutions_know_where_something_is():
    """Far from every edge, too, where padding can't tell."""
    made = built("summary network", "convolutional: {summary_dim: 5, widths: [4, 6]}", (400,))
    bump = np.zeros((2, 400), "float32")
    bump[0, 96:100] = bump[1, 296:300] = 1
    first, second = backend.to_numpy(made.encode(bump, None))
    assert np.abs(first - second).max() > 1e-2


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
