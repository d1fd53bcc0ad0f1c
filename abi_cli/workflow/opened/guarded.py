"""The guard of a run: made at the end of its training, used where data sets are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from abi_cli import placing
from abi_cli.data import Loaded
from abi_cli.data.entries import listing
from abi_cli.data.npz import read_arrays, write_arrays
from abi_cli.digits import plural
from abi_cli.errors import DataError, RunError, UserFunctionError
from abi_cli.guard import UNLIKE, Guard, Reference, Scores, Verdict, flagged
from abi_cli.listener import Listener
from abi_cli.run import REFERENCE, Run
from abi_cli.spec import Spec
from abi_cli.training.sources import Source
from abi_cli.variables import Datasets, Layout
from abi_cli.workflow.opened.reading import Batches
from abi_cli.workflow.opened.refusing import refusing

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

SCORE = "guard"
"""Name of the p-value of a data set beside its draws."""

FEWEST = 100
"""Fewest simulations of a reference."""

TOGETHER = 10_000
"""Most data sets that are looked at together: what is made of each takes some kB."""


def keep_reference(
    folder: Run, source: Source, spec: Spec, approximator: Approximator, listener: Listener
) -> None:
    """Make the reference of a run from simulations that nothing was learned from, and keep it.

    A training is not lost because one of these simulations fails: the run has no guard then.
    """
    file = folder.path / REFERENCE
    file.unlink(missing_ok=True)  # of a shorter training
    try:
        with listener.task("looking at fresh simulations"):
            reference = Reference.of(
                source.reference(),
                approximator.layout,
                approximator.summaries,
                series=spec.series(),
            )
    except UserFunctionError as error:
        listener.warn(
            f"the run is kept without a guard, since a simulation for it failed: {error.message}"
        )
        return
    number = 0 if reference is None else len(reference)
    if reference is None or number < FEWEST:
        listener.note(
            f"the run is kept without a guard: {number:,} simulations held out are too few for one"
        )
        return
    with placing.replacing(file) as place:
        write_arrays(place, reference.to_arrays())
    listener.note(f"data sets will be held against {number:,} simulations that it has not seen")


def guard_of(run: Run) -> Guard | None:
    """The guard of a run; None in one of before there were any.

    Errors:
        RunError: Its file is missing, or is not what training wrote.
    """
    file = run.reference_file()
    if file is None:
        return None
    try:
        return Guard(Reference.from_arrays(read_arrays(file)))
    except ValueError as error:
        raise RunError(
            f"{file} can't be read: {error}",
            hint="Copy the run folder again, or do without: --guard off.",
        ) from error


class OnUnlike(StrEnum):
    """The treatment of data sets that look unlike the simulations."""

    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    OFF = "off"


HINT = (
    "Networks have not learned from such data, and their posteriors may be anything. If the data "
    "are right, widen the prior or add to the simulator what is missing, and train again; a few "
    "wild values are borne by a run that was trained with errors (training: {noise: …})."
)

_NONE = (
    "this run has kept no simulations to hold data against: trained again, it says of every data "
    "set whether it is like them"
)


@dataclass
class Guarding:
    """Data sets of one command, each looked at before it has a posterior.

    Arguments:
        guard: The run's guard; None where nobody looks.
        layout: The run's variables.
        summaries: Function from data sets to their summaries by the networks.
        on: Treatment of those that look unlike the simulations.
    """

    guard: Guard | None
    layout: Layout
    summaries: Callable[[Datasets], np.ndarray]
    on: OnUnlike
    listener: Listener
    _verdict: Verdict | None = field(default=None, init=False)
    _skipped: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.guard is not None:
            self._verdict = Verdict(len(self.guard.reference))
        elif self.on is not OnUnlike.OFF:
            self.listener.note(_NONE)

    def look(self, loaded: Loaded) -> Scores | None:
        """Scores of data sets by the guard; None where there is none.

        Errors:
            DataError: The networks can't take one.
        """
        if self.guard is None:
            return None
        number = len(loaded.labels)
        if number <= TOGETHER:
            return self._look(self.guard, loaded)
        parts = (
            self._look(self.guard, loaded.of(np.arange(first, min(first + TOGETHER, number))))
            for first in range(0, number, TOGETHER)
        )
        return Scores.joined([*parts])

    def _look(self, guard: Guard, loaded: Loaded) -> Scores:
        """Scores of data sets that are few enough to be looked at together."""
        with refusing(loaded, self.layout):
            summaries = self.summaries(loaded.datasets)
        look = guard.reference.look_at(loaded.datasets, self.layout, summaries)
        return guard.scores(look, explain_below=UNLIKE)

    def judged(self, loaded: Loaded) -> tuple[Scores | None, str]:
        """Scores of data sets by the guard, and a sentence on them; empty where there is none.

        Errors:
            DataError: The networks can't take one.
        """
        scores = self.look(loaded)
        if scores is None or self.guard is None:
            return None, ""
        verdict = Verdict(len(self.guard.reference))
        verdict.add(loaded.labels, scores)
        if told := verdict.sentence():
            return scores, f"Observed data: {told}. {HINT}"
        least, number = int(scores.p.argmin()), len(scores.p)
        which = (
            f"the least usual of {number:,} is data set {loaded.labels[least]}"
            if number > 1
            else ""
        )
        usual = ", ".join(filter(None, (which, f"p = {scores.p[least]:.2g}")))
        return scores, f"Observed data are like the simulations ({usual})."

    def of(self, loaded: Loaded) -> Loaded | None:
        """Data sets with their scores, but for those that are skipped; None where all are.

        Errors:
            DataError: The networks can't take one; one is unlike the simulations, where that is to
                fail.
        """
        scores = self.look(loaded)
        if scores is None or self._verdict is None:
            return loaded
        self._verdict.add(loaded.labels, scores)
        loaded = replace(loaded, scores={SCORE: scores.p})
        if self.on is OnUnlike.FAIL and (told := self._verdict.sentence()):
            raise DataError(told, hint=HINT)
        if self.on is not OnUnlike.SKIP:
            return loaded
        odd = flagged(scores.p, simulations=self._verdict.simulations)
        self._skipped += [loaded.labels[i] for i in np.flatnonzero(odd)]
        return None if odd.all() else loaded.of(np.flatnonzero(~odd))

    def sentence_on(self, label: str, scores: Scores, row: int) -> str | None:
        """A sentence on a data set that is asked about alone, if it looks unlike the simulations.

        Errors:
            DataError: It is unlike the simulations, and such are not to be answered.
        """
        verdict = Verdict(self._verdict.simulations if self._verdict else 0)
        verdict.add([label], Scores(scores.p[[row]], scores.looks[[row]], (scores.reasons[row],)))
        told = verdict.sentence()
        if told and self.on in (OnUnlike.FAIL, OnUnlike.SKIP):
            raise DataError(told, hint=HINT)
        return told

    def tell(self) -> None:
        """Say at the end, in a line, what there is to know."""
        told = self._verdict.sentence() if self._verdict else None
        if self._skipped:
            number = len(self._skipped)
            which = f"{number:,} {plural('data set', number)}: {listing(self._skipped)}"
            self.listener.warn(f"skipped {which}", hint=told)
        elif told:
            self.listener.warn(told, hint=HINT)

    def none_left(self) -> DataError:
        """The error to raise where all data sets were skipped."""
        told = self._verdict.sentence() if self._verdict else None
        return DataError(f"all data sets were skipped: {told}", hint=HINT)


def examined(
    data: Batches,
    examine: Callable[[Loaded], Mapping[str, str]],
    guarding: Guarding,
    listener: Listener,
) -> Iterator[Loaded]:
    """Data sets as they come; of each kind of oddity there is one warning.

    Arguments:
        examine: What is odd about some of them: a sentence on each thing, by what it is about.

    Errors:
        DataError: As `Guarding.of`; or all are to be skipped.
    """
    said: set[str] = set()
    left = False
    for loaded in data.parts:
        for note in loaded.notes:
            if note not in said:
                listener.note(note)
                said.add(note)
        for name, warning in examine(loaded).items():
            if name not in said:
                listener.warn(warning)
                said.add(name)
        looked = guarding.of(loaded)
        if data.whole:
            guarding.tell()
        if looked is not None:
            left = True
            yield looked
    if not left:
        raise guarding.none_left()
    if not data.whole:
        guarding.tell()
