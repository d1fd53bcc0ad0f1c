"""One call of `Simulator.simulate` at work: functions called, their results checked and joined.

What can be checked for many rows at once is; the row to blame is looked for only when there is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.errors import UsageError, UserFunctionError
from abi_cli.model.declared import Source
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, shown
from abi_cli.model.outputs import (
    UnusableOutputError,
    as_chunk,
    as_members,
    check_finite,
    join,
    stack,
)
from abi_cli.model.streams import Purpose, Streams
from abi_cli.spec import RESERVED_NAMES, refuse_variable_name
from abi_cli.variables import Datasets, Role, Value, take

_WHERE_SHAPES_VARY: dict[Role, str] = {
    "context": "Say set or series, as in `observables: {{{name}: {{kind: set}}}}`.",
    "given": "Say set or series, as in `observables: {{{name}: {{kind: set}}}}`.",
    "observable": "Say set or series, as in `observables: {{{name}: {{kind: set}}}}`.",
    "parameter": "Parameters of varying length can't be inferred: return one shape for every row.",
}


@dataclass(frozen=True)
class Origin:
    """Where the rows of a simulation come from.

    Arguments:
        seed, purpose: What its streams are keyed by.
        context: Context variables that are held fixed, and at what.
        attempt: How often the rows have failed before.
    """

    seed: int
    purpose: Purpose
    context: Mapping[str, float]
    attempt: int = 0

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.purpose.name.lower()}"

    def row(self, row: int, values: Mapping[str, object]) -> str:
        """For messages: how to get a row again, and what its variables are."""
        parts = [f"row {row} of {self}"]
        parts += [
            f"{name} = {shown(values[name])}" for name in values if name not in RESERVED_NAMES
        ]
        return ", ".join(parts)


class Stage:
    """One of a model's functions or declared sections, called time after time.

    Arguments:
        source: What draws.
        role: What its results are ("parameter" for all results of a prior).
        ragged: Which of its results are sets or series.
        origin: Of the rows it is called for.
        earlier: The stages before it, whose results it can take.

    Attributes:
        signature: Argument name → whether it must be given.
        keys: Names of its results, known after the first call.
        take: The function of what is known, without checks; there after the first call.
    """

    def __init__(
        self,
        source: Source,
        *,
        role: Role,
        ragged: frozenset[str],
        origin: Origin,
        earlier: tuple[Stage, ...] = (),
    ) -> None:
        self.source, self.role, self.ragged, self.origin = source, role, ragged, origin
        self.earlier = earlier
        self.signature = source.signature()
        self.batched = BATCH_SIZE in self.signature
        self.keys: tuple[str, ...] = ()
        self.take: Callable[[Known], Known]
        self._visible: tuple[str, ...] = ()

    def call(self, known: Known, row: int) -> Known:
        """The function's results for what is known; the same keys in every call.

        What was not known at the first call, because it comes later, plays no part.
        """
        if not self.keys:
            return self._call_first(known, row)
        try:
            output = self.take(known)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.failed(error, known, row) from error
        self.check(output, row)
        return output

    def _call_first(self, known: Known, row: int) -> Known:
        function = self.source.taking(self._choose_arguments(known), shared=self._shared())
        self._visible = tuple(known)
        bits = known[RNG].bit_generator
        key = bits.state["state"]["key"]
        try:
            output = function(known)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.failed(error, known, row) from error
        if not np.array_equal(bits.state["state"]["key"], key):
            raise self.unusable(
                f"{self.source.name} seeds np.random, so that all rows would be the same",
                hint="Remove the call of np.random.seed: abi seeds np.random for each row.",
            )
        self.check(output, row)
        self.keys = tuple(output)
        fixed = self._check_keys(output, known)
        self.take = (lambda known: function(known) | fixed) if fixed else function
        return output | fixed

    def _shared(self) -> frozenset[str]:
        """Names of what a chunk has one value of: what is held fixed, or drawn once for it."""
        by_row = {name for s in self.earlier if s.role != "context" or s.batched for name in s.keys}
        drawn = {name for s in self.earlier for name in s.keys}
        return frozenset((drawn | self.origin.context.keys()) - by_row)

    def check(self, output: Any, row: int) -> None:
        """Refuse what is no dict, or has not the keys of the first row."""
        if not isinstance(output, dict):
            raise self.unusable(
                f"Expected a dict of numbers and arrays; got {type(output).__name__}",
                hint='Return one like {"x": x, "y": y}.',
            )
        if not output or (self.keys and output.keys() != set(self.keys)):
            expected = f"{', '.join(self.keys)} as in the first row" if self.keys else "variables"
            got = ", ".join(map(str, output)) or "an empty dict"
            raise self.unusable(f"Expected {expected}; got {got} (row {row} of {self.origin})")

    def failed(self, error: BaseException, known: Known, row: int) -> UserFunctionError:
        """The error to raise where the function raised one."""
        values = {name: known[name] for name in self._visible}
        return self.source.raised(error, draw=self.origin.row(row, values))

    def unusable(self, message: str, *, hint: str | None = None) -> UserFunctionError:
        """The error to raise for a result that can't be used."""
        return UserFunctionError(message, hint=hint, place=self.source.place)

    def _choose_arguments(self, known: Known) -> tuple[str, ...]:
        for name, required in self.signature.items():
            if required and name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                drawn = [f"{', '.join(s.keys)} ({s.source.place})" for s in self.earlier]
                others = [k for k in known if not any(k in s.keys for s in self.earlier)]
                can_take = f"It can take {', '.join([*drawn, *others])}."
                raise self.unusable(
                    f"{self.source.name} takes {name}, which nothing provides",
                    hint=f"Did you mean {near[0]}? {can_take}" if near else can_take,
                )
        return tuple(name for name in self.signature if name in known)

    def _check_keys(self, output: Known, known: Known) -> Known:
        """Refuse names that can't be variables; the values of those that are held fixed."""
        fixed: Known = {}
        for name in output:
            refusal = refuse_variable_name(str(name))
            if refusal:
                raise self.unusable(refusal)
            if name in self.origin.context:
                if self.role not in ("context", "given"):
                    raise UsageError(
                        f"Expected a context variable to hold fixed; got {name}, "
                        f"which {self.source.name} draws",
                    )
                fixed[name] = self._fix(name, output[name], known)
            elif name in known:
                raise self.unusable(
                    f"{self.source.name} returns {name}, which the model has already",
                    hint="Rename one of the two.",
                )
        return fixed

    def _fix(self, name: str, drawn: object, known: Known) -> object:
        """The fixed value of a context variable, in the form in which the function draws it."""
        value = self.origin.context[name]
        array = np.asarray(drawn)
        if array.ndim > self.batched:
            raise UsageError(f"Expected a single number to hold fixed; got {name}, an array")
        if array.dtype.kind in "biu":
            if not float(value).is_integer():
                raise UsageError(f"Expected a whole number for {name}; got {value}")
            value = int(value)
        return np.full(known[BATCH_SIZE], value) if self.batched else value


