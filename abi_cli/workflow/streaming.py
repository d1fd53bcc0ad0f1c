"""Posteriors of data sets that come one by one, from one process that has its networks at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from abi_cli.data import DrawHeader, Loaded, Naming, estimates_of, oddities
from abi_cli.data.contents import EstimateHeader
from abi_cli.data.files import ahead
from abi_cli.data.record_texts import texts_of
from abi_cli.data.requests import Line, lines_of, read_requests
from abi_cli.data.statistics import parse
from abi_cli.errors import AbiError, DataError
from abi_cli.listener import Listener
from abi_cli.run import Run, open_run
from abi_cli.variables import Datasets, DrawBlock, count, take
from abi_cli.workflow.naming import naming_of
from abi_cli.workflow.opening import (
    open_approximator,
    refuse_without_draws,
    spec_of,
)
from abi_cli.workflow.refusing import refusing
from abi_cli.workflow.request import USUAL_COMPUTE, Compute
from abi_cli.workflow.sampling import refuse_too_few

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

SIZES = (1, 16, 256)
"""Data sets that are answered together: as many as wait, rounded up to one of these, so that no
more than three sizes are ever compiled. Rounded up to powers of two, the first time of each of nine
sizes took a second; always to 256, a single data set waited for the work of 256."""

_WAITING = 4 * SIZES[-1]
"""Lines that are read ahead of the answers."""


Answer = str | Exception
"""To a line: JSON, or why there is none."""


@dataclass
class Streaming:
    """A stream of answers; use it once.

    Arguments:
        networks: Loads them.
        names: Statistics of draws to answer with; none for the draws themselves.
        answered: How many data sets there were so far.
        warm: Whether all sizes are compiled.
        refused: How many lines had no answer, and why the first of them had none.
    """

    run: Run
    naming: Naming
    draws: int
    seed: int
    names: tuple[str, ...]
    networks: Callable[[], Approximator]
    listener: Listener
    answered: int = 0
    warm: bool = False
    refused: int = 0
    first_refusal: DataError | None = None
    bug: Exception | None = None

    def answers(self, stream: BinaryIO) -> Iterator[list[str]]:
        """For each line of a stream an answer, as JSON; those that waited together at a time.

        Whatever goes wrong with a line is its answer, and the others have theirs.
        """
        # all that wait at a time, read while the networks are loaded
        batches = ahead(lines_of(stream), SIZES[-1], room=_WAITING, patience=0)
        networks = self.networks()
        what = ", ".join(self.names) or f"{self.draws:,} draws"
        self.listener.note(
            f"ready: a data set of JSON a line, answered with {what} (seed {self.seed})"
        )
        for batch in batches:
            requests = read_requests(batch, self.run.layout, self.naming)
            answers: Iterator[Answer] = iter(())
            if requests.loaded is not None:
                rows = np.arange(len(requests.loaded.labels))
                answers = iter(self._answered(networks, requests.loaded, rows))
                self.answered += len(rows)
            both = [
                requests.refused[place] if place in requests.refused else next(answers)
                for place in range(len(batch))
            ]
            yield [
                answer if isinstance(answer, str) else self._refusal(line, answer)
                for line, answer in zip(batch, both, strict=True)
            ]

    def _answered(self, networks: Approximator, loaded: Loaded, rows: np.ndarray) -> list[Answer]:
        """Answers to some of the data sets: all at once, or each alone if one of them has none."""
        try:
            return [*self._posteriors(networks, loaded, rows)]
        except Exception as error:  # whatever it is, it is this data set's
            if len(rows) == 1:
                return [error]
        return [answer for row in rows for answer in self._answered(networks, loaded, row[None])]

    def _warm_up(self, networks: Approximator, datasets: Datasets) -> None:
        """Compile all sizes now, so that the answers that follow take the same time."""
        with self.listener.task("compiling"):
            for size in SIZES:
                for _ in self._blocks(networks, take(datasets, np.zeros(size, np.int64)), 0):
                    pass
        self.warm = True

    def _blocks(
        self, networks: Approximator, datasets: Datasets, first: int
    ) -> Iterator[DrawBlock]:
        """Draws of data sets, computed in one of the `SIZES`."""
        number = count(datasets)
        padded = take(datasets, _padded(number))
        for block in networks.sample(padded, draws=self.draws, seed=self.seed, first=first):
            start = block.first_dataset - first
            if start < number:
                own = {name: value[: number - start] for name, value in block.values.items()}
                yield DrawBlock(start, block.first_draw, own)

    def _posteriors(
        self, networks: Approximator, loaded: Loaded, rows: np.ndarray
    ) -> Iterator[str]:
        """In text, of data sets that follow each other.

        Errors:
            DataError: One of them has none.
        """
        layout = self.run.layout
        datasets = take(loaded.datasets, rows)
        labels = [loaded.labels[row] for row in rows]
        header = DrawHeader.of({}, layout, labels=labels, draws=self.draws, seed=self.seed)
        in_text = texts_of(EstimateHeader(self.names) if self.names else header)
        with refusing(loaded, layout, of=rows[_padded(len(rows))]):
            if not self.warm:
                self._warm_up(networks, datasets)
            blocks = self._blocks(networks, datasets, self.answered + int(rows[0]))
            parts: Iterable[Any] = blocks
            if self.names:
                parts = estimates_of(header, blocks, self.names)
            texts = [text for part in parts for text in in_text(part)]
        odd = self._warnings(datasets, labels)
        for text, warnings in zip(texts, odd, strict=True):
            more = f', "warnings": {json.dumps(warnings, ensure_ascii=False)}' if warnings else ""
            yield f"{text[:-1]}{more}}}"

    def _warnings(self, datasets: Datasets, labels: Sequence[str]) -> list[list[str]]:
        """What is odd about each data set."""
        layout = self.run.layout
        if not oddities(datasets, labels, layout):
            return [[] for _ in labels]
        rows = [take(datasets, np.array([i])) for i in range(len(labels))]
        return [
            list(oddities(row, [label], layout).values())
            for row, label in zip(rows, labels, strict=True)
        ]

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
        """At the end, own up to lines that had no answer but an error.

        Errors:
            DataError: There were some.
            Exception: One was a bug of ours.
        """
        if self.bug is not None:
            raise self.bug
        if self.first_refusal is not None:
            raise DataError(
                f"{self.refused:,} lines were no data sets and were answered with an error; "
                f"the first: {self.first_refusal.message}",
                place=self.first_refusal.place,
                hint=self.first_refusal.hint,
            )


def _padded(number: int) -> np.ndarray:
    """Rows of so many data sets, again and again up to one of the `SIZES`."""
    return np.resize(np.arange(number), next(size for size in SIZES if size >= number))


def stream(
    path: Path,
    *,
    draws: int = 1000,
    points: str | None = None,
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    listener: Listener | None = None,
) -> Streaming:
    """Make ready to answer data sets as they come.

    Arguments:
        path: The run folder.
        draws: How many per data set.
        points: Statistics of the draws to answer with instead, `mean,sd,q5,q95`.
        seed: The run's by default. Data set number i of a stream has the noise of number i of a
            file.
        trust_code: Whether to execute parts of the run's own, if it has any.

    Errors:
        UsageError: The network has no draws; a statistic is unknown, or takes more draws.
        RunError: It is no run.
    """
    listener = listener or Listener()
    run = open_run(path)
    names = () if points is None else parse(points)
    refuse_too_few(names, draws)
    spec = spec_of(run, trust_code=trust_code)
    refuse_without_draws(run, spec)
    seed = run.manifest.seed if seed is None else seed
    networks = partial(open_approximator, run, compute, listener)
    return Streaming(run, naming_of(spec), draws, seed, names, networks, listener)
