"""Summary networks: weight-free statistics beside a learned encoding, and a head on both.

    pooled = (encoding of x, statistics of x),    s = scaled pooled,    summary = A s + ρ(s)

The statistics hand over what is known to matter (means, regressions, log N) in well-conditioned
form; the linear path A lets it reach the inference network unbent, and ρ bends it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend
from abi_cli.networks import parts_summary as words
from abi_cli.nn.moments import regressions, spreads, spreads_of, statistics_of
from abi_cli.nn.standardization import Scaling


class SummaryLayer(keras.Layer):
    """Data sets `(batch, …)` to summaries `(batch, summary_dim)`.

    A network says how it encodes data and which statistics it passes on; `build` makes the head
    for them.

    Arguments:
        options: As the spec has them.
    """

    def __init__(self, options: words.Learned):
        super().__init__()
        self.options = options
        self.supports_masking = True

    @abstractmethod
    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Make the encoder's weights.

        Returns:
            Lengths of the encoding and of the statistics.
        """

    @abstractmethod
    def encode(self, x: Any, mask: Any) -> Any:
        """Learned encoding of each data set, `(batch, encoding)`."""

    @abstractmethod
    def statistics(self, x: Any, mask: Any) -> Any:
        """Weight-free statistics of each data set, `(batch, statistics)`."""

    def dense(self, units: int, inputs: int, *, activation: str | None = None) -> Any:
        """A built dense layer."""
        layer = keras.layers.Dense(units, activation=activation, dtype=self.dtype_policy)
        layer.build((None, inputs))
        return layer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for data of `input_shape[1:]`."""
        encoding, self.statistics_dim = self.build_encoder(input_shape)
        pooled = encoding + self.statistics_dim
        self.scaling = Scaling(dtype=self.dtype_policy)
        self.scaling.build((1, pooled))
        width, length = self.options.width, self.options.summary_dim
        self.hidden = self.dense(width, pooled, activation=self.options.activation)
        self.bend = self.dense(length, width)
        self.skip = self.dense(length, pooled)
        super().build(input_shape)

    def _pooled(self, x: Any, mask: Any) -> Any:
        return ops.concatenate([self.encode(x, mask), self.statistics(x, mask)], axis=-1)

    def adapt(self, x: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Scale the pooled numbers to mean 0 and sd 1 over pilot data sets, before training."""
        self.scaling.adapt(backend.to_numpy(backend.compiled(self._pooled)(x, mask)))

    def call(self, x: Any, mask: Any = None) -> Any:
        """Summaries `(batch, summary_dim)`; `mask (batch, obs)` for sets and series."""
        s = self.scaling(self._pooled(x, mask))
        return self.skip(s) + self.bend(self.hidden(s))

    def compute_mask(self, x: Any, previous_mask: Any = None) -> None:
        """No mask, since a summary has no members: None."""

    def compute_output_shape(
        self,
        input_shape: tuple[int | None, ...],
        mask_shape: tuple[int | None, ...] | None = None,  # noqa: ARG002  # as `call` takes it
    ) -> tuple[int | None, ...]:
        """Shape of the summaries, `(batch, summary_dim)`."""
        return (input_shape[0], self.options.summary_dim)


class MembersLayer(SummaryLayer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)`: their pooled regressions and size."""

    options: words.OfMembers

    def moments_of(self, features: int) -> int:
        """Number of statistics of members of so many features."""
        regressed = features <= self.options.moment_features
        return (statistics_of(features) if regressed else spreads_of(features)) + 1

    def statistics(self, x: Any, mask: Any) -> Any:
        """Regressions, or means and variances, and the log of the size."""
        regressed = x.shape[-1] <= self.options.moment_features
        moments = regressions(x, mask) if regressed else spreads(x, mask)
        size = ops.log(ops.sum(mask, axis=1, keepdims=True) + 1.0)
        return ops.concatenate([moments, size], axis=-1)


class StepsLayer(MembersLayer):
    """Series `(batch, time, dim)` with a mask `(batch, time)`: successive steps regressed, too.

    The statistics are those of pairs (x_{t−1}, x_t), so that they hold the autoregression of the
    first order, and its residual variance.
    """

    def moments_of(self, features: int) -> int:
        """Number of statistics of steps of so many features."""
        return super().moments_of(2 * features)

    def statistics(self, x: Any, mask: Any) -> Any:
        """Regressions, or means and variances, of successive steps, and the log of their number."""
        # A step of padding before the first lets a series of one step have a pair of none.
        x = ops.pad(x, [[0, 0], [1, 0], [0, 0]])
        mask = ops.pad(mask, [[0, 0], [1, 0]])
        pairs = ops.concatenate([x[:, :-1], x[:, 1:]], axis=-1)
        both = mask[:, :-1] * mask[:, 1:]
        return super().statistics(pairs * both[:, :, None], both)
