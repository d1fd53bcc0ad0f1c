"""Summaries that networks make of observed data sets, among simulated ones: which are near, a map.

Whether observed data are like the simulations is the guard's to say (`guard`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from abi_cli.precision import almost_constant

LEAST_NEAR = 200
"""Number of simulated data sets, at least, that posteriors near an observed one are judged by."""

MOST_NEAR = 20
"""Number of observed data sets that are looked at, at most: the first ones."""

_SMALLEST = 1e-8
"""Share of the variance below which directions are none."""


@dataclass(frozen=True)
class Summaries:
    """The network's summaries of data sets.

    Arguments:
        simulated: `(dataset, summary)`.
        observed: Label → `(summary,)`.
        p: p-values of observed ones, by the guard; empty where there is none.
        sentence: The guard's sentence on them; empty where it says nothing.
    """

    simulated: np.ndarray
    observed: Mapping[str, np.ndarray]
    p: Mapping[str, float] = field(default_factory=dict)
    sentence: str = ""

    def nearest(self) -> dict[str, np.ndarray]:
        """The simulated data sets nearest to each observed one, by label, as indices.

        By the distance in sds of principal components: a tenth of them, or `LEAST_NEAR`. They are
        chosen by the data alone, so that ranks among them are uniform for exact posteriors.
        """
        white = _Whitening.of(self.simulated)
        simulated, observed = white(self.simulated), white(self._rows())
        number = min(len(simulated), max(LEAST_NEAR, len(simulated) // 10))
        found = {}
        for label, row in list(zip(self.observed, observed, strict=True))[:MOST_NEAR]:
            away = np.square(simulated - row).sum(axis=1)
            found[label] = np.sort(np.argpartition(away, number - 1)[:number])
        return found

    def map(self) -> tuple[np.ndarray, np.ndarray]:
        """The simulated and the observed ones on the two leading principal components, `(…, 2)`.

        Both in sds of the simulated ones along either axis.
        """
        white = _Whitening.of(self.simulated)
        return white(self.simulated)[:, :2], white(self._rows())[:, :2]

    def _rows(self) -> np.ndarray:
        empty = np.zeros((0, self.simulated.shape[1]))
        return np.stack(list(self.observed.values())) if self.observed else empty


@dataclass(frozen=True)
class _Whitening:
    """A map to principal components of unit variance, the leading one first."""

    mean: np.ndarray
    scale: np.ndarray
    to_components: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> _Whitening:
        mean, sd = rows.mean(axis=0), rows.std(axis=0)
        scale = np.where(almost_constant(rows), np.inf, sd)  # says nothing
        standard = (rows - mean) / scale
        variance, direction = np.linalg.eigh(standard.T @ standard / len(rows))
        order = np.argsort(-variance)
        order = order[variance[order] > _SMALLEST * variance.max()]
        return cls(mean, scale, direction[:, order] / np.sqrt(variance[order]))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray((rows - self.mean) / self.scale @ self.to_components)
