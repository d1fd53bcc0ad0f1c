"""The commands: signatures and help. A body imports what it needs, calls `workflow`, renders."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from pathlib import Path

from abi_cli import underway
from abi_cli.cli import (
    beside,
    judging,
    language,
    main_job,
    pictures,
    pipes,
    process,
    simulations,
)
from abi_cli.cli.app import app
from abi_cli.errors import ELSEWHERE, WSL

__all__ = [
    "app",
    "beside",
    "judging",
    "language",
    "main",
    "main_job",
    "pictures",
    "pipes",
    "simulations",
]


_GARBAGE = (200_000, 50, 1_000)
"""Thresholds of Python's three generations of garbage, at which it looks for some.

Importing a backend and tracing a network make millions of objects that live to the end of the
command. At Python's own thresholds a tenth of `abi train` on the regression spec went into looking
for garbage among them: 17.9 s instead of 16.1 s (medians of three in turn), for 1 % of memory.
"""


_ONE_BLAS_THREAD = "OPENBLAS_NUM_THREADS"
"""Set to 1 unless the user has: NumPy's products are small here, and backends have threads of
their own. Where other work runs, two threads that wait for each other took 36 s for the 600 steps
of a surface's training that one does in 2 s.
"""


def _in_utf8() -> None:
    """Set text to UTF-8 everywhere, whatever the locale: what is written here is read elsewhere.

    Characters that are no text, as in the names of some files, are written as escapes.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not one that is closed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    os.environ["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # of processes that simulate


def main() -> None:
    """Run the command line."""
    os.environ.setdefault(_ONE_BLAS_THREAD, "1")
    if os.name == "nt":
        sys.exit(f"error: {ELSEWHERE}\nhint: {WSL}")
    gc.set_threshold(*_GARBAGE)
    _in_utf8()
    if sys.stdin is None:  # closed, as `<&-` does it: there is nothing to read
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115  # for as long as the process lives
    if sys.stdout is None:
        sys.stderr.write("error: standard output is closed\n")
        underway.leave(74)
    process.keep_stdout_for_data()
    underway.here.guard = process.refuse_exit_of_c
    try:
        app(prog_name="abi")
    except SystemExit as end:
        # A backend takes seconds to put away what the end of the process puts away at once, but
        # semaphores that processes shared outlive it, and Python would warn of them.
        if shared := sys.modules.get("multiprocessing.util"):
            # Workers that a generator holds, which an error has left open, are waited for in vain.
            for child in sys.modules["multiprocessing"].active_children():
                child.kill()
            shared._exit_function()
        sys.stdout.flush()
        sys.stderr.flush()
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if "mpi4py.futures" in sys.modules:
            process.leave_after_other_ranks(code)
            raise
        underway.leave(code)
    except BaseException:  # not even Typer's own errors may end Python as usual
        traceback.print_exc()
        underway.leave(70)
