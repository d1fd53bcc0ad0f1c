"""Posterior predictive checks: do data that the posterior would generate look like the data?

With a statistic T, data y and replicated data y'₁ … y'ₙ, the posterior predictive p-value is

    p = P(T(y') ≥ T(y) | y) ≈ (#{T(y'ᵢ) > T(y)} + ½ #{T(y'ᵢ) = T(y)}) / n,

near 0 or 1 where the model can't generate what was seen. It is not uniform for data of the model,
but nearer to ½: an extreme value is evidence, a central one is none (Meng 1994, Annals of
Statistics 22; Gelman, Meng & Stern 1996, Statistica Sinica 6).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.variables import Ragged, Value, array_of, element_names

STATISTICS = ("mean", "sd", "min", "max")
"""Names of statistics of members of sets and series; a value that is there once is taken itself."""

MOST_ELEMENTS = 24
"""Number of scalars of one variable, at most: the first ones of an image or a long vector."""


@dataclass(frozen=True)
class Check:
    """A statistic of a data set beside those of its replicated data.

    Arguments:
        label: Label of the data set.
        name: Such as `sd of y`, or of a quantity.
        observed: Its value for the data; the mean over draws where it depends on parameters, too.
        low, median, high: Quantiles of 5, 50 and 95 % of the replicated ones.
        p: Share of the replicated ones that are larger.
        calibrated: How often simulated data are as far from theirs; None where that is not known.
        marked: Whether the data set is strange in this.
        replicas: Number of replicated ones, below one of which no p can be told.
    """

    label: str
    name: str
    observed: float
    low: float
    median: float
    high: float
    p: float
    calibrated: float | None = None
    marked: bool = False
    replicas: int = 1_000

    @property
    def p_in_words(self) -> str:
        """The share, as closely as so many replicated ones tell it: "0.475", "< 0.005"."""
        least = 1 / self.replicas
        if min(self.p, 1 - self.p) >= least / 2:
            return f"{self.p:.3f}"
        return f"< {least:.2g}" if self.p < 0.5 else f"> {1 - least:.4g}"


def statistics_of(values: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """Statistics of each observable, by name, `(dataset,)`; missing values play no part."""
    found: dict[str, np.ndarray] = {}
    for name, value in values.items():
        flat = array_of(value).astype(np.float64)
        event = flat.shape[1:]
        flat = flat.reshape(len(flat), math.prod(event))[:, :MOST_ELEMENTS]
        for element, column in zip(element_names(name, event), flat.T, strict=False):
            if isinstance(value, Ragged):
                own = _of_members(column, value.row_size)
                found |= {f"{statistic} of {element}": v for statistic, v in own.items()}
            else:
                found[element] = column
    return found


def without_ends_of_binary(
    observed: Mapping[str, np.ndarray], replicated: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The statistics but for the ends of what is 0 or 1 everywhere: they tell nothing.

    Arguments:
        observed, replicated: Name of a statistic → its values.
    """
    ends = {"min of ", "max of "}
    left = dict(observed)
    for element in [name[7:] for name in observed if name.startswith("min of ")]:
        names = [end + element for end in ends]
        found = [values[name].ravel() for name in names for values in (observed, replicated)]
        if np.isin(np.concatenate(found), (0.0, 1.0)).all():
            for name in names:
                del left[name]
    return left


def _of_members(column: np.ndarray, row_size: np.ndarray) -> dict[str, np.ndarray]:
    """The `STATISTICS` of `column (obs,)` in each data set; sd has the divisor n."""
    starts = np.cumsum(row_size) - row_size
    there = ~np.isnan(column)
    number = np.maximum(np.add.reduceat(there.astype(np.int64), starts), 1)
    mean = np.add.reduceat(np.where(there, column, 0.0), starts) / number
    off = np.where(there, column - np.repeat(mean, row_size), 0.0)
    sd = np.sqrt(np.add.reduceat(off**2, starts) / number)
    low = np.minimum.reduceat(np.where(there, column, np.inf), starts)
    high = np.maximum.reduceat(np.where(there, column, -np.inf), starts)
    return dict(zip(STATISTICS, (mean, sd, low, high), strict=True))


def check(
    labels: Sequence[str],
    observed: Mapping[str, np.ndarray],
    replicated: Mapping[str, np.ndarray],
) -> list[Check]:
    """Statistics beside each other, data set after data set.

    Arguments:
        observed: Name → `(dataset,)`, or `(dataset, draw)` where it depends on parameters, too.
        replicated: Name → `(dataset, draw)`.
    """
    checks = []
    for i, label in enumerate(labels):
        for name, value in observed.items():
            own, others = np.broadcast_to(value[i], replicated[name][i].shape), replicated[name][i]
            known = np.isfinite(others) & np.isfinite(own)
            if not known.any():
                continue
            own, others = own[known], others[known]
            low, median, high = (float(q) for q in np.quantile(others, (0.05, 0.5, 0.95)))
            p = float(np.mean(others > own) + 0.5 * np.mean(others == own))
            mean = float(own.mean())
            checks.append(Check(label, name, mean, low, median, high, p, replicas=len(others)))
    return checks
