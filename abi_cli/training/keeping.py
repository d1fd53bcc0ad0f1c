"""Saving the state of a training, and ending the training when somebody asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from abi_cli.errors import Diverged
from abi_cli.training.blocks import BlockPlan, Ledger, Position
from abi_cli.training.checkpoints import Checkpoint, Writer, write_checkpoint
from abi_cli.training.divergence import REMEDY, DivergenceGuard
from abi_cli.training.parts import Callback
from abi_cli.training.state import Shapes, State, attributes_of, give_attributes, values_of
from abi_cli.training.stopping import Reason, Stop
from abi_cli.training.watch import BlockCallback, EpochLog, Start

MOST_TIME = 0.02
"""Share of the time that saving after epochs may take."""

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Keeping:
    """The place and the pace at which the state of a training is kept.

    Arguments:
        folder: Of the checkpoints.
        every: Seconds after which it is saved at the next block's end.
        history: Writes the history of the epochs that are done.
    """

    folder: Path
    every: float
    history: Callable[[History], None]

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and the history that belongs to it.

        Errors:
            OutputError: As it says.
        """
        write_checkpoint(self.folder, checkpoint)
        self.history(checkpoint.facts["log"]["rows"])


@dataclass(frozen=True)
class Watched:
    """The parts of a training that have a state.

    Arguments:
        networks: Config of the approximator.
        shapes: Of blocks.
        plan: How the training is cut into blocks.
        ledger: Knows the positions after blocks.
        log, guard: Its own callbacks.
        callbacks: Those of the spec, with the Keras callbacks that they have built.
        position: Where it begins.
        seconds: Gives part of the work → seconds so far.
    """

    networks: dict[str, Any]
    shapes: Shapes
    plan: BlockPlan
    ledger: Ledger
    log: EpochLog
    guard: DivergenceGuard
    callbacks: Sequence[tuple[Callback, keras.callbacks.Callback]]
    position: Position
    seconds: Callable[[], dict[str, float]]


class Keeper(BlockCallback):
    """A callback that saves the state of the training, and ends the training on request.

    It comes last of all callbacks, so that an epoch's end includes what they have done.

    Arguments:
        resumed: The state that the training goes on from.
    """

    def __init__(
        self,
        watched: Watched,
        keeping: Keeping,
        stop: Stop,
        start: Start,
        *,
        resumed: State | None = None,
    ):
        super().__init__(start)
        self._watched, self._keeping, self._stop, self._resumed = watched, keeping, stop, resumed
        self._writer = Writer(keeping.write)
        self._saved = time.perf_counter()
        self._cost = 0.0
        self._position = watched.position

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Give the spec's callbacks their state, which the beginning has reset."""
        if self._resumed is not None:
            restore_callbacks(self._watched.callbacks, self._resumed)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Note the epoch."""
        self._epoch = epoch

    def on_block(self, number: int, logs: Any) -> None:  # noqa: ARG002  # the contract
        """Save the state if it is time, or if the training is to end here."""
        self._writer.look()
        self._position = self._watched.ledger.learned(number)
        blocks = number - self._epoch * self._watched.plan.blocks_per_epoch + 1
        reason = self._stop.asked()
        if reason is not None:
            self._end(reason, self._epoch, blocks)
        if time.perf_counter() - self._saved >= self._keeping.every and not self._writer.busy:
            self._save(self._epoch, blocks)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Save the state if that is cheap, and always after the last epoch."""
        finished = self.model.stop_training or epoch + 1 == self._watched.plan.epochs
        reason = self._stop.asked()
        if finished:
            self._save(epoch + 1, 0, finished=True)
        elif reason is not None:
            self._end(reason, epoch + 1, 0)
        elif not self._writer.busy and self._is_cheap():
            self._save(epoch + 1, 0)

    def _is_cheap(self) -> bool:
        """True if so much time has passed since the last save that another takes a small share."""
        cost = self._cost + self._writer.seconds
        return time.perf_counter() - self._saved >= cost / MOST_TIME

    def _save(self, epoch: int, blocks: int, *, finished: bool = False) -> None:
        began = time.perf_counter()
        watched = self._watched
        values = values_of(self.model)
        if not all(np.isfinite(value).all() for value in values):  # what is saved is better
            raise Diverged("The weights are not finite", hint=REMEDY)
        state = State(
            networks=watched.networks,
            shapes=watched.shapes,
            accelerated=watched.plan.accelerated,
            planned=watched.plan.epochs,
            epoch=epoch,
            blocks=blocks,
            finished=finished,
            position=self._position,
            values=values,
            good=watched.guard.good if blocks else None,
            log=watched.log.facts(),
            guard=watched.guard.facts(),
            callbacks=[attributes_of(built, part.state) for part, built in watched.callbacks],
            seconds=watched.seconds(),
        )
        self._writer.begin(state.to_checkpoint(state.step(watched.plan)))
        self._saved = time.perf_counter()
        self._cost = self._saved - began

    def _end(self, reason: Reason, epoch: int, blocks: int) -> None:
        """Save the state and end the training.

        Errors:
            StoppedEarly: Always, of the kind that the reason names.
        """
        self._save(epoch, blocks)
        self._writer.wait()
        plan = self._watched.plan
        place = f"after {epoch} of {plan.epochs} epochs"
        if blocks:
            place += f" and {blocks} of {plan.blocks_per_epoch} blocks of the next"
        raise reason.error(f"by {reason.words}, saved {place}")

    def close(self) -> None:
        """Wait until the last state is written.

        Errors:
            OutputError: It could not be.
        """
        self._writer.wait()

    def end(self) -> None:
        """End the thread that writes, whatever became of the training."""
        self._writer.close()


def restore_callbacks(
    callbacks: Sequence[tuple[Callback, keras.callbacks.Callback]], state: State
) -> None:
    """Give the spec's callbacks the state that they had."""
    for (_, built), attributes in zip(callbacks, state.callbacks, strict=True):
        give_attributes(built, attributes)
