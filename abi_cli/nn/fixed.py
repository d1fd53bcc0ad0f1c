"""Summary network for data of a fixed shape: a residual multilayer perceptron."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from abi_cli.networks import parts_summary as words
from abi_cli.nn.summary import SummaryLayer

MOST_STATISTICS = 256
"""Longest vectors whose entries are passed on beside what is learned of them."""


class Perceptron(SummaryLayer):
    """Vectors `(batch, dim)` to summaries `(batch, summary_dim)`; of arrays, all their entries.

        h_0 = W x,    h_l = h_{l−1} + φ(V_l h_{l−1}),    encoding = h_L

    The vector itself stands for its statistics as long as it is not too long (then: mean and log
    variance of its entries), so that a posterior mean that is linear in the data is found at once.
    """

    options: words.Perceptron

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for arrays of `input_shape[1:]`."""
        dim, width = math.prod(size or 0 for size in input_shape[1:]), self.options.width
        self.first = self.dense(width, dim)
        self.layers = [
            self.dense(width, width, activation=self.options.activation)
            for _ in range(self.options.depth)
        ]
        return width, dim if dim <= MOST_STATISTICS else 2

    def encode(self, x: Any, mask: Any) -> Any:  # noqa: ARG002  # there is none
        """The last layer, `(batch, width)`."""
        h = self.first(_flat(x))
        for layer in self.layers:
            h = h + layer(h)
        return h

    def statistics(self, x: Any, mask: Any) -> Any:  # noqa: ARG002  # there is none
        """The vector, or mean and log variance of its entries."""
        x = _flat(x)
        if x.shape[-1] <= MOST_STATISTICS:
            return x
        spread = ops.log(ops.var(x, axis=-1, keepdims=True) + 1e-10)
        return ops.concatenate([ops.mean(x, axis=-1, keepdims=True), spread], axis=-1)


def _flat(x: Any) -> Any:
    return x if len(x.shape) == 2 else ops.reshape(x, (-1, math.prod(x.shape[1:])))
