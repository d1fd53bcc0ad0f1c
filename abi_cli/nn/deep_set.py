"""Summary network for exchangeable members: pool what each says, and how they vary together.

    h_n = φ(x_n),    s = (mean of h, statistics of x),    summary = A s + ρ(s)

Means of learned embeddings are the deep set of Zaheer et al. (2017, arXiv:1703.06114), which can
represent any function of a set; the statistics, pooled regressions (`nn.moments`) and log N, hand
over its second moments in coordinates that stay sharp where members almost lie on a line; and the
linear path A lets them reach the inference network unbent. Padding is masked everywhere.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend
from abi_cli.nn.moments import masked_mean, regressions, spreads, spreads_of, statistics_of
from abi_cli.nn.standardization import Scaling


@keras.saving.register_keras_serializable("abi")
class DeepSet(keras.Layer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`.

    Arguments:
        summary_dim: Length of the summary.
        width: Width of the member and summary networks φ and ρ.
        depth: Hidden layers of φ.
        moment_features: Up to so many features of a member are regressed on each other; of more
            only means and variances are pooled.
        activation: Nonlinearity of φ and ρ.
    """

    def __init__(
        self,
        *,
        summary_dim: int,
        width: int,
        depth: int,
        moment_features: int,
        activation: str,
        **layer: Any,
    ):
        super().__init__(**layer)
        self.summary_dim = summary_dim
        self.width = width
        self.depth = depth
        self.moment_features = moment_features
        self.activation = activation

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the weights for members of `input_shape[-1]` features."""
        dim = input_shape[-1]
        self.regressed = dim <= self.moment_features
        self.statistics_dim = (statistics_of(dim) if self.regressed else spreads_of(dim)) + 1

        def dense(units: int, inputs: int, *, activation: str | None = None) -> keras.layers.Dense:
            layer = keras.layers.Dense(units, activation=activation, dtype=self.dtype_policy)
            layer.build((None, inputs))
            return layer

        self.member = [
            dense(self.width, inputs, activation=self.activation)
            for inputs in [dim, *[self.width] * (self.depth - 1)]
        ]
        pooled = self.width + self.statistics_dim
        self.scaling = Scaling(dtype=self.dtype_policy)
        self.scaling.build((1, pooled))
        self.hidden = dense(self.width, pooled, activation=self.activation)
        self.bend = dense(self.summary_dim, self.width)
        self.skip = dense(self.summary_dim, pooled)
        super().build(input_shape)

    def statistics(self, x: Any, mask: Any) -> Any:
        """What is pooled without any weights, `(batch, statistics)`."""
        moments = regressions(x, mask) if self.regressed else spreads(x, mask)
        size = ops.log(ops.sum(mask, axis=1, keepdims=True) + 1.0)
        return ops.concatenate([moments, size], axis=-1)

    def _pooled(self, x: Any, mask: Any) -> Any:
        h = x
        for layer in self.member:
            h = layer(h)
        return ops.concatenate([masked_mean(h, mask), self.statistics(x, mask)], axis=-1)

    def adapt(self, x: np.ndarray, mask: np.ndarray) -> None:
        """Scale what is pooled to mean 0 and sd 1 over these sets, once, before training."""
        self.scaling.adapt(backend.to_numpy(backend.compiled(self._pooled)(x, mask)))

    def call(self, x: Any, mask: Any) -> Any:
        """Summaries `(batch, summary_dim)` of sets `x (batch, obs, dim)`."""
        s = self.scaling(self._pooled(x, mask))
        return self.skip(s) + self.bend(self.hidden(s))

    def compute_output_shape(
        self,
        input_shape: tuple[int | None, ...],
        mask_shape: tuple[int | None, ...] | None = None,  # noqa: ARG002  # as `call` takes it
    ) -> tuple[int | None, ...]:
        """`(batch, summary_dim)`."""
        return (input_shape[0], self.summary_dim)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "width": self.width,
            "depth": self.depth,
            "moment_features": self.moment_features,
            "activation": self.activation,
        }
