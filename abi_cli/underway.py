"""The work that a person's code is doing in this process, for whoever watches over it.

A function may end the process that it runs in, or never come to its end. So this is known of it at
any time: whether it runs, on what, and for how long. The number of the unit that is being simulated
lies in a few bytes that the process which started this one shares: they can be read whatever holds
Python's interpreter here.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from abi_cli.errors import TookTooLong, UserFunctionError

SIZE = 512
"""Bytes of a `Cell`."""

leave: Callable[[int], NoReturn] = os._exit
"""End this process at once; while a person's code runs, `os._exit` is an error of theirs."""


class Stopped(BaseException):
    """An end of a person's function; no `except Exception` of theirs catches it."""


class EndsProcess(Stopped):
    """The function called `os._exit`."""


class TakesTooLong(Stopped):
    """The function was still at work when its time was over."""

    def __str__(self) -> str:
        seen = here.cell.look()
        return f"took more than {seen.limit:g} s, model.timeout" if seen else "took too long"


class Seen(NamedTuple):
    """The contents of a cell.

    Arguments:
        entry: Number of a piece of work; another has another number.
        unit: Which unit of it.
        where: The unit in words, such as `row 3 of seed 1, train`.
        limit: Seconds that a unit may take; 0 for any time.
    """

    entry: int
    unit: int
    where: str
    limit: float


class Cell:
    """The place of a piece of work, in `SIZE` bytes that processes may share.

    Arguments:
        memory: The bytes; None for some of its own.

    Attributes:
        unit: `(1,)`, the number of the unit that is at work. A simulation sets it for each row.
    """

    def __init__(self, memory: Any = None):
        whole = memoryview(bytearray(SIZE) if memory is None else memory).cast("B")
        self.unit = whole[:8].cast("q")
        self._entry, self._rows = whole[8:16].cast("q"), whole[16:24].cast("q")
        self._limit, self._text = whole[24:32].cast("d"), whole[32:]
        self._entries = 0

    def begin(self, where: str, *, rows: int, limit: float | None) -> None:
        """Write down that a piece of work begins.

        Arguments:
            where: A unit of it, with {} for its first row.
            rows: Number of rows of a unit.
        """
        text = where.encode()[: len(self._text) - 1]
        self._text[: len(text) + 1] = text + b"\0"
        self.unit[0], self._rows[0], self._limit[0] = 0, rows, limit or 0.0
        self._entries += 1
        self._entry[0] = self._entries  # last: now the rest can be read

    def again(self) -> None:
        """Write down that the work at hand is begun once more: it has all its time again."""
        if self._entry[0]:
            self._entries += 1
            self._entry[0] = self._entries

    def end(self) -> None:
        """Write down that the work is over."""
        self._entry[0] = 0

    def look(self) -> Seen | None:
        """The contents: the work at hand; None if there is none."""
        entry, unit = self._entry[0], self.unit[0]
        if not entry:
            return None
        text = bytes(self._text).partition(b"\0")[0].decode(errors="replace")
        return Seen(entry, unit, text.replace("{}", str(unit * self._rows[0])), self._limit[0])


@dataclass
class Here:
    """The state of this process: the person's code that runs in it, and how it can be ended.

    Arguments:
        cell: Where the person's code is in it.
        thread: The thread that runs it.
        tell: Called with units that take long; None in a process whose parent watches.
        give_up: Ends the process with an error where nothing else helps; None not to.
        hands: Threads that run code of theirs, and how often they have entered it.
        process: Its number: a fork is another process.
        warned: Whether the thread was told that its time is over.
        turn: The lock for telling it so, and for ending the work that it would be told of.
        guard: Called before the first work.
    """

    cell: Cell = field(default_factory=Cell)
    thread: int = 0
    tell: Callable[[str, str], None] | None = None
    give_up: Callable[[UserFunctionError], None] | None = None
    hands: dict[int, int] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    warned: bool = False
    guard: Callable[[], None] | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)


def _log(text: str, hint: str) -> None:
    """Log a message where no command listens."""
    logging.getLogger("abi_cli").warning("%s\n%s", text, hint)


here = Here(tell=_log)


@contextmanager
def at_hand() -> Iterator[None]:
    """Let this thread run a person's code, which must not end the process."""
    thread = threading.get_ident()
    os._exit = _refuse_exit
    if here.process != os.getpid():  # a fork
        here.process = os.getpid()
        here.hands.clear()
    here.hands[thread] = here.hands.get(thread, 0) + 1
    try:
        yield
    finally:
        here.hands[thread] -= 1
        if not here.hands[thread]:
            del here.hands[thread]


def _refuse_exit(status: int) -> NoReturn:
    """Stand in for `os._exit`, which ends forks of theirs and threads of ours as ever."""
    if here.process == os.getpid() and threading.get_ident() in here.hands:
        raise EndsProcess(f"called os._exit({status}), which ends the process that simulates")
    leave(status)


