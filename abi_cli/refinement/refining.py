"""Refinement of the posteriors of a run's data sets: candidates, weights, chains where they fail.

What comes of a data set depends on it, its place, the seed and the number of draws alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from abi_cli.model.streams import NOISE_BLOCK as BLOCK
from abi_cli.model.streams import Purpose, generator
from abi_cli.model.workers import Workers
from abi_cli.refinement import chains as markov
from abi_cli.refinement import weights as weighing
from abi_cli.refinement.joint import Evaluation, Joint
from abi_cli.refinement.student import StudentT
from abi_cli.refinement.weights import Weighing, tempered, weigh

if TYPE_CHECKING:  # it loads a backend
    from abi_cli.refinement.proposal import Proposal

FIRST, MOST = 4, 16
"""Candidates for each draw that is wanted, to begin with and at the most."""

FIRST_BLOCKS, MOST_BLOCKS = 4, 16
"""Of candidates at the least, to begin with; that there may always be."""

TOGETHER = 16
"""Data sets whose candidates are held at once."""

MOST_EFFECTIVE = 4_000
"""Draws of chains that are waited for."""

WORTH_WORKERS = 2.0
"""Seconds of work after which processes are started for the rest."""

_FIRST_CHAIN = 1 << 20
"""Blocks of random numbers from here on are those of chains, not of candidates."""

Task = TypeVar("Task")
Result = TypeVar("Result")


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
    """

    how: How
    khat: float
    ess: float
    log_evidence: float
    log_evidence_error: float
    rhat: float = math.nan
    candidates: int = 0
    repeated: bool = False


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
        seed: Of all randomness.
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


class Sharing:
    """Tasks done here, and by other processes once they take long, as a context.

    Arguments:
        jobs: Processes at the most.
    """

    def __init__(self, jobs: int):
        self._jobs, self._spent = jobs, 0.0
        self._workers: Workers | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks."""
        left = iter(tasks)
        while self._workers is None:
            begun = time.perf_counter()
            for task in left:
                result = function(task)
                break
            else:
                return
            self._spent += time.perf_counter() - begun
            yield result
            if self._jobs > 1 and self._spent > WORTH_WORKERS:
                self._workers = self._stack.enter_context(Workers(self._jobs))
        yield from self._workers.imap(function, left, ahead=2 * self._jobs)


@dataclass(eq=False)
class _Progressing:
    """A data set that is being refined.

    Arguments:
        told: What the networks are told of it, `(told,)`.
        theta, log_r, log_p: Of the blocks of candidates so far.
        blocks: How many there should be.
    """

    known: Mapping[str, Any]
    told: np.ndarray
    dataset: int
    blocks: int
    theta: list[np.ndarray] = field(default_factory=list)
    log_r: list[np.ndarray] = field(default_factory=list)
    log_p: list[np.ndarray] = field(default_factory=list)
    weighed: Weighing | None = None

    @property
    def log_ratios(self) -> np.ndarray:
        return np.concatenate(self.log_p) - np.concatenate(self.log_r)


@dataclass(frozen=True)
class Refining:
    """Refines the posteriors of data sets.

    Arguments:
        joint: The model's density.
        proposal: Makes candidates.
        sharing: Does the work that calls the person's functions.
    """

    joint: Joint
    proposal: Proposal
    wanted: Wanted
    sharing: Sharing

    def refined(
        self, known: Sequence[Mapping[str, Any]], told: np.ndarray, first: int = 0
    ) -> Iterator[Refined]:
        """Of each data set, in order.

        Arguments:
            known: Data, context and given of each.
            told: What the networks are told of each, `(dataset, told)`.
            first: The place of the first among all.

        Errors:
            UserFunctionError: A function raised, or gave what is no log density.
        """
        for begin in range(0, len(known), TOGETHER):
            rows = range(begin, min(begin + TOGETHER, len(known)))
            blocks = self.wanted.first_blocks
            group = [_Progressing(known[r], told[r], first + r, blocks) for r in rows]
            unfinished = group
            while unfinished:
                self._make(unfinished)
                unfinished = [one for one in unfinished if self._wants_more(one)]
            bad = [one for one in group if self._needs_chains(_need(one.weighed))]
            tasks = [Walk.of(self.joint, one, self.wanted) for one in bad]
            walked = self.sharing.map(Walk.done, tasks)
            for one in group:
                yield next(walked) if one in bad else self._weighted(one)

    def _make(self, group: Sequence[_Progressing]) -> None:
        """Make the blocks of candidates that are missing, and weigh all."""
        tasks = []
        for one in group:
            for number in range(len(one.theta), one.blocks):
                made = self.proposal.block(one.told, one.dataset, number)
                one.theta.append(made.theta)
                one.log_r.append(made.log_density)
                tasks.append(Evaluation(self.joint, one.known, made.theta, one.dataset))
        values = self.sharing.map(Evaluation.done, tasks)
        for one in group:
            for _ in range(len(one.log_p), one.blocks):
                one.log_p.append(next(values))
            one.weighed = weigh(one.log_ratios)

    def _wants_more(self, one: _Progressing) -> bool:
        """Whether there must be more candidates; `blocks` is then how many."""
        if one.weighed is None or not one.weighed.good or one.blocks >= self.wanted.most_blocks:
            return False
        missing = self.wanted.enough(one.weighed)
        if missing <= 1:
            return False
        blocks = math.ceil(1.1 * min(missing, 4) * one.blocks)
        one.blocks = min(max(blocks, one.blocks + 1), self.wanted.most_blocks)
        return True

    def _needs_chains(self, weighed: Weighing) -> bool:
        """Whether weights can't be trusted, or so few candidates have them that draws repeat."""
        return not weighed.good or self.wanted.enough(weighed) > 1

    def _weighted(self, one: _Progressing) -> Refined:
        """The result of weighing alone."""
        weighed, theta = _need(one.weighed), np.concatenate(one.theta)
        rows = np.flatnonzero(weighed.weights)
        weights = weighed.weights[rows]
        draws = np.empty(0, np.int64)
        if self.wanted.resample:
            rng = generator(
                self.wanted.seed, Purpose.REFINE, block=_FIRST_CHAIN - 1, item=one.dataset
            )
            draws = weighing.resampled(weights, self.wanted.draws, rng.random())
        certificate = Certificate(
            How.WEIGHTS,
            weighed.khat,
            weighed.ess,
            weighed.log_evidence,
            weighed.log_evidence_error,
            candidates=len(theta),
        )
        return Refined(theta[rows], weights, draws, certificate)


