"""Every way in which `abi` can end, as an exception with an exit code.

The library raises these; only the command line renders them. A message says what was expected,
what was found and where; `hint` says what to do about it. Anything else that escapes is a bug of
ours and exits with 70.
"""

from __future__ import annotations

from typing import Any, ClassVar

ELSEWHERE = "abi runs on Linux and macOS, not on Windows itself"
WSL = "On Windows it runs in WSL, its Linux: wsl --install, then install abi there."


class AbiError(Exception):
    """A condition that the user can understand and act on.

    Arguments:
        message: What went wrong, in one or a few sentences.
        hint: What to do about it.
        place: Where it is, such as `data.csv, row 3, column x`.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None, place: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place

    def __str__(self) -> str:
        head = f"{self.place}: {self.message}" if self.place else self.message
        return f"{head}\n{self.hint}" if self.hint else head


class CheckFailed(AbiError):
    """A check or a gate was not passed."""

    exit_code = 1


class UsageError(AbiError):
    """The command was called with arguments that don't go together."""

    exit_code = 2


class SpecError(AbiError):
    """The spec, or an override of it, can't be used."""

    exit_code = 3


class DataError(AbiError):
    """A data file can't be read as what the model needs."""

    exit_code = 4


class Unanswerable(DataError):
    """Data sets have no posterior of finite numbers: the networks can't compute with them.

    Arguments:
        rows: Their places among the data sets that posteriors were asked of, ascending.
    """

    def __init__(self, message: str, *, rows: tuple[int, ...], hint: str | None = None):
        super().__init__(message, hint=hint)
        self.rows = rows


class UserFunctionError(AbiError):
    """A function of the user's raised, or returned what it must not.

    Arguments:
        frames: The user's own frames of the traceback, innermost last; empty where it didn't raise.

    Attributes:
        unit: The number of the unit of rows that is to blame, in the process that found it out.
    """

    exit_code = 5
    unit: int | None = None

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        place: str | None = None,
        frames: tuple[str, ...] = (),
    ):
        super().__init__(message, hint=hint, place=place)
        self.frames = frames

    def __reduce__(self) -> tuple[Any, ...]:  # crosses process borders whole
        return _rebuild, (type(self), self.message, self.hint, self.place, self.frames)


def _rebuild(
    cls: type[UserFunctionError],
    message: str,
    hint: str | None,
    place: str | None,
    frames: tuple[str, ...],
) -> UserFunctionError:
    return cls(message, hint=hint, place=place, frames=frames)


class TookTooLong(UserFunctionError):
    """A simulation took longer than the spec allows."""


class WorkerDied(UserFunctionError):
    """Processes that simulated died, one after the other, over the same task."""


class RunError(AbiError):
    """A run folder is missing, incomplete or not one of ours."""

    exit_code = 6


class Diverged(AbiError):
    """Training left the numbers behind: the loss is not finite."""

    exit_code = 7


class OutputError(AbiError):
    """Writing failed: disk full, read-only folder, a name that is taken."""

    exit_code = 74


class OutOfMemory(AbiError):
    """There is too little memory for what was asked for."""

    exit_code = 74


class StoppedEarly(AbiError):
    """Training stopped before its end, saved: its time was over, or SIGUSR1 came."""

    exit_code = 75


class Interrupted(StoppedEarly):
    """Training stopped before its end, saved, because somebody pressed Ctrl-C."""

    exit_code = 130


class Terminated(StoppedEarly):
    """Training stopped before its end, saved, because SIGTERM came."""

    exit_code = 143
