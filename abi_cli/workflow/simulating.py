"""Simulating: data sets with their parameters, to a file or into a pipe; a row once more."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from abi_cli.data import Kind, formats, write_parts
from abi_cli.errors import UsageError, UserFunctionError
from abi_cli.listener import SILENT, Listener, Progress
from abi_cli.model.failures import NO_FAILURES
from abi_cli.model.making import Part, Work, surviving
from abi_cli.model.simulation import say_the_kind
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout, Ragged, array_of, concatenate, count, take
from abi_cli.workflow.checking.findings import noise_findings
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Target,
    read_model,
    tell_files,
)

WORTH_WORKERS = 3.0
"""Seconds of simulation for which it pays to start processes."""
_TASK = 0.25
"""Seconds that one task of a worker should take."""

_TASK_BYTES = 1 << 24
"""Bytes at most: what several tasks bring back at once must not fill the memory."""

_COLD = 2.0
"""Seconds of the first part from which on a start that it contains does not matter."""

FIRST = 64
"""Rows that show the variables."""

PILOT = 4_096
"""Most rows on which the pace is measured."""


@dataclass(frozen=True)
class Written:
    """Simulations that were written, and their place.

    Arguments:
        path: The file; None for standard output.
        what: Such as `1,000 simulated data sets of N, beta, sigma, x, y`.
        seed: The seed that it came from, if from any.
        seconds: How long it took.
    """

    path: Path | None
    what: str
    seed: int | None
    seconds: float


def simulate(
    source: Path,
    *,
    datasets: int = 1000,
    context: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener = SILENT,
) -> Written:
    """Simulate data sets and write them, parameters included.

    Arguments:
        source: A spec or a run folder.
        context: Context variables to hold fixed, as `NAME=VALUE`.

    Errors:
        SpecError, UserFunctionError, OutputError: As they say.
    """
    begun = time.perf_counter()
    fixed = fixed_context(context)
    model = read_model(source, overrides=overrides)
    if source.is_dir():
        tell_files(model, listener)
    simulator = model.need_simulator()
    formats.for_writing(target.path, target.format, Kind.DATA)
    target.claim()
    seed = model.spec.seed if seed is None else seed
    for finding in noise_findings(model.spec, simulator, seed=seed):
        listener.warn(finding.message, hint=finding.hint)
    work = Work(simulator, seed, Purpose.SIMULATE, fixed)
    with listener.task("simulating", datasets, "data sets") as progress:
        coming = _advancing(parts_of(work, [(0, datasets)], compute=compute), progress)
        first = concatenate(until(coming, FIRST))
        layout = simulator.layout(first)
        write_parts(target.path, chain([first], coming), layout, format=target.format)
    names = ", ".join(variable.name for variable in layout.variables)
    what = f"{datasets:,} simulated data sets of {names}"
    return Written(target.path, what, seed, time.perf_counter() - begun)


def until(parts: Iterable[Datasets], rows: int) -> Iterator[Datasets]:
    """Parts until there are so many rows, or no more."""
    done = 0
    for part in parts:
        yield part
        done += count(part)
        if done >= rows:
            return


def fixed_context(context: Sequence[str]) -> dict[str, float]:
    """Context from the command line: `["N=10"]` as `{"N": 10}`; whole numbers stay whole.

    Errors:
        UsageError: It is something else.
    """
    fixed: dict[str, float] = {}
    for text in context:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not (name and equals) or number != number:
            raise UsageError(f"Expected --context NAME=NUMBER; got {text!r}")
        fixed[name] = int(number) if number.is_integer() else number
    return fixed


@dataclass(frozen=True)
class Pace:
    """The pace of simulations, by the first ones.

    Arguments:
        rows: Number of these rows.
        seconds: Seconds that they took, in this process.
        bytes: Bytes that they take.
    """

    rows: int
    seconds: float
    bytes: int

    def duration(self, rows: int, workers: int) -> float:
        """Seconds that so many rows take."""
        return rows * self.seconds / self.rows / max(workers, 1)

    def size(self, rows: int) -> int:
        """Bytes of so many rows."""
        return rows * self.bytes // self.rows


def parts_of(
    work: Work,
    spans: Sequence[tuple[int, int]],
    *,
    compute: Compute,
    paced: Callable[[Pace, bool], None] = lambda *_: None,
) -> Iterator[Part]:
    """Rows in order, made by workers if that takes long enough.

    What comes out does not depend on how it was shared out.

    Arguments:
        spans: Ascending.
        paced: Function that is called once, with the pace and whether workers are begun.

    Errors:
        UserFunctionError: A simulation failed that may not.
    """
    total, failures = sum(stop - start for start, stop in spans), NO_FAILURES
    first: Part | None = None
    for part in _parts_of(work, spans, compute, paced):
        first = first or part
        _refuse_unlike(first, part)
        failures += part.failures
        failures.refuse_more_than(work.simulator.max_failures, total, work.where_they_fail)
        yield part


def _refuse_unlike(first: Part, part: Part) -> None:
    """Refuse variables whose shapes vary from part to part: they can't be joined.

    Errors:
        UserFunctionError: One does.
    """
    for name, value in part.rows.items():
        before, now = array_of(first.rows[name]).shape[1:], array_of(value).shape[1:]
        if before != now or type(value) is not type(first.rows[name]):
            raise UserFunctionError(
                f"{name} has the shape {before} in row {first.start} and {now} in row {part.start}",
                hint=say_the_kind(name),
            )


def _parts_of(
    work: Work,
    spans: Sequence[tuple[int, int]],
    compute: Compute,
    paced: Callable[[Pace, bool], None],
) -> Iterator[Part]:
    if compute.is_remote:
        compute.pool()  # what it needs is not there: better now than when the first rows are
    # Here first, twice as many each time: the last and largest part tells how long a row takes.
    # (The very first one also has what is done once, such as loading the functions.)
    share, part, left, first = work.simulator.unit, None, deque(spans), True
    while left and (part is None or _tells_little(part, first=first)):
        first = part is None
        start, stop = left.popleft()
        end = min(start + share, stop)
        if end < stop:
            left.appendleft((end, stop))
        part = work((start, end))
        yield part
        share *= 2
    if part is None or not left:
        return
    pace = Pace(count(part.rows), part.seconds, size_of(part.rows))
    rows = sum(stop - start for start, stop in left)
    worth = bool(compute.workers()) and pace.duration(rows, 1) > WORTH_WORKERS
    paced(pace, worth or compute.is_remote)
    unit, wanted = work.simulator.unit, _TASK * pace.rows / max(pace.seconds, 1e-9)
    wanted = min(wanted, _TASK_BYTES * pace.rows / max(pace.bytes, 1))
    ranges = _ranges(left, max(1, int(wanted / unit)) * unit)
    with compute.pool(needed=worth or compute.is_remote) as pool:
        yield from surviving(
            pool,
            work,
            ranges,
            ahead=4 * max(pool.jobs, 1) + 1,
            again=partial(work.in_spite_of_deaths, pool),
        )


def _tells_little(part: Part, *, first: bool) -> bool:
    """True if a part is too short to tell how long others take, and could have been longer."""
    if size_of(part.rows) >= _TASK_BYTES / 2 and not first:
        return False
    return part.seconds < (_COLD if first else _TASK / 2)


def pilot(work: Work, start: int, stop: int) -> tuple[Pace, Datasets]:
    """The pace, and the rows that it was measured on: no more of them than that takes."""
    share, parts = work.simulator.unit, [work((start, min(start + work.simulator.unit, stop)))]
    while parts[-1].stop < stop and parts[-1].seconds < _TASK:
        begin, share = parts[-1].stop, 2 * share
        parts.append(work((begin, min(begin + share, stop))))
    most = max(parts, key=lambda part: count(part.rows))
    pace = Pace(count(most.rows), most.seconds, size_of(most.rows))
    return pace, concatenate(part.rows for part in parts)


def _ranges(spans: Iterable[tuple[int, int]], rows: int) -> Iterator[tuple[int, int]]:
    for start, stop in spans:
        for begin in range(start, stop, rows):
            yield begin, min(begin + rows, stop)


def size_of(rows: Datasets) -> int:
    """Bytes of data sets."""
    return sum(
        array_of(value).nbytes + (value.row_size.nbytes if isinstance(value, Ragged) else 0)
        for value in rows.values()
    )


def simulate_rows(
    work: Work, start: int, stop: int, *, compute: Compute, listener: Listener
) -> Datasets:
    """Simulate rows start … stop − 1, in worker processes if that takes long enough."""
    with listener.task("simulating", stop - start, "data sets") as progress:
        return concatenate(
            _advancing(parts_of(work, [(start, stop)], compute=compute), progress),
        )


def _advancing(parts: Iterable[Part], progress: Progress) -> Iterator[Datasets]:
    for part in parts:
        progress.advance(count(part.rows))
        yield part.rows


@dataclass(frozen=True)
class Replayed:
    """A row that was simulated again.

    Arguments:
        values: Its variables, `(1, *event)` or one set or series each.
    """

    row: int
    seed: int
    values: Datasets
    layout: Layout


def replay(
    source: Path,
    row: int,
    *,
    context: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
) -> Replayed:
    """Simulate a row of `abi simulate` once, in this thread, however long it takes.

    Where it fails and somebody looks on, a debugger opens at the place.

    Arguments:
        source: A spec or a run folder.

    Errors:
        UserFunctionError: It fails.
    """
    model = read_model(source, overrides=overrides)
    simulator = replace(model.need_simulator(), repeats=False, timeout=None)
    seed = model.spec.seed if seed is None else seed
    work = Work(simulator, seed, Purpose.SIMULATE, fixed_context(context))
    try:
        drawn = work.once((work.origin, row, row + 1))
    except UserFunctionError as error:
        _look_into(error)
        raise
    values = take(simulator.with_gaps(drawn, work.origin, row), np.array([0]))
    return Replayed(row, seed, values, simulator.layout(values))


def _look_into(error: UserFunctionError) -> None:
    """Open Python's debugger where a function raised, if there is a terminal for it."""
    raised = error.__cause__
    if raised is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    import pdb

    print(f"{error}\n", file=sys.stderr)
    pdb.post_mortem(raised.__traceback__)
