"""The peer's side of `networks.py`: BayesFlow's inference networks with their own settings.

    peer_networks.py TASK NETWORK OUT.npz --epochs 10 --seed 1 --data data.npz --draws 1000

Trains on fresh simulations of a task of `posteriors.py`, draws from the posteriors of the data sets
in `data.npz`, and takes log densities of their exact draws where there are any. Runs in the peer's
environment; the backend is KERAS_BACKEND's. Ends with one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from posteriors import TASKS, Task

NUM_BATCHES = 128
BATCH_SIZE = 64

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "coupling_flow": ("CouplingFlow", {}),
    "coupling_flow_spline": ("CouplingFlow", {"transform": "spline"}),
    "flow_matching": ("FlowMatching", {}),
    "diffusion": ("DiffusionModel", {}),
    "consistency": ("StableConsistencyModel", {}),
}
"""Name → class and what is not by default."""

SLOW = ("flow_matching", "diffusion", "consistency")
"""Networks whose draws take minutes. The first two are solved as differential equations,
adaptively, and traced anew in each call: 1,000 draws of 20 data sets were not made in 150 s on two
busy cores, and with 200 it held 15 GB; consistency took 212 and 216 s for 200. So few data sets are
drawn, once, and the seconds scaled to all."""

FEW, DENSITIES = 10, 5
"""Data sets that are then drawn, and exact draws of each at which densities are taken."""

WITHOUT_DENSITY = ("consistency",)


def estimator_of(network: str, epochs: int) -> Any:
    """The estimator of its documentation: standardized, Adam with cosine decay from 5e-4."""
    import bayesflow as bf
    import keras

    kind, options = NETWORKS[network]
    adapter = (
        bf.Adapter()
        .convert_dtype("float64", "float32")
        .rename("theta", "inference_variables")
        .rename("y", "inference_conditions")
    )
    estimator = bf.BasicEstimator(
        inference_network=getattr(bf.networks, kind)(**options),
        adapter=adapter,
        standardize=["inference_variables", "inference_conditions"],
    )
    rate = keras.optimizers.schedules.CosineDecay(5e-4, decay_steps=epochs * NUM_BATCHES)
    estimator.compile(optimizer=keras.optimizers.Adam(rate, clipnorm=1.0))
    return estimator


def simulator_of(task: Task, seed: int) -> Any:
    """Fresh simulations, a batch at a time."""
    import bayesflow as bf

    rng = np.random.default_rng(seed)

    def draw(batch_shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        theta = task.prior(rng, batch_shape[0])
        return {"theta": theta, "y": task.data(rng, theta)}

    return bf.simulators.LambdaSimulator(draw, is_batched=True)


def main() -> None:
    """Train, draw, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    arguments = parser.parse_args()

    import keras

    keras.utils.set_random_seed(arguments.seed)
    estimator = estimator_of(arguments.network, arguments.epochs)

    class Clock(keras.callbacks.Callback):
        """When each epoch ended."""

        ended: list[float] = []  # noqa: RUF012  # there is one clock

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's
            self.ended.append(time.perf_counter())

    began = time.perf_counter()
    estimator.fit(
        epochs=arguments.epochs,
        num_batches=NUM_BATCHES,
        batch_size=BATCH_SIZE,
        simulator=simulator_of(TASKS[arguments.task], arguments.seed),
        callbacks=[Clock()],
        verbose=0,
    )
    answer: dict[str, Any] = {"epochs": np.diff([began, *Clock.ended]).tolist()}
    if arguments.data:
        data = np.load(arguments.data)
        slow = arguments.network in SLOW
        y = data["y"][:FEW] if slow else data["y"]
        calls = []
        for _ in range(1 if slow else 2):
            before = time.perf_counter()
            drawn = estimator.sample(num_samples=arguments.draws, conditions={"y": y})
            calls.append((time.perf_counter() - before) * len(data["y"]) / len(y))
        results = {"theta": drawn["theta"]}
        if arguments.network not in WITHOUT_DENSITY:
            exact = data["exact"][:, :DENSITIES] if slow else data["exact"]
            rows = {
                "theta": exact.reshape(-1, exact.shape[-1]),
                "y": np.repeat(data["y_exact"], exact.shape[1], axis=0),
            }
            results["log_q"] = np.ravel(estimator.log_prob(rows)).reshape(exact.shape[:2])
        np.savez(arguments.out, **results)
        answer["sample"] = calls
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
