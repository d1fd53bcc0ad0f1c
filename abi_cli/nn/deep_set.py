"""Summary network for exchangeable members: pool what each says, and how they vary together.

    h_n = φ(x_n),    encoding = mean of h

Means of learned embeddings are the deep set of Zaheer et al. (2017, arXiv:1703.06114), which can
represent any function of a set; the statistics beside them, pooled regressions (`nn.moments`) and
log N, hand over its second moments in coordinates that stay sharp where members almost lie on a
line. Padding is masked everywhere.
"""

from __future__ import annotations

from typing import Any

import keras

from abi_cli.nn.moments import masked_mean
from abi_cli.nn.summary import MembersLayer


@keras.saving.register_keras_serializable("abi")
class DeepSet(MembersLayer):
    """Sets `(batch, obs, dim)` with a mask `(batch, obs)` to summaries `(batch, summary_dim)`.

    Arguments:
        depth: Hidden layers of the member network φ.
    """

    def __init__(self, *, depth: int, **layer: Any):
        super().__init__(**layer)
        self.depth = depth

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for members of `input_shape[-1]` features."""
        dim = input_shape[-1] or 0
        self.member = [
            self.dense(self.width, inputs, activation=self.activation)
            for inputs in [dim, *[self.width] * (self.depth - 1)]
        ]
        return self.width, self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """The mean of what each member says, `(batch, width)`."""
        h = x
        for layer in self.member:
            h = layer(h)
        return masked_mean(h, mask)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "depth": self.depth}
