"""Rows that can't be simulated: drawn again, and counted.

A unit of rows that fails is drawn again from a stream of its own, that of its number and of how
often it has failed. So what it is in the end depends on its number alone, as without failures. What
is learned is then the posterior under a prior that is cut: parameters that often fail are rarer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.repeating import UnrepeatableError
from abi_cli.model.stage import Origin
from abi_cli.variables import Datasets, concatenate

ATTEMPTS = 100
"""How often a unit of rows is drawn before it is given up."""


@dataclass(frozen=True)
class Failures:
    """The number of draws that failed, and the reason of the first."""

    count: int = 0
    first: UserFunctionError | None = None

    def __add__(self, other: Failures) -> Failures:
        return Failures(self.count + other.count, self.first or other.first)

    def refuse_more_than(self, most: int) -> None:
        """Stop where too many failed.

        Errors:
            UserFunctionError: The first failure, if there are more than `most`.
        """
        if self.count <= most or self.first is None:
            return
        if not most:
            raise self.first
        raise UserFunctionError(
            f"{self.count} simulations failed, more than model.max_failures, {most}; "
            f"the first: {self.first.message}",
            hint=self.first.hint,
            place=self.first.place,
            frames=self.first.frames,
        )


NO_FAILURES = Failures()


def drawn_again(
    run: Callable[[Origin, int, int], Datasets], origin: Origin, start: int, stop: int, unit: int
) -> tuple[Datasets, Failures]:
    """The rows start … stop − 1, those that fail drawn again.

    Arguments:
        run: Simulates rows, or raises a UserFunctionError.
        unit: Rows that are drawn from one stream.

    Errors:
        UserFunctionError: A unit failed every time, took too long once, or is not the same when it
            is drawn again.
    """
    try:
        return run(origin, start, stop), NO_FAILURES
    except (TookTooLong, UnrepeatableError):
        raise
    except UserFunctionError as error:
        first, last = start // unit, (stop - 1) // unit
        if first == last:
            return _one_again(run, origin, start, stop, error)
    # Halves, quarters …: with few failures most rows are simulated at once all the same.
    middle = (first + last + 1) // 2 * unit
    left, failed_left = drawn_again(run, origin, start, middle, unit)
    right, failed_right = drawn_again(run, origin, middle, stop, unit)
    return concatenate([left, right]), failed_left + failed_right


def _one_again(
    run: Callable[[Origin, int, int], Datasets],
    origin: Origin,
    start: int,
    stop: int,
    error: UserFunctionError,
) -> tuple[Datasets, Failures]:
    for attempt in range(1, ATTEMPTS):
        try:
            rows = run(replace(origin, attempt=attempt), start, stop)
        except (TookTooLong, UnrepeatableError):
            raise
        except UserFunctionError:
            continue
        return rows, Failures(attempt, error)
    raise UserFunctionError(
        f"{error.message}; drawn again {ATTEMPTS - 1} times, it failed every time",
        hint=error.hint,
        place=error.place,
        frames=error.frames,
    )
