"""Remedies for a training that diverges.

A block whose loss or gradient is not finite leaves weights that are lost. One where even the batch
with the smallest loss is a thousand times worse than the untrained networks were has exploded: no
single odd batch does that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from abi_cli import backend
from abi_cli.adapter.batches import NOISE, SUMMARY_MASK, mask_of
from abi_cli.errors import Diverged
from abi_cli.listener import Listener
from abi_cli.training.blocks import Block
from abi_cli.training.state import give_values, values_of
from abi_cli.training.watch import BlockCallback, Start

MOST_ROLLBACKS = 3
"""Most times that a training that diverges goes on from its last good state."""

EXPLODED = 1e3
"""Most that a block's smallest loss may be above the first loss, in units of 1 + |first loss|."""


REMEDY = (
    "Numbers beyond ±100 there say that a variable needs a constrain, log or standardize step, or "
    "that simulations run wild (abi check shows their range). Otherwise try a lower learning_rate, "
    "a smaller clipnorm of the optimizer, or a larger batch_size."
)


class DivergenceGuard(BlockCallback):
    """A callback that goes back to the start of the epoch, at half the rate, if a block diverges.

    It comes first of all callbacks, so that nobody sees weights that are lost.

    Arguments:
        block: The data of a block, by its number.

    Attributes:
        rollbacks: Number of times that it has gone back.
        rolled_back: True if it went back after the last block.
        good: The values it goes back to.

    Errors:
        Diverged: It has gone back `MOST_ROLLBACKS` times and a block diverges again.
    """

    def __init__(self, listener: Listener, block: Callable[[int], Block], start: Start):
        super().__init__(start)
        self._listener, self._block = listener, block
        self._first: float | None = None
        self.rollbacks, self.rolled_back = 0, False
        self.good: list[np.ndarray] = []
        self._given = False

    def facts(self) -> dict[str, Any]:
        """The guard's state so far, as JSON values."""
        return {"first": self._first, "rollbacks": self.rollbacks}

    def go_on(self, facts: Mapping[str, Any], good: Sequence[np.ndarray] | None) -> None:
        """Take over what was noted before the training was interrupted.

        Arguments:
            good: The values to go back to, if they are not those that the training goes on with.
        """
        self._first, self.rollbacks = facts["first"], int(facts["rollbacks"])
        self.good, self._given = list(good or ()), good is not None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
        """Note the epoch, and keep the state that the last one ended with."""
        self._epoch, self._place = epoch, 0
        if not self._given:
            self.good = values_of(self.model)
        self._given = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count blocks of the epoch, empty ones too."""
        self._place = batch + 1
        super().on_train_batch_end(batch, logs)

    def on_block(self, number: int, logs: Any) -> None:
        """Roll back after a block that has diverged."""
        failed, loss = int(logs["failed"]), float(logs["loss"])
        if self._first is None and failed < 0:
            self._first = loss
        exploded = failed < 0 and float(logs["lowest"]) > self._limit()
        self.rolled_back = failed >= 0 or exploded
        if not self.rolled_back:
            return
        give_values(self.model, self.good)
        where = f"epoch {self._epoch + 1}, block {self._place}"
        where += "" if exploded else f", step {failed + 1} of it"
        what = f"exploded to {loss:.3g}" if exploded else "was not finite"
        if self.rollbacks == MOST_ROLLBACKS:
            block = self._block(number)
            steps = slice(0, int(block["steps"])) if exploded else slice(failed, failed + 1)
            raise Diverged(
                f"The loss {what} again in {where}, after {MOST_ROLLBACKS} rollbacks. "
                f"Its {'batches' if exploded else 'batch'}, as the networks see "
                f"{'them' if exploded else 'it'}: {ranges(block, steps)}",
                hint=REMEDY,
            )
        self.rollbacks += 1
        optimizer = self.model.optimizer
        optimizer.learning_rate = 0.5 * float(backend.to_numpy(optimizer.learning_rate))
        self.good = values_of(self.model)
        self._listener.warn(
            f"The loss {what} in {where}: went back to the start of the epoch and halved the "
            "learning rate"
        )

    def _limit(self) -> float:
        """The smallest loss of a block from which on it has exploded."""
        return math.inf if self._first is None else self._first + EXPLODED * (1 + abs(self._first))


def ranges(block: Block, steps: slice) -> str:
    """Name and range of every input of the networks in some steps of a block, padding left out."""
    told = []
    for name, values in block.items():
        if name in ("rate", "steps", NOISE) or name.startswith(SUMMARY_MASK):
            continue
        chosen = values[steps]
        if mask_of(name) in block:
            chosen = chosen[block[mask_of(name)][steps] > 0]
        told.append(f"{name} from {chosen.min():.3g} to {chosen.max():.3g}")
    return ", ".join(told)