class Simulation:
    """Some of a model's stages, run in order.

    Arguments:
        stages: Context, prior, likelihood, or the first of these.
        origin: Of the rows.
        streams: Open; the streams of the origin.
        chunk: Rows of a unit where a function of the model is batched, else None.
        missing: Variables whose values may be NaN.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        origin: Origin,
        streams: Streams,
        chunk: int | None,
        missing: Collection[str] = (),
    ) -> None:
        self._stages, self._origin, self._missing = stages, origin, missing
        self._streams, self._chunk = streams, chunk

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
            with self._blaming(stage, name, datasets, first):
                check_finite(name, datasets[name], missing=name in self._missing)
        return take(datasets, slice(start - first, stop - first)) if self._chunk else datasets

    def _single_rows(self, start: int, stop: int) -> Datasets:
        known: Known = {**self._origin.context, RNG: self._streams.rng}
        outputs: list[tuple[Stage, list[Known]]] = []
        self._streams.seek(start)
        for stage in self._stages:
            output = stage.call(known, start)
            known.update(output)
            outputs.append((stage, [output]))
        self._repeat(range(start + 1, stop), known, outputs)
        datasets = self._given(stop - start)
        for stage, made in outputs:
            for name in stage.keys:
                column = [output[name] for output in made]
                ragged = name in stage.ragged
                with self._blaming(stage, name, datasets, start):
                    datasets[name] = stack(name, column, ragged=ragged, first_row=start)
        return datasets

    def _repeat(self, rows: range, known: Known, outputs: list[tuple[Stage, list[Known]]]) -> None:
        """Append the results of more rows. A cheap model's time goes here: checks come after."""
        seek = self._streams.seek
        calls = [(stage.take, made) for stage, made in outputs]
        row = rows.start
        try:
            for row in rows:
                seek(row)
                for take_known, made in calls:
                    output = take_known(known)
                    made.append(output)
                    known.update(output)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._check_outputs(outputs, rows.start - 1)  # what is no dict can't update another
            stage = next(stage for stage, made in outputs if len(made) == row - rows.start + 1)
            raise stage.failed(error, known, row) from error
        self._check_outputs(outputs, rows.start - 1)

    def _check_outputs(self, outputs: list[tuple[Stage, list[Known]]], first: int) -> None:
        for stage, made in outputs:
            keys = set(stage.keys)
            if not all(isinstance(output, dict) and output.keys() == keys for output in made):
                for row, output in enumerate(made, first):
                    stage.check(output, row)

    def _chunks(self, units: range, size: int) -> Datasets:
        parts = [self._unit(unit, size) for unit in units]
        first = units[0] * size
        datasets = self._given(len(parts) * size)
        for stage, name in self._variables():
            with self._blaming(stage, name, datasets, first):
                datasets[name] = join(name, [part[name] for part in parts], first_row=first)
        return datasets

    def _unit(self, unit: int, size: int) -> Datasets:
        """The rows of one chunk, which are drawn from one stream."""
        first = unit * size
        self._streams.seek(unit)
        shared: Known = {**self._origin.context, RNG: self._streams.rng, BATCH_SIZE: size}
        columns: Known = {}  # what each row has for itself, `(chunk, *event)`
        datasets: Datasets = {}
        for stage in self._stages:
            once = stage.role == "context" and not stage.batched
            if stage.batched or once:
                output = stage.call(shared | columns, first)
            else:
                output = self._one_by_one(stage, shared, columns, size=size, first=first)
            for name in stage.keys:
                with self._blaming(stage, name, datasets, first):
                    ragged = name in stage.ragged
                    if stage.batched:
                        made: Value = as_chunk(name, output[name], size=size)
                    else:
                        column = [output[name]] * size if once else output[name]
                        # Rows of a chunk share their sizes up to the likelihood, which is last.
                        varies = ragged and stage.role == "observable"
                        made = stack(name, column, ragged=varies, first_row=first)
                    datasets[name] = as_members(made) if ragged else made
                if once:
                    shared[name] = output[name]
                else:
                    columns[name] = made
        return datasets

    def _one_by_one(
        self, stage: Stage, shared: Known, columns: Known, *, size: int, first: int
    ) -> Known:
        """Results of a one-draw function for each row of a chunk, as lists."""
        outputs = []
        for place in range(size):
            own = {name: column[place] for name, column in columns.items()}
            outputs.append(stage.call(shared | own, first + place))
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
    def _blaming(self, stage: Stage, name: str, datasets: Datasets, first: int) -> Iterator[None]:
        """An unusable variable is the fault of the stage that made it, at a row."""
        try:
            yield
        except UnusableOutputError as error:
            if error.varies:
                hint = _WHERE_SHAPES_VARY[stage.role].format(name=name)
                raise stage.unusable(f"{error.message} ({self._origin})", hint=hint) from None
            causes = {
                cause: value[error.row]
                for made, cause in self._variables()
                if made.role != "observable"
                and isinstance(value := datasets.get(cause), np.ndarray)
            }
            where = self._origin.row(first + error.row, causes)
            raise stage.unusable(f"{error.message} ({where})") from None
