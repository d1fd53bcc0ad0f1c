"""Autoregressive flow: each coordinate is changed given all those before it, in one pass

    y_i = changed(x_i | x of lower order, c)

by a network whose weights are masked, so that no path leads from a coordinate to one of lower order
(Papamakarios et al. 2017, "Masked autoregressive flow", arXiv:1705.07057; Germain et al. 2015,
arXiv:1502.03509). The order is turned round from layer to layer. Densities take one pass; drawing
takes one for each coordinate, in the same compiled loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli.nn import spline
from abi_cli.nn.flow import Flow, changed, changed_back


def orders(dim: int, depth: int, seed: int) -> np.ndarray:
    """The place of each coordinate in each layer, `(depth, dim)` of 1 … dim.

    The first is random, and every other one is the reverse of the one before.
    """
    first = np.random.default_rng(seed).permutation(dim) + 1
    return np.array([first if layer % 2 == 0 else dim + 1 - first for layer in range(depth)])


@keras.saving.register_keras_serializable("abi")
class AutoregressiveFlow(Flow):
    """A flow whose layers change every coordinate given those before it."""

    def __init__(self, **flow: Any):
        super().__init__(**flow)
        order = orders(self.dim, self.depth, self.seed)
        # A hidden unit of degree g sees coordinates up to g, and tells those beyond.
        degree = np.arange(self.width) % self.dim
        sees = degree >= order[:, :, None]
        tells = np.moveaxis(order[:, :, None] > degree, 1, 2)
        hidden = np.broadcast_to(
            degree[None, :] >= degree[:, None], (self.depth, *2 * [self.width])
        )
        before = order[:, None, :] > order[:, :, None]
        self.seen = [mask.astype("float32") for mask in (sees, hidden, tells, before)]

    def fixed(self) -> list[Any]:
        """Masks of the weights, `(layer, inputs, outputs)`."""
        return self.seen

    def _masked(self, fixed: Sequence[Any], weights: Sequence[Any]) -> list[Any]:
        sees, hidden, tells, before = fixed
        w_x, w_c, b_1, w_2, b_2, w_a, w_b, b_a, b_b, skip_a, skip_s, skip_r, *bending = weights
        masked = [w_x * sees, w_c, b_1, w_2 * hidden, b_2, w_a * tells, w_b * tells, b_a, b_b]
        masked += [skip_a, skip_s, skip_r * before]
        if bending:
            w_k, b_k, skip_k = bending
            numbers = spline.numbers_of(self.bins)
            masked += [w_k * ops.repeat(tells, numbers, axis=-1), b_k, skip_k]
        return masked

    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """One layer."""
        return changed(x, self.told(x, c, self._masked(fixed, weights)))

    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """One layer undone: each pass makes the next coordinate right."""
        masked = self._masked(fixed, weights)
        x = ops.zeros_like(y)
        for _ in range(self.dim):
            x = changed_back(y, self.told(x, c, masked))
        return x
