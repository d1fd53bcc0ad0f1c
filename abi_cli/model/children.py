"""Processes that a person's functions start, with `multiprocessing` or by a fork."""

from __future__ import annotations

import os
import signal
from multiprocessing import util
from typing import Any

from abi_cli import underway

_FLAGS = ("-P", "-B")
"""For Python in a child: it looks for modules beside the spec last, and leaves no litter there."""

_util: Any = util  # that children get the interpreter's flags from here is known to no type
_interpreter_flags = _util._args_from_interpreter_flags


def prepare() -> None:
    """Let children of a person's functions begin well; call it as often as you like.

    A child that is spawned begins with `python -c`, for which the working folder comes before the
    standard library: a `signal.py` beside the spec would end it before it has begun. A child that
    is forked takes over what this process does on a signal, and would not end on SIGTERM.
    """
    if _util._args_from_interpreter_flags is _flags_of_children:
        return
    _util._args_from_interpreter_flags = _flags_of_children
    os.register_at_fork(after_in_child=_forget_signals)


def _flags_of_children() -> list[str]:
    flags: list[str] = _interpreter_flags()
    added = [flag for flag in _FLAGS if underway.here.hands and flag not in flags]
    return [*flags, *added]


def _forget_signals() -> None:
    if not underway.here.hands:
        return
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        handler = signal.getsignal(number)
        if getattr(handler, "__module__", "").startswith("abi_cli"):
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
            signal.set_wakeup_fd(-1)
