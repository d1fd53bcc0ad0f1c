"""One call of `Simulator.simulate` at work: functions called, their results checked and joined.

What can be checked for many rows at once is; the row to blame is looked for only when there is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from abi_cli import underway
from abi_cli.errors import TookTooLong, UsageError, UserFunctionError
from abi_cli.model.functions import BATCH_SIZE, RNG, Known
from abi_cli.model.outputs import (
    Room,
    UnusableOutputError,
    as_chunk,
    as_members,
    check_finite,
    join,
    stack,
)
from abi_cli.model.owning import Columns, UnlikeOthersError, kept, passing
from abi_cli.model.repeating import HINT, UnrepeatableError, alike, repeated
from abi_cli.model.stage import Origin, Stage
from abi_cli.model.streams import Streams
from abi_cli.spec import RESERVED_NAMES
from abi_cli.variables import Datasets, Ragged, Role, Value, count, take

_WHERE_PARAMETERS_VARY = (
    "Parameters of varying length can't be inferred: return one shape for every row."
)

WHERE_VALUES_LACK = (
    "If values may be missing (NaN, or masked), say of which variable: `missing: {{{name}: null}}`."
)


WHERE_VALUES_OVERFLOW = (
    "If that is so where parameters are extreme, bound the prior there; or let such simulations be "
    "drawn again, which cuts the prior: model: {max_failures: 0.1 %}."
)


class Simulation:
    """Some of a model's stages, run in order.

    Arguments:
        stages: Context, prior, likelihood, or the first of these.
        origin: Of the rows.
        streams: Open; the streams of the origin.
        chunk: Rows of a unit where a function of the model is batched, else None.
        missing: Variables whose values may be NaN.
        apart: What is drawn from the stream of another unit, and how far on that is: it changes
            while all before it stays. For one unit at a time.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        origin: Origin,
        streams: Streams,
        chunk: int | None,
        missing: Collection[str] = (),
        apart: Mapping[Role, int] | None = None,
    ) -> None:
        self._stages, self._origin, self._missing = stages, origin, missing
        self._streams, self._chunk, self._apart = streams, chunk, apart or {}

    def rows(self, start: int, stop: int) -> Datasets:
        """The rows start … stop − 1.

        Errors:
            UserFunctionError: A function raised, or returned what can't be used.
            UsageError: The context to hold fixed isn't context of this model.
        """
        if self._chunk is None:
            first, datasets = start, self._single_rows(start, stop)
        else:
            units = range(start // self._chunk, (stop - 1) // self._chunk + 1)
            first, datasets = units[0] * self._chunk, self._chunks(units, self._chunk)
        for stage, name in self._variables():
            with self._blaming(stage, name, datasets, first, {}):
                check_finite(name, datasets[name], missing=name in self._missing)
        if start == first and stop == first + count(datasets):
            return datasets
        return take(datasets, slice(start - first, stop - first))

    def repeat_some(self, datasets: Datasets, start: int, stop: int) -> None:
        """Simulate a few of the rows start … stop − 1 again, and hold them against the first time.

        Errors:
            UnrepeatableError: A row is not the same.
            TookTooLong: It takes too long, or that between the first time and the second does.
        """
        size = self._chunk or 1
        first, end = start // size, (stop - 1) // size + 1
        units = repeated(first, end)
        if units and end - first == 1:  # another one between the first time and the second
            try:
                self.rows(end * size, (end + 1) * size)
            except TookTooLong:
                raise
            except UserFunctionError:  # of rows that nobody asked for
                pass
        for unit in units:
            begin, until = max(unit * size, start), min((unit + 1) * size, stop)
            underway.again()
            again = self.rows(begin, until)
            before = take(datasets, slice(begin - start, until - start))
            for stage, name in self._variables():
                if not alike(before[name], again[name]):
                    raise UnrepeatableError(
                        f"{name} differs when row {begin} is simulated again ({self._origin})",
                        hint=HINT,
                        place=stage.source.place,
                    )

    def _single_rows(self, start: int, stop: int) -> Datasets:
        known: Known = {**self._origin.context, RNG: self._streams.rng}
        made: list[tuple[Stage, Columns]] = []
        self._streams.seek(start)
        for stage in self._stages:
            self._go_apart(stage, start)
            output, copies = stage.call(known, start)
            known.update(output)
            made.append((stage, Columns(copies)))
        self._repeat(range(start + 1, stop), known, made)
        datasets = self._given(stop - start)
        for stage, columns in made:
            for name in stage.keys:
                ragged = name in stage.ragged
                with self._blaming(stage, name, datasets, start, columns.values):
                    column = columns.values[name]
                    datasets[name] = stack(name, column, ragged=ragged, first_row=start)
        return datasets

    def _repeat(self, rows: range, known: Known, made: list[tuple[Stage, Columns]]) -> None:
        """Append the results of more rows. A cheap model's time goes here."""
        seek = self._streams.seek
        *calls, (take_last, append_last) = [
            (stage.take, columns.appending()) for stage, columns in made
        ]
        output: Any = {}
        row = rows.start
        try:
            for row in rows:
                seek(row)
                for take_known, append in calls:
                    output = take_known(known)
                    append(output)
                    known.update(output)
                output = take_last(known)  # which nothing takes in turn
                append_last(output)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            rows_made = row - rows.start + 1
            stage = next((stage for stage, columns in made if columns.rows <= rows_made), None)
            if stage is None:  # it was told between two rows that its time is over
                raise
            if isinstance(error, UnlikeOthersError):
                stage.check(output, row)
            raise stage.failed(error, known, row) from error

    def _chunks(self, units: range, size: int) -> Datasets:
        rooms: dict[str, Room] = {}
        parts = [self._unit(unit, size, rooms, left=units.stop - unit) for unit in units]
        first = units[0] * size
        datasets = self._given(len(parts) * size)
        for stage, name in self._variables():
            of_chunks = {key: [part[key] for part in parts] for key in stage.keys}
            with self._blaming(stage, name, datasets, first, of_chunks):
                whole = rooms[name].whole() if name in rooms else None
                if whole is None:
                    datasets[name] = join(name, of_chunks[name], first_row=first)
                else:
                    datasets[name] = as_members(whole) if name in stage.ragged else whole
        return datasets

    def _unit(self, unit: int, size: int, rooms: dict[str, Room], *, left: int) -> Datasets:
        """The rows of one chunk, which are drawn from one stream.

        Arguments:
            rooms: Variable → where the chunks of what batched functions give are laid.
            left: Chunks that they are to have room for, where this is the first.
        """
        first = unit * size
        self._streams.seek(unit)
        shared: Known = {**self._origin.context, RNG: self._streams.rng, BATCH_SIZE: size}
        columns: Known = {}  # what each row has for itself, `(chunk, *event)`
        datasets: Datasets = {}
        for stage in self._stages:
            self._go_apart(stage, unit)
            once = stage.role == "context" and not stage.batched
            if stage.batched:
                _, output = stage.call(shared | columns, first, copied=passing)
            elif once:
                _, output = stage.call(shared | columns, first)
            else:
                output = self._one_by_one(stage, shared, columns, size=size, first=first)
            for name in stage.keys:
                ragged = name in stage.ragged
                try:
                    if stage.batched:
                        made: Value = _laid(name, output[name], rooms, size=size, left=left)
                    else:
                        column = [output[name]] * size if once else output[name]
                        # Rows of a chunk share their sizes up to the likelihood, which is last.
                        varies = ragged and stage.role == "observable"
                        made = stack(name, column, ragged=varies, first_row=first)
                except UnusableOutputError as error:
                    raise self._blamed(error, stage, name, datasets, first, output) from None
                datasets[name] = as_members(made) if ragged else made
                if once:
                    shared[name] = output[name]
                else:
                    columns[name] = made
        return datasets

    def _go_apart(self, stage: Stage, unit: int) -> None:
        if stage.role in self._apart:
            self._streams.seek_apart(unit, self._apart[stage.role])

    def _one_by_one(
        self, stage: Stage, shared: Known, columns: Known, *, size: int, first: int
    ) -> Known:
        """Results of a one-draw function for each row of a chunk, as lists."""
        outputs = []
        for place in range(size):
            own = {name: column[place] for name, column in columns.items()}
            outputs.append(stage.call(shared | own, first + place)[1])
        return {name: [output[name] for output in outputs] for name in stage.keys}

    def _given(self, rows: int) -> Datasets:
        """The context that is fixed and that no function draws."""
        drawn = {name for stage in self._stages for name in stage.keys}
        taken = {name for stage in self._stages for name in stage.signature}
        possible = (drawn | taken).difference(RESERVED_NAMES)
        datasets: Datasets = {}
        for name, value in self._origin.context.items():
            if name not in possible:
                near = difflib.get_close_matches(name, possible, n=1)
                raise UsageError(
                    f"Expected a context variable of this model to hold fixed; got {name}",
                    hint=f"Did you mean {near[0]}?" if near else None,
                )
            if name not in drawn:
                datasets[name] = np.full(rows, value)
        return datasets

    def _variables(self) -> list[tuple[Stage, str]]:
        return [(stage, name) for stage in self._stages for name in stage.keys]

    @contextmanager
    def _blaming(
        self, stage: Stage, name: str, datasets: Datasets, first: int, columns: Known
    ) -> Iterator[None]:
        """An unusable variable is the fault of the stage that made it, at a row."""
        try:
            yield
        except UnusableOutputError as error:
            raise self._blamed(error, stage, name, datasets, first, columns) from None

    def _blamed(
        self,
        error: UnusableOutputError,
        stage: Stage,
        name: str,
        datasets: Datasets,
        first: int,
        columns: Known,
    ) -> UserFunctionError:
        """The error to raise for a variable that can't be used.

        Arguments:
            columns: Variable of the stage → its rows, or chunks of rows: all that vary are named.
        """
        if error.varies:
            hint = _WHERE_PARAMETERS_VARY
            if stage.role != "parameter":
                hint = say_the_kind(name, *_varying(stage, columns))
            return stage.unusable(f"{error.message} ({self._origin})", hint=hint)
        may_lack = error.lacks and stage.role in ("given", "observable")
        causes = {
            cause: value[error.row]
            for made, cause in self._variables()
            if made.role != "observable" and isinstance(value := datasets.get(cause), np.ndarray)
        }
        where = self._origin.row(first + error.row, causes)
        overflows = not error.lacks and stage.role == "observable"
        remedy = WHERE_VALUES_OVERFLOW if overflows else None
        remedy = WHERE_VALUES_LACK.format(name=name) if may_lack else remedy
        return stage.unusable(f"{error.message} ({where})", hint=remedy)


def say_the_kind(*names: str) -> str:
    """The hint where the lengths of variables vary, and the spec does not say of what kind."""
    kinds = ", ".join(f"{name}: {{kind: set}}" for name in dict.fromkeys(names))
    return f"Say set or series, as in `observables: {{{kinds}}}`."


def _varying(stage: Stage, columns: Known) -> Iterator[str]:
    """The variables of a stage whose shapes vary, and should not.

    Arguments:
        columns: Variable → its rows, or chunks of rows.
    """
    for name in stage.keys:
        rows = columns.get(name)
        if name in stage.ragged or not isinstance(rows, list):
            continue
        with suppress(ValueError):  # a row that is no array has an error of its own
            arrays = [row.values if isinstance(row, Ragged) else row for row in rows]
            if len(set(map(np.shape, arrays))) > 1:
                yield name


def _laid(name: str, value: object, rooms: dict[str, Room], *, size: int, left: int) -> np.ndarray:
    """Results of a function for a chunk, as of `as_chunk`: a copy, in its place.

    Errors:
        UnusableOutputError: As `as_chunk`.
    """
    room = rooms.get(name)
    if room is not None and isinstance(value, np.ndarray) and room.fits(value):
        return room.copy(value)
    chunk = as_chunk(name, kept(value), size=size)
    if room is None:
        room = rooms[name] = Room(chunk, left)
        return room.copy(chunk)
    return chunk
