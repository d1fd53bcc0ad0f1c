"""Summary network for exchangeable members: pool what each says, and how they vary together.

    h_n = φ(x_n),    s = (mean of h, regressions of x, log N),    summary = A s + ρ(s)

Means of learned embeddings are the deep set of Zaheer et al. (2017, arXiv:1703.06114), which can
represent any function of a set; the pooled regressions (`nn.moments`) hand over its second moments
in coordinates that stay sharp where members almost lie on a line; and the linear path A lets them
reach the inference network unbent. The statistics s are scaled once, to mean 0 and sd 1 over pilot
data sets, and grow only logarithmically beyond ten sds: coefficients have heavy tails in small
sets. Padding is masked everywhere.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.nn.moments import masked_mean, regressions, statistics_of

LINEAR = 10.0
"""So many pilot sds are passed on as they are."""


def tamed(s: Any) -> Any:
    """The identity up to `LINEAR` in size, logarithmic beyond."""
    beyond = ops.maximum(ops.abs(s) - LINEAR, 0.0)
    return ops.sign(s) * (ops.minimum(ops.abs(s), LINEAR) + ops.log1p(beyond))


@keras.saving.register_keras_serializable("abi")
class DeepSet(keras.Layer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`.

    Arguments:
        summary_dim: Length of the summary.
        width: Width of the member and summary networks φ and ρ.
        depth: Hidden layers of φ.
        moment_features: How many of the members' own features enter the regressions; more are
            projected linearly onto so many.
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
        features = min(dim, self.moment_features)
        self.statistics = self.width + statistics_of(features) + 1

        def dense(units: int, inputs: int, *, activation: str | None = None) -> keras.layers.Dense:
            layer = keras.layers.Dense(units, activation=activation, dtype=self.dtype_policy)
            layer.build((None, inputs))
            return layer

        widths = [dim, *[self.width] * self.depth]
        self.member = [
            dense(self.width, inputs, activation=self.activation) for inputs in widths[:-1]
        ]
        self.projection = dense(features, dim) if features < dim else None
        self.location = self.add_weight(
            shape=(self.statistics,), initializer="zeros", trainable=False, name="location"
        )
        self.scale = self.add_weight(
            shape=(self.statistics,), initializer="ones", trainable=False, name="scale"
        )
        self.hidden = dense(self.width, self.statistics, activation=self.activation)
        self.bend = dense(self.summary_dim, self.width)
        self.skip = dense(self.summary_dim, self.statistics)
        super().build(input_shape)

    def pooled(self, x: Any, mask: Any) -> Any:
        """What is pooled over the members, `(batch, statistics)`, before it is scaled."""
        h = x
        for layer in self.member:
            h = layer(h)
        features = x if self.projection is None else self.projection(x)
        return ops.concatenate(
            [
                masked_mean(h, mask),
                regressions(features, mask),
                ops.log(ops.sum(mask, axis=1, keepdims=True) + 1.0),
            ],
            axis=-1,
        )

    def adapt(self, x: Any, mask: Any) -> None:
        """Scale the pooled statistics to mean 0 and sd 1 over these sets, once, before training."""
        statistics = ops.convert_to_numpy(self.pooled(x, mask)).astype("float64")
        sd = statistics.std(axis=0)
        self.location.assign(statistics.mean(axis=0))
        self.scale.assign([s if s > 1e-6 else 1.0 for s in sd])

    def call(self, x: Any, mask: Any) -> Any:
        """Summaries `(batch, summary_dim)` of sets `x (batch, obs, dim)`."""
        s = tamed((self.pooled(x, mask) - self.location) / self.scale)
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
