"""Coupling flow: each layer keeps the coordinates of a mask m and changes the others given those

    y = m x + (1 − m) changed(x | m x, c)

(Dinh et al. 2017, arXiv:1605.08803). The first coupling has an empty mask, so it moves and scales
every coordinate given c alone; the others come in pairs of complementary masks over random halves.
With one parameter all masks are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from abi_cli.nn.flow import Flow, changed, changed_back


def coupling_masks(dim: int, depth: int, seed: int) -> np.ndarray:
    """Which coordinates each coupling keeps, `(depth, dim)` of 0 and 1."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((depth, dim), "float32")
    for first in range(1, depth, 2):
        kept = rng.permutation(dim)[: (dim + 1) // 2 if dim > 1 else 0]
        masks[first, kept] = 1.0
        if first + 1 < depth and dim > 1:
            masks[first + 1] = 1.0 - masks[first]
    return masks


@keras.saving.register_keras_serializable("abi")
class CouplingFlow(Flow):
    """A flow whose layers change one half of the coordinates given the other."""

    def __init__(self, **flow: Any):
        super().__init__(**flow)
        self.masks = coupling_masks(self.dim, self.depth, self.seed)

    def fixed(self) -> list[np.ndarray]:
        """The masks, `(layer, 1, dim)`."""
        return [self.masks[:, None, :]]

    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """One coupling."""
        (m,) = fixed
        kept = x * m
        y, log_slope = changed(x, self.told(kept, c, weights))
        return kept + (1 - m) * y, (1 - m) * log_slope

    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """One coupling undone."""
        (m,) = fixed
        kept = y * m
        return kept + (1 - m) * changed_back(y, self.told(kept, c, weights))
