"""Posteriors of data sets that come one by one, from one process that has its networks at hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from abi_cli.data import DrawHeader, Loaded, estimates_of
from abi_cli.data.contents import EstimateHeader
from abi_cli.data.files import ahead
from abi_cli.data.record_texts import SCORES, texts_of
from abi_cli.data.requests import Line, lines_of, read_requests
from abi_cli.data.statistics import parse
from abi_cli.errors import AbiError, DataError
from abi_cli.listener import SILENT, Listener
from abi_cli.variables import DrawBlock
from abi_cli.workflow.opened.drawing import USUAL_DRAWS
from abi_cli.workflow.opened.guarded import SCORE, Guarding, OnUnlike
from abi_cli.workflow.opened.opening import refuse_without_draws
from abi_cli.workflow.request import USUAL_COMPUTE, Compute
from abi_cli.workflow.sampling import refuse_too_few
from abi_cli.workflow.session import Session

SIZES = (1, 16, 256)
"""Data sets that are answered together: as many as wait, rounded up to one of these, so that no
more than three sizes are ever compiled. Rounded up to powers of two, the first time of each of nine
sizes took a second; always to 256, a single data set waited for the work of 256."""

_WAITING = 4 * SIZES[-1]
"""Most lines that are read ahead of the answers."""


Answer = str | Exception
"""Answer to a line: JSON, or the error why there is none."""


@dataclass
class Streaming:
    """A stream of answers; use it once.

    Arguments:
        guarding: Looks at each data set.
        names: Statistics of draws to answer with; none for the draws themselves.
        answered: How many data sets there were so far.
        warm: Whether all sizes are compiled.
        refused: How many lines had no answer, and why the first of them had none.
    """

    session: Session
    guarding: Guarding
    draws: int
    seed: int
    names: tuple[str, ...]
    answered: int = 0
    warm: bool = False
    refused: int = 0
    first_refusal: DataError | None = None
    bug: Exception | None = None

    def answers(self, stream: BinaryIO) -> Iterator[list[str]]:
        """Answers to the lines of a stream, as JSON; those that waited together come together.

        Whatever goes wrong with a line is its answer, and the others have theirs.
        """
        # all that wait at a time, read while the networks are loaded
        batches = ahead(lines_of(stream), SIZES[-1], room=_WAITING, patience=0)
        layout, naming = self.session.run.layout, self.session.naming
        _ = self.session.networks  # loaded while the first lines come
        what = ", ".join(self.names) or f"{self.draws:,} draws"
        self.session.listener.note(
            f"ready: a data set of JSON a line, answered with {what} (seed {self.seed})"
        )
        for batch in batches:
            requests = read_requests(batch, layout, naming)
            answers: Iterator[Answer] = iter(())
            if requests.loaded is not None:
                rows = np.arange(len(requests.loaded.labels))
                answers = iter(self._answered(requests.loaded, rows))
                self.answered += len(rows)
            both = [
                requests.refused[place] if place in requests.refused else next(answers)
                for place in range(len(batch))
            ]
            yield [
                answer if isinstance(answer, str) else self._refusal(line, answer)
                for line, answer in zip(batch, both, strict=True)
            ]

    def _answered(self, loaded: Loaded, rows: np.ndarray) -> list[Answer]:
        """Answers to some of the data sets: all at once, or each alone if one of them has none."""
        try:
            return [*self._posteriors(loaded, rows)]
        except Exception as error:  # whatever it is, it is this data set's
            if len(rows) == 1:
                return [error]
        return [answer for row in rows for answer in self._answered(loaded, row[None])]

    def _warm_up(self, loaded: Loaded, row: np.ndarray) -> None:
        """Compile all sizes now, so that the answers that follow take the same time."""
        with self.session.listener.task("compiling"):
            for size in SIZES:
                for _ in self._blocks(loaded, np.repeat(row, size), 0):
                    pass
        self.warm = True

    def _blocks(self, loaded: Loaded, rows: np.ndarray, first: int) -> Iterator[DrawBlock]:
        """Draws of some of the data sets, computed in one of the `SIZES`; counted from 0."""
        number = len(rows)
        exact = self.session.refiner is not None  # one data set after the other: no size matters
        padded = loaded.of(rows if exact else rows[_padded(number)])
        for block in self.session.draws(padded, draws=self.draws, seed=self.seed, first=first):
            start = block.first_dataset - first
            if start < number:
                own = {name: value[: number - start] for name, value in block.values.items()}
                kept = {k: value[: number - start] for k, value in block.certificates.items()}
                yield DrawBlock(start, block.first_draw, own, certificates=kept)
        if self.session.refiner is not None:  # a stream has no end
            self.session.refiner.forget(failed=False)

    def _posteriors(self, loaded: Loaded, rows: np.ndarray) -> Iterator[str]:
        """Posteriors of data sets that follow each other, in text.

        Errors:
            DataError: One of them has none.
        """
        layout = self.session.run.layout
        labels = [loaded.labels[row] for row in rows]
        header = DrawHeader.of({}, layout, labels=labels, draws=self.draws, seed=self.seed)
        beside = self._beside(loaded.of(rows))
        said = [dict(more).get(SCORES, {}) for more in beside]
        if self.session.refiner is not None and not self.names:
            # one object holds what is known of the data set and of its refinement
            header = replace(header, scores={n: [one[n] for one in said] for n in said[0]})
            beside = [[(k, v) for k, v in more if k != SCORES] for more in beside]
        in_text = texts_of(EstimateHeader(self.names) if self.names else header)
        if not self.warm and self.session.refiner is None:
            self._warm_up(loaded, rows[:1])
        blocks = self._blocks(loaded, rows, self.answered + int(rows[0]))
        parts: Iterable[Any] = blocks
        if self.names:
            parts = estimates_of(header, blocks, self.names)
        texts = [text for part in parts for text in in_text(part)]
        for text, more in zip(texts, beside, strict=True):
            added = [f", {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in more]
            yield f"{text[:-1]}{''.join(added)}}}"

    def _beside(self, loaded: Loaded) -> list[list[tuple[str, Any]]]:
        """Scores and warnings to go beside the posterior of each data set, by key.

        Errors:
            DataError: One is unlike the simulations, where such are not to be answered.
        """
        number = len(loaded.labels)
        odd: list[list[str]] = [[] for _ in range(number)]
        if self.session.examine(loaded):
            alone = (loaded.of(np.array([row])) for row in range(number))
            odd = [list(self.session.examine(one).values()) for one in alone]
        scores = self.guarding.look(loaded)
        found: list[list[tuple[str, Any]]] = [[] for _ in range(number)]
        if scores is not None:
            for row, label in enumerate(loaded.labels):
                told = self.guarding.sentence_on(label, scores, row)
                odd[row] += [told] if told else []
                found[row].append((SCORES, {SCORE: float(scores.p[row])}))
        for own, warnings in zip(found, odd, strict=True):
            own += [("warnings", warnings)] if warnings else []
        return found

    def _refusal(self, line: Line, error: Exception) -> str:
        """The answer to a line that has no other."""
        if not isinstance(error, AbiError):
            self.bug = self.bug or error
            told = f"{line.place}: a bug in abi: {type(error).__name__}: {error}"
            return json.dumps({"line": line.number, "error": told})
        self.refused += 1
        message = f"{error.place}: {error.message}" if error.place else error.message
        if self.first_refusal is None:
            self.first_refusal = DataError(error.message, place=error.place, hint=error.hint)
        answer = {"line": line.number, "error": message}
        return json.dumps(answer | ({"hint": error.hint} if error.hint else {}), ensure_ascii=False)

    def refuse_if_refused(self) -> None:
        """Refuse to end well where lines had no answer but an error.

        Errors:
            DataError: There were some.
            Exception: One was a bug of ours.
        """
        if self.bug is not None:
            raise self.bug
        if self.first_refusal is not None:
            first = self.first_refusal
            where = f"{first.place}: " if first.place else ""
            lines = "line is no data set" if self.refused == 1 else "lines are no data sets"
            raise DataError(
                f"{self.refused:,} {lines}, and answered with an error; the first: {where}"
                f"{first.message}",
                hint=first.hint,
            )


def _padded(number: int) -> np.ndarray:
    """Rows of so many data sets, again and again up to one of the `SIZES`."""
    return np.resize(np.arange(number), next(size for size in SIZES if size >= number))


def stream(
    path: Path,
    *,
    draws: int = USUAL_DRAWS,
    points: str | None = None,
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    refine: bool = False,
    on_unlike: OnUnlike = OnUnlike.WARN,
    listener: Listener = SILENT,
) -> Streaming:
    """Make ready to answer data sets as they come.

    Arguments:
        path: The run folder.
        draws: How many per data set.
        points: Statistics of the draws to answer with instead, `mean,sd,q5,q95`.
        seed: The run's by default. Data set number i of a stream has the noise of number i of a
            file.
        trust_code: Whether to execute parts of the run's own, if it has any.
        refine: Whether to make posteriors exact by the run's `log_likelihood`, which is executed.
        on_unlike: What is done about data sets that look unlike the simulations.

    Errors:
        UsageError: The network has no draws; a statistic is unknown, or takes more draws.
        RunError: It is no run.
    """
    names = () if points is None else parse(points)
    refuse_too_few(names, draws)
    session = Session.open(
        path,
        compute=compute,
        trust_code=trust_code,
        refine=refine,
        listener=listener,
        on_unlike=on_unlike,
    )
    refuse_without_draws(session.run, session.spec)
    return Streaming(
        session, session.guarding(), draws, session.seed if seed is None else seed, names
    )
