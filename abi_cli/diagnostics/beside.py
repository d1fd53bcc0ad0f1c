r"""Posteriors beside exact ones, where refinement gives these: no truth has a part in it.

Of each data set and parameter, with mean m and sd s by the network and μ and σ refined,

    error = (m − μ) / σ,    ratio = s / σ,    nats = log(ratio) + (1 + error²) / (2 ratio²) − 1/2,

the last being the divergence of normal distributions of these moments, KL(N(μ, σ²) ‖ N(m, s²)), cut
off at `MOST` so that one data set can't rule the mean. All of a posterior's parameters together
lose KL(p ‖ q) nats, estimated from refined draws where the network has a density. Both are lower
bounds: what neither the network nor refinement has found is missing in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from scipy import special

from abi_cli.diagnostics.context import Bin, bins_of
from abi_cli.diagnostics.scalars import Summary

MOST = 5.0
"""Nats that a parameter loses in one data set, at most: more count as so many."""

FEWEST = 20
"""Number of refined data sets from which on anything is said, also of a bin."""

PIECES = 10
"""Number of parts of a covariate, of which runs are looked at."""

CLEAR, TIMES = 4.0, 2.0
"""Standard errors, and how many times as many nats, by which a region stands out."""


@dataclass(frozen=True)
class Exact:
    """Refined posteriors of the first of the data sets that are judged.

    Arguments:
        mean, sd: Element name → `(dataset,)`.
        by: How each was refined: "weights", "chains" or "failed".
        khat: K-hat of the candidates' weights, `(dataset,)`.
        nats: KL(p ‖ q) of each, `(dataset,)`; NaN where it is not known.
    """

    mean: Mapping[str, np.ndarray]
    sd: Mapping[str, np.ndarray]
    by: Sequence[str]
    khat: np.ndarray
    nats: np.ndarray


@dataclass(frozen=True)
class ElementBeside:
    """One scalar parameter beside its exact posteriors.

    Arguments:
        error: Median of |error|.
        error_high: Quantile of 90 % of |error|.
        error_by_chance: The median that as many draws of exact posteriors would have.
        bias, bias_error: Mean of the errors, and its standard error.
        sd_ratio: Geometric mean of the ratios.
        sd_ratio_range: Range of 90 % of them, in the middle.
        nats, nats_error: Mean of the nats, and its standard error.
    """

    error: float
    error_high: float
    error_by_chance: float
    bias: float
    bias_error: float
    sd_ratio: float
    sd_ratio_range: tuple[float, float]
    nats: float
    nats_error: float

    def p_above(self, nats: float) -> float:
        """The p-value of losing no more than so many nats."""
        return float(special.ndtr(-(self.nats - nats) / max(self.nats_error, 1e-300)))


@dataclass(frozen=True)
class Region:
    """A region of data sets in which the network is weak.

    Arguments:
        covariate: Its name, in words.
        low, high: Its range there.
        nats, elsewhere: Mean over data sets there, and over the others; of all parameters.
    """

    covariate: str
    low: float
    high: float
    nats: float
    elsewhere: float

    def __str__(self) -> str:
        at = f"{self.low:.3g}" + ("" if self.low == self.high else f" to {self.high:.3g}")
        return (
            f"weakest where {self.covariate} is {at}: {self.nats:.2g} nats from exact there, "
            f"{self.elsewhere:.2g} elsewhere"
        ).replace("-", "−")


@dataclass(frozen=True)
class Beside:
    """A comparison of posteriors with exact ones.

    Arguments:
        datasets: Number of those that were refined.
        by: Way of refining → number of data sets.
        khat: Quantiles of 50 % and 90 % of k-hat.
        parameters: Element name → how it does.
        nats: Mean KL(p ‖ q) and its standard error; None where it is not known.
        by_context: Bin of a context variable → mean nats of all parameters, median worst error.
        weakest: The region that stands out; None where none does.
        each: Nats of all parameters, `(dataset,)`; `MOST` for each where refinement failed.
        how: Way of refining; see `by` of `Exact`.
        covariates: Name → `(dataset,)`.
    """

    datasets: int
    by: Mapping[str, int]
    khat: tuple[float, float]
    parameters: Mapping[str, ElementBeside]
    nats: tuple[float, float] | None
    by_context: Sequence[tuple[Bin, float, float]]
    weakest: Region | None
    each: np.ndarray
    how: Sequence[str]
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)

    def sentence(self) -> str:
        """The comparison in a sentence."""
        shares = ", ".join(f"{number} {_HOW[how]}" for how, number in self.by.items() if number)
        worst = max(self.parameters, key=lambda name: self.parameters[name].nats)
        own = self.parameters[worst]
        said = (
            f"Beside {self.datasets:,} refined posteriors ({shares}): {worst}, the farthest off, "
            f"has errors of {own.error:.2f} sd in the median and sds of {own.sd_ratio:.2f} times "
            "the exact ones"
        )
        if self.nats is not None:
            said += f"; at least {self.nats[0]:.2f} ± {self.nats[1]:.2f} nats are lost in all"
        region = "no region stands out" if self.weakest is None else str(self.weakest)
        return f"{said}; {region}."

    def to_config(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        return {
            "datasets": self.datasets,
            "by": dict(self.by),
            "khat": {"median": self.khat[0], "q90": self.khat[1]},
            "parameters": {name: asdict(own) for name, own in self.parameters.items()},
            "nats": self.nats and dict(zip(("mean", "standard_error"), self.nats, strict=True)),
            "by_context": [
                {
                    "variable": one.variable,
                    "low": one.low,
                    "high": one.high,
                    "datasets": len(one.index),
                    "nats": nats,
                    "error": error,
                }
                for one, nats, error in self.by_context
            ],
            "weakest": self.weakest and asdict(self.weakest),
        }


_HOW = {"weights": "by weights", "chains": "by Markov chains", "failed": "not to be refined"}


def beside(
    exact: Exact,
    names: Sequence[str],
    summary: Summary,
    *,
    context: Mapping[str, np.ndarray],
    named: Mapping[str, np.ndarray],
) -> Beside | None:
    """Hold posteriors against exact ones; None where too few could be refined.

    Arguments:
        names: Names of the elements of `summary`.
        context: Variable → its values, `(dataset,)`.
        named: The same of the first numbers that data sets have.
    """
    number = len(exact.by)
    good = np.array([how != "failed" for how in exact.by])
    rows = [k for k, name in enumerate(names) if name in exact.mean]
    if good.sum() < FEWEST or not rows:
        return None
    mean, sd = summary.mean[rows, :number], summary.sd[rows, :number]
    mu, sigma = (np.stack([of[names[k]] for k in rows]) for of in (exact.mean, exact.sd))
    sigma = np.maximum(sigma, 1e-300)
    error, ratio = (mean - mu) / sigma, np.maximum(sd, 1e-300) / sigma
    nats = np.log(ratio) + (1 + error**2) / (2 * ratio**2) - 0.5
    nats = np.where(good, np.minimum(np.nan_to_num(nats, nan=MOST, posinf=MOST), MOST), MOST)
    parameters = {
        names[k]: _element(error[i, good], ratio[i, good], nats[i, good], summary.draws)
        for i, k in enumerate(rows)
    }
    known = exact.nats[good & np.isfinite(exact.nats)]
    each = nats.sum(axis=0)
    first = {name: values[:number] for name, values in {**named, **context}.items()}
    worst = np.abs(error).max(axis=0)
    bins = [
        (one, float(each[one.index].mean()), float(np.median(worst[one.index])))
        for one in bins_of({n: v[:number] for n, v in context.items()}, least=FEWEST)
    ]
    covariates = first | {
        f"the posterior {what} of {names[k]}": values[i]
        for what, values in (("mean", mu), ("sd", sigma))
        for i, k in enumerate(rows)
    }
    return Beside(
        number,
        {how: sum(one == how for one in exact.by) for how in _HOW},
        (float(np.median(exact.khat)), float(np.quantile(exact.khat, 0.9))),
        parameters,
        (float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known))))
        if len(known) >= FEWEST
        else None,
        bins,
        weakest(each, covariates),
        each,
        exact.by,
        covariates,
    )


def _element(error: np.ndarray, ratio: np.ndarray, nats: np.ndarray, draws: int) -> ElementBeside:
    root = np.sqrt(len(error))
    low, high = np.exp(np.quantile(np.log(ratio), (0.05, 0.95)))
    return ElementBeside(
        error=float(np.median(np.abs(error))),
        error_high=float(np.quantile(np.abs(error), 0.9)),
        error_by_chance=float(0.674 * np.sqrt(2 / draws)),
        bias=float(error.mean()),
        bias_error=float(error.std(ddof=1) / root),
        sd_ratio=float(np.exp(np.log(ratio).mean())),
        sd_ratio_range=(float(low), float(high)),
        nats=float(nats.mean()),
        nats_error=float(nats.std(ddof=1) / root),
    )


def weakest(each: np.ndarray, covariates: Mapping[str, np.ndarray]) -> Region | None:
    """The run of tenths of a covariate in which most is lost, if it stands out.

    By logarithms of the nats, of which no data set rules the mean.

    Arguments:
        each: Nats, `(dataset,)`.
        covariates: In words → `(dataset,)`.
    """
    score = np.log(each + 0.01)
    best, found = CLEAR, None
    for name, values in covariates.items():
        if not np.isfinite(values).all():
            continue
        edges = np.unique(np.quantile(values, np.linspace(0, 1, PIECES + 1)))
        piece = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        for first, last in combinations(range(len(edges)), 2):
            inside = (piece >= first) & (piece < last)
            if not FEWEST // 2 <= inside.sum() <= len(each) - FEWEST // 2:
                continue
            own, others = score[inside], score[~inside]
            error = np.sqrt(own.var() / len(own) + others.var() / len(others))
            z = (own.mean() - others.mean()) / max(error, 1e-300)
            there, elsewhere = float(each[inside].mean()), float(each[~inside].mean())
            if z > best and there > TIMES * elsewhere:
                at = values[inside]
                best, found = z, Region(name, float(at.min()), float(at.max()), there, elsewhere)
    return found
