"""Summary network for several observables: one network for each, joined by a head

    s = head(s_1(x_1), …, s_k(x_k))

(late fusion: Schmitt et al. 2023, "Fuse it or lose it", arXiv:2311.10671).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend


class Fusion(keras.Layer):
    """Groups `{name: (batch, …)}` with masks `{name: (batch, obs) or None}` to summaries.

    Arguments:
        members: Built summary layers by name.
        head: A built summary layer for vectors as long as their summaries together.
    """

    def __init__(self, *, members: Mapping[str, Any], head: Any):
        super().__init__()
        self.names = sorted(members)
        self.networks = [members[name] for name in self.names]
        self.head = head
        self.statistics_dim = sum(network.statistics_dim for network in self.networks)
        self.supports_masking = self.built = True

    def _each(self, x: Mapping[str, Any], mask: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
        return [
            (network, x[name], mask[name])
            for name, network in zip(self.names, self.networks, strict=True)
        ]

    def statistics(self, x: Mapping[str, Any], mask: Mapping[str, Any]) -> Any:
        """Weight-free statistics of all members, side by side, `(batch, statistics)`."""
        parts = [network.statistics(one, its) for network, one, its in self._each(x, mask)]
        return ops.concatenate(parts, axis=-1)

    def _joined(self, x: Mapping[str, Any], mask: Mapping[str, Any]) -> Any:
        return ops.concatenate(
            [network(one, mask=its) for network, one, its in self._each(x, mask)], axis=-1
        )

    def adapt(self, x: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray | None]) -> None:
        """Let each member scale itself, and then the head on what they say."""
        for network, one, its in self._each(x, mask):
            network.adapt(one, its)
        self.head.adapt(backend.to_numpy(backend.compiled(self._joined)(x, mask)))

    def compute_mask(self, x: Any, previous_mask: Any = None) -> None:
        """No mask, since a summary has no members: None."""

    def call(self, x: Mapping[str, Any], mask: Mapping[str, Any]) -> Any:
        """Summaries `(batch, summary_dim)`."""
        return self.head(self._joined(x, mask))
