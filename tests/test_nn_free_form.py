"""Free-form flows: their solvers, derivatives by hand, and draws where the exact field is known."""

import numpy as np
import pytest
import yaml

from abi_cli import backend, workflow
from tests import engine
from tests.cli import brief_surfaces

backend.select()


def some(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def network(dim=3, conditions=2):
    from abi_cli.nn.time_network import TimeNetwork

    made = TimeNetwork(dim=dim, depth=2, width=8, seed=1)
    made.build((None, conditions))
    engine.disturb(made)
    return made


def test_derivatives_by_hand_are_those_of_the_network():
    """Against central differences."""
    made = network()
    y, c, dy = some((5, 3)), some((5, 2), 1), some((5, 3), 2)
    phi, dphi = np.full((5, 1), 0.7, "float32"), np.full((5, 1), 1.3, "float32")
    given, step = made.conditioning(c), 1e-2

    def field(y, phi=phi):
        return backend.to_numpy(made(y, phi, given))

    value, along = made.jvp(y, phi, given, dy, dphi)
    np.testing.assert_allclose(backend.to_numpy(value), field(y), atol=1e-6)
    up, down = (field(y + s * dy, phi + s * dphi) for s in (step, -step))
    np.testing.assert_allclose(backend.to_numpy(along), (up - down) / (2 * step), atol=5e-3)

    value, trace = made.divergence(y, phi, given)
    np.testing.assert_allclose(backend.to_numpy(value), field(y), atol=1e-6)
    unit = step * np.eye(3, dtype="float32")
    slopes = [(field(y + unit[i]) - field(y - unit[i]))[:, i] / (2 * step) for i in range(3)]
    np.testing.assert_allclose(backend.to_numpy(trace), np.sum(slopes, axis=0), atol=2e-3)


@pytest.mark.parametrize(
    ("integrator", "steps", "off"), [("euler", 400, 0.02), ("rk4", 30, 1e-4), ("adaptive", 2, 1e-5)]
)
def test_integrators_solve_what_can_be_solved_by_hand(integrator, steps, off):
    """y' = a cos φ · y and its time integral, there and back."""
    from keras import ops

    from abi_cli.nn.integrators import integrate

    y, rate = some((6, 2)), np.linspace(-2, 3, 6, dtype="float32")[:, None]

    def field(state, phi):
        slope = rate * ops.cos(phi)
        return slope * state[0], (slope + ops.zeros_like(state[0]))[..., 0]

    options = {"integrator": integrator, "steps": steps, "tolerance": 1e-6}
    ends = (0.0, 1.5)
    there = integrate(field, (y, np.zeros(6, "float32")), ends, **options)
    moved, total = (backend.to_numpy(value) for value in there)
    np.testing.assert_allclose(moved, y * np.exp(rate * np.sin(1.5)), rtol=off, atol=off)
    np.testing.assert_allclose(total, rate[:, 0] * np.sin(1.5), rtol=off, atol=off)
    back = backend.to_numpy(integrate(field, there, ends[::-1], **options)[0])
    np.testing.assert_allclose(back, y, rtol=5 * off, atol=5 * off)

    rate = rate[2:3]
    alone = integrate(field, (y[2:3], np.zeros(1, "float32")), ends, **options)[0]
    np.testing.assert_allclose(backend.to_numpy(alone), moved[2:3], rtol=1e-6)


class Exact:
    """The field of x ~ N(1 + c, 0.3²), which is known."""

    def conditioning(self, c):
        return c

    def __call__(self, y, phi, c):
        return self.divergence(y, phi, c)[0]

    def divergence(self, y, phi, c):
        from keras import ops

        cos, sin = ops.cos(phi), ops.sin(phi)
        slope = cos * sin * (1 - 0.3**2) / (cos**2 * 0.3**2 + sin**2)
        field = -sin * (1 + c) + slope * (y - cos * (1 + c))
        return field, ops.sum(slope + ops.zeros_like(y), axis=-1)


@pytest.mark.parametrize(
    "words",
    [
        "flow_matching: {steps: 12}",
        "flow_matching: {integrator: adaptive, tolerance: 1e-6}",
        "flow_matching: {integrator: euler, steps: 500}",
        "diffusion: {steps: 12}",
        "diffusion: {sampler: sde, steps: 24}",
    ],
)
def test_draws_and_densities_of_the_exact_field_are_exact(words):
    made = engine.built("inference network", yaml.safe_load(words), 2, 1, 3)
    made.network = Exact()
    noise, c = some((3, 4_000, made.noise_dim)), np.array([[[0.0]], [[1.0]], [[-2.0]]], "float32")
    draws = backend.to_numpy(made.inverse(noise, c))
    np.testing.assert_allclose(draws.mean(1), 1 + np.repeat(c[:, 0], 2, 1), atol=0.02)
    np.testing.assert_allclose(draws.std(1), 0.3, atol=0.012)
    x = draws[:, 0]
    off = (x - 1 - c[:, 0]) / 0.3
    exact = -0.5 * (off**2).sum(1) - 2 * np.log(0.3) - np.log(2 * np.pi)
    got = backend.to_numpy(made.log_prob(x, c[:, 0]))
    np.testing.assert_allclose(got, exact, atol=0.03 if "euler" in words else 2e-3)


def pairing(x, z, c, seed=0):
    from abi_cli.nn.transport import paired

    share = np.random.default_rng(seed).random(z.shape[:2]).astype("float32")
    return backend.to_numpy(paired(x, z, c, share))


def test_transport_pairs_what_is_near_and_uses_all_noise_alike():
    x, z = some((32, 2)), some((400, 32, 2), 1)
    got = pairing(x, z, np.zeros((32, 1), "float32"))
    assert np.square(got - x).mean() < 0.4 * np.square(z - x).mean()
    # Marginals are kept: noise stays N(0, I), over all data sets.
    np.testing.assert_allclose(got.mean((0, 1)), z.mean((0, 1)), atol=0.02)
    np.testing.assert_allclose(got.std((0, 1)), z.std((0, 1)), atol=0.02)


def test_transport_does_not_pair_across_unlike_conditions():
    x, z = some((16, 2)), some((3, 16, 2), 1)
    far = 10 * np.arange(16, dtype="float32")[:, None]
    np.testing.assert_array_equal(pairing(x, z, far), z)


def test_transport_does_not_tell_conditions_apart_by_rounding():
    """A constant condition of any size leaves the pairing as it is."""
    x, z = some((16, 2)), some((3, 16, 2), 1)
    c = some((16, 1), 2)
    large = np.float32(8e6) + np.arange(16, dtype="float32")[:, None] % 2 / 2
    with_constant = np.concatenate([c, large], axis=1)
    same = np.concatenate([c, 0 * c], axis=1)
    np.testing.assert_array_equal(pairing(x, z, with_constant), pairing(x, z, same))


def test_an_untrained_network_draws_its_noise():
    for words in ("flow_matching", "diffusion"):
        made = engine.built("inference network", {words: {}}, 2, 1, 3)
        noise = some((1, 5, 2))
        np.testing.assert_array_equal(backend.to_numpy(made.inverse(noise, some((1, 1, 1)))), noise)


@pytest.mark.parametrize("schedule", ["cosine", "edm"])
@pytest.mark.parametrize("prediction", ["velocity", "noise", "score"])
def test_weights_are_those_of_what_is_predicted(schedule, prediction):
    """The weighted error of F is that of the prediction which follows from it."""
    words = {"diffusion": {"schedule": schedule, "prediction": prediction, "repeats": 1}}
    made = engine.built("inference network", words, 2, 0, 3)
    x, noise = some((6, 2)), some((6, made.training_noise), 1)
    phi, _, z = (backend.to_numpy(part)[:, 0] for part in made.pairs(x, noise, None))
    y = np.cos(phi) * x + np.sin(phi) * z
    guessed = np.sin(phi) * y  # of the noise, F being 0
    error = {
        "velocity": np.cos(phi) * z - np.sin(phi) * x,
        "noise": z - guessed,
        "score": np.minimum(1 / np.sin(phi), 5 / np.cos(phi)) * (z - guessed),
    }[prediction]
    got = backend.to_numpy(made.objective(x, np.zeros((6, 0), "float32"), noise))
    np.testing.assert_allclose(got, -(error**2).mean(1), rtol=1e-3)


MODEL = """
def likelihood(rng, theta):
    return {"y": [theta**2 + 0.2 * rng.normal(), 1.0 + 0.1 * rng.normal()]}
"""


@pytest.mark.parametrize("words", ["flow_matching", "consistency"])
def test_two_modes_are_learned(words, tmp_path):
    """θ ~ N(0, 1), y ~ N(θ², 0.2²): the posterior has a mode on either side of 0."""
    (tmp_path / "m.py").write_text(MODEL)
    spec = {
        "name": "modes",
        "model": {"prior": {"theta": "normal"}, "likelihood": "m.py:likelihood"},
        "networks": {"inference": {words: {"width": 64}}},
        "training": {"epochs": 6, "num_batches": 96, "batch_size": 64},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    with brief_surfaces():
        made = workflow.train(
            tmp_path / "spec.yaml",
            target=workflow.Target(tmp_path / "run"),
            compute=workflow.Compute(backend.name(), jobs=0),
        )
    assert made.loss_unit != "nats"
    posterior = workflow.load(tmp_path / "run")
    draws = posterior.sample({"dataset": [0], "y[0]": [1.0], "y[1]": [1.0]}, draws=2_000)
    theta = draws.values["theta"][0]
    share = (theta > 0).mean()
    assert 0.35 < share < 0.65
    grid = np.linspace(-3, 3, 601)
    density = np.exp(-0.5 * grid**2 - 0.5 * ((1 - grid**2) / 0.2) ** 2)
    exact = np.sqrt((grid**2 * density).sum() / density.sum())
    assert np.sqrt((theta**2).mean()) == pytest.approx(
        exact, abs=0.08 if words == "flow_matching" else 0.25
    )
    between = np.abs(theta) < 0.6  # exactly 0.008 of it
    assert between.mean() < (0.05 if words == "flow_matching" else 0.3)  # 0.45 of a normal one
