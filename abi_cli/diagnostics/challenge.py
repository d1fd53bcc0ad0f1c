r"""Findings of rivals of a network: nats that it loses at least, and what would have been found.

On held-out data sets, dₙ = log q'(θₙ | yₙ) − log q(θₙ | yₙ) is what the density of a rival q' says
more of the truth than that of the network q, and E d = E KL(p ‖ q) − E KL(p ‖ q') is a lower bound
of the loss E KL(p ‖ q). It stays one where a dₙ is cut off above: one odd data set decides nothing.
If q is exact, E exp d = 1 given the data, so that by Markov's inequality Σ dₙ exceeds −log p with
probability p at the most, whatever the rival and however heavy the tails: a p-value without any
approximation. The larger of that and of the mean's own is taken.

A rival that finds nothing proves nothing by that; it may be the worse one. But one that learned
from scratch does not know the run: against a network that loses λ nats more than this one, its mean
would be λ larger. So what would have been found is what it lacks to reach this one, and the least
mean that is certain (`Challenged.detectable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special, stats

from abi_cli.diagnostics.ratio import bound, proved
from abi_cli.diagnostics.scalars import Summary
from abi_cli.diagnostics.uniformity import INTERVAL
from abi_cli.digits import duration

MOST = 20.0
"""Nats beyond which a data set says no more."""

RESAMPLES = 2_000


@dataclass(frozen=True)
class Proof:
    """A proof by the densities, or scores, of a rival.

    Arguments:
        nats: What each data set has to say, whose mean is a lower bound of the loss, `(dataset,)`.
        p: Of exact posteriors' giving as much.
    """

    nats: np.ndarray
    p: float

    @classmethod
    def by_densities(cls, rival: np.ndarray, own: np.ndarray) -> Proof:
        """The proof by log densities of the truths, `(dataset,)` each; of a density of 0 −inf."""
        with np.errstate(invalid="ignore"):
            away = np.where(np.isneginf(own), MOST, rival - own)
        nats = np.clip(np.nan_to_num(away, nan=-MOST, neginf=-MOST), -MOST, MOST)
        surely = float(np.exp(-max(nats.sum(), 0.0)))
        return cls(nats, max(surely, float(special.ndtr(-nats.mean() / _error(nats)))))

    @classmethod
    def by_scores(cls, scores: np.ndarray) -> Proof:
        """The proof by scores `(dataset, 1 + draw)`, those of truths first, then those of draws."""
        return cls(proved(scores)[:, 0], bound(scores).p)


@dataclass(frozen=True)
class Challenge:
    """A challenge of a network by rivals, before it is judged.

    Arguments:
        rival: The one that was chosen, on other data sets, in a few words.
        proof: What it proves.
        scratch: What the one that learned from scratch proves: the yardstick.
        estimates: Parameter → draws of the chosen one, `(dataset, draw, *event)`.
        seconds: That were given.
        simulations: That rivals have learned from.
    """

    rival: str
    proof: Proof
    scratch: Proof
    estimates: Mapping[str, np.ndarray]
    seconds: float
    simulations: int


@dataclass(frozen=True)
class Challenged:
    """A challenge in numbers.

    Arguments:
        rival: The one that was chosen.
        nats: That are lost at least.
        interval: Of it, by the bootstrap.
        p: Of exact posteriors' giving as much.
        lacking: Nats that the rival from scratch lacks to reach the network; 0 where none.
        error: The standard error of that.
        seconds: That were given.
        simulations: That rivals have learned from.
        each: What each data set has to say of `nats`, whose mean that is, `(dataset,)`.
        widths: Element name → posterior sd ÷ that of the rival, in the median data set, where the
            rival's own ranks pass.
    """

    rival: str
    nats: float
    interval: tuple[float, float]
    p: float
    lacking: float
    error: float
    seconds: float
    simulations: int
    each: np.ndarray
    widths: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, challenge: Challenge, *, widths: Mapping[str, float], interval: float = INTERVAL
    ) -> Challenged:
        """The result of a challenge.

        Arguments:
            widths: As here.
            interval: Level of the interval.
        """
        nats, scratch = challenge.proof.nats, challenge.scratch.nats
        return cls(
            rival=challenge.rival,
            nats=float(nats.mean()),
            interval=_interval(nats, interval),
            p=challenge.proof.p,
            lacking=max(-float(scratch.mean()), 0.0),
            error=_error(scratch),
            seconds=challenge.seconds,
            simulations=challenge.simulations,
            each=nats,
            widths=widths,
        )

    def detectable(self, *, level: float, least: float) -> float:
        """Nats by which a network worse than this one would have been found, nine times of ten.

        Arguments:
            level: Of the test.
            least: Nats below which nothing is called a loss.
        """
        certain = (special.ndtri(0.9) - special.ndtri(level)) * self.error
        return self.lacking + max(least, float(certain))

    def sentence(self, detectable: float) -> str:
        """Sentence on a challenge that found nothing.

        Arguments:
            detectable: As by that.
        """
        time = duration(self.seconds).removesuffix(" 0 s")
        return (
            f"Nor did rivals that learned for {time} find more in the data: a network that loses "
            f"{detectable:.2g} nats more than this one would have been found."
        )

    def to_config(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "rival": self.rival,
            "nats": self.nats,
            "interval": list(self.interval),
            "p": self.p,
            "scratch_lacks": self.lacking,
            "seconds": self.seconds,
            "simulations": self.simulations,
            "widths": dict(self.widths),
        }


def widths_of(
    own: Summary, rival: Summary, names: tuple[str, ...], *, sure: Mapping[str, bool]
) -> dict[str, float]:
    """Element name → how many times as wide as the rival's posteriors are, in the median data set.

    Arguments:
        own, rival: Of the same elements, `names`.
        sure: Which elements of the rival have ranks that pass: of others nothing is said.
    """
    ratio = np.median(own.sd / np.maximum(rival.sd, 1e-300), axis=1)
    return {name: float(ratio[k]) for k, name in enumerate(names) if sure[name]}


def _error(nats: np.ndarray) -> float:
    """The standard error of their mean."""
    return max(float(nats.std(ddof=1)) / len(nats) ** 0.5, 1e-12)


def _interval(nats: np.ndarray, level: float) -> tuple[float, float]:
    """Interval of the mean, by the bootstrap (BCa: Efron 1987, JASA 82:171)."""
    if _error(nats) < 1e-9:
        return float(nats.mean()), float(nats.mean())
    found = stats.bootstrap(
        (nats,),
        np.mean,
        confidence_level=level,
        n_resamples=RESAMPLES,
        batch=100,
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
