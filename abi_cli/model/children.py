"""Processes that a person's functions start, with `multiprocessing` or by a fork."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import util
from typing import Any

from abi_cli import underway

_FLAGS = ("-P", "-B")
"""Flags of a child's Python: modules beside the spec come last, and no bytecode is left there."""

_util: Any = util  # that children get the interpreter's flags from here is known to no type
_interpreter_flags = _util._args_from_interpreter_flags


def prepare() -> None:
    """Let children of a person's functions begin well; call it as often as you like.

    A child that is spawned begins with `python -c`, for which the working folder comes before the
    standard library: a `signal.py` beside the spec would end it before it has begun. A child that
    is forked takes over what this process does on a signal, and would not end on SIGTERM. A signal
    that comes before it has forgotten that waits until then.
    """
    if _util._args_from_interpreter_flags is _flags_of_children:
        return
    _util._args_from_interpreter_flags = _flags_of_children
    os.register_at_fork(
        before=_hold_signals,
        after_in_parent=_let_signals_in,
        after_in_child=_begin_in_child,
    )


def _flags_of_children() -> list[str]:
    flags: list[str] = _interpreter_flags()
    added = [flag for flag in _FLAGS if underway.here.hands and flag not in flags]
    return [*flags, *added]


_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

_before_fork: dict[int, set[int]] = {}
"""Thread → the signals that were held in it before the fork that it is at."""


def _hold_signals() -> None:
    if underway.here.hands:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        _before_fork[threading.get_ident()] = {int(number) for number in held}


def _let_signals_in() -> None:
    held = _before_fork.pop(threading.get_ident(), None)
    if held is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _begin_in_child() -> None:
    _forget_signals()
    _let_signals_in()


def _forget_signals() -> None:
    if not underway.here.hands:
        return
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if getattr(handler, "__module__", "").startswith("abi_cli"):
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
            signal.set_wakeup_fd(-1)
