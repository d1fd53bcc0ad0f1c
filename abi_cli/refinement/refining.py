"""Refinement of the posteriors of a run's data sets: candidates, weights, chains where they fail.

The result for a data set depends on it, its place, the seed and the number of draws alone.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from abi_cli.model.streams import Purpose, generator
from abi_cli.model.workers import Workers
from abi_cli.refinement import weights as weighing
from abi_cli.refinement.joint import Evaluation, Joint
from abi_cli.refinement.results import AT_ONCE, Candidates, Certificate, How, Refined, Wanted
from abi_cli.refinement.walking import FIRST_CHAIN, Walk
from abi_cli.refinement.weights import Weighing, weigh

if TYPE_CHECKING:  # it loads a backend
    from abi_cli.refinement.proposal import Proposal

TOGETHER, GROUPS_AT_ONCE = 16, 3
"""Data sets whose candidates are made together, and groups of them that are held at once."""

WORTH_WORKERS = 2.0
"""Seconds of work after which processes are started for the rest."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Sharing:
    """Tasks done here, and by other processes once they take long, as a context.

    Arguments:
        jobs: Most processes.
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
        """Results in the order of the tasks; other processes begin the first ones at once."""
        if self._workers is not None:
            return self._elsewhere(self._workers, function, tasks)
        return self._here_first(function, iter(tasks))

    def _here_first(
        self, function: Callable[[Task], Result], tasks: Iterator[Task]
    ) -> Iterator[Result]:
        while self._workers is None:
            begun = time.perf_counter()
            for task in tasks:
                result = function(task)
                break
            else:
                return
            self._spent += time.perf_counter() - begun
            yield result
            if self._jobs > 1 and self._spent > WORTH_WORKERS and self._workers is None:
                self._workers = self._stack.enter_context(Workers(self._jobs))
        yield from self._elsewhere(self._workers, function, tasks)

    def _elsewhere(
        self, workers: Workers, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        return workers.imap(function, tasks, ahead=2 * self._jobs)


@dataclass(eq=False)
class _Progressing:
    """A data set that is being refined.

    Arguments:
        told: Conditions, mean and log sd of it, `(told,)`, by `Approximator.told`.
        dataset, label: Its place among all, and what messages call it.
        blocks: Number of blocks of candidates that are wanted.
        made: Blocks of candidates; the last ones may not be wanted yet.
        log_p: Log density of the model, by block.
    """

    known: Mapping[str, Any]
    told: np.ndarray
    dataset: int
    label: str
    blocks: int
    made: list[Candidates] = field(default_factory=list)
    log_p: list[np.ndarray] = field(default_factory=list)
    weighed: Weighing | None = None

    @property
    def theta(self) -> np.ndarray:
        """Candidates that are weighed, `(candidate, dim)`."""
        return np.concatenate([one.theta for one in self.made[: self.blocks]])

    @property
    def log_ratios(self) -> np.ndarray:
        log_p = np.concatenate(self.log_p)
        log_r = np.concatenate([one.log_density for one in self.made[: self.blocks]])
        return np.where(np.isnan(log_p), -np.inf, log_p) - log_r

    def unknown(self, joint: Joint) -> tuple[float, str]:
        """Share of the candidates whose density is NaN, and one of them in words."""
        unknown = np.isnan(np.concatenate(self.log_p))
        if not unknown.any():
            return 0.0, ""
        first = self.theta[unknown.argmax()]
        return float(unknown.mean()), joint.example(first)


@dataclass(frozen=True)
class Refining:
    """Refinement of the posteriors of data sets.

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
        self,
        known: Sequence[Mapping[str, Any]],
        told: np.ndarray,
        first: int = 0,
        labels: Sequence[str] = (),
    ) -> Iterator[Refined]:
        """The refined posterior of each data set, in order.

        Arguments:
            known: Data, context and given of each.
            told: Conditions, mean and log sd of each, `(dataset, told)`.
            first: The place of the first among all.
            labels: What messages call each; its place by default.

        Errors:
            UserFunctionError: A function raised, or gave what is no log density.
        """
        begun: deque[tuple[list[_Progressing], list[_Progressing], Iterator[Refined]]] = deque()
        for begin in range(0, len(known), TOGETHER):
            rows = range(begin, min(begin + TOGETHER, len(known)))
            blocks = self.wanted.first_blocks
            group = [
                _Progressing(known[r], told[r], first + r, labels[r] if labels else "", blocks)
                for r in rows
            ]
            unfinished = group
            while unfinished:
                self._make(unfinished)
                unfinished = [one for one in unfinished if self._wants_more(one)]
            # Other processes walk while candidates of the next data sets are made here.
            bad = [one for one in group if self._wants_better(_need(one.weighed))]
            begun.append((group, bad, self.sharing.map(Walk.done, map(self._walk, bad))))
            if len(begun) == GROUPS_AT_ONCE:
                yield from self._finished(*begun.popleft())
        for waiting in begun:
            yield from self._finished(*waiting)

    def _finished(
        self, group: list[_Progressing], bad: list[_Progressing], walked: Iterator[Refined]
    ) -> Iterator[Refined]:
        """The result of each data set of a group, of which the `bad` ones are walked."""
        for one in group:
            made = next(walked) if one in bad else self._weighted(one)
            share, example = one.unknown(self.joint)
            certificate = replace(
                made.certificate, unknown=share, example=example, repeated=made.repeated
            )
            yield replace(made, certificate=certificate)

    def _make(self, group: Sequence[_Progressing]) -> None:
        """Make the blocks of candidates that are missing, and weigh all.

        Candidates are made as tasks are taken, so that here they are made while other processes
        evaluate those before.
        """
        values = self.sharing.map(Evaluation.done, self._missing(group))
        for one in group:
            for _ in range(len(one.log_p), one.blocks):
                one.log_p.append(next(values))
            one.weighed = weigh(one.log_ratios)

    def _missing(self, group: Sequence[_Progressing]) -> Iterator[Evaluation]:
        """Tasks of the blocks that are missing, whose candidates are kept."""
        for one in group:
            for number in range(len(one.log_p), one.blocks):
                if number == len(one.made):
                    call = number // AT_ONCE
                    one.made += self.proposal.blocks(one.told, one.dataset, call)
                theta = one.made[number].theta
                yield Evaluation(self.joint, one.known, theta, one.dataset, one.label)

    def _wants_more(self, one: _Progressing) -> bool:
        """True if there must be more candidates; `blocks` is then their new number."""
        if one.weighed is None or not one.weighed.good or one.blocks >= self.wanted.most_blocks:
            return False
        missing = self.wanted.enough(one.weighed)
        if missing <= 1:
            return False
        blocks = math.ceil(1.1 * min(missing, 4) * one.blocks)
        one.blocks = min(max(blocks, one.blocks + 1), self.wanted.most_blocks)
        return True

    def _wants_better(self, weighed: Weighing) -> bool:
        """True if weights can't be trusted, or say too little for the draws that are wanted.

        Where they say twice as much as that, that a few draws repeat is no reason to begin anew:
        305 sessions of psychometric curves took a tenth longer for it.
        """
        if not weighed.good:
            return True
        return self.wanted.enough(weighed) > 1 and weighed.ess < 2 * self.wanted.draws

    def _walk(self, one: _Progressing) -> Walk:
        """The task that is left for a data set whose candidates are weighed."""
        theta, weighed, ratios = one.theta, _need(one.weighed), one.log_ratios
        known = one.known
        return Walk(self.joint, known, theta, ratios, weighed, one.dataset, one.label, self.wanted)

    def _weighted(self, one: _Progressing) -> Refined:
        """The result of weighing alone."""
        weighed, theta = _need(one.weighed), one.theta
        rows = np.flatnonzero(weighed.weights)
        weights = weighed.weights[rows]
        draws = np.empty(0, np.int64)
        if self.wanted.resample:
            rng = generator(
                self.wanted.seed, Purpose.REFINE, block=FIRST_CHAIN - 1, item=one.dataset
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