def _need(weighed: Weighing | None) -> Weighing:
    if weighed is None:
        raise ValueError("Expected weighed candidates; got some that are not")
    return weighed


@dataclass(frozen=True)
class Walk:
    """Markov chains for a data set whose weights can't be trusted, as a task.

    Arguments:
        known: Data, context and given.
        theta: `(candidate, dim)`, where they may start.
        log_ratios: `(candidate,)`, the logarithms of the weights.
        weighed: The weights.
        dataset: Its place among all.
    """

    joint: Joint
    known: Mapping[str, Any]
    theta: np.ndarray
    log_ratios: np.ndarray
    weighed: Weighing
    dataset: int
    wanted: Wanted

    @classmethod
    def of(cls, joint: Joint, one: _Progressing, wanted: Wanted) -> Walk:
        """That of a data set whose candidates are weighed."""
        theta, weighed = np.concatenate(one.theta), _need(one.weighed)
        return cls(joint, one.known, theta, one.log_ratios, weighed, one.dataset, wanted)

    def _log_density(self, theta: np.ndarray) -> np.ndarray:
        return self.joint.log_density(self.known, theta, self.dataset)

    def done(self) -> Refined:
        """Draws of the chains; where they fail, of the candidates."""
        rng = generator(self.wanted.seed, Purpose.REFINE, block=_FIRST_CHAIN, item=self.dataset)
        dim = self.theta.shape[1]
        each = markov.walkers(dim)
        many = markov.GROUPS * each
        if np.isfinite(self.log_ratios).sum() < many:
            return self._without_chains(math.nan, rng)
        start = weighing.resampled(tempered(self.log_ratios, many), many, rng.random())
        groups = self.theta[rng.permutation(start)].reshape(markov.GROUPS, each, dim)
        wanted = max(markov.FEWEST_EFFECTIVE, min(self.wanted.draws, MOST_EFFECTIVE))
        walked = markov.run(self._log_density, groups, rng, wanted=wanted)
        if not walked.good():
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
            repeated=self.wanted.resample and len(theta) < self.wanted.draws,
        )
        places = (np.arange(self.wanted.draws) + rng.random()) / self.wanted.draws * len(theta)
        return self._given(theta, np.full(len(theta), 1 / len(theta)), places, certificate)

    def _evidence(self, theta: np.ndarray, rng: np.random.Generator) -> Weighing:
        """By candidates of a Student's t that is fitted to the chains' draws."""
        student = StudentT.fitted(theta)
        candidates = student.draws(FIRST_BLOCKS * BLOCK, rng)
        parts = np.split(candidates, FIRST_BLOCKS)
        log_p = np.concatenate([self._log_density(part) for part in parts])
        return weigh(log_p - student.log_density(candidates))

    def _without_chains(self, rhat: float, rng: np.random.Generator) -> Refined:
        """By weights alone, if they are any good; else the weighted candidates, told to be bad."""
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
            repeated=self.wanted.resample,
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
