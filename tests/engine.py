"""Small networks, models and data for the tests of the engine, on whatever backend is chosen."""

from __future__ import annotations

import numpy as np

from abi_cli import backend, registry
from abi_cli.adapter import Adapter
from abi_cli.variables import Datasets, Layout, Ragged, Value, Variable

backend.select()

STEPS = [
    {"as_set": {"keys": "x"}},
    {"constrain": {"keys": "sigma", "lower": 0}},
    {"standardize": {"include": ["mu", "sigma", "x"]}},
    {"concatenate": {"keys": ["mu", "sigma"], "into": "inference_variables"}},
    {"rename": {"from": "x", "to": "summary_variables"}},
]

LAYOUT = Layout(
    (
        Variable("mu", "parameter", ragged=False, event=()),
        Variable("sigma", "parameter", ragged=False, event=()),
        Variable("x", "observable", ragged=True, event=()),
    )
)


def normal_sets(datasets: int, *, seed: int = 0, sizes: tuple[int, int] = (3, 9)) -> Datasets:
    """Sets of normal members with unknown mean and sd, `x ~ N(mu, sigma)`."""
    rng = np.random.default_rng(seed)
    mu, sigma = rng.normal(size=datasets), rng.gamma(2.0, size=datasets)
    size = rng.integers(*sizes, size=datasets)
    values = np.repeat(mu, size) + np.repeat(sigma, size) * rng.normal(size=size.sum())
    return {"mu": mu, "sigma": sigma, "x": Ragged(values, size)}


def observed(datasets: Datasets) -> dict[str, Value]:
    return {"x": datasets["x"]}


SUMMARY = {"deep_set": {"summary_dim": 4, "width": 16}}
INFERENCE = {"coupling_flow": {"depth": 5, "width": 16}}


def approximator(
    *,
    seed: int = 1,
    buckets: tuple[int, ...] = (8,),
    summary: dict = SUMMARY,
    inference: dict = INFERENCE,
):
    """Untrained, with weights that make its posterior differ from data set to data set."""
    from abi_cli.approximator import Approximator

    pilot = normal_sets(512)
    adapter = Adapter.fit([registry.from_config("step", step) for step in STEPS], pilot)
    made = Approximator(
        adapter,
        LAYOUT,
        summary=registry.from_config("summary network", summary),
        inference=registry.from_config("inference network", inference),
        widths={"summary_variables": 1},
        buckets=buckets,
        seed=seed,
    )
    made.initialize(adapter.forward(pilot))
    return made


def built(kind: str, config: dict, *arguments, seed: int = 1):
    """The built layer of a network as a spec names it, by the arguments of `nn.build`.

    Its first weights come from the seed: what holds of one network may fail for another.
    """
    from keras import utils

    from abi_cli.nn.build import inference_layer, summary_layer

    utils.set_random_seed(seed)
    make = summary_layer if kind == "summary network" else inference_layer
    return make(registry.from_config(kind, config), *arguments)


def disturb(layer, *, seed: int = 0, scale: float = 0.1) -> None:
    """Random values for all weights that start at zero."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        value = backend.to_numpy(weight.value)
        if not value.any():
            weight.assign(rng.normal(scale=scale, size=value.shape))


def ready(made, *, learning_rate: float = 1e-3):
    """With our default optimizer."""
    optimizer = registry.get("optimizer", "adam")()
    made.prepare(optimizer.build(learning_rate), optimizer.clip)
    return made


class Learner:
    """A ready approximator that can go back to its first state: compiled once for many tests."""

    def __init__(self):
        self.made = ready(approximator())
        self.first = [np.array(backend.to_numpy(x.value)) for x in self._variables()]

    def _variables(self):
        return [*self.made.variables, *self.made.optimizer.variables]

    def fresh(self, *, learning_rate: float = 1e-3):
        for variable, value in zip(self._variables(), self.first, strict=True):
            variable.assign(value)
        self.made.optimizer.learning_rate = learning_rate
        return self.made


def learn(made, blocks: list) -> list[float]:
    """The loss of each block."""
    history = made.fit(
        backend.feed(iter(blocks), blocks[0]),
        steps_per_epoch=1,
        epochs=len(blocks),
        shuffle=False,
        verbose=0,
    )
    return history.history["loss"]


def weights(made) -> list[np.ndarray]:
    return [np.array(backend.to_numpy(weight.value)) for weight in made.trainable_variables]
