"""Our side, where a command of `abi` alone does not tell: warm draws and the bare training step.

    python -m tests.bench.ours draws RUN data.npz
    KERAS_BACKEND=jax python -m tests.bench.ours products RUN data.npz products.json
    python -m tests.bench.ours step RUN data.npz

`draws` times posterior draws made again and again by one process; `products` writes the matrix
products of a training step for `floor.py`; `step` times training steps on blocks that lie ready,
through the same compiled call as `abi train`. The backend is KERAS_BACKEND's. Each but `products`
ends with one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli import backend
from abi_cli.adapter.batches import bucket_of, network_inputs
from abi_cli.data import read_datasets
from abi_cli.run import open_run
from abi_cli.spec import read_spec
from abi_cli.variables import Datasets, Ragged, take
from abi_cli.workflow import load
from tests.bench import floor

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

BLOCK = 32
"""Steps of a block, as `abi train` makes them."""


def draws(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of three calls; the first one compiles."""
    posterior = load(arguments.run)
    loaded = read_datasets(arguments.data, posterior.run.layout)
    # The peer draws for one size at a time, so both get the size that there is most of.
    size = np.asarray(loaded.datasets["N"])
    datasets = take(
        loaded.datasets, np.flatnonzero(size == np.bincount(size).argmax())[: arguments.datasets]
    )
    approximator = posterior.networks
    calls = []
    for _ in range(3):
        began = time.perf_counter()
        blocks = list(approximator.sample(datasets, draws=arguments.draws, seed=1))
        calls.append(time.perf_counter() - began)
    made = sum(next(iter(block.values.values())).shape[0] for block in blocks)
    return {"sample": calls, "datasets": made, "weights": approximator.count_params()}


def open_for_training(path: Path, data: Path) -> tuple[Approximator, dict[str, np.ndarray]]:
    """The networks of a run, and inputs `(dataset, …)` of the size that is used most."""
    run = open_run(path)
    approximator = load(path).networks
    datasets: Datasets = read_datasets(data, run.layout, truths=True).datasets
    adapted = approximator.adapter.forward(datasets)
    sets = adapted.get("summary_variables")
    if not isinstance(sets, Ragged):
        return approximator, network_inputs(adapted)
    sizes, often = np.unique(bucket_of(sets.row_size, approximator.buckets), return_counts=True)
    size = int(sizes[often.argmax()])
    fitting = np.flatnonzero(sets.row_size <= size)
    return approximator, network_inputs(take(adapted, fitting), size=size)


def products(arguments: argparse.Namespace) -> None:
    """Write the forward matrix products of one step."""
    approximator, inputs = open_for_training(arguments.run, arguments.data)
    batch = {name: array[: arguments.batch_size] for name, array in inputs.items()}
    found = floor.products(approximator.batch_loss, batch)
    arguments.out.write_text(json.dumps(found))


def step(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a training step: the median over blocks."""
    import keras

    approximator, inputs = open_for_training(arguments.run, arguments.data)
    rows = np.arange(BLOCK * arguments.batch_size) % len(next(iter(inputs.values())))
    block = {
        name: array[rows].reshape(BLOCK, arguments.batch_size, *array.shape[1:])
        for name, array in inputs.items()
    }
    block["rate"] = np.zeros(BLOCK, np.float32)
    block["steps"] = np.asarray(BLOCK, np.int32)
    training = read_spec(open_run(arguments.run).spec_file()).training
    approximator.prepare(
        training.optimizer.build(training.learning_rate.peak), training.optimizer.clip
    )

    class Clock(keras.callbacks.Callback):
        """When each block ended."""

        ended: list[float] = []  # noqa: RUF012  # there is one clock

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's
            self.ended.append(time.perf_counter())

    number = 24
    approximator.fit(
        backend.feed(iter([block] * number), block),
        steps_per_epoch=number,
        verbose=0,
        callbacks=[Clock()],
    )
    seconds = float(np.median(np.diff(Clock.ended)[2:])) / BLOCK
    return {"step": seconds, "weights": approximator.count_params()}


def main() -> None:
    """Parse, do, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in (draws, products, step):
        one = commands.add_parser(command.__name__, help=command.__doc__)
        one.add_argument("run", type=Path)
        one.add_argument("data", type=Path)
        one.add_argument("--batch-size", type=int, default=64)
        one.add_argument("--datasets", type=int, default=200)
        one.add_argument("--draws", type=int, default=1000)
        one.set_defaults(do=command)
        if command is products:
            one.add_argument("out", type=Path)
    arguments = parser.parse_args()
    answer = arguments.do(arguments)
    if answer is not None:
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
