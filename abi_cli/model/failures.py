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
"""How often a unit of rows is drawn before it is given up."""

SLOW_ATTEMPTS = 10
"""The same where every time it took too long."""

MOST_KEPT = 1_000
"""Failures of which more than their number is kept, in one piece of work."""

FEWEST = 1_000
"""Rows that a share of failures is taken of, at least: of few, one failure says nothing."""


@dataclass(frozen=True)
class Allowed:
    """How many draws may fail.

    Arguments:
        number: So many, of however many rows.
        share: Or this share of the rows.
    """

    number: int = 0
    share: float | None = None

    @classmethod
    def of(cls, said: int | str) -> Allowed:
        """What a spec says: a number, or text such as `1 %`.

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
        """How many of so many rows."""
        if self.share is None:
            return self.number
        return int(self.share * max(rows, FEWEST))


NONE_ALLOWED = Allowed()


@dataclass(frozen=True)
class Failure:
    """A draw that failed.

    Arguments:
        row: The first one of those that were drawn together.
        rows: How many those are.
        attempt: How often they had failed before.
        message: Why.
        values: What they were drawn from, as far as it is numbers: name of a scalar → one value for
            each row.
    """

    row: int
    rows: int
    attempt: int
    message: str
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Failure:
        """Back from `document`."""
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
        self, allowed: Allowed, rows: int, told: Callable[[Failures], str] | None = None
    ) -> None:
        """Stop where too many failed.

        Arguments:
            rows: Of the whole work.
            told: Says where they fail.

        Errors:
            UserFunctionError: The first failure, if there are more than may be.
        """
        if self.first is None or self.count <= allowed.most(rows):
            return
        if not allowed:
            raise self.first
        where = f"\n{told(self)}" if told else ""
        raise UserFunctionError(
            f"{self.count} simulations failed, more than model.max_failures, {allowed}; "
            f"the first: {self.first.message}{where}",
            hint=self.first.hint,
            place=self.first.place,
            frames=self.first.frames,
        )


NO_FAILURES = Failures()


Describe = Callable[[Origin, int, int], Mapping[str, np.ndarray]]
"""What rows are drawn from: name → `(row, *event)`; nothing where that fails, too."""


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
