"""Summary networks whose members or steps attend to each other.

A block lets every member look at the others and then bends each by itself,

    h ← h + MHA(norm h, norm h),    h ← h + W₂ φ(W₁ norm h),

and learned queries pool the result (Lee et al. 2019, "Set Transformer", arXiv:1810.00825; Vaswani
et al. 2017, arXiv:1706.03762, with the normalization before, as in Xiong et al. 2020,
arXiv:2002.04745). Padding is masked wherever members are looked at.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.nn.summary import MembersLayer, StepsLayer, SummaryLayer

EXPANSION = 2
"""Width of the hidden layer of a block relative to the block's."""


class AttentionBlock(keras.Layer):
    """Queries `(batch, query, width)` look at members `(batch, obs, width)`, each bends itself."""

    def __init__(self, *, width: int, heads: int, activation: str, **layer: Any):
        super().__init__(**layer)
        self.width, self.heads, self.activation = width, heads, activation

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        policy, width = self.dtype_policy, self.width
        self.attention = keras.layers.MultiHeadAttention(
            self.heads, max(1, width // self.heads), dtype=policy
        )
        self.attention.build((None, None, width), (None, None, width))
        self.norms = [keras.layers.LayerNormalization(dtype=policy) for _ in range(3)]
        for norm in self.norms:
            norm.build((None, None, width))
        self.wide = keras.layers.Dense(EXPANSION * width, activation=self.activation, dtype=policy)
        self.wide.build((None, None, width))
        self.narrow = keras.layers.Dense(width, dtype=policy)
        self.narrow.build((None, None, EXPANSION * width))
        super().build(input_shape)

    def call(self, queries: Any, members: Any, mask: Any = None) -> Any:
        """`(batch, query, width)`; `mask (batch, obs)` of the members, None for all."""
        seen = None if mask is None else ops.cast(mask, "bool")[:, None, :]
        looked = self.norms[1](members)
        h = queries + self.attention(self.norms[0](queries), looked, attention_mask=seen)
        return h + self.narrow(self.wide(self.norms[2](h)))


class _Attending(SummaryLayer):
    """The encoder that both networks share.

    Arguments:
        depth: Blocks.
        heads: Of the attention of each.
        seeds: Learned queries that pool.
        inducing: Learned points through which members look at each other, so that the work grows
            with their number and not with its square; 0 for none.
    """

    def __init__(self, *, depth: int, heads: int, seeds: int, inducing: int = 0, **layer: Any):
        super().__init__(**layer)
        self.depth, self.heads, self.seeds, self.inducing = depth, heads, seeds, inducing

    def _block(self) -> AttentionBlock:
        block = AttentionBlock(
            width=self.width, heads=self.heads, activation=self.activation, dtype=self.dtype_policy
        )
        block.build((None, None, self.width))
        return block

    def _points(self, number: int, name: str) -> Any:
        initializer = keras.initializers.RandomNormal(stddev=1.0)
        return self.add_weight(shape=(1, number, self.width), initializer=initializer, name=name)

    def build_attention(self, features: int) -> int:
        """Weights for members of so many features; the length of the encoding."""
        self.embed = self.dense(self.width, features)
        self.blocks = [self._block() for _ in range(self.depth)]
        self.to_points = [self._block() for _ in range(self.depth if self.inducing else 0)]
        self.points = [
            self._points(self.inducing, f"points_{i}") for i in range(len(self.to_points))
        ]
        self.pool = self._block()
        self.queries = self._points(self.seeds, "queries")
        return self.seeds * self.width

    def attend(self, x: Any, mask: Any) -> Any:
        """What the queries pool, `(batch, seeds · width)`."""
        h = self.embed(x)
        batch = ops.zeros_like(h[:, :1, :])
        for number, block in enumerate(self.blocks):
            if self.inducing:
                points = self.to_points[number](batch + self.points[number], h, mask)
                h = block(h, points)
            else:
                h = block(h, h, mask)
        pooled = self.pool(batch + self.queries, h, mask)
        return ops.reshape(pooled, (-1, self.seeds * self.width))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "heads": self.heads,
            "seeds": self.seeds,
            "inducing": self.inducing,
        }


@keras.saving.register_keras_serializable("abi")
class SetTransformer(_Attending, MembersLayer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`."""

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for members of `input_shape[-1]` features."""
        dim = input_shape[-1] or 0
        return self.build_attention(dim), self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """What the queries pool."""
        return self.attend(x, mask)


@keras.saving.register_keras_serializable("abi")
class TimeSeriesTransformer(_Attending, StepsLayer):
    """Series `(batch, time, dim)` with a mask `(batch, time)` to summaries.

    Every step knows its place τ, counted in steps, by Time2Vec (Kazemi et al. 2019,
    arXiv:1907.05321): (ω₀ τ + φ₀, sin(ω₁ τ + φ₁), …) joins its features. Irregular times are
    features like others: concatenate them with the observations.

    Arguments:
        time_dim: Length of the time's vector.
    """

    def __init__(self, *, time_dim: int, **layer: Any):
        super().__init__(**layer)
        self.time_dim = time_dim

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for steps of `input_shape[-1]` features."""
        dim = input_shape[-1] or 0
        # Periods from 2 to some hundred steps, to begin with.
        log_uniform = keras.initializers.RandomUniform(-4.0, 1.0)
        self.log_frequency = self.add_weight(
            shape=(self.time_dim,), initializer=log_uniform, name="log_frequency"
        )
        self.phase = self.add_weight(
            shape=(self.time_dim,), initializer=keras.initializers.RandomUniform(), name="phase"
        )
        return self.build_attention(dim + self.time_dim), self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """What the queries pool of steps that know their place."""
        place = ops.cumsum(ops.ones_like(x[:, :, :1]), axis=1) - 1.0
        angle = place * ops.exp(self.log_frequency) + self.phase
        line = angle[:, :, :1] * 0.01
        vector = ops.concatenate([line, ops.sin(angle[:, :, 1:])], axis=-1)
        return self.attend(ops.concatenate([x, vector * mask[:, :, None]], axis=-1), mask)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "time_dim": self.time_dim}
