"""Learning of a rival: fresh simulations, as many as the time that is given allows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol

import keras
import numpy as np

from abi_cli import backend, registry
from abi_cli.approximator import Approximator
from abi_cli.challenge.heir import Heir
from abi_cli.listener import Progress
from abi_cli.spec import TrainingSection
from abi_cli.training.blocks import Ahead, Block, BlockPlan, gathered
from abi_cli.training.building import compile_blocks, empty_blocks
from abi_cli.training.parts import Optimizer, Schedule
from abi_cli.training.sources import Fresh
from abi_cli.training.state import values_of
from abi_cli.variables import Datasets

WITHOUT_END = 2**30
"""Batches of an epoch that only time ends."""

FINE = 1_000_000
"""Parts of a course, in which its schedule counts."""


class Course(Protocol):
    """The course of a rival's learning."""

    def done(self, steps: int) -> float:
        """The share of it that is behind, of a rival that has learned so many steps."""


class Clock:
    """A course by the clock.

    Arguments:
        seconds: From now on.
    """

    def __init__(self, seconds: float):
        self._begun, self._seconds = time.monotonic(), max(seconds, 1e-3)

    def done(self, steps: int) -> float:  # noqa: ARG002  # the contract
        """The share of the time that has passed."""
        return (time.monotonic() - self._begun) / self._seconds


class Steps:
    """A course of a number of steps, which is the same on every machine."""

    def __init__(self, number: int):
        self._number = number

    def done(self, steps: int) -> float:
        """The share of the steps."""
        return steps / self._number


def learn(
    model: Approximator | Heir,
    source: Fresh,
    pilot: Datasets,
    *,
    training: TrainingSection,
    begin: Callable[[], Course],
    pace: float,
    seed: int,
    progress: Progress,
) -> int:
    """Let a rival learn from the rows of a source, to the end of a course; gives its steps.

    Arguments:
        pilot: Data sets, by which it is compiled.
        begin: Gives the course, which begins when all is compiled.
        pace: The learning rate, as a share of the usual one.

    Errors:
        UserFunctionError: A simulation failed.
    """
    schedule = registry.expected(training.learning_rate, Schedule)
    optimizer = registry.expected(training.optimizer, Optimizer)
    model.prepare(optimizer.build(pace * schedule.peak), optimizer.clip)
    course: Course | None = None

    def rate(steps: np.ndarray) -> np.ndarray:
        done = 0.0 if course is None else min(course.done(int(steps[0])), 1.0)
        return schedule.relative(np.full(len(steps), done * FINE), FINE)

    plan = BlockPlan(
        epochs=1,
        num_batches=WITHOUT_END,
        batch_size=training.batch_size,
        buckets=model.buckets,
        noise=model.inference_network.training_noise,
        seed=seed,
        rate=rate,
        accelerated=backend.accelerated(),
    )
    empty = empty_blocks(plan, model.adapter.forward(pilot))
    example = compile_blocks(model, empty)
    course = begin()
    blocks = gathered(_until_done(source.parts(model.adapter), course), plan)
    ahead = Ahead(_in_time(blocks, course, plan))
    watch = _Watch(plan, course, progress)
    try:
        with ahead.own_errors(), warnings.catch_warnings():
            # Blocks end when the time does, which Keras takes for a mistake.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(
                backend.feed(chain(empty[:1], ahead), example),
                shuffle=False,
                verbose=0,
                callbacks=[watch],
            )
    finally:
        ahead.stop()
    return watch.steps


def is_finite(model: Approximator | Heir) -> bool:
    """True if all weights are finite."""
    return all(np.isfinite(value).all() for value in values_of(model))


def _until_done(parts: Iterator[Datasets], course: Course) -> Iterator[Datasets]:
    """Simulations, as long as there is time to learn from them."""
    for part in parts:
        yield part
        if isinstance(course, Clock) and course.done(0) >= 1:
            return


def _in_time(blocks: Iterator[Block], course: Course, plan: BlockPlan) -> Iterator[Block]:
    for number, block in enumerate(blocks):
        if course.done(number * plan.length) >= 1:
            return
        yield block


class _Watch(keras.callbacks.Callback):
    """Counts what is learned, and shows it: hundredths of the course."""

    def __init__(self, plan: BlockPlan, course: Course, progress: Progress):
        super().__init__()
        self._plan, self._course, self._progress = plan, course, progress
        self.steps, self._shown = -plan.length, 0  # the first block is empty

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002  # Keras's signature
        """After a block."""
        self.steps += self._plan.length
        now = min(int(100 * self._course.done(self.steps)), 100)
        loss = float((logs or {}).get("loss", np.nan))
        self._progress.advance(max(now - self._shown, 0), loss=loss)
        self._shown = max(now, self._shown)
