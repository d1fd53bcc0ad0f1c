"""Point estimates are those of the exact posterior, on the user's scale, by learning alone."""

import json

import numpy as np
import pytest
from scipy import optimize, stats

from abi_cli import backend, registry
from abi_cli.adapter import Adapter
from abi_cli.adapter.targets import Targets
from abi_cli.run.archive import load_approximator, save_approximator
from abi_cli.training.blocks import BlockPlan
from abi_cli.variables import Layout, Variable, take
from tests import engine

WIDTH, NOISE = 0.6, 0.4
LAYOUT = Layout(
    (
        Variable("mu", "parameter", ragged=False, event=(2,)),
        Variable("scale", "parameter", ragged=False, event=()),
        Variable("x", "observable", ragged=False, event=(3,)),
    )
)
STEPS = [
    {"constrain": {"keys": "scale", "lower": 0, "method": "log"}},
    {"standardize": {}},
    {"concatenate": {"keys": ["mu", "scale"], "into": "inference_variables"}},
    {"rename": {"from": "x", "to": "summary_variables"}},
]
POINT = {
    "estimates": ["variance", "median", "mean", "sd"],
    "quantiles": [0.95, 0.05, 0.3],
    "expectiles": [0.9],
    "width": 32,
}
NAMES = ("variance", "mean", "sd", "q5", "q30", "median", "q95", "e90")


def simulated(datasets, seed):
    """mu normal around (100, −3), scale lognormal, each seen with normal noise (scale: its log)."""
    rng = np.random.default_rng(seed)
    z = WIDTH * rng.normal(size=(datasets, 3))
    x = z + NOISE * rng.normal(size=z.shape)
    return {"mu": np.array([100, -3]) + 10 * z[:, :2], "scale": np.exp(z[:, 2]), "x": x}


def exact(x):
    """Frozen distributions of mu[0], mu[1] and scale given x, conjugate."""
    gain = WIDTH**2 / (WIDTH**2 + NOISE**2)
    sd = np.sqrt(gain) * NOISE
    return [
        stats.norm(100 + 10 * gain * x[:, 0], 10 * sd),
        stats.norm(-3 + 10 * gain * x[:, 1], 10 * sd),
        stats.lognorm(sd, scale=np.exp(gain * x[:, 2])),
    ]


def expectile(level, posterior, size):
    """The root of the condition that defines it, `(size,)`, by quantiles on a fine grid."""
    draws = posterior.ppf((np.arange(4000)[:, None] + 0.5) / 4000) * np.ones((1, size))

    def of(column):
        def gap(e):
            return np.mean(np.where(column < e, 1 - level, level) * (column - e))

        return optimize.brentq(gap, column.min(), column.max())

    return np.array([of(column) for column in draws.T])


def made(point=POINT):
    from abi_cli.approximator import Approximator

    pilot = simulated(4000, seed=1)
    steps = [registry.from_config("step", step) for step in STEPS]
    adapter = Adapter.fit(steps, pilot).estimating(pilot, ["mu", "scale"])
    network = registry.from_config("inference network", {"point": point})
    built = Approximator(
        adapter,
        LAYOUT,
        summary=None,
        inference=network,
        widths={"summary_variables": 3},
        buckets=(),
        seed=1,
    )
    built.initialize(adapter.forward(pilot))
    return built


@pytest.fixture(scope="module")
def trained():
    network = engine.ready(made(), learning_rate=4e-3)
    rows = network.adapter.forward(simulated(512 * 300, seed=2))
    plan = BlockPlan(
        epochs=1,
        num_batches=300,
        batch_size=512,
        buckets=(),
        seed=3,
        rate=lambda step: np.clip(1 - step / 300, 0.01, 1),
    )
    each = plan.length * plan.batch_size
    engine.learn(
        network,
        [
            plan.make(number, take(rows, slice(number * each, (number + 1) * each)), 0)
            for number in range(plan.blocks_per_epoch)
        ],
    )
    return network


def test_every_estimate_is_that_of_the_exact_posterior(trained):
    assert trained.inference_network.names == NAMES
    x = np.clip(simulated(200, seed=5)["x"], -1.2, 1.2)
    estimates = trained.estimate({"x": x})
    got = np.concatenate([estimates["mu"], estimates["scale"][..., None]], axis=-1)
    for k, posterior in enumerate(exact(x)):
        sd = posterior.std()
        expected = {
            "mean": posterior.mean(),
            "sd": sd,
            "variance": sd**2,
            **{name: posterior.ppf(float(name[1:]) / 100) for name in ("q5", "q30", "q95")},
            "median": posterior.median(),
            "e90": expectile(0.9, posterior, 200),
        }
        for place, name in enumerate(NAMES):
            unit = sd**2 if name == "variance" else sd
            error = (got[:, place, k] - expected[name]) / unit
            assert np.abs(error).mean() < (0.05 if k < 2 else 0.15), (k, name)


