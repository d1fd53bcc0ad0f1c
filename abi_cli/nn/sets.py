"""Summary networks for sets, and for series as sets of steps that know their place.

`DeepSet` pools what each member says,

    h_n = φ(x_n),    encoding = mean of h

(Zaheer et al. 2017, arXiv:1703.06114), which can represent any function of a set; the statistics
beside it, pooled regressions (`nn.moments`) and log N, hand over its second moments in coordinates
that stay sharp where members almost lie on a line.

In the other two members attend to each other. A block lets every member look at the others and then
bends each by itself,

    h ← h + MHA(norm h, norm h),    h ← h + W₂ φ(W₁ norm h),

and learned queries pool the result (Lee et al. 2019, "Set Transformer", arXiv:1810.00825; Vaswani
et al. 2017, arXiv:1706.03762, with the normalization before, as in Xiong et al. 2020,
arXiv:2002.04745). Padding is masked wherever members are looked at.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.networks import parts_summary as words
from abi_cli.nn.moments import masked_mean
from abi_cli.nn.summary import MembersLayer, StepsLayer

EXPANSION = 2
"""Width of the hidden layer of a block relative to the block's."""


class AttentionBlock(keras.Layer):
    """Queries `(batch, query, width)` look at members `(batch, obs, width)`, each bends itself."""

    def __init__(self, options: words.Attending):
        super().__init__()
        self.options = options

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        policy, width, heads = self.dtype_policy, self.options.width, self.options.heads
        self.attention = keras.layers.MultiHeadAttention(
            heads, max(1, width // heads), dtype=policy
        )
        self.attention.build((None, None, width), (None, None, width))
        self.norms = [keras.layers.LayerNormalization(dtype=policy) for _ in range(3)]
        for norm in self.norms:
            norm.build((None, None, width))
        self.wide = keras.layers.Dense(
            EXPANSION * width, activation=self.options.activation, dtype=policy
        )
        self.wide.build((None, None, width))
        self.narrow = keras.layers.Dense(width, dtype=policy)
        self.narrow.build((None, None, EXPANSION * width))
        super().build(input_shape)

    def call(self, queries: Any, members: Any, mask: Any = None) -> Any:
        """Queries after attention, `(batch, query, width)`; `mask (batch, obs)`, None for all."""
        seen = None if mask is None else ops.cast(mask, "bool")[:, None, :]
        looked = self.norms[1](members)
        h = queries + self.attention(self.norms[0](queries), looked, attention_mask=seen)
        return h + self.narrow(self.wide(self.norms[2](h)))


class DeepSet(MembersLayer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`."""

    options: words.DeepSet

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for members of `input_shape[-1]` features."""
        dim, width, depth = input_shape[-1] or 0, self.options.width, self.options.depth
        self.member = [
            self.dense(width, inputs, activation=self.options.activation)
            for inputs in [dim, *[width] * (depth - 1)]
        ]
        return width, self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """The mean of what each member says, `(batch, width)`."""
        h = x
        for layer in self.member:
            h = layer(h)
        return masked_mean(h, mask)


class _Attending(MembersLayer):
    """The encoder that both transformers share."""

    options: words.Attending

    def _block(self) -> AttentionBlock:
        block = AttentionBlock(self.options)
        block.build((None, None, self.options.width))
        return block

    def _points(self, number: int, name: str) -> Any:
        shape = (1, number, self.options.width)
        initializer = keras.initializers.RandomNormal(stddev=1.0)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def build_attention(self, features: int, *, inducing: int = 0) -> int:
        """Weights for members of so many features; the length of the encoding.

        Arguments:
            inducing: Learned points through which members look at each other, so that the work
                grows with their number and not with its square; 0 for none.
        """
        width, depth, seeds = self.options.width, self.options.depth, self.options.seeds
        self.embed = self.dense(width, features)
        self.blocks = [self._block() for _ in range(depth)]
        self.to_points = [self._block() for _ in range(depth if inducing else 0)]
        self.points = [self._points(inducing, f"points_{i}") for i in range(len(self.to_points))]
        self.pool = self._block()
        self.queries = self._points(seeds, "queries")
        return seeds * width

    def attend(self, x: Any, mask: Any) -> Any:
        """Encoding that the queries pool, `(batch, seeds · width)`."""
        h = self.embed(x)
        batch = ops.zeros_like(h[:, :1, :])
        for number, block in enumerate(self.blocks):
            if self.points:
                points = self.to_points[number](batch + self.points[number], h, mask)
                h = block(h, points)
            else:
                h = block(h, h, mask)
        pooled = self.pool(batch + self.queries, h, mask)
        return ops.reshape(pooled, (-1, self.options.seeds * self.options.width))


class SetTransformer(_Attending):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`."""

    options: words.SetTransformer

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for members of `input_shape[-1]` features."""
        dim = input_shape[-1] or 0
        encoding = self.build_attention(dim, inducing=self.options.inducing)
        return encoding, self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """Encoding that the queries pool, `(batch, seeds · width)`."""
        return self.attend(x, mask)


class TimeSeriesTransformer(_Attending, StepsLayer):
    """Series `(batch, time, dim)` with a mask `(batch, time)` to summaries.

    Every step knows its place τ, counted in steps, by Time2Vec (Kazemi et al. 2019,
    arXiv:1907.05321): (ω₀ τ + φ₀, sin(ω₁ τ + φ₁), …) joins its features. Irregular times are
    features like others: concatenate them with the observations.
    """

    options: words.TimeSeriesTransformer

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for steps of `input_shape[-1]` features."""
        dim, time_dim = input_shape[-1] or 0, self.options.time_dim
        # Periods from 2 to some hundred steps, to begin with.
        log_uniform = keras.initializers.RandomUniform(-4.0, 1.0)
        self.log_frequency = self.add_weight(
            shape=(time_dim,), initializer=log_uniform, name="log_frequency"
        )
        self.phase = self.add_weight(
            shape=(time_dim,), initializer=keras.initializers.RandomUniform(), name="phase"
        )
        return self.build_attention(dim + time_dim), self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """Encoding that the queries pool of steps with their place, `(batch, seeds · width)`."""
        place = ops.cumsum(ops.ones_like(x[:, :, :1]), axis=1) - 1.0
        angle = place * ops.exp(self.log_frequency) + self.phase
        line = angle[:, :, :1] * 0.01
        vector = ops.concatenate([line, ops.sin(angle[:, :, 1:])], axis=-1)
        return self.attend(ops.concatenate([x, vector * mask[:, :, None]], axis=-1), mask)
