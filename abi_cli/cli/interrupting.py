"""Signals and a limit of its time, which end a training at the end of a block.

Python runs the handler of a signal in the main thread, once that has returned from compiled code,
which may take as long as a block does. So a second Ctrl-C is seen by a thread of its own, to which
the system hands every signal at once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from abi_cli import underway
from abi_cli.console import Console
from abi_cli.ending import Signalled
from abi_cli.errors import Interrupted, StoppedEarly, Terminated, UsageError
from abi_cli.spec.durations import EXPECTED, seconds
from abi_cli.training.stopping import Reason, Stop

_REASONS = {
    signal.SIGINT: Reason("Ctrl-C", Interrupted),
    signal.SIGTERM: Reason("SIGTERM", Terminated),
    signal.SIGUSR1: Reason("SIGUSR1", StoppedEarly),
}


def time_limit(text: str | None, option: str = "--max-time") -> float | None:
    """Seconds that an option names.

    Errors:
        UsageError: It is no length of time.
    """
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError:
        raise UsageError(f"Expected {EXPECTED} for {option}; got {text!r}") from None


@contextmanager
def interruptible(console: Console, limit: float | None) -> Iterator[Stop]:
    """Let signals ask a training to end while it learns, and end the command while it does not.

    Arguments:
        limit: Seconds from now on that it may take.
    """
    stop = Stop(limit)

    def handle(number: int, _frame: FrameType | None) -> None:
        reason = _REASONS[signal.Signals(number)]
        if stop.request(reason) or (stop.requested and number != signal.SIGINT):
            return
        raise Signalled(reason.words, reason.error.exit_code)

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(ours, stop, console), daemon=True)
    watcher.start()
    # Shells start what runs in the background deaf to Ctrl-C, and so it stays.
    heard = [one for one in _REASONS if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        theirs.close()
        watcher.join()
        ours.close()


def _watch(signals: socket.socket, stop: Stop, console: Console) -> None:
    """Say that a signal was heard; leave at the second Ctrl-C, whatever the main thread does."""
    told = False
    while heard := signals.recv(1):
        reason = _REASONS.get(heard[0])  # type: ignore[call-overload]  # an int is found, too
        if reason is None:
            continue
        if told and reason.error is Interrupted:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the cursor, which a bar hides
            underway.leave(Interrupted.exit_code)
        if stop.learns and not told:
            console.note(
                f"{reason.words}: ends with this block, saved; Ctrl-C again leaves at once"
            )
        told = True