def test_estimates_never_cross_and_stay_within_bounds_whatever_the_weights():
    x = simulated(300, seed=6)["x"]
    for seed in range(2):
        network = made({"quantiles": [0.01, 0.3, 0.31, 0.99], "expectiles": [0.6, 0.7, 0.8]})
        layer = network.inference_network
        rng = np.random.default_rng(seed)
        for weight in layer.trainable_variables:
            weight.assign(3 * rng.normal(size=weight.shape))
        estimates = network.estimate({"x": x})
        for value in estimates.values():
            for letter in "qe":
                places = [place for place, name in enumerate(layer.names) if name[0] == letter]
                assert len(places) > 2
                assert (np.diff(value[:, places], axis=1) >= 0).all()
        assert (estimates["scale"] > 0).all()
        assert (estimates["mu"][:, 0] < 0).any()
        assert (estimates["mu"][:, list(layer.names).index("sd")] > 0).all()


def test_bounds_are_of_what_moves_with_a_parameter_and_not_of_its_spread():
    ends = (np.array([5.5]), np.array([0.3]), np.array([5.0]), np.array([6.0]))
    estimates, degrees = np.array([[[9.0, 0.5, 0.25]]]), np.array([0, 1, 2])
    there = Targets({"p": ()}, *ends).on_users_scale(estimates, degrees)["p"]
    np.testing.assert_allclose(there, [[6.0, 0.15, 0.0225]])


def test_before_training_they_are_those_of_normals_given_statistics_of_the_data():
    network = made()
    data = simulated(200, seed=7)
    got = dict(zip(NAMES, np.moveaxis(network.estimate({"x": data["x"]})["mu"], 1, 0), strict=True))
    np.testing.assert_allclose(got["q95"], got["mean"] + stats.norm.ppf(0.95) * got["sd"], 1e-4)
    np.testing.assert_allclose(got["variance"], got["sd"] ** 2, 1e-4)
    np.testing.assert_allclose(got["mean"][:, 0], exact(data["x"])[0].mean(), atol=0.5)


def test_what_is_saved_comes_back_the_same(tmp_path):
    network = made()
    engine.disturb(network.inference_network)
    config = network.adapter.to_config()
    again = Adapter.from_config(json.loads(json.dumps(config)))
    assert again.to_config() == config
    save_approximator(network, tmp_path / "model.keras")
    loaded = load_approximator(tmp_path / "model.keras")
    x = simulated(5, seed=8)["x"]
    for name, value in loaded.estimate({"x": x}).items():
        np.testing.assert_array_equal(value, network.estimate({"x": x})[name])


@pytest.mark.parametrize(("dim", "conditions"), [(1, 0), (1, 3), (2, 3), (10, 4)])
@pytest.mark.parametrize("options", [POINT, {"estimates": []}, {"quantiles": [], "width": 8}])
def test_shapes_and_each_data_set_by_itself(options, dim, conditions):
    layer = engine.built("inference network", {"point": options}, dim, conditions, 1)
    engine.disturb(layer)
    rng = np.random.default_rng(1)
    theta, c = (rng.normal(size=(4, n)).astype("float32") for n in (dim, conditions))
    scores, estimates = (
        backend.to_numpy(x) for x in (layer.objective(theta, c), layer.estimates(c))
    )
    assert scores.shape == (4,)
    assert estimates.shape == (4, dim, len(layer.names))
    assert np.isfinite(scores).all()
    alone = backend.to_numpy(layer.objective(theta[:1], c[:1]))
    np.testing.assert_allclose(alone, scores[:1], rtol=1e-4)


def test_within_five_steps_every_weight_has_changed():
    network = engine.ready(made({"width": 8, "expectiles": [0.2]}), learning_rate=1e-2)
    plan = BlockPlan(epochs=1, num_batches=5, batch_size=16, buckets=(), seed=3, rate=np.ones_like)
    before = engine.weights(network)
    engine.learn(network, [plan.make(0, network.adapter.forward(simulated(80, seed=4)), 0)])
    for weight, old, new in zip(
        network.trainable_variables, before, engine.weights(network), strict=True
    ):
        assert (old != new).any(), weight.path


def test_a_validation_loss_is_the_loss(trained):
    held_out = trained.adapter.forward(simulated(3000, seed=9))
    told = trained.told(held_out)
    loss = -backend.to_numpy(trained.objective(held_out["inference_variables"], told)).mean()
    assert trained.mean_loss(held_out) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"estimates": [], "quantiles": []}, "something to estimate"),
        ({"quantiles": [0.1, 0.1]}, "once; got 0.1 twice"),
        ({"estimates": ["sd", "sd"]}, "once; got sd twice"),
        ({"quantiles": [0.0]}, "greater than 0"),
        ({"estimates": ["mode"]}, "'mean', 'median', 'sd' or 'variance'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, expected):
    with pytest.raises(ValueError, match=expected):
        registry.from_config("inference network", {"point": options})
