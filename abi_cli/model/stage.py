"""Stages of a simulation: a model's functions at work, and refusals of unusable results."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.errors import UsageError, UserFunctionError
from abi_cli.model.declared import Source
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, shown
from abi_cli.model.owning import owned
from abi_cli.model.streams import Purpose
from abi_cli.spec import RESERVED_NAMES, refuse_variable_name
from abi_cli.variables import Role


@dataclass(frozen=True)
class Origin:
    """The origin of the rows of a simulation.

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
        """Words for messages: how to get a row again, and what its variables are."""
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
        self._keys: frozenset[str] = frozenset()
        self._visible: tuple[str, ...] = ()

    def call(
        self, known: Known, row: int, *, copied: Callable[[Any], Any] = owned
    ) -> tuple[Known, Known]:
        """The function's results for what is known, with the same keys in every call; our copies.

        What was not known at the first call, because it comes later, plays no part.

        Arguments:
            copied: Makes the copies.
        """
        if not self.keys:
            return self._call_first(known, row)
        try:
            output = self.take(known)
            copies = copied(output)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.failed(error, known, row) from error
        self.check(output, row)
        return output, copies

    def _call_first(self, known: Known, row: int) -> tuple[Known, Known]:
        function = self.source.taking(self._choose_arguments(known), shared=self._shared())
        self._visible = tuple(known)
        bits = known[RNG].bit_generator
        key = bits.state["state"]["key"]
        try:
            output = function(known)
            copies = owned(output)
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
        self._keys = frozenset(output)
        fixed = self._check_keys(output, known)
        self.take = (lambda known: function(known) | fixed) if fixed else function
        return output | fixed, copies | fixed

    def _shared(self) -> frozenset[str]:
        """Names of the variables with one value for a chunk: held fixed, or drawn once for it."""
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
        if not output or (self.keys and output.keys() != self._keys):
            expected = f"{', '.join(self.keys)} as in the first row" if self.keys else "variables"
            got = ", ".join(map(str, output)) or "an empty dict"
            raise self.unusable(f"Expected {expected}; got {got} (row {row} of {self.origin})")

    def failed(self, error: BaseException, known: Known, row: int) -> UserFunctionError:
        """The error to raise where the function raised one."""
        values = {name: known[name] for name in self._visible}
        failed = self.source.raised(error, draw=self.origin.row(row, values))
        sizes = [name for stage in self.earlier if stage.role == "context" for name in stage.keys]
        broken = [name for name in sizes if _has_fraction(known.get(name))]
        if isinstance(error, TypeError) and "integer" in str(error) and broken:
            failed.hint = failed.hint or (
                f"Sizes are whole numbers; {', '.join(broken)} can have fractions. "
                "integers: {low: …, high: …} draws whole numbers."
            )
        return failed

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


def _has_fraction(value: Any) -> bool:
    """True of one number that is not whole."""
    return np.ndim(value) == 0 and isinstance(value, float | np.floating) and value % 1 != 0
