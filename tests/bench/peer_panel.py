"""The peer's side of `panel_peer.py`: BayesFlow with what its documentation recommends.

    KERAS_BACKEND=jax peer_panel.py FOLDER --seed 1

Learns from `simulations-*.npz` in FOLDER, each batch once, in their order, and writes
`posteriors.npz`: means and sds of 1,000 draws of each posterior of `data.npz`, and log densities of
the true parameters there. Runs in the peer's environment.

- Sets go through a `SetTransformer`, series through a `TimeSeriesTransformer` ("recommended default
  for time series" in its user guide), vectors and scalars to the flow directly; all with the peer's
  own sizes, as is its `CouplingFlow`. Padding is masked by `summary_mask`. Sets of 1,000 have 32
  inducing points, since attention to all pairs of members takes a hundred times as long.
- Parameters with bounds or on a simplex are transformed by its adapter; parameters, members and
  conditions are standardized.
- The optimizer is that of its `BasicWorkflow.fit_online`: Adam, 5 % warm-up to 5e-4, cosine decay
  to 0, clipnorm 1.5.

Training calls the estimator's own step in a compiled loop over the batches of a file, since Keras's
loop waits for the processor between the steps of networks as small as these.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZE = 64
DRAWS = 1_000
MANY = 500
"""Members from which on a set is attended to through inducing points."""
AT_ONCE = 50
"""Data sets that are drawn for at once."""


def estimator_of(description: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Any:
    """The peer's estimator for a model, compiled.

    Arguments:
        shapes: Array of the simulations → its shape.
    """
    import bayesflow as bf
    import keras

    adapter = bf.Adapter()
    for name, support in description["parameters"].items():
        if support == "simplex":
            adapter = adapter.as_simplex(name)
        elif support != [None, None]:
            adapter = adapter.constrain(name, lower=support[0], upper=support[1])
    adapter = adapter.concatenate(list(description["parameters"]), into="inference_variables")
    standardized = ["inference_variables"]
    for name, role in ROLES.items():
        if name in shapes:
            adapter = adapter.rename(name, role)
            standardized += [role] if role != "summary_mask" else []
    summary = None
    if description["kind"] == "series":
        summary = bf.networks.TimeSeriesTransformer()
    elif description["kind"] == "set":
        points = 32 if shapes["members"][1] > MANY else None
        summary = bf.networks.SetTransformer(num_inducing_points=points)
    estimator = bf.BasicEstimator(
        inference_network=bf.networks.CouplingFlow(),
        summary_network=summary,
        adapter=adapter,
        standardize=standardized,
    )
    warm_up = description["steps"] // 20
    rate = keras.optimizers.schedules.CosineDecay(
        5e-5,
        decay_steps=description["steps"] - warm_up,
        warmup_target=5e-4,
        warmup_steps=warm_up,
    )
    estimator.compile(optimizer=keras.optimizers.Adam(rate, clipnorm=1.5))
    return estimator


ROLES = {
    "members": "summary_variables",
    "mask": "summary_mask",
    "conditions": "inference_conditions",
}


def fit(estimator: Any, files: list[Path]) -> float:
    """Learn from the files' batches; gives the mean loss of the last file."""
    import jax

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        metrics, state = estimator.train_step(state, batch)
        return state, metrics["loss"]

    loop = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches))
    state, losses = None, np.zeros(0)
    for file in files:
        adapted = estimator.adapter(dict(np.load(file)))
        batches = {n: np.asarray(a) for n, a in adapted.items()}
        if state is None:
            estimator.build({n: (BATCH_SIZE, *a.shape[1:]) for n, a in batches.items()})
            estimator.optimizer.build(estimator.trainable_variables)
            state = [[v.value for v in variables] for variables in _variables(estimator)]
        shaped = {n: a.reshape(-1, BATCH_SIZE, *a.shape[1:]) for n, a in batches.items()}
        state, losses = loop(tuple(state), shaped)
        print(f"{file.stem}: loss {np.mean(losses):.3f}", flush=True)
    for variables, values in zip(_variables(estimator), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return float(np.mean(losses))


def _variables(estimator: Any) -> tuple[list[Any], ...]:
    """What a step takes and gives, in its order."""
    return (
        estimator.trainable_variables,
        estimator.non_trainable_variables,
        estimator.optimizer.variables,
        estimator.metrics_variables,
    )


def posteriors(estimator: Any, data: dict[str, np.ndarray], names: list[str]) -> dict[str, Any]:
    """Means and sds `(dataset, element)` of the parameters, and log densities of the truths."""
    parts = []
    for start in range(0, len(data[names[0]]), AT_ONCE):
        some = {n: a[start : start + AT_ONCE] for n, a in data.items()}
        told = {n: a for n, a in some.items() if n in ROLES}
        drawn = estimator.sample(num_samples=DRAWS, conditions=told, seed=start)
        draws = np.concatenate([np.asarray(drawn[n], float) for n in names], axis=2)
        log_q = np.ravel(estimator.log_prob(some))
        parts.append((draws.mean(axis=1), draws.std(axis=1), log_q))
    mean, sd, log_q = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"mean": mean, "sd": sd, "log_q": log_q}


def main() -> None:
    """Train, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    import keras

    keras.utils.set_random_seed(arguments.seed)
    description = json.loads((arguments.folder / "description.json").read_text())
    data = dict(np.load(arguments.folder / "data.npz"))
    estimator = estimator_of(description, {n: a.shape for n, a in data.items()})
    began = time.perf_counter()
    loss = fit(estimator, sorted(arguments.folder.glob("simulations-*.npz")))
    trained = time.perf_counter()
    found = posteriors(estimator, data, list(description["parameters"]))
    for name, support in description["parameters"].items():
        if support == "simplex":
            # Its log determinant leaves out this constant of the orthonormal coordinates.
            found["log_q"] = found["log_q"] - 0.5 * np.log(data[name].shape[1])
    np.savez(arguments.folder / "posteriors.npz", steps=description["steps"], loss=loss, **found)
    drawn = time.perf_counter()
    print(f"trained in {trained - began:.0f} s, drawn in {drawn - trained:.0f} s", flush=True)


if __name__ == "__main__":
    main()