@contextmanager
def work(where: str, *, rows: int = 1, limit: float | None = None) -> Iterator[None]:
    """Watch a piece of work of a person's functions.

    Arguments:
        where: A unit of it, for messages, with {} for its first row.
        rows: Number of rows of a unit.
        limit: Seconds that a unit may take.

    Errors:
        TookTooLong: One took longer, and no function was left to blame.
    """
    cell, here.thread = here.cell, threading.get_ident()
    _watch_here()
    cell.begin(where, rows=rows, limit=limit)
    try:
        try:
            yield
        finally:
            with here.turn:
                cell.end()
                _take_back()
    except TakesTooLong:
        raise too_long(where, limit or 0.0, unit=int(cell.unit[0])) from None


def again() -> None:
    """Give the work in this thread, which does a unit once more, all its time again."""
    with here.turn:
        here.cell.again()
        _take_back()


def _take_back() -> None:
    """Take back the error, not yet raised in the thread, that says that its time is over."""
    if here.warned:  # perhaps too late to be raised
        _interrupt(here.thread, None)
        here.warned = False


def too_long(where: str, limit: float, *, unit: int | None = None) -> TookTooLong:
    """The error of a unit that took longer than it may."""
    error = TookTooLong(
        f"{where}, took more than {limit:g} s, model.timeout",
        hint="Look for a loop that may not end, or for processes that wait for each other; "
        "or allow more time.",
    )
    error.unit = unit
    return error


def _interrupt(thread: int, error: type[BaseException] | None) -> None:
    """Raise an error in a thread as soon as it runs Python code; None to take one back."""
    import ctypes

    argument = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)


_TICK = 0.25
"""Seconds between two looks at a cell."""

_LONG = 10.0
"""Seconds after which a unit is reported, unless others have taken nearly as long before it."""

_GRACE = 2.0
"""Seconds beyond its limit that code has for ending by itself, after that was asked of it."""


@dataclass
class _Post:
    """A cell that is watched.

    Arguments:
        tell: Hears of a unit that takes long, and what to do about it.
        stop: Called with the unit when its time is over.
        kill: Called with the unit when it goes on all the same.
    """

    cell: Cell
    tell: Callable[[str, str], None] | None
    stop: Callable[[Seen], None] | None
    kill: Callable[[Seen], None] | None
    _key: tuple[int, int] | None = None
    _since: float = 0.0
    _longest: float = 0.0
    _next: float = _LONG

    def look(self, now: float) -> None:
        """Look how long the unit has been at work that is at work now."""
        seen = self.cell.look()
        key = seen and (seen.entry, seen.unit)
        if key != self._key:
            if self._key is not None:
                self._longest = max(self._longest, now - self._since)
            self._key, self._since = key, now
            self._next = max(_LONG, 4 * self._longest)
        if seen is None:
            return
        took = now - self._since
        if seen.limit and took >= seen.limit + _GRACE and self.kill is not None:
            self.kill(seen)
        elif seen.limit and took >= seen.limit and self.stop is not None:
            self.stop(seen)
        elif took >= self._next and self.tell is not None:
            self._next = 2 * took
            self.tell(
                f"still at {seen.where}, after {took:.0f} s",
                "If it is stuck: `model: {timeout: 5 min}` in the spec ends what takes longer.",
            )


class Watch:
    """A thread that looks at cells, as long as there are any."""

    def __init__(self) -> None:
        self._posts: dict[int, _Post] = {}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def add(
        self,
        cell: Cell,
        *,
        tell: Callable[[str, str], None] | None = None,
        stop: Callable[[Seen], None] | None = None,
        kill: Callable[[Seen], None] | None = None,
    ) -> None:
        """Look at this cell, too, and do as its `_Post` says."""
        with self._lock:
            self._posts[id(cell)] = _Post(cell, tell, stop, kill)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def drop(self, cell: Cell) -> None:
        """Look at this cell no more."""
        with self._lock:
            self._posts.pop(id(cell), None)

    def close(self) -> None:
        """Look at no cell any more."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(_TICK):
            with self._lock:
                posts = list(self._posts.values())
            for post in posts:
                post.look(time.monotonic())


_own: list[Watch] = []
"""The watch over this process, once a person's code has run in it."""


def _watch_here() -> None:
    if _own and here.process == os.getpid():
        return
    if here.guard is not None:
        here.guard()
    _own.append(Watch())
    _own[-1].add(here.cell, tell=tell, stop=_stop, kill=_kill)


def tell(text: str, hint: str) -> None:
    """Report a unit that takes long to whoever listens to this process, and what to do about it."""
    if here.tell is not None:
        here.tell(text, hint)


def _stop(seen: Seen) -> None:
    with here.turn:
        now = here.cell.look()
        if now is not None and now[:2] == seen[:2] and not here.warned:
            here.warned = True
            _interrupt(here.thread, TakesTooLong)


def _kill(seen: Seen) -> None:
    if here.give_up is not None:
        here.give_up(too_long(seen.where, seen.limit, unit=seen.unit))


@contextmanager
def heard_by(
    tell: Callable[[str, str], None], give_up: Callable[[UserFunctionError], None]
) -> Iterator[None]:
    """Let a command hear of units that take long, while it runs.

    Arguments:
        tell: Hears of a unit that takes long, and what to do about it.
        give_up: Is to end the process with an error.
    """
    before = here.tell, here.give_up
    here.tell, here.give_up = tell, give_up
    try:
        yield
    finally:
        here.tell, here.give_up = before
