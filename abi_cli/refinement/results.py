"""What refinement is asked for, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from abi_cli.model.streams import NOISE_BLOCK as BLOCK
from abi_cli.refinement.weights import Weighing

FIRST, MOST = 4, 16
"""Candidates for each draw that is wanted, to begin with and at the most."""

FIRST_BLOCKS, MOST_BLOCKS = 4, 16
"""Of candidates at the least, to begin with; that there may always be."""


class How(StrEnum):
    """How a posterior was refined."""

    WEIGHTS = "weights"
    CHAINS = "chains"
    FAILED = "failed"


@dataclass(frozen=True)
class Certificate:
    """How far the refined posterior of a data set can be trusted.

    Arguments:
        khat: Of the candidates' weights.
        ess: Independent draws that say as much as the weighted candidates, or the chains.
        log_evidence: log p(y); NaN where it isn't known.
        log_evidence_error: Its standard error.
        rhat: Nested R-hat of chains; NaN where there are none.
        candidates: How many there were.
        repeated: Whether some draws are there more than once.
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
    repeated: bool = False
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


@dataclass(frozen=True)
class Wanted:
    """What refinement is for.

    Arguments:
        draws: Of each data set; where only statistics are wanted, how many effective ones.
        resample: Whether draws themselves are wanted, or weighted candidates do.
        seed: Seed of all randomness.
    """

    draws: int
    seed: int
    resample: bool = True

    @property
    def first_blocks(self) -> int:
        """Blocks of candidates to begin with."""
        return max(FIRST_BLOCKS, math.ceil(FIRST * self.draws / BLOCK))

    @property
    def most_blocks(self) -> int:
        """Blocks at the most."""
        return max(MOST_BLOCKS, math.ceil(MOST * self.draws / BLOCK))

    def enough(self, weighed: Weighing) -> float:
        """Candidates that there must be, in units of those that there are: 1 or less is enough."""
        if self.resample:
            return self.draws * float(weighed.weights.max())
        return self.draws / weighed.ess
