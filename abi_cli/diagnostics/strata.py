r"""Posteriors that are right on average, and wrong for some data: where, and how.

Given the data, the normal score z of the truth's rank is standard normal for exact posteriors. So z
and z² − 1 are regressed on smooth functions b(c) of a covariate c that the data alone decide: what
a posterior's place and width are, the context, components of what describes the data. With b made
orthonormal over the n data sets,

    |Σₙ b(cₙ) zₙ|²    and    |Σₙ b(cₙ) wₙ|²,   w = (min(z², 9) − E) / sd,

are χ² with as many degrees of freedom as there are functions: a posterior is off in place, or in
width, for some values of c and not for others. (Where z is large its square is cut off: the sum is
χ² at far smaller p then.) The truth must have no part in c: among data sets whose truths are large,
exact posteriors lie too low. Place and width are therefore quantiles of draws and truth together,
all alike, so that which of them is the truth stays a matter of chance.

Where such a test is certain, the run of tenths of c in which z is most off is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import special, stats

from abi_cli.diagnostics.scalars import Summary
from abi_cli.diagnostics.uniformity import Uniformity, uniformity

KNOTS = (0.1, 0.2, 0.5, 0.8, 0.9)
"""Knots of the functions, as shares of the data sets."""

FEWEST = 200
"""Number of data sets below which nothing is looked at."""

CUT = 9.0
"""Bound of squares of normal scores."""

PIECES = 10
"""Number of parts of a covariate, of which runs are looked at."""

PLACE, WIDTH = "its posterior median", "its posterior sd"


@dataclass(frozen=True)
class Stratum:
    """The dependence of a parameter's ranks on one covariate.

    Arguments:
        covariate: Its name, in words.
        p_place, p_width: p-values of z, and of its square, not depending on it.
        low, high: Range of the covariate in which ranks are most off.
        ranks: How uniform they are there.
        named: Whether a reader can look the covariate up: a component of the data can't be.
    """

    covariate: str
    p_place: float
    p_width: float
    low: float
    high: float
    ranks: Uniformity
    named: bool = True

    @property
    def p(self) -> float:
        """The smaller of the two p-values."""
        return min(self.p_place, self.p_width)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.covariate} is {_number(self.low)}"
        return f"{self.covariate} is {_number(self.low)} to {_number(self.high)}"

    def to_config(self) -> dict[str, Any]:
        """The stratum as plain JSON values."""
        return {
            "covariate": self.covariate,
            "p_place": self.p_place,
            "p_width": self.p_width,
            "most_off": [self.low, self.high],
            "mean_score": self.ranks.mean_score,
            "sd_ratio": self.ranks.sd_ratio,
        }


def strata_of(
    summary: Summary,
    context: Mapping[str, np.ndarray],
    components: Mapping[str, np.ndarray],
) -> list[tuple[Stratum, ...]]:
    """The strata of each element: by each covariate, and by its own place and width.

    Arguments:
        context: Variable → its values, `(dataset,)`.
        components: Components of the data's features, in words → `(dataset,)`.
    """
    elements, datasets = summary.pit.shape
    if datasets < FEWEST:
        return [()] * elements
    shared = {name: (c, _basis(c)) for name, c in {**context, **components}.items()}
    found = []
    for k in range(elements):
        alike = {PLACE: summary.place[k], WIDTH: summary.width[k]}
        own = {name: (c, _basis(c)) for name, c in alike.items()}
        found.append(
            tuple(
                _stratum(name, c, basis, summary.pit[k], named=name not in components)
                for name, (c, basis) in (own | shared).items()
                if basis.size
            )
        )
    return found


def _basis(covariate: np.ndarray) -> np.ndarray:
    """Orthonormal functions without a constant, `(dataset, function)`; none of a constant."""
    values = np.nan_to_num(covariate.astype(np.float64))
    share = stats.rankdata(values) / len(values)
    hinges = [np.maximum(share - knot, 0) for knot in KNOTS]
    functions = np.stack([share, *hinges], axis=1)
    u, s, _ = np.linalg.svd(functions - functions.mean(axis=0), full_matrices=False)
    return np.asarray(u[:, s > 1e-6 * max(s[0], 1.0)])


def _moments() -> tuple[float, float]:
    """Mean and sd of min(z², CUT)."""
    grid = np.linspace(-10, 10, 20_001)
    weight = np.exp(-0.5 * grid**2)
    weight /= weight.sum()
    square = np.minimum(grid**2, CUT)
    mean = float(weight @ square)
    return mean, float(np.sqrt(weight @ (square - mean) ** 2))


_MEAN, _SD = _moments()


def _stratum(
    name: str, covariate: np.ndarray, basis: np.ndarray, pit: np.ndarray, *, named: bool
) -> Stratum:
    z = special.ndtri(pit)
    w = (np.minimum(z**2, CUT) - _MEAN) / _SD
    place, width = (
        float(special.chdtrc(basis.shape[1], float(np.sum((basis.T @ score) ** 2))))
        for score in (z, w)
    )
    rows = _most_off(covariate, z if place < width else w)
    inside = covariate[rows]
    low, high = float(inside.min()), float(inside.max())
    return Stratum(name, place, width, low, high, uniformity(pit[rows]), named)


def _most_off(covariate: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Data sets in the run of tenths whose mean score is the most standard errors from the rest's.

    Equal values stay together.
    """
    edges = np.unique(np.quantile(covariate, np.linspace(0, 1, PIECES + 1)))
    piece = np.clip(np.searchsorted(edges, covariate, side="right") - 1, 0, len(edges) - 2)
    number = np.bincount(piece, minlength=len(edges) - 1)
    total = np.bincount(piece, score - score.mean(), minlength=len(edges) - 1)
    count, sums = (np.concatenate([[0], np.cumsum(part)]) for part in (number, total))
    runs = [
        (first, last)
        for first, last in combinations(range(len(edges)), 2)
        if 20 <= count[last] - count[first] < len(score)
    ]
    if not runs:
        return np.ones(len(score), bool)
    first, last = max(
        runs,
        key=lambda run: abs(sums[run[1]] - sums[run[0]]) / np.sqrt(count[run[1]] - count[run[0]]),
    )
    return np.asarray((piece >= first) & (piece < last))


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
