"""A rival that starts as the run itself: its networks with its weights, told more.

The run's inference network f is given conditions c. Its heir's is given (c, d), where d is what
another approximator makes of the same data, its conditions and how its predictions of the
parameters, of mean m' and log sd s', differ from the run's,

    d = (c', (m' − m) exp(−s), s' − s),

and all weights on d are zero to begin with: log q'(θ | c, d) = log q(θ | c). So whatever it gains
is gained over the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend
from abi_cli.adapter.adapter import INFERENCE_VARIABLES, SUMMARY_STATISTICS
from abi_cli.approximator import Approximator
from abi_cli.learner import Learner
from abi_cli.nn.build import inference_layer
from abi_cli.nn.standardization import tamed
from abi_cli.variables import Datasets, Value, take

SAME = 1e-2
"""Nats by which an heir may differ from the run before it has learned: rounding."""

TRIED = 256
"""Data sets on which that is looked at."""


class Heir(Learner):
    """The run's networks with further inputs.

    Arguments:
        own: The run's, which learn on.
        more: Those that know more, which learn on, too.
        few: Data sets with parameters.
    """

    def __init__(self, own: Approximator, more: Approximator, few: Datasets):
        super().__init__(name="heir")
        self.own, self.more = own, more
        self.adapter, self.buckets = BothAdapters(own, more), own.buckets
        dim = own.adapter.dim
        adapted = self.adapter.forward(few)
        said = adapted.get(SUMMARY_STATISTICS)
        further = more.adapter.statistics
        width = 0 if further is None else further.of(take(few, slice(0, 1))).shape[1]
        self._own_statistics = (0 if said is None else np.asarray(said).shape[1]) - width
        conditions = own.told_of(few).shape[1] - 2 * dim + more.told_of(few).shape[1]
        self._ends = conditions, conditions + dim
        seed = own.get_config()["seed"]
        with backend.first_weights(seed):
            self.inference_network = inference_layer(own.inference, dim, conditions, seed)
        inherit(self.inference_network, own.inference_network)
        # In their place is the heir's.
        own.inference_network.trainable = more.inference_network.trainable = False
        self.built = True

    @property
    def standardization(self) -> Any:
        """The run's own."""
        return self.own.standardization

    @classmethod
    def of(cls, own: Approximator, more: Approximator, pilot: Datasets) -> Heir | None:
        """An heir that is the run to begin with; None where the network has no place for more."""
        few = take(pilot, slice(0, TRIED))
        heir = cls(own, more, few)
        theta = np.asarray(own.adapter.forward(few)[INFERENCE_VARIABLES], np.float32)
        theta = theta.reshape(len(theta), -1)
        densities = [
            backend.to_numpy(model.log_density(theta, model.told_of(few))) for model in (own, heir)
        ]
        away = np.abs(densities[0] - densities[1])
        return heir if np.nanmedian(away) < SAME else None

    def told_of(self, datasets: Mapping[str, Value]) -> np.ndarray:
        """Conditions, mean and log sd of data sets, `(dataset, told)`."""
        told = [np.asarray(one.told_of(datasets)) for one in (self.own, self.more)]
        return np.asarray(backend.to_numpy(self._joined(*told)))

    def tell(self, inputs: Mapping[str, Any]) -> Any:
        """The same of a batch."""
        own, more = dict(inputs), dict(inputs)
        if SUMMARY_STATISTICS in inputs:
            said, first = inputs[SUMMARY_STATISTICS], self._own_statistics
            own[SUMMARY_STATISTICS], more[SUMMARY_STATISTICS] = said[:, :first], said[:, first:]
            if not first:
                del own[SUMMARY_STATISTICS]
        return self._joined(self.own.tell(own), self.more.tell(more))

    def _joined(self, own: Any, more: Any) -> Any:
        c, mean, log_sd = self.own.heard(own)
        d, other_mean, other_log_sd = self.more.heard(more)
        away = tamed((other_mean - mean) * ops.exp(-log_sd))
        return ops.concatenate([c, d, away, tamed(other_log_sd - log_sd), mean, log_sd], axis=-1)


class BothAdapters:
    """The adapter that makes the inputs of both: steps of the run, statistics of both."""

    def __init__(self, own: Approximator, more: Approximator):
        self._own, self._more = own.adapter, more.adapter.statistics

    def forward(self, data: Mapping[str, Value]) -> Datasets:
        """From the scale of the user to that of the networks."""
        adapted = self._own.forward(data)
        if self._more is None:
            return adapted
        own = adapted.get(SUMMARY_STATISTICS)
        parts = [np.asarray(own)] if own is not None else []
        adapted[SUMMARY_STATISTICS] = np.concatenate([*parts, self._more.of(data)], axis=1)
        return adapted


def inherit(heir: keras.Layer, own: keras.Layer) -> None:
    """Give a layer the weights of one of the same kind with fewer inputs; those of more are zero.

    Errors:
        ValueError: They are not of the same kind.
    """
    for new, old in zip(heir.weights, own.weights, strict=True):
        value = np.zeros(new.shape, np.float32)
        known = backend.to_numpy(old.value)
        if any(n > m for n, m in zip(known.shape, value.shape, strict=True)):
            raise ValueError(f"Expected at least {known.shape} for {old.name}; got {value.shape}")
        value[tuple(slice(n) for n in known.shape)] = known
        new.assign(value)
