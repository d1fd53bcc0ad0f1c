"""Training, from a spec and a simulator to a trained approximator.

    pilot → layout, adapter, buckets → networks → blocks → `fit`

The networks are compiled while the workers make the first simulations, once for each bucket.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from abi_cli import backend, registry
from abi_cli.approximator import Approximator
from abi_cli.listener import Listener
from abi_cli.spec import Spec
from abi_cli.training.blocks import Ahead, Block, BlockPlan, gathered
from abi_cli.training.building import adapter_for, block_plan, build, compile_blocks
from abi_cli.training.fitting import refuse_unmonitored
from abi_cli.training.parts import Callback
from abi_cli.training.sources import Source
from abi_cli.training.watch import DivergenceGuard, EpochLog, Meters
from abi_cli.variables import Datasets, Layout


@dataclass(frozen=True)
class Plan:
    """What is to be trained, from what.

    Arguments:
        spec: Of the run; its adapter is written down.
        source: Of simulations, fresh or stored.
        describe: What the variables of simulations are.
        seed: Of the run.
        listener: Hears of progress.
    """

    spec: Spec
    source: Source
    describe: Callable[[Datasets], Layout]
    seed: int
    listener: Listener = field(default_factory=Listener)


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Arguments:
        history: A row per epoch: epoch, loss, val_loss where validated, learning_rate, seconds.
        timings: Seconds that each part took, by name.
        pilot: The simulations that the adapter learned from.
        failures: How many simulations failed and were drawn again.
    """

    approximator: Approximator
    history: list[dict[str, float]]
    layout: Layout
    timings: dict[str, float]
    pilot: Datasets
    failures: int = 0


def train(plan: Plan) -> Trained:
    """Learn the posterior that a spec describes.

    Errors:
        SpecError: The adapter or the networks don't fit the model.
        UserFunctionError: A simulation failed.
        Diverged: The loss stayed not finite after several rollbacks.
    """
    clock = _Clock()
    training = plan.spec.training
    source = plan.source
    with clock("pilot"):
        pilot = source.pilot()
        layout = plan.describe(pilot)
        adapter = adapter_for(plan.spec, pilot, layout)
        adapted = adapter.forward(pilot)
    with clock("networks"):
        approximator = build(plan.spec, adapter, layout, adapted, seed=plan.seed)
    blocks = block_plan(training, approximator, num_batches=source.num_batches, seed=plan.seed)
    ahead = Ahead(gathered(source.parts(adapter), blocks))
    try:
        with clock("compiling"):
            example = compile_blocks(approximator, blocks, adapted)
        with clock("training"):
            history = _fit(plan, approximator, blocks, ahead, source, example)
    finally:
        ahead.stop()
    clock.seconds["waiting for data"] = ahead.waited
    return Trained(
        approximator, history, layout, clock.seconds, pilot, failures=source.failures.count
    )


class _Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began


def _fit(
    plan: Plan,
    approximator: Approximator,
    blocks: BlockPlan,
    ahead: Ahead,
    source: Source,
    example: Block,
) -> list[dict[str, float]]:
    callbacks = [registry.expected(part, Callback) for part in plan.spec.training.callbacks]
    held_out = source.validation(approximator.adapter)
    refuse_unmonitored(plan.spec.training, validated=held_out is not None)
    total = blocks.epochs * blocks.num_batches
    with plan.listener.task("training", total=total, unit="steps") as progress:
        log = EpochLog(
            Meters(
                steps=blocks.steps,
                relative_rate=lambda epoch: float(
                    blocks.rate(np.array([(epoch + 1) * blocks.num_batches - 1]))[0]
                ),
                waited=lambda: ahead.waited,
                simulated=lambda: source.seconds,
                validate=(lambda: approximator.mean_loss(held_out)) if held_out else None,
            ),
            progress,
        )
        approximator.fit(
            backend.feed(iter(ahead), example),
            steps_per_epoch=blocks.blocks_per_epoch,
            epochs=blocks.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                DivergenceGuard(plan.listener),
                log,
                *(callback.build() for callback in callbacks),
            ],
        )
    return log.rows
