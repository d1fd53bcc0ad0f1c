"""Requests and results of refinement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from abi_cli.model.streams import NOISE_BLOCK
from abi_cli.refinement.weights import Weighing

BLOCK = NOISE_BLOCK
"""Number of candidates whose densities are evaluated together."""

AT_ONCE = 4
"""Blocks of a data set that networks make in one call.

A block takes 11 ms in a call of its own, 6.6 ms in one of four. Of four data sets in one call it
would take 6.1 ms, but TensorFlow's last bits then depend on their order.
"""

FIRST, MOST = 4, 16
"""Candidates for each draw that is wanted: first and most."""

FIRST_BLOCKS, MOST_BLOCKS = 4, 16
"""Blocks of candidates: fewest at first, and a number that is always allowed."""


@dataclass(frozen=True)
class Candidates:
    """Candidates for the posterior of a data set.

    Arguments:
        theta: `(candidate, dim)`, float64, on the networks' scale.
        log_density: `(candidate,)`, of the proposal that made them.
    """

    theta: np.ndarray
    log_density: np.ndarray


class How(StrEnum):
    """The way in which a posterior was refined."""

    WEIGHTS = "weights"
    CHAINS = "chains"
    FAILED = "failed"


@dataclass(frozen=True)
class Certificate:
    """Evidence on the quality of a refined posterior.

    Arguments:
        khat: k-hat of the candidates' weights.
        ess: Independent draws that say as much as the weighted candidates, or the chains.
        log_evidence: log p(y); NaN where it isn't known.
        log_evidence_error: Its standard error.
        rhat: Nested R-hat of chains; NaN where there are none.
        candidates: Number of candidates.
        repeated: Share of the draws that are there before.
        unknown: Share of the candidates whose density is NaN, which count as impossible.
        example: One of these, in words.
    """

    how: How
    khat: float
    ess: float
    log_evidence: float
    log_evidence_error: float
    rhat: float = math.nan
    candidates: int = 0
    repeated: float = 0.0
    unknown: float = 0.0
    example: str = ""


@dataclass(frozen=True)
class Refined:
    """The refined posterior of a data set.

    Arguments:
        theta: `(candidate, dim)`, on the networks' scale.
        weights: `(candidate,)`, sum to 1; candidates without weight are left out.
        draws: `(draw,)`, which of them are the draws that were wanted; empty where none were.
    """

    theta: np.ndarray
    weights: np.ndarray
    draws: np.ndarray
    certificate: Certificate

    @property
    def repeated(self) -> float:
        """Share of the draws that are there before."""
        return 1 - len(np.unique(self.draws)) / len(self.draws) if len(self.draws) else 0.0


@dataclass(frozen=True)
class Wanted:
    """The request to refinement.

    Arguments:
        draws: Draws of each data set; effective ones where only statistics are wanted.
        resample: True if draws themselves are wanted, else weighted candidates do.
        seed: Seed of all randomness.
    """

    draws: int
    seed: int
    resample: bool = True

    @property
    def first_blocks(self) -> int:
        """Number of the first blocks of candidates."""
        return max(FIRST_BLOCKS, math.ceil(FIRST * self.draws / BLOCK))

    @property
    def most_blocks(self) -> int:
        """Largest number of blocks."""
        return max(MOST_BLOCKS, math.ceil(MOST * self.draws / BLOCK))

    def enough(self, weighed: Weighing) -> float:
        """Number of candidates needed, in units of those at hand: 1 or less is enough."""
        if self.resample:
            return self.draws * float(weighed.weights.max())
        return self.draws / weighed.ess
