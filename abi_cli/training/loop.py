"""Training, from a spec and a simulator to a trained approximator.

    pilot → layout, adapter, buckets → networks → blocks → `fit`

The networks are compiled while the workers make the first simulations, once for each bucket. A
training that is resumed has its networks from its state, and needs no pilot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import keras
import numpy as np

from abi_cli import backend, registry
from abi_cli.approximator import Approximator
from abi_cli.errors import OutOfMemory
from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.networks.network import InferenceNetwork
from abi_cli.spec import Spec
from abi_cli.training.blocks import (
    Ahead,
    Beginning,
    Block,
    BlockPlan,
    Ledger,
    Pool,
    Position,
    gathered,
)
from abi_cli.training.building import (
    adapter_for,
    block_plan,
    build,
    compile_blocks,
    empty_blocks,
    of_shapes,
    rebuild,
    shapes_of,
)
from abi_cli.training.contamination import Contamination
from abi_cli.training.divergence import DivergenceGuard
from abi_cli.training.fitting import Fitted, refuse_untrainable
from abi_cli.training.keeping import Keeper, Keeping, Watched, restore_callbacks
from abi_cli.training.parts import Callback
from abi_cli.training.sources import Source
from abi_cli.training.state import State, give_values
from abi_cli.training.stopping import Stop
from abi_cli.training.watch import EpochLog, LastEpoch, Meters, Start
from abi_cli.variables import Datasets, Layout, count


@dataclass(frozen=True)
class Plan:
    """The plan of a training: what is to be trained, from what.

    Arguments:
        spec: Of the run; its adapter is written down, its epochs are those of the whole training.
        source: Of simulations, fresh or stored.
        describe: What the variables of simulations are.
        seed: Seed of the run.
        keeping: Where the state is kept.
        state: To go on from; None to begin.
        stop: Whether somebody wants the training to end.
        listener: Hears of progress.
    """

    spec: Spec
    source: Source
    describe: Callable[[Datasets], Layout]
    seed: int
    keeping: Keeping
    state: State | None = None
    stop: Stop = field(default_factory=Stop)
    listener: Listener = field(default_factory=Listener)


@dataclass(frozen=True)
class Trained:
    """Results of a training.

    Arguments:
        history: A row per epoch: epoch, loss, val_loss where validated, learning_rate, seconds;
            rollbacks where there were any.
        timings: Seconds that each part took, by name, of processes before this one, too.
        failures: How many simulations failed and were drawn again.
    """

    approximator: Approximator
    history: list[dict[str, float]]
    timings: dict[str, float]
    failures: int = 0


@dataclass(frozen=True)
class _Ready:
    """The parts of a training before its first block.

    Arguments:
        empty: Blocks without steps, of every shape.
        noise: Errors of what is learned from, if it has some.
    """

    approximator: Approximator
    blocks: BlockPlan
    empty: list[Block]
    noise: Contamination | None = None

    def facts(self, source: Source) -> dict[str, Any]:
        """JSON values on the source and the errors, for `_resumed`."""
        return {**source.facts(), _NOISE: self.noise and self.noise.to_config()}


_NOISE = "noise"
"""Key of the errors among the facts of a source."""


def train(plan: Plan) -> Trained:
    """Learn the posterior that a spec describes.

    Errors:
        SpecError: The adapter or the networks don't fit the model.
        UserFunctionError: A simulation failed.
        Diverged: The loss stayed not finite after several rollbacks.
        StoppedEarly: It was asked for; the state is saved.
        OutputError: The state can't be saved.
        OutOfMemory: As it says.
    """
    try:
        return _train(plan)
    except Exception as error:
        if not backend.out_of_memory(error):
            raise
        raise OutOfMemory(
            "there is too little memory for this training",
            hint="Try a smaller training.batch_size, smaller networks (size: small), or fewer "
            "processes beside this one: --jobs 1.",
        ) from error


def _train(plan: Plan) -> Trained:
    state = plan.state
    clock = _Clock(state.seconds if state else {}, plan.listener)
    ready = _begun(plan, clock) if state is None else _resumed(plan, state, clock)
    if state is not None and state.finished:
        return _ended(plan, state, ready.approximator)
    ledger = Ledger(lambda: ready.facts(plan.source))
    ahead = Ahead(_blocks(plan, ready, ledger))
    try:
        with clock("compiling"):
            example = compile_blocks(ready.approximator, ready.empty)
        with clock("training"):
            history = _fit(plan, ready, ahead, ledger, example, clock)
    finally:
        ahead.stop()
    clock.add("waiting for data", ahead.waited)
    failures = plan.source.failures.count
    return Trained(ready.approximator, history, clock.so_far(), failures=failures)


def _begun(plan: Plan, clock: _Clock) -> _Ready:
    """Networks built for the pilot simulations."""
    with clock("pilot"):
        pilot = plan.source.pilot()
        layout = plan.describe(pilot)
        noise = Contamination.of(plan.spec.training.noise, pilot, layout, seed=plan.seed)
        if noise is not None:
            plan.listener.note(noise.told(layout))
            plan.source.contaminate(noise)
            pilot = noise(pilot, np.arange(count(pilot)), Purpose.PILOT)
        adapter = adapter_for(plan.spec, pilot, layout)
        fitted = Fitted(adapter, layout, pilot)
        refuse_untrainable(plan.spec, stored=plan.source.stored, fitted=fitted)
        adapted = adapter.forward(pilot)
    with clock("networks"):
        approximator = build(plan.spec, adapter, layout, adapted, seed=plan.seed)
        word = registry.expected(plan.spec.networks.inference, InferenceNetwork)
        if approximator.inference != word.suited(None):
            plan.listener.note(
                "posteriors of the first simulations seem to have several modes: "
                f"{word.name} takes splines"
            )
    training, num_batches = plan.spec.training, plan.source.num_batches
    blocks = block_plan(training, approximator, num_batches=num_batches, seed=plan.seed)
    return _Ready(approximator, blocks, empty_blocks(blocks, adapted), noise)


def _resumed(plan: Plan, state: State, clock: _Clock) -> _Ready:
    """Networks of the training that goes on."""
    refuse_untrainable(plan.spec, stored=plan.source.stored)
    facts = state.position.source
    plan.source.go_on(facts)
    noise = None
    if said := facts.get(_NOISE):
        noise = Contamination.from_config(said)
        plan.source.contaminate(noise)
    training = plan.spec.training
    with clock("networks"):
        approximator = rebuild(state.networks, training)
        give_values(approximator, state.values)
    blocks = block_plan(
        training,
        approximator,
        num_batches=plan.source.num_batches,
        seed=plan.seed,
        accelerated=state.accelerated,
    )
    return _Ready(approximator, blocks, of_shapes(state.shapes), noise)


def _ended(plan: Plan, state: State, approximator: Approximator) -> Trained:
    """The result of a training that was interrupted after its last epoch, ended here."""
    callbacks = _callbacks(plan)
    for _, built in callbacks:
        built.set_model(approximator)
    restore_callbacks(callbacks, state)
    for _, built in callbacks:
        built.on_train_end()
    failures = plan.source.failures.count
    return Trained(approximator, state.log["rows"], state.seconds, failures=failures)


def _blocks(plan: Plan, ready: _Ready, ledger: Ledger) -> Iterator[Block]:
    """The blocks that are to be learned, made in the thread that asks for them."""
    adapter, start = ready.approximator.adapter, _start(plan, ready.blocks)
    position = plan.state.position if plan.state else Position()
    pools = {
        bucket: Pool(plan.source.rows(adapter, rows), rows)
        for bucket, rows in position.waiting.items()
        if len(rows)
    }
    yield from gathered(
        plan.source.parts(adapter, start=position.seen),
        ready.blocks,
        beginning=Beginning(start.block, position.seen, pools),
        ledger=ledger,
    )


def _start(plan: Plan, blocks: BlockPlan) -> Start:
    if plan.state is None:
        return Start()
    done = plan.state.blocks
    return Start(plan.state.epoch * blocks.blocks_per_epoch + done, empty=done)


def _callbacks(plan: Plan) -> list[tuple[Callback, keras.callbacks.Callback]]:
    parts = [registry.expected(part, Callback) for part in plan.spec.training.callbacks]
    return [(part, part.build()) for part in parts]


_TITLES = {
    "pilot": "first simulations, and what they tell",
    "networks": "making the networks",
    "compiling": "compiling",
}
"""Titles of the parts before the first step, each of which can take a while."""


class _Clock:
    """Seconds by name, beginning with those of processes before this one.

    Arguments:
        listener: Hears what has a title in `_TITLES` while it lasts.
    """

    def __init__(self, before: Mapping[str, float], listener: Listener):
        self._seconds = dict(before)
        self._listener = listener
        self._running: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._running[name] = time.perf_counter()
        with self._listener.task(_TITLES[name]) if name in _TITLES else nullcontext():
            yield
        self.add(name, time.perf_counter() - self._running.pop(name))

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to those of a name."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def so_far(self) -> dict[str, float]:
        """Seconds by name until now."""
        now = time.perf_counter()
        running = {name: now - began for name, began in self._running.items()}
        return {
            name: self._seconds.get(name, 0.0) + running.get(name, 0.0)
            for name in (*self._seconds, *(n for n in running if n not in self._seconds))
        }


def _fit(
    plan: Plan, ready: _Ready, ahead: Ahead, ledger: Ledger, example: Block, clock: _Clock
) -> list[dict[str, float]]:
    approximator, blocks, state = ready.approximator, ready.blocks, plan.state
    held_out = plan.source.validation(approximator.adapter)
    start, callbacks = _start(plan, blocks), _callbacks(plan)
    guard = DivergenceGuard(plan.listener, ledger.block, start)
    left = blocks.epochs * blocks.num_batches - (state.step(blocks) if state else 0)
    with plan.listener.task("training", total=left, unit="steps") as progress:
        meters = Meters(
            steps=blocks.steps,
            relative_rate=lambda epoch: float(
                blocks.rate(np.array([(epoch + 1) * blocks.num_batches - 1]))[0]
            ),
            waited=lambda: ahead.waited,
            simulated=lambda: plan.source.seconds,
            rollbacks=lambda: guard.rollbacks,
            rolled_back=lambda: guard.rolled_back,
            validate=(lambda: approximator.mean_loss(held_out)) if held_out else None,
        )
        log = EpochLog(meters, progress, start)
        if state is not None:
            log.go_on(state.log)
            guard.go_on(state.guard, state.good)
        watched = Watched(
            networks=approximator.get_config(),
            shapes=shapes_of(ready.empty),
            plan=blocks,
            ledger=ledger,
            log=log,
            guard=guard,
            callbacks=callbacks,
            position=state.position if state else Position(),
            seconds=clock.so_far,
        )
        ending = LastEpoch(blocks.epochs, plan.source.begin_reference)
        keeper = Keeper(watched, plan.keeping, plan.stop, start, resumed=state)
        try:
            with plan.stop.heeded(), ahead.own_errors():
                approximator.fit(
                    backend.feed(chain(repeat(ready.empty[0], start.empty), ahead), example),
                    steps_per_epoch=blocks.blocks_per_epoch,
                    initial_epoch=state.epoch if state else 0,
                    epochs=blocks.epochs,
                    shuffle=False,
                    verbose=0,
                    callbacks=[guard, log, *(built for _, built in callbacks), keeper, ending],
                )
            keeper.close()
        finally:
            keeper.end()
    return log.rows
