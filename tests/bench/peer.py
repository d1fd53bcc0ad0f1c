"""The peer's side: BayesFlow on the tutorial's workload, with the settings of its own tutorial.

Runs in the peer's environment, which has neither abi nor its dependencies; the backend is
KERAS_BACKEND's. Each command is a process of its own so that it can be timed whole:

    peer.py train specs/regression.py model.keras --seed 1
    peer.py evaluate model.keras data.npz densities.npz
    peer.py products specs/regression.py products.json

The first takes the same prior, likelihood and meta as abi does, one-draw or vectorised, and saves
the estimator. The second writes the log posterior density of the true parameters of the data sets
in `data.npz` (flat `x`, `y (obs)`, `row_size`, `sigma (dataset)`, `beta (dataset, 2)`) and times
posterior draws. `products` writes the matrix products of a training step for `floor.py`; it needs
the JAX backend. The first two end with one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import floor
import numpy as np

PEAK_LEARNING_RATE = 5e-4


def load_functions(path: Path) -> ModuleType:
    """The module with the model's functions."""
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_simulator(model: ModuleType, seed: int) -> Any:
    """The peer's simulator of the model's functions.

    Batched functions of the peer take the shape of the batch first; ours name `batch_size`.
    """
    import bayesflow as bf

    rng = np.random.default_rng(seed)
    np.random.seed(seed)  # noqa: NPY002  # what the one-draw functions use
    batched = "batch_size" in inspect.signature(model.prior).parameters
    # On TensorFlow the peer fixes the length of sets for good if the first two batches happen to
    # agree in it, and stops at the next other one. So the first four are chosen: 4 of 3,840.
    sizes = itertools.chain([5, 14, 5, 14], iter(lambda: draw_size(model.meta, rng), None))

    def meta() -> dict[str, Any]:
        return {"N": next(sizes)}

    if not batched:
        return bf.simulators.make_simulator([model.prior, model.likelihood], meta_fn=meta)

    def prior(batch_shape: tuple[int, ...]) -> dict[str, Any]:
        return model.prior(batch_size=batch_shape[0], rng=rng)

    def likelihood(batch_shape: tuple[int, ...], beta: Any, sigma: Any, N: int) -> dict[str, Any]:
        return model.likelihood(beta, sigma, N, batch_size=batch_shape[0], rng=rng)

    return bf.simulators.make_simulator(
        [prior, likelihood],
        meta_fn=meta,
        obj_kwargs={"prior": {"is_batched": True}, "likelihood": {"is_batched": True}},
    )


def draw_size(meta: Callable[..., dict[str, Any]], rng: np.random.Generator) -> int:
    """One number of observations."""
    return int(meta(rng)["N"] if inspect.signature(meta).parameters else meta()["N"])


