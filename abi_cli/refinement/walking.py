"""Data sets whose weights can't be trusted: better candidates, then Markov chains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from abi_cli.model.streams import Purpose, generator
from abi_cli.refinement import chains as markov
from abi_cli.refinement import weights as weighing
from abi_cli.refinement.joint import Joint
from abi_cli.refinement.results import BLOCK, FIRST_BLOCKS, Certificate, How, Refined, Wanted
from abi_cli.refinement.student import StudentT
from abi_cli.refinement.weights import Weighing, tempered, weigh

MOST_EFFECTIVE = 4_000
"""Most effective draws that chains are run for."""

ROUNDS = 3
"""Rounds of fitting a Student's t to weighted candidates, which its own then replace."""

FITTED = 1_000
"""Candidates that a Student's t is fitted to."""

LEAST_SHARE = 0.05
"""Share of effective candidates from which on no better fit is sought."""

FIRST_CHAIN = 1 << 20
"""First block of random numbers that belongs to chains, not to candidates."""


@dataclass(frozen=True)
class Walk:
    """Better candidates for a data set whose weights can't be trusted, or chains, as a task.

    Arguments:
        known: Data, context and given.
        theta: `(candidate, dim)`, where they may start.
        log_ratios: `(candidate,)`, the logarithms of the weights.
        weighed: The weights.
        dataset, label: Its place among all, and what messages call it.
    """

    joint: Joint
    known: Mapping[str, Any]
    theta: np.ndarray
    log_ratios: np.ndarray
    weighed: Weighing
    dataset: int
    label: str
    wanted: Wanted

    def _log_density(self, theta: np.ndarray) -> np.ndarray:
        log_p = self.joint.log_density(self.known, theta, self.dataset, self.label)
        return np.where(np.isnan(log_p), -np.inf, log_p)

    def done(self) -> Refined:
        """Better candidates, or draws of chains; where both fail, the candidates that there were.

        What knows most of the posterior is taken, but for draws that repeat.
        """
        rng = generator(self.wanted.seed, Purpose.REFINE, block=FIRST_CHAIN, item=self.dataset)
        with self.joint.at_hand():
            best, better = self, self._adapted(rng)
            if better is not None and better.weighed.good:
                known = self.weighed.ess if self.weighed.good else 0.0
                best = better if better.weighed.ess > known else self
            if best._serves():
                return best._without_chains(math.nan, rng)
            return best._walked(rng)

    def _serves(self) -> bool:
        """True if the weights can be trusted and say enough, even where some draws repeat.

        Chains that would spare the last repetitions take far longer: ten sessions of psychometric
        curves, 1,000 draws each, took 351 s with them and 34 s without, and of those 10,000 draws
        29 were there twice.
        """
        fewest = min(self.wanted.draws, markov.FEWEST_EFFECTIVE)
        return self.weighed.good and self.weighed.ess >= fewest

    def _adapted(self, rng: np.random.Generator) -> Walk | None:
        """The task with candidates of a Student's t; None where there is nothing to fit it to.

        It is fitted to weighted candidates, and then to its own (Cappé et al. 2004, "Population
        Monte Carlo", JCGS 13). Weights are first tempered until so many of them count as it takes.
        """
        theta, log_ratios, dim = self.theta, self.log_ratios, self.theta.shape[1]
        weighed = None
        for _ in range(ROUNDS):
            if np.isfinite(log_ratios).sum() < 10 * (dim + 1):
                return None
            own = tempered(log_ratios, 10 * (dim + 1))
            student = StudentT.fitted(theta[weighing.resampled(own, FITTED, rng.random())])
            theta, log_ratios = self._candidates(student, FIRST_BLOCKS, rng)
            weighed = weigh(log_ratios)
            if weighed.good and weighed.ess > LEAST_SHARE * len(theta):
                break
        if weighed is None:
            return None
        missing = self.wanted.enough(weighed) if weighed.good else 0.0
        if missing > 1:
            blocks = min(math.ceil(1.1 * missing * FIRST_BLOCKS), self.wanted.most_blocks)
            more, ratios = self._candidates(student, max(blocks - FIRST_BLOCKS, 1), rng)
            theta, log_ratios = np.concatenate([theta, more]), np.concatenate([log_ratios, ratios])
            weighed = weigh(log_ratios)
        return replace(self, theta=theta, log_ratios=log_ratios, weighed=weighed)

    def _candidates(
        self, student: StudentT, blocks: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidates `(candidate, dim)` and the logarithms of their weights."""
        theta = student.draws(blocks * BLOCK, rng)
        log_p = np.concatenate([self._log_density(part) for part in np.split(theta, blocks)])
        return theta, log_p - student.log_density(theta)

    def _walked(self, rng: np.random.Generator) -> Refined:
        """Draws of chains; where they fail, or know less, the candidates."""
        dim = self.theta.shape[1]
        each = markov.walkers(dim)
        many = markov.GROUPS * each
        possible = int(np.isfinite(self.log_ratios).sum())
        if possible < markov.GROUPS * markov.fewest_starts(dim):
            return self._without_chains(math.nan, rng)
        weights = tempered(self.log_ratios, min(many, possible))
        start = weighing.resampled(weights, many, rng.random())
        groups = self.theta[rng.permutation(start)].reshape(markov.GROUPS, each, dim)
        wanted = max(markov.FEWEST_EFFECTIVE, min(self.wanted.draws, MOST_EFFECTIVE))
        walked = markov.run(self._log_density, groups, rng, wanted=wanted)
        known = self.weighed.ess if self.weighed.good else 0.0
        if not walked.good() or walked.ess < known / (2 if self.wanted.resample else 1):
            return self._without_chains(walked.rhat, rng)
        theta = walked.flat()
        either = [one for one in (self.weighed, self._evidence(theta, rng)) if one.good]
        evidence = min(either, key=lambda one: one.log_evidence_error, default=None)
        certificate = Certificate(
            How.CHAINS,
            self.weighed.khat,
            walked.ess,
            evidence.log_evidence if evidence else math.nan,
            evidence.log_evidence_error if evidence else math.nan,
            rhat=walked.rhat,
            candidates=len(self.theta),
        )
        places = (np.arange(self.wanted.draws) + rng.random()) / self.wanted.draws * len(theta)
        return self._given(theta, np.full(len(theta), 1 / len(theta)), places, certificate)

    def _evidence(self, theta: np.ndarray, rng: np.random.Generator) -> Weighing:
        """Evidence by candidates of a Student's t that is fitted to the chains' draws."""
        return weigh(self._candidates(StudentT.fitted(theta), FIRST_BLOCKS, rng)[1])

    def _without_chains(self, rhat: float, rng: np.random.Generator) -> Refined:
        """The result by weights alone; where these are bad, the certificate says so."""
        weighed = self.weighed
        known = weighed.good
        certificate = Certificate(
            How.WEIGHTS if known else How.FAILED,
            weighed.khat,
            weighed.ess,
            weighed.log_evidence if known else math.nan,
            weighed.log_evidence_error if known else math.nan,
            rhat=rhat,
            candidates=len(self.theta),
        )
        weights = weighed.weights
        if not weights.any():  # nothing is possible: the candidates as they are
            weights = np.full(len(weights), 1 / len(weights))
        draws = weighing.resampled(weights, self.wanted.draws, rng.random())
        return self._given(self.theta, weights, draws, certificate)

    def _given(
        self, theta: np.ndarray, weights: np.ndarray, draws: np.ndarray, certificate: Certificate
    ) -> Refined:
        chosen = draws.astype(np.int64) if self.wanted.resample else np.empty(0, np.int64)
        return Refined(theta, weights, chosen, certificate)
