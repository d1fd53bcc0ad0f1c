"""The same questions by context: are posteriors right for small N, and for large?

One network answers for every size of data set and every value of the context. Faults that have
opposite signs at its ends cancel in what is averaged over all, so ranks are looked at bin by bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from abi_cli.diagnostics.scalars import Summary
from abi_cli.diagnostics.uniformity import INTERVAL, Uniformity, uniformity

LEAST = 200
"""Number of data sets that a bin must hold: with fewer, nothing can be told."""

MOST = 5
"""Number of bins of a context variable, at most."""


@dataclass(frozen=True)
class Bin:
    """Data sets whose context is alike.

    Arguments:
        variable: Name of the context variable.
        low, high: Its smallest and largest value here.
        index: The data sets, `(dataset,)`.
    """

    variable: str
    low: float
    high: float
    index: np.ndarray

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.variable} is {self.low:.4g}"
        return f"{self.variable} is {self.low:.4g} to {self.high:.4g}"


@dataclass(frozen=True)
class Nats:
    """Nats that are lost at least, of the data sets of one bin.

    Arguments:
        mean: Over them.
        interval: Of it, 90 %.
    """

    mean: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, nats: np.ndarray) -> Nats:
        """The mean of contributions of data sets, `(dataset,)`."""
        mean = float(nats.mean())
        half = float(special.ndtri((1 + INTERVAL) / 2) * nats.std(ddof=1) / np.sqrt(len(nats)))
        return cls(mean, (mean - half, mean + half))


@dataclass(frozen=True)
class BinMetrics:
    """Metrics of the data sets of one bin.

    Arguments:
        nrmse: Element name → error of the posterior mean, in sds of all true values.
        elements: Element name → how uniform its ranks are.
        lost: Who proves it, the classifier or rivals → nats of the joint posterior.
    """

    bin: Bin
    nrmse: Mapping[str, float]
    elements: Mapping[str, Uniformity]
    lost: Mapping[str, Nats] = field(default_factory=dict)

    def to_config(self) -> dict[str, Any]:
        """The metrics as plain JSON values."""
        return {
            "variable": self.bin.variable,
            "low": self.bin.low,
            "high": self.bin.high,
            "datasets": len(self.bin.index),
            "loss": {
                who: {"nats": own.mean, "interval": list(own.interval)}
                for who, own in self.lost.items()
            },
            "parameters": {
                name: {
                    "nrmse": self.nrmse[name],
                    "mean_score": ranks.mean_score,
                    "mean_score_interval": list(ranks.mean_score_interval),
                    "sd_ratio": ranks.sd_ratio,
                    "sd_ratio_interval": list(ranks.sd_ratio_interval),
                    "p_uniform": ranks.p,
                }
                for name, ranks in self.elements.items()
            },
        }


def bins_of(context: Mapping[str, np.ndarray], *, least: int = LEAST) -> list[Bin]:
    """Bins of data sets, about equal in number, for each context variable that varies.

    Equal values stay together. A variable of which no two bins can be made is left out.

    Arguments:
        context: Variable → its values `(dataset,)`.
        least: Data sets that a bin must hold.
    """
    bins: list[Bin] = []
    for variable, values in context.items():
        number = min(MOST, len(values) // least)
        order = np.argsort(values, kind="stable")
        own: list[Bin] = []
        start = 0
        for k in range(number):
            stop = max(start, round((k + 1) * len(values) / number))
            if stop < len(values):  # up to where the value changes next
                stop = int(np.searchsorted(values[order], values[order[stop - 1]], side="right"))
            index = order[start:stop]
            left = len(values) - stop
            if len(index) < least or (0 < left < least):
                continue
            own.append(Bin(variable, float(values[index].min()), float(values[index].max()), index))
            start = stop
        if start < len(values) and own:  # what is left over joins the last one
            own[-1] = _joined(own[-1], values, order[start:])
        bins += own if len(own) > 1 else []
    return bins


def _joined(last: Bin, values: np.ndarray, more: np.ndarray) -> Bin:
    index = np.concatenate([last.index, more])
    return Bin(last.variable, last.low, float(values[index].max()), index)


def measure_bins(
    bins: Sequence[Bin],
    names: Sequence[str],
    summary: Summary,
    nats: Mapping[str, np.ndarray] | None = None,
) -> tuple[BinMetrics, ...]:
    """Uniformity of the ranks, and nats lost, bin by bin.

    Arguments:
        nats: Who proves a loss → what each data set has to say of it, `(dataset,)`.
    """
    sd = summary.truth.std(axis=1, ddof=1)
    measured = []
    for one in bins:
        error = (summary.mean - summary.truth)[:, one.index]
        nrmse = np.sqrt(np.mean(error**2, axis=1)) / sd
        measured.append(
            BinMetrics(
                one,
                dict(zip(names, map(float, nrmse), strict=True)),
                {name: uniformity(summary.pit[k][one.index]) for k, name in enumerate(names)},
                {who: Nats.of(each[one.index]) for who, each in (nats or {}).items()},
            )
        )
    return tuple(measured)
