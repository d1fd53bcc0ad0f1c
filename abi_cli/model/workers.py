"""Processes that simulate while this one trains.

They are started before this process loads a backend, they load none themselves, and they end with
it, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self, TypeVar

from abi_cli import underway
from abi_cli.errors import AbiError, TookTooLong, UserFunctionError, WorkerDied
from abi_cli.harmless import described
from abi_cli.model import children

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
"""Environment that gives libraries one thread: there is a process for every core already."""


@dataclass(eq=False)
class Worker:
    """A process, and the pipe that nobody else holds an end of: when one dies, the other knows.

    Arguments:
        cell: Where it is in its work.
        late: Why it was ended, if its work took too long.
    """

    process: BaseProcess
    pipe: Connection
    cell: underway.Cell
    late: UserFunctionError | None = None

    @classmethod
    def start(cls) -> Worker:
        """A new process, which prepares itself."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        memory = context.RawArray("B", underway.SIZE)
        process = context.Process(target=_work, args=(theirs, memory))
        process.start()
        theirs.close()
        return cls(process, ours, underway.Cell(memory))

    def do(self, function: Callable[[Task], Result], task: Task) -> Result:
        """The result of the function for the task in that process, or the error that it raised."""
        try:
            self.pipe.send((function, task))
            result, error = self.pipe.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if error is not None:
            raise error
        return result

    def kill(self) -> None:
        """End the process, with whatever it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()

    def end_late(self, seen: underway.Seen) -> None:
        """End the process, because a unit of its work takes too long."""
        self.late = underway.too_long(seen.where, seen.limit, unit=seen.unit)
        self.kill()

    def _died(self) -> UserFunctionError:
        seen = self.cell.look()
        error = self._death(seen)
        error.unit = seen.unit if seen else None
        return error

    def _death(self, seen: underway.Seen | None) -> UserFunctionError:
        where = f" ({seen.where})" if seen else ""
        self.process.join()
        self.kill()
        if self.late is not None:
            return self.late
        code = self.process.exitcode or 0
        if code >= 0:
            return WorkerDied(
                f"a function ended the process that simulated, with exit code {code}{where}",
                hint="exit() of C and STOP of Fortran do that. Let it raise an exception instead.",
            )
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return WorkerDied(
                f"a process that simulated was killed ({name}){where}",
                hint="Did it run out of memory? Fewer processes need less: --jobs 1.",
            )
        return WorkerDied(
            f"a process that simulated crashed ({name}){where}",
            hint="Look for a fault in compiled code that your functions call.",
        )


class Pool(Protocol):
    """A pool that does tasks, as a context: processes of this machine, or a cluster.

    Attributes:
        jobs: How many are done at a time; 0 where they are done in this process.
    """

    jobs: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def imap(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int
    ) -> Iterator[Result]:
        """Results in the order of the tasks; see `Workers.imap`."""


TRIES = 3
"""Most times that a task is begun when its process dies each time."""


class Workers:
    """Processes to do tasks in, as a context.

    Each task waits in a thread of this process for its result. (`ProcessPoolExecutor` has one
    thread for all, which waits for ever when a process is ended while it sends a result; it is
    then left behind, and the interpreter can't exit.)

    Arguments:
        jobs: The number of processes; with 0 tasks are done in this one.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 0:
            raise ValueError(f"Expected at least 0 jobs; got {jobs}")
        self.jobs = jobs
        self._workers: list[Worker] = []
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None
        self._watch = underway.Watch()
        self._starting, self._ended = threading.Lock(), False

    def __enter__(self) -> Self:
        if not self.jobs:
            return self
        with inherited():
            for _ in range(self.jobs):
                self._workers.append(Worker.start())
        for worker in self._workers:
            self._idle.put(worker)
            self._watch.add(worker.cell, tell=underway.tell, kill=worker.end_late)
        self._threads = ThreadPoolExecutor(self.jobs, thread_name_prefix="worker")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is None:
            return
        with self._starting:
            self._ended = True
        self._watch.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:  # a simulation may take minutes, and nobody waits for it
            worker.kill()
        self._threads.shutdown()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._threads = None

    def imap(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int
    ) -> Iterator[Result]:
        """Results in the order of the tasks, which may be endless.

        Arguments:
            function: Can be pickled, as can tasks and results.
            ahead: How many tasks are begun whose results nobody has asked for yet. The first are
                begun at once.

        Errors:
            WorkerDied: A process died, of too little memory or of a crash in a library, or a
                function ended it, and so did those that took its place.
            TookTooLong: A function took too long.
            Exception: What the function raised.
        """
        threads = self._threads
        if threads is None:
            return map(function, tasks)
        submitted = (threads.submit(self._do, function, task) for task in tasks)
        return in_window(submitted, ahead)

    def _do(self, function: Callable[[Task], Result], task: Task) -> Result:
        """The result of a task, begun again by a new process up to twice if its process dies."""
        worker, tries = self._idle.get(), 0
        try:
            while True:
                try:
                    return worker.do(function, task)
                except (WorkerDied, TookTooLong) as error:
                    if worker.process.is_alive():
                        raise
                    worker, tries = self._another(worker), tries + 1
                    if tries == TRIES or isinstance(error, TookTooLong):
                        raise
        finally:
            self._idle.put(worker)

    def _another(self, dead: Worker) -> Worker:
        """A process in the place of one that has died."""
        with self._starting:
            if self._ended:
                return dead
            with inherited():
                worker = Worker.start()
            self._workers[self._workers.index(dead)] = worker
            self._watch.drop(dead.cell)
            self._watch.add(worker.cell, tell=underway.tell, kill=worker.end_late)
        dead.process.join()
        dead.pipe.close()
        return worker


def in_window(submitted: Iterator[Future[Result]], ahead: int) -> Iterator[Result]:
    """Results in the order of submission, of which so many are waited for at a time.

    Arguments:
        submitted: Tasks are submitted as it is asked for them; the first ones at once.
    """
    return _results(submitted, deque(islice(submitted, max(ahead, 1))))


def _results(submitted: Iterator[Future[Result]], begun: deque[Future[Result]]) -> Iterator[Result]:
    try:
        while begun:
            result = begun.popleft().result()
            begun.extend(islice(submitted, 1))
            yield result
    finally:
        for future in begun:
            future.cancel()


def _work(pipe: Connection, memory: Any) -> None:
    """Work on tasks in a new process, from its start until it is ended.

    Arguments:
        memory: For the cell that says where it is.
    """
    underway.here.cell, underway.here.tell = underway.Cell(memory), None  # the parent watches
    os.setpgrp()  # it is ended with all that it starts
    os.dup2(2, 1)  # what else is written there is no data
    multiprocessing.set_start_method(None, force=True)  # the usual one for what it starts
    # Signals often reach all processes of a job, but it is for the parent to end them in its time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):  # not ignored by programs that they may start
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from abi_cli.model import simulation  # noqa: F401  # tasks need it; there is none to do yet

    with suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            pipe.send(outcome(*pipe.recv()))


def outcome(
    function: Callable[[Task], Result], task: Task
) -> tuple[Result, None] | tuple[None, Exception]:
    """The result of a function for a task, or an error that can cross processes."""
    try:
        return function(task), None
    except AbiError as error:
        return None, error
    except Exception as error:
        error.add_note(traceback.format_exc())  # a traceback itself can't be sent
        return None, able_to_travel(error)
    except BaseException as error:
        return None, UserFunctionError(f"a simulation raised {described(error)}")


def able_to_travel(error: Exception) -> Exception:
    """An error as it is, or as its text where it would not arrive as it is."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # of our own making
    except Exception:
        text = RuntimeError(described(error))
        for note in getattr(error, "__notes__", []):
            text.add_note(note)
        return text
    return error


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


@contextmanager
def inherited() -> Iterator[None]:
    """A context for starting processes: they get one thread each, and a `__main__` without code.

    They would import it as their `__main__`: all of the command line for nothing, and a script
    without a guard would begin anew in each of them.
    """
    script, environment = (
        sys.modules["__main__"],
        {name: os.environ.get(name) for name in _ONE_THREAD},
    )
    children.prepare()
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ.update(_ONE_THREAD)
    try:
        with underway.at_hand():
            yield
    finally:
        sys.modules["__main__"] = script
        for name, value in environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
