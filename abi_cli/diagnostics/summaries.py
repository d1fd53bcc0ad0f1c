r"""Are observed data like those that the model makes? Where they lie among simulated ones.

Networks interpolate: of data unlike any that they were trained on, posteriors may be anything, and
no diagnosis on simulated data can show it (Schmitt et al. 2021, arXiv:2112.08866). What the network
makes of a data set, its summaries s, is compared with the summaries of simulated ones by

    d² = (s − m)ᵀ C⁻¹ (s − m),    m and C their mean and covariance;

the p-value is the share of simulated data sets that lie at least as far out,

    p = (1 + #{n: dₙ ≥ d}) / (N + 1),

which is uniform where observed data come from the model. A small one says that they don't; a large
one does not say that they do: what the network does not look at, it can't find strange.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from abi_cli.spreads import almost_constant

UNLIKE = 0.01
"""A p-value below which data are called unlike what the model makes."""

SURPRISING = 0.05
"""Probability below which what chance would give is not chance."""

LEAST_NEAR = 200
"""Simulated data sets that posteriors near an observed one are judged by, at least."""

MOST_NEAR = 20
"""Observed data sets that are looked at: the first ones."""

_SMALLEST = 1e-8
"""Directions with a smaller share of the variance than this are none."""


@dataclass(frozen=True)
class Summaries:
    """The network's summaries of data sets.

    Arguments:
        simulated: `(dataset, summary)`.
        observed: Label → `(summary,)`.
    """

    simulated: np.ndarray
    observed: Mapping[str, np.ndarray]

    def typicality(self) -> dict[str, float]:
        """Label → p-value, as above."""
        white = _Whitening.of(self.simulated)
        far = np.square(white(self.simulated)).sum(axis=1)
        distance = np.square(white(self._rows())).sum(axis=1)
        more = (far >= distance[:, None]).sum(axis=1)
        p = (1 + more) / (len(far) + 1)
        return dict(zip(self.observed, map(float, p), strict=True))

    def nearest(self) -> dict[str, np.ndarray]:
        """Label → the simulated data sets whose summaries are nearest to its own, as indices.

        By the distance above, a tenth of them, or `LEAST_NEAR`. They are chosen by the data alone,
        so that ranks among them are uniform for exact posteriors.
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
        """Simulated and observed ones on the two leading principal components, `(…, 2)`.

        Both in sds of the simulated ones along either axis.
        """
        white = _Whitening.of(self.simulated)
        return white(self.simulated)[:, :2], white(self._rows())[:, :2]

    def _rows(self) -> np.ndarray:
        empty = np.zeros((0, self.simulated.shape[1]))
        return np.stack(list(self.observed.values())) if self.observed else empty


@dataclass(frozen=True)
class _Whitening:
    """To principal components of unit variance, the leading one first."""

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


_NAMED = 3


def likeness(observed: Mapping[str, float]) -> tuple[str, ...]:
    """What to know of observed data, in a sentence; nothing where there are none.

    Of many data sets some have small p-values by chance. Those are unlike the model's whose number
    is more than chance, or of which one has a p-value that is small for the least of so many.

    Arguments:
        observed: Label → p-value.
    """
    number = len(observed)
    if not number:
        return ()
    odd = sorted((p, label) for label, p in observed.items() if p < UNLIKE)
    chance = f"chance alone gives {UNLIKE * number:.2g} of {number:,}"
    surprising = stats.binom.sf(len(odd) - 1, number, UNLIKE) < SURPRISING if odd else False
    if not surprising and not (odd and odd[0][0] * number < SURPRISING):
        return (
            f"Observed data are like those that the model makes: {len(odd):,} of {number:,} data "
            f"sets have p < {UNLIKE:g}; {chance}.",
        )
    named = ", ".join(f"{label} (p = {p:.1g})" for p, label in odd[:_NAMED])
    rest = len(odd) - _NAMED
    more = f" and {rest:,} more, in metrics.json" if rest > 0 else ""
    return (
        f"Observed data are unlike those that the model makes: {len(odd):,} of {number:,} data "
        f"sets have p < {UNLIKE:g}, {chance}: {named}{more}. The network was not trained on such "
        "data, and what is said here does not hold for their posteriors.",
    )
