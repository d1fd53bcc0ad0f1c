"""The part of an approximator that learns: a density of standardized parameters, given conditions.

What a data set tells is one vector: the conditions of the inference network, and mean and log sd of
the parameters. A subclass says how it is made (`tell`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from abi_cli import backend
from abi_cli.adapter.adapter import INFERENCE_VARIABLES
from abi_cli.adapter.batches import NOISE


class Learner(keras.Model):
    """Networks that learn a posterior by blocks of batches.

    Attributes:
        inference_network: The layer that has the density, given conditions.
        standardization: The layer that puts parameters in units of their predicted mean and sd.
        tell: All that the posterior depends on, of a batch: conditions, mean and log sd,
            `(batch, told)`.
        _ends: Where conditions end in that, and where means do.
    """

    inference_network: Any
    standardization: Any
    tell: Callable[[Mapping[str, Any]], Any]
    _ends: tuple[int, int]

    def heard(self, told: Any) -> tuple[Any, Any, Any]:
        """Conditions, mean and log sd: the parts of a vector `told (…, told)` from `tell`."""
        first, second = self._ends
        return told[..., :first], told[..., first:second], told[..., second:]

    def log_density(self, theta: Any, told: Any) -> Any:
        """Log density `(batch,)` of adapted parameters `theta (batch, dim)`."""
        c, mean, log_sd = self.heard(told)
        z, log_det = self.standardization.standardized(theta, mean, log_sd)
        return self.inference_network.log_prob(z, c) + log_det

    def inverse(self, z: Any, told: Any) -> Any:
        """Adapted parameters of noise `z (dataset, draw, noise)` given `told (dataset, 1, …)`."""
        c, mean, log_sd = self.heard(told)
        return self.standardization.restored(self.inference_network.inverse(z, c), mean, log_sd)

    def objective(self, theta: Any, told: Any, noise: Any = None) -> Any:
        """The objective that training maximizes, `(batch,)`: mostly `log_density`, in nats.

        Arguments:
            noise: `(batch, training_noise)`, for networks that learn from noised parameters.
        """
        c, mean, log_sd = self.heard(told)
        z, log_det = self.standardization.standardized(theta, mean, log_sd)
        objective = self.inference_network.objective(z, c, noise)
        return objective + log_det if self.inference_network.loss_is_density else objective

    def batch_loss(self, batch: Mapping[str, Any]) -> Any:
        """The mean negative objective of a batch (and its `noise`, if needed), regularised."""
        told = self.tell(batch)
        loss = -ops.mean(self.objective(batch[INFERENCE_VARIABLES], told, batch.get(NOISE)))
        return self.penalized(loss, self.heard(told)[0])

    def penalized(self, loss: Any, conditions: Any) -> Any:  # noqa: ARG002  # the contract
        """The loss with what conditions `(batch, condition)` add to it: here nothing."""
        return loss

    def prepare(self, optimizer: keras.Optimizer, clip: Callable[[list[Any]], list[Any]]) -> None:
        """Get ready for `fit` with blocks of batches.

        Arguments:
            optimizer: The optimizer of all weights as one vector.
            clip: Gradients of the arrays of weights → the gradients to follow.
        """
        self.flat = backend.FlatWeights(self, clip)
        optimizer.build([self.flat.variable])
        self.compile(optimizer=optimizer, jit_compile=backend.compiles())

    def train_step(self, *arguments: Any) -> Any:
        """Learn one block of batches (see `backend.train_block`)."""
        return backend.train_block(self, *arguments)

    @property
    def metrics(self) -> list[Any]:
        """No metrics: the loss of a block is reported as it is."""
        return []