def make_estimator() -> Any:
    """The tutorial's networks; standardized as the tutorial does it, which is a layer since 2.1."""
    import bayesflow as bf

    adapter = (
        bf.Adapter()
        .broadcast("N", to="x")
        .as_set(["x", "y"])
        .constrain("sigma", lower=0)
        .sqrt("N")
        .concatenate(["beta", "sigma"], into="inference_variables")
        .concatenate(["x", "y"], into="summary_variables")
        .rename("N", "inference_conditions")
    )
    # Before 2.1 it went by another name, and samples came as float64.
    older = not hasattr(bf, "BasicEstimator")
    if older:
        adapter = adapter.convert_dtype("float64", "float32")
    kind = bf.ContinuousApproximator if older else bf.BasicEstimator
    return kind(
        inference_network=bf.networks.CouplingFlow(),
        summary_network=bf.networks.DeepSet(summary_dim=10),
        adapter=adapter,
        standardize=["inference_variables", "summary_variables"],
    )


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Learn and save; seconds of each epoch."""
    began = time.perf_counter()
    import keras

    keras.utils.set_random_seed(arguments.seed)
    estimator = make_estimator()
    imported = time.perf_counter()

    class Clock(keras.callbacks.Callback):
        """When each epoch ended."""

        ended: list[float] = []  # noqa: RUF012  # there is one clock

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's
            self.ended.append(time.perf_counter())

    estimator.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                PEAK_LEARNING_RATE,
                decay_steps=arguments.epochs * arguments.num_batches,
                alpha=1e-6,
            ),
            clipnorm=1.0,
        )
    )
    clock = Clock()
    fitting = time.perf_counter()
    estimator.fit(
        epochs=arguments.epochs,
        num_batches=arguments.num_batches,
        batch_size=arguments.batch_size,
        simulator=make_simulator(load_functions(arguments.functions), arguments.seed),
        callbacks=[clock],
        verbose=0,
    )
    fitted = time.perf_counter()
    estimator.save(arguments.model)
    return {
        "import": imported - began,
        "fit": fitted - fitting,
        "epochs": np.diff([fitting, *clock.ended]).tolist(),
        "weights": int(estimator.count_params()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """What was measured."""
    from importlib.metadata import version

    import keras

    names = ("bayesflow", "keras", keras.backend.backend(), "numpy")
    return {name: version(name) for name in names}


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Log densities of the truths, and the time of posterior draws."""
    import bayesflow  # noqa: F401  # registers what the file names
    import keras

    estimator = keras.saving.load_model(arguments.model)
    data = dict(np.load(arguments.data))
    size, start = data["row_size"], np.cumsum(data["row_size"]) - data["row_size"]

    def observed(index: np.ndarray, n: int) -> dict[str, Any]:
        """Data sets of one size: the peer takes no other."""
        members = start[index][:, None] + np.arange(n)
        return {"N": n, "x": data["x"][members], "y": data["y"][members]}

    log_q = np.empty(len(size))
    for n in np.unique(size):
        index = np.flatnonzero(size == n)
        truths = {"beta": data["beta"][index], "sigma": data["sigma"][index, None]}
        log_q[index] = np.ravel(estimator.log_prob({**observed(index, int(n)), **truths}))
    np.savez(arguments.out, log_q=log_q)

    most = int(np.bincount(size).argmax())
    conditions = observed(np.flatnonzero(size == most)[: arguments.datasets], most)
    calls = []
    for _ in range(3):
        began = time.perf_counter()
        draws = estimator.sample(num_samples=arguments.draws, conditions=conditions)
        calls.append(time.perf_counter() - began)
    return {"sample": calls, "shape": list(draws["beta"].shape)}


def products(arguments: argparse.Namespace) -> None:
    """Write the forward matrix products of a step, for the longest sets."""
    import keras

    estimator = make_estimator()
    model = load_functions(arguments.functions)
    batch = make_simulator(model, 1).sample(arguments.batch_size, N=14)
    adapted = keras.tree.map_structure(keras.ops.convert_to_tensor, estimator.adapter(batch))
    estimator.build_from_data(adapted)
    found = floor.products(lambda inputs: estimator.compute_metrics(**inputs)["loss"], adapted)
    arguments.out.write_text(json.dumps(found))


def main() -> None:
    """Parse, do, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    training = commands.add_parser("train")
    training.add_argument("functions", type=Path)
    training.add_argument("model", type=Path)
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--epochs", type=int, default=30)
    training.add_argument("--num-batches", type=int, default=128)
    training.add_argument("--batch-size", type=int, default=64)
    training.set_defaults(run=train)

    evaluation = commands.add_parser("evaluate")
    evaluation.add_argument("model", type=Path)
    evaluation.add_argument("data", type=Path)
    evaluation.add_argument("out", type=Path)
    evaluation.add_argument("--datasets", type=int, default=200)
    evaluation.add_argument("--draws", type=int, default=1000)
    evaluation.set_defaults(run=evaluate)

    tracing = commands.add_parser("products")
    tracing.add_argument("functions", type=Path)
    tracing.add_argument("out", type=Path)
    tracing.add_argument("--batch-size", type=int, default=64)
    tracing.set_defaults(run=products)

    arguments = parser.parse_args()
    answer = arguments.run(arguments)
    if answer is not None:
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
