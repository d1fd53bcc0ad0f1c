"""Processes that simulate while this one trains.

They are started before this process loads a backend, they load none themselves, and they end with
it, however it ends.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import ModuleType, TracebackType
from typing import Self, TypeVar

from abi_cli.errors import UserFunctionError

Task = TypeVar("Task")
Result = TypeVar("Result")

_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
"""There is a process for every core already."""


class Workers:
    """Processes to do tasks in, as a context.

    Arguments:
        jobs: How many; with 0 tasks are done in this process.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 0:
            raise ValueError(f"Expected at least 0 jobs; got {jobs}")
        self.jobs = jobs
        self._executor: ProcessPoolExecutor | None = None
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        if not self.jobs:
            return self
        before = set(active_children())
        self._executor = ProcessPoolExecutor(
            self.jobs, mp_context=get_context("spawn"), initializer=_begin
        )
        with _inherited():
            for _ in range(self.jobs):  # a process is started for each task that finds none idle
                self._executor.submit(_nothing)
        self._processes = [child for child in active_children() if child not in before]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._executor is None:
            return
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:  # a simulation may take minutes, and nobody waits for it
            process.terminate()
        for process in self._processes:
            process.join()
        self._executor.shutdown()  # its thread ends before the process does
        self._executor = None

    def imap(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int
    ) -> Iterator[Result]:
        """Results in the order of the tasks, which may be endless.

        Arguments:
            function: Can be pickled, as can tasks and results.
            ahead: How many tasks are begun whose results nobody has asked for yet. The first are
                begun at once.

        Errors:
            UserFunctionError: A process died, of too little memory or of a crash in a library.
            Exception: What the function raised.
        """
        executor = self._executor
        if executor is None:
            return map(function, tasks)
        submitted = (executor.submit(function, task) for task in tasks)
        try:
            begun = deque(islice(submitted, max(ahead, 1)))
        except BrokenProcessPool as error:
            raise self._died(executor) from error
        return self._results(executor, submitted, begun)

    def _results(
        self,
        executor: ProcessPoolExecutor,
        submitted: Iterator[Future[Result]],
        begun: deque[Future[Result]],
    ) -> Iterator[Result]:
        try:
            while begun:
                result = begun.popleft().result()
                begun.extend(islice(submitted, 1))
                yield result
        except BrokenProcessPool as error:
            raise self._died(executor) from error
        finally:
            for future in begun:
                future.cancel()

    def _died(self, executor: ProcessPoolExecutor) -> UserFunctionError:
        """The error to raise when a process ended by itself."""
        executor.shutdown()  # it has terminated the others, and knows how each ended
        codes = {process.exitcode for process in self._processes} - {None, 0, -signal.SIGTERM}
        names = sorted(
            signal.Signals(-code).name if code < 0 else f"exit code {code}"
            for code in codes
            if code is not None
        )
        return UserFunctionError(
            f"a process that simulated died ({', '.join(names) or 'without saying why'})",
            hint="Did it run out of memory? Fewer processes need less: --jobs 1.",
        )


def _begin() -> None:
    """What a process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    importlib.import_module("abi_cli.model.simulator")  # while there is nothing to do yet


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)


def _nothing() -> None:
    pass


@contextmanager
def _inherited() -> Iterator[None]:
    """What new processes take over: one thread each, and not the script that this one runs.

    They would import it as their `__main__`: all of the command line for nothing, and a script
    without a guard would begin anew in each of them.
    """
    script, environment = (
        sys.modules["__main__"],
        {name: os.environ.get(name) for name in _ONE_THREAD},
    )
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        for name, value in environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
