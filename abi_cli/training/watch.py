"""What watches the training from inside Keras's `fit`: losses of epochs, and divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from abi_cli import backend
from abi_cli.errors import Diverged
from abi_cli.listener import Listener, Progress

MOST_ROLLBACKS = 3
"""How often a training that diverges goes on from its last good epoch."""


@dataclass(frozen=True)
class Meters:
    """Where the figures of an epoch come from.

    Arguments:
        steps: Steps of a block, by its number.
        relative_rate: Rate at the end of an epoch, by its number, relative to the optimizer's.
        waited: Seconds that the training has waited for data so far.
        simulated: Seconds that all workers have simulated so far.
        validate: Loss on the validation data; None where there are none.
    """

    steps: Callable[[int], int]
    relative_rate: Callable[[int], float]
    waited: Callable[[], float]
    simulated: Callable[[], float]
    validate: Callable[[], float] | None


class EpochLog(keras.callbacks.Callback):
    """The row that an epoch leaves in history.csv, and the progress shown meanwhile.

    It comes first of all callbacks: the others read what it adds to the logs.
    """

    def __init__(self, meters: Meters, progress: Progress):
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._meters, self._progress = meters, progress
        self._block = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Start the clocks."""
        self._losses: list[float] = []
        self._steps: list[int] = []
        self._began = time.perf_counter()
        self._waited, self._simulated = self._meters.waited(), self._meters.simulated()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Count the block, weighting its loss by its steps; one that failed has none."""
        steps = self._meters.steps(self._block)
        self._block += 1
        if int(logs["failed"]) < 0:
            self._losses.append(float(logs["loss"]))
            self._steps.append(steps)
        self._progress.advance(steps, loss=self._mean())

    def _mean(self) -> float:
        return float(np.average(self._losses, weights=self._steps)) if self._losses else math.nan

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the epoch's losses and times into the logs, and keep them."""
        seconds = time.perf_counter() - self._began
        waited = self._meters.waited() - self._waited
        base = float(backend.to_numpy(self.model.optimizer.learning_rate))
        logs.clear()
        logs["loss"] = self._mean()
        if self._meters.validate is not None:
            logs["val_loss"] = self._meters.validate()
        logs["learning_rate"] = base * self._meters.relative_rate(epoch)
        logs["seconds_simulating"] = self._meters.simulated() - self._simulated
        logs["seconds_waiting"] = waited
        logs["seconds_training"] = seconds - waited
        self.rows.append({"epoch": epoch + 1, **logs})


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the last good epoch, at half the rate, when a loss is not finite.

    Errors:
        Diverged: When it has done so `MOST_ROLLBACKS` times and the loss is not finite again.
    """

    def __init__(self, listener: Listener):
        super().__init__()
        self._listener = listener
        self._rollbacks = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Note where we are, and keep what the last epoch ended with."""
        self._epoch = epoch
        self._keep()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Roll back after a block with a loss that is not finite."""
        if int(logs["failed"]) < 0:
            return
        where = f"epoch {self._epoch + 1}, block {batch + 1}, step {int(logs['failed']) + 1} of it"
        if self._rollbacks == MOST_ROLLBACKS:
            raise Diverged(
                f"The loss was not finite again in {where}, after {MOST_ROLLBACKS} rollbacks",
                hint="Try a lower learning_rate, a smaller clipnorm of the optimizer, or "
                "constrain and standardize steps for variables of very different scales.",
            )
        self._rollbacks += 1
        backend.synchronize(self.model)
        for variable, value in zip(self._variables(), self._good, strict=True):
            variable.assign(value)
        optimizer = self.model.optimizer
        optimizer.learning_rate = 0.5 * float(backend.to_numpy(optimizer.learning_rate))
        self._keep()
        self._listener.warn(
            f"The loss was not finite in {where}: went back to the start of the epoch and "
            "halved the learning rate"
        )

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _keep(self) -> None:
        backend.synchronize(self.model)
        self._good = [np.array(backend.to_numpy(variable.value)) for variable in self._variables()]
