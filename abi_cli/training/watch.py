"""Watchers of the training inside Keras's `fit`: blocks by their numbers, losses of epochs.

A training that is resumed within an epoch begins that epoch with empty blocks in place of those
that were learned before: `fit` counts them, and nobody else hears of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from abi_cli import backend
from abi_cli.listener import Progress


@dataclass(frozen=True)
class Start:
    """The place where a training begins, or goes on.

    Arguments:
        block: Number of the first block to learn.
        empty: Empty blocks before it, in the place of those of its epoch that were learned before.
    """

    block: int = 0
    empty: int = 0


class BlockCallback(keras.callbacks.Callback):
    """A callback that is called for every block that is learned, by its number."""

    def __init__(self, start: Start):
        super().__init__()
        self._next, self._empty = start.block, start.empty

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Pass over empty blocks, and number the others."""
        if self._empty:
            self._empty -= 1
            return
        self._next += 1
        self.on_block(self._next - 1, logs)

    def on_block(self, number: int, logs: Any) -> None:
        """React to a block that was learned; `logs` are those of `backend.train_block`."""


@dataclass(frozen=True)
class Meters:
    """Meters from which the figures of an epoch are read.

    Arguments:
        steps: Steps of a block, by its number.
        relative_rate: Rate at the end of an epoch, by its number, relative to the optimizer's.
        waited: Seconds that the training has waited for data so far.
        simulated: Seconds that all workers have simulated so far.
        rollbacks: How often the training has gone back because it diverged, so far.
        rolled_back: Whether it did so after the last block.
        validate: Loss on the validation data; None where there are none.
    """

    steps: Callable[[int], int]
    relative_rate: Callable[[int], float]
    waited: Callable[[], float]
    simulated: Callable[[], float]
    rollbacks: Callable[[], int]
    rolled_back: Callable[[], bool]
    validate: Callable[[], float] | None


class EpochLog(BlockCallback):
    """The row that an epoch leaves in history.csv, and the progress shown meanwhile.

    It comes before the callbacks of the spec: they read what it adds to the logs. A row has
    `rollbacks`, how many, where there were any.
    """

    def __init__(self, meters: Meters, progress: Progress, start: Start):
        super().__init__(start)
        self.rows: list[dict[str, float]] = []
        self._meters, self._progress = meters, progress
        self._resumed: Mapping[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """The log's state so far, as JSON values."""
        return {
            "rows": [dict(row) for row in self.rows],
            "losses": list(self._losses),
            "steps": list(self._steps),
            "spent": self._spent(),
        }

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Take over what was noted before the training was interrupted."""
        self.rows = [dict(row) for row in facts["rows"]]
        self._resumed = facts

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Start the clocks."""
        before, self._resumed = self._resumed or {}, None
        self._losses: list[float] = list(before.get("losses", ()))
        self._steps: list[int] = list(before.get("steps", ()))
        self._before: Mapping[str, float] = before.get("spent", {})
        self._began = self._clocks()

    def _clocks(self) -> dict[str, float]:
        meters = self._meters
        return {
            "seconds": time.perf_counter(),
            "waited": meters.waited(),
            "simulated": meters.simulated(),
            "rollbacks": meters.rollbacks(),
        }

    def _spent(self) -> dict[str, float]:
        """Seconds that the epoch has taken so far, with those in processes before this one."""
        now = self._clocks()
        return {
            name: now[name] - began + self._before.get(name, 0)
            for name, began in self._began.items()
        }

    def on_block(self, number: int, logs: Any) -> None:
        """Count the block, weighting its loss by its steps; one that was undone has none."""
        steps = self._meters.steps(number)
        if not self._meters.rolled_back():
            self._losses.append(float(logs["loss"]))
            self._steps.append(steps)
        self._progress.advance(steps, loss=self._mean())

    def _mean(self) -> float:
        return float(np.average(self._losses, weights=self._steps)) if self._losses else math.nan

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the epoch's losses and times into the logs, and keep them."""
        spent = self._spent()
        base = float(backend.to_numpy(self.model.optimizer.learning_rate))
        logs.clear()
        logs["loss"] = self._mean()
        if self._meters.validate is not None:
            logs["val_loss"] = self._meters.validate()
        logs["learning_rate"] = base * self._meters.relative_rate(epoch)
        if spent["rollbacks"]:
            logs["rollbacks"] = spent["rollbacks"]
        logs["seconds_simulating"] = spent["simulated"]
        logs["seconds_waiting"] = spent["waited"]
        logs["seconds_training"] = spent["seconds"] - spent["waited"]
        self.rows.append({"epoch": epoch + 1, **logs})
        self._losses, self._steps, self._before = [], [], {}
        self._began = self._clocks()


class LastEpoch(keras.callbacks.Callback):
    """A callback that calls a function when the last epoch begins, if it ever does.

    Arguments:
        epochs: Of the whole training.
    """

    def __init__(self, epochs: int, begins: Callable[[], None]):
        super().__init__()
        self._epochs, self._begins = epochs, begins

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Call the function, if this is the last epoch."""
        if epoch == self._epochs - 1:
            self._begins()
