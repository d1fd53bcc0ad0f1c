"""Rows that can't be simulated: drawn again, counted, and kept with what they were drawn from.

A unit of rows that fails is drawn again from a stream of its own, that of its number and of how
often it has failed. So what it is in the end depends on its number alone, as without failures. What
is learned is then the posterior under a prior that is cut: parameters that often fail are rarer.
(Whether a row takes too long may depend on the machine: there the same number may give another
row.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.repeating import UnrepeatableError
from abi_cli.model.stage import Origin
from abi_cli.variables import Datasets, concatenate, element_names

ATTEMPTS = 100
"""Most times that a unit of rows is drawn before it is given up."""

SLOW_ATTEMPTS = 10
"""Most times that a unit of rows is drawn that takes too long each time."""

MOST_KEPT = 1_000
"""Failures of one piece of work that are kept, not only counted."""

FEWEST = 1_000
"""Fewest rows that a share of failures refers to: among few, one failure says nothing."""


@dataclass(frozen=True)
class Allowed:
    """The number of draws that may fail.

    Arguments:
        number: The number, whatever the number of rows.
        share: The number as a share of the rows, instead.
    """

    number: int = 0
    share: float | None = None

    @classmethod
    def of(cls, said: int | str) -> Allowed:
        """The limit that a spec states: a number, or text such as `1 %`.

        Errors:
            ValueError: Something else.
        """
        if not isinstance(said, str):
            return cls(said)
        text, percent, rest = said.strip().partition("%")
        share = float(text) / 100
        if not percent or rest or not 0 <= share < 1:
            raise ValueError(f"Expected a share such as 1 %; got {said!r}")
        return cls(share=share)

    def __bool__(self) -> bool:
        return self.number > 0 or bool(self.share)

    def __str__(self) -> str:
        return str(self.number) if self.share is None else f"{100 * self.share:g} %"

    def most(self, rows: int) -> int:
        """The number of draws that may fail among so many rows."""
        if self.share is None:
            return self.number
        return int(self.share * max(rows, FEWEST))


NONE_ALLOWED = Allowed()


@dataclass(frozen=True)
class Failure:
    """A draw that failed.

    Arguments:
        row: The first of the rows that were drawn together.
        rows: The number of these rows.
        attempt: The number of times that they had failed before.
        message: The error.
        values: What they were drawn from, as far as it is numbers: name of a scalar → one value for
            each row.
    """

    row: int
    rows: int
    attempt: int
    message: str
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The failure as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Failure:
        """A failure from what `document` gave."""
        values = {name: tuple(own) for name, own in document["values"].items()}
        return cls(**{**document, "values": values})


@dataclass(frozen=True)
class Failures:
    """The number of draws that failed, the reason of the first, and which they were.

    Arguments:
        kept: Of the first `MOST_KEPT`.
    """

    count: int = 0
    first: UserFunctionError | None = None
    kept: tuple[Failure, ...] = ()

    def __add__(self, other: Failures) -> Failures:
        kept = self.kept
        if other.kept and len(kept) < MOST_KEPT:
            kept = (*kept, *other.kept)[:MOST_KEPT]
        return Failures(self.count + other.count, self.first or other.first, kept)

    def refuse_more_than(
        self, allowed: Allowed, rows: int, explain: Callable[[Failures], str] | None = None
    ) -> None:
        """Stop where too many failed.

        Arguments:
            rows: Number of rows of the whole work.
            explain: Function to a sentence on where draws fail.

        Errors:
            UserFunctionError: The first failure, if there are more than may be.
        """
        if self.first is None or self.count <= allowed.most(rows):
            return
        if not allowed:
            raise self.first
        where = f"\n{explain(self)}" if explain else ""
        raise UserFunctionError(
            f"{self.count} simulations failed, more than model.max_failures, {allowed}; "
            f"the first: {self.first.message}{where}",
            hint=self.first.hint,
            place=self.first.place,
            frames=self.first.frames,
        )


NO_FAILURES = Failures()


Describe = Callable[[Origin, int, int], Mapping[str, np.ndarray]]
"""Function to the variables that rows are drawn from: name → `(row, *event)`, or nothing."""


def _nothing(_origin: Origin, _start: int, _stop: int) -> Mapping[str, np.ndarray]:
    return {}


def drawn_again(
    run: Callable[[Origin, int, int], Datasets],
    origin: Origin,
    start: int,
    stop: int,
    unit: int,
    describe: Describe = _nothing,
    error: UserFunctionError | None = None,
) -> tuple[Datasets, Failures]:
    """The rows start … stop − 1, those that fail drawn again.

    Arguments:
        run: Simulates rows, or raises a UserFunctionError.
        unit: Rows that are drawn from one stream.
        error: That they have failed with, if they have.

    Errors:
        UserFunctionError: A unit failed every time, or is not the same when it is drawn again.
    """
    if error is None:
        try:
            return run(origin, start, stop), NO_FAILURES
        except UnrepeatableError:
            raise
        except UserFunctionError as failed:
            error = failed
    first, last = start // unit, (stop - 1) // unit
    if first == last:
        return _one_again(run, origin, (start, stop), error, describe)
    known = error.unit is not None and first <= error.unit <= last
    # Halves, quarters …: with few failures most rows are simulated at once all the same.
    cuts = [error.unit or 0, (error.unit or 0) + 1] if known else [(first + last + 1) // 2]
    edges = [start, *(cut * unit for cut in cuts if start < cut * unit < stop), stop]
    parts, failures = [], NO_FAILURES
    for begin, end in pairwise(edges):
        blamed = error if known and begin // unit == error.unit else None
        part, more = drawn_again(run, origin, begin, end, unit, describe, blamed)
        parts.append(part)
        failures += more
    return concatenate(parts), failures


def _one_again(
    run: Callable[[Origin, int, int], Datasets],
    origin: Origin,
    rows: tuple[int, int],
    error: UserFunctionError,
    describe: Describe,
) -> tuple[Datasets, Failures]:
    first, slow, attempt = error, 0, 0
    kept: list[Failure] = []
    for attempt in range(1, ATTEMPTS):
        failed = replace(origin, attempt=attempt - 1)
        values = scalars_of(describe(failed, *rows))
        kept.append(Failure(rows[0], rows[1] - rows[0], attempt - 1, error.message, values))
        try:
            drawn = run(replace(origin, attempt=attempt), *rows)
        except UnrepeatableError:
            raise
        except UserFunctionError as again:
            error, slow = again, slow + isinstance(again, TookTooLong)
            if slow == SLOW_ATTEMPTS:
                break
            continue
        return drawn, Failures(attempt, first, tuple(kept))
    raise UserFunctionError(
        f"{first.message}; drawn again {attempt} times, it failed every time",
        hint=first.hint,
        place=first.place,
        frames=first.frames,
    )


def scalars_of(drawn: Mapping[str, np.ndarray]) -> dict[str, tuple[float, ...]]:
    """Name of a scalar → its value in each row.

    Arguments:
        drawn: Name → `(row, *event)`.
    """
    found: dict[str, tuple[float, ...]] = {}
    for name, values in drawn.items():
        flat = values.reshape(len(values), -1).T.astype(np.float64)
        names = element_names(name, values.shape[1:])
        found |= {one: tuple(own.tolist()) for one, own in zip(names, flat, strict=True)}
    return found
