"""The trend of a loss over many epochs, which one spike does not turn: would more training help?

The slope over the last K epochs is the median of the slopes (lⱼ − lᵢ) / (j − i) of all pairs i < j
(Theil 1950; Sen 1968, doi:10.1080/01621459.1968.10480934), which stays what it is where up to 29 %
of the losses are off by any amount. It is told from none by Kendall's

    S = Σ_{i<j} sign(lⱼ − lᵢ),    Var S = K (K − 1) (2 K + 5) / 18 where there is no trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 5
"""Fewest epochs of a trend: four without one fall every time in one case of 24."""

ENOUGH = 8
"""Epochs among which a single odd one does not hide the trend."""

LEVEL = 0.02
"""Nats by which a loss may move over these epochs and still be level."""

_SURE = 1.64
"""Standard deviations of S that 5 % of series without a trend exceed."""


@dataclass(frozen=True)
class Trend:
    """The recent movement of a loss.

    Arguments:
        change: From the first of the epochs to the last of them; 0 where it is level.
        epochs: How many were judged, the last ones.
    """

    change: float
    epochs: int

    def __str__(self) -> str:
        if self.change < 0:
            return f"still falling by {-self.change:.3f}"
        return f"rising by {self.change:.3f}" if self.change > 0 else "level"


def trend(losses: Sequence[float]) -> Trend | None:
    """The trend of the last fifth of the epochs, or of 8 if that is more; None of fewer than 5.

    Arguments:
        losses: One per epoch; those that are not finite say nothing.
    """
    window = min(len(losses), max(ENOUGH, len(losses) // 5))
    last = np.asarray(losses[-window:], dtype=np.float64)
    epoch = np.flatnonzero(np.isfinite(last))
    if len(epoch) < FEWEST:
        return None
    later, earlier = np.tril_indices(len(epoch), -1)
    rise = last[epoch[later]] - last[epoch[earlier]]
    slope = float(np.median(rise / (epoch[later] - epoch[earlier])))
    number = len(epoch)
    spread = math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    change = slope * (window - 1)
    told = abs(change) > LEVEL and abs(np.sign(rise).sum()) > _SURE * spread
    return Trend(change if told else 0.0, window)
