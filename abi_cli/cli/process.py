"""Changes to the process of a command, made for good, once, before anything else."""

from __future__ import annotations

import atexit
import os
import sys
from io import FileIO, TextIOWrapper
from typing import Any, cast

from abi_cli import underway
from abi_cli.errors import UserFunctionError


def keep_stdout_for_data() -> None:
    """Give standard output a descriptor of its own; descriptor 1 is standard error from now on.

    What C code prints, and programs that a person's functions start, would end up among the data.
    """
    if sys.stderr is None:  # closed; what is opened next would take its place
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115  # for good
    said = cast(TextIOWrapper, sys.stdout)
    said.flush()
    data = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.__stdout__ = TextIOWrapper(  # type: ignore[misc]  # final for those who read it
        os.fdopen(data, "wb", buffering=0 if isinstance(said.buffer, FileIO) else -1),
        encoding=said.encoding,
        errors=said.errors,
        line_buffering=said.line_buffering,
        write_through=said.write_through,
    )


_kept: list[Any] = []
"""Objects that C calls, which must stay where they are."""


def refuse_exit_of_c() -> None:
    """Make an end of the process by compiled code of a person's, such as Fortran's STOP, an error.

    C's exit() calls what is registered here; Python's own end must not come to that, as it could
    run no code any more: `main` ends the process at once.
    """
    import ctypes

    process = os.getpid()

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def at_exit(_: object) -> None:
        if os.getpid() != process or not underway.here.hands or underway.here.give_up is None:
            return
        seen = underway.here.cell.look()
        underway.here.give_up(
            UserFunctionError(
                f"a function ended the process{f' ({seen.where})' if seen else ''}",
                hint="exit() of C and STOP of Fortran do that. Let it raise an exception instead.",
            )
        )

    _kept.append(at_exit)
    register = getattr(ctypes.CDLL(None), "__cxa_atexit", None)
    if register is not None:
        register(at_exit, None, None)


def leave_after_other_ranks(code: int) -> None:
    """Let this process end, as soon as Python begins to, when MPI has said goodbye to all ranks.

    `python -m mpi4py.futures` lets the other ranks go when the program that it runs is over.
    """

    def end() -> None:
        from mpi4py import MPI

        if not MPI.Is_finalized():
            MPI.Finalize()
        underway.leave(code)

    atexit.register(end)
