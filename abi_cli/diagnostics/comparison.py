r"""Two posteriors of the same data sets side by side: which is closer to the truth, and is it sure?

Scores that are proper, so that the exact posterior has the least expected one of all (Gneiting &
Raftery 2007, Strictly proper scoring rules, prediction, and estimation):

- −log q(θ | y), of all parameters together, in nats; the mean difference of two networks is that of
  their Kullback–Leibler divergences from the exact posterior;
- nats that are lost, at least (`losses`): which of the two uses more of what statistics of the data
  tell, with a density or without;
- the continuous ranked probability score of each parameter,

      CRPS = E|X − θ| − ½ E|X − X'|,    X, X' independent draws, θ the truth,

  in sds of the true values: a mean absolute error that rewards honest widths.

Both posteriors answer the same data sets, so differences are taken data set by data set: their
interval is much narrower than those of the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special

from abi_cli.diagnostics.metrics import Metrics
from abi_cli.diagnostics.scalars import BLOCK, Scalars
from abi_cli.diagnostics.uniformity import INTERVAL


@dataclass(frozen=True)
class Judged:
    """The posteriors of one network for the data sets that are compared on.

    Arguments:
        metrics: Metrics of its diagnosis.
        crps: Element name → `(dataset,)`, in sds of the true values.
        negative_log_density: `(dataset,)`, nats; None where it has none.
        lost: Nats that are lost at least, `(dataset,)`; None where nothing was learned.
    """

    metrics: Metrics
    crps: Mapping[str, np.ndarray]
    negative_log_density: np.ndarray | None
    lost: np.ndarray | None = None


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences.

    Arguments:
        score: The mean of the score itself.
        mean: Mean of the differences to the first network; below 0 is better.
        interval: Its interval of 90 %.
    """

    score: float
    mean: float
    interval: tuple[float, float]

    @property
    def word(self) -> str:
        """The word for the difference: better or worse where the interval says so."""
        low, high = self.interval
        if low == high == 0:
            return ""
        return "better" if high < 0 else "worse" if low > 0 else "no telling"

    def to_config(self) -> dict[str, Any]:
        """The difference as plain JSON values."""
        return {**asdict(self), "word": self.word}


def crps(scalars: Scalars) -> dict[str, np.ndarray]:
    """The score of each data set, `(dataset,)`, in sds of the true values, by element name.

    The second expectation is that over pairs of different draws, which is unbiased:
    E|X − X'| = 2 / (S (S − 1)) · Σᵢ (2i − S − 1) x₍ᵢ₎.
    """
    scores = {}
    for name, draws, truth in zip(scalars.names, scalars.draws, scalars.truths, strict=True):
        datasets, number = draws.shape
        weight = (2 * np.arange(1, number + 1) - number - 1) / (number * (number - 1))
        score = np.empty(datasets)
        step = max(1, BLOCK // number)
        for start in range(0, datasets, step):
            rows = slice(start, start + step)
            ordered = np.sort(draws[rows].astype(np.float64), axis=1)
            away = np.abs(ordered - truth[rows, None]).mean(axis=1)
            score[rows] = away - ordered @ weight
        scores[name] = score / truth.std(ddof=1)
    return scores


def paired(score: np.ndarray, first: np.ndarray) -> Difference:
    """The mean difference of two scores `(dataset,)` of the same data sets."""
    difference = score - first
    n = len(difference)
    half = special.stdtrit(n - 1, (1 + INTERVAL) / 2) * difference.std(ddof=1) / np.sqrt(n)
    mean = float(difference.mean())
    return Difference(float(score.mean()), mean, (mean - float(half), mean + float(half)))


def differences(judged: Judged, first: Judged) -> dict[str, Difference]:
    """The differences of scores, by name, from those of the first network."""
    found = {
        f"CRPS {name}": paired(score, first.crps[name])
        for name, score in judged.crps.items()
        if name in first.crps
    }
    if judged.lost is not None and first.lost is not None:
        found = {"nats lost, at least": paired(judged.lost, first.lost), **found}
    own, other = judged.negative_log_density, first.negative_log_density
    if own is not None and other is not None:
        found = {"−log q": paired(own, other), **found}
    return found
