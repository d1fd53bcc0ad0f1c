"""Regions of the space of drawn values in which simulations fail.

For every scalar the draws that failed are compared with all draws. The threshold that parts them
best is where Kolmogorov's and Smirnov's one-sided distance

    D = max_t |F_failed(t) − F_all(t)|

is reached. It is named where D is larger than chance allows (Smirnov 1939, at about 1 %).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.model.failures import Failure

_CHANCE = 1.63
"""Quantile of √n D at 1 %."""

_APART = 0.25
"""Least D that is worth a message."""

_NAMED = 3
"""Most scalars that are named."""


@dataclass(frozen=True)
class Side:
    """One side of a threshold.

    Arguments:
        above: Whether it is the upper one.
        failed: Share of the draws that failed which lie there.
        all: Share of all draws.
    """

    name: str
    threshold: float
    above: bool
    failed: float
    all: float

    def __str__(self) -> str:
        mark = ">" if self.above else "<"
        threshold = f"{self.threshold:.4g}".replace("-", "−")
        return (
            f"{self.name} {mark} {threshold}: {self.failed:.0%} of those that failed, "
            f"{self.all:.0%} of all"
        )


def sides(failures: Iterable[Failure], drawn: Mapping[str, np.ndarray]) -> list[Side]:
    """Thresholds beyond which most failures lie, and few of all draws; the clearest first.

    Arguments:
        drawn: Name of a scalar → its values in draws of all kinds, `(row,)`.
    """
    failures = list(failures)
    found = []
    for name, values in drawn.items():
        parts = [failure.values[name] for failure in failures if name in failure.values]
        failed = np.sort(np.concatenate(parts)) if parts else np.empty(0)
        if not len(failed):
            continue
        # Rows that were drawn together fail together: each draw counts once.
        bound = max(_APART, _CHANCE * np.sqrt(1 / len(parts) + 1 / len(values)))
        at = np.unique(np.concatenate([failed, values]))
        below = [
            np.searchsorted(np.sort(one), at, side="right") / len(one) for one in (failed, values)
        ]
        apart = below[0] - below[1]
        best = int(np.abs(apart).argmax())
        if abs(apart[best]) < bound:
            continue
        after = at[min(best + 1, len(at) - 1)]
        above, threshold = bool(apart[best] < 0), float((at[best] + after) / 2)
        shares = [float(1 - one[best] if above else one[best]) for one in below]
        found.append(Side(name, threshold, above, shares[0], shares[1]))
    return sorted(found, key=lambda side: side.all - side.failed)


def where(failures: Iterable[Failure], drawn: Mapping[str, np.ndarray]) -> str:
    """Regions where simulations fail, in words."""
    found = sides(failures, drawn)[:_NAMED]
    if not found:
        return "they fail all over the prior"
    return "they fail most where " + "; where ".join(map(str, found))
