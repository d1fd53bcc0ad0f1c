"""Flow matching: the straight path from data to noise, learned as a field of velocities.

Lipman et al. 2022, arXiv:2210.02747; for posteriors Wildberger et al. 2023, arXiv:2305.17161. How
the path becomes an angle, and the velocity F, is written in `nn.free_form`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.nn.free_form import FreeForm


@keras.saving.register_keras_serializable("abi")
class FlowMatching(FreeForm):
    """F learned at times t of the straight path (1 − t) x + t z, uniform in (0, 1)."""

    def angle(self, share: Any) -> Any:
        """φ with tan φ = t / (1 − t)."""
        return ops.arctan2(share, 1.0 - share)
