"""Executors that simulate where one machine is not enough: any of PEP 3148 (`submit` → future).

    dask                     a scheduler and workers of Dask on this machine
    dask:tcp://host:8786     those that a scheduler of Dask has: SLURM, PBS, Kubernetes …
    mpi                      the other ranks of `mpiexec -n N python -m mpi4py.futures -m abi_cli …`

A bounded window of tasks is under way, so that what nobody has asked for yet stays small. A worker
that dies costs its task, which is begun again on another one, twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

from abi_cli import underway
from abi_cli.errors import UsageError, WorkerDied
from abi_cli.model.workers import TRIES, Pool, Workers, in_window, inherited, outcome

Task = TypeVar("Task")
Result = TypeVar("Result")

EXPECTED = "expected --executor local, dask, dask:tcp://HOST:PORT or mpi"


class Remote:
    """A foreign executor, as a context.

    Arguments:
        start: Enters what it needs into a stack; gives the executor and how many tasks it does at
            a time.
    """

    def __init__(self, start: Callable[[ExitStack], tuple[Executor, int]]):
        self._start, self._stack, self.jobs = start, ExitStack(), 0
        self._executor: Executor

    def __enter__(self) -> Self:
        self._executor, self.jobs = self._start(self._stack)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def imap(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int
    ) -> Iterator[Result]:
        """Results in the order of the tasks, which may be endless; see `Workers.imap`.

        Errors:
            WorkerDied: Workers died over a task again and again.
            Exception: What the function raised.
        """
        submitted = (self._executor.submit(_outcome_there, function, task) for task in tasks)
        for result, error in in_window(_translated(submitted), max(ahead, 2 * self.jobs)):
            if error is not None:
                raise error
            yield result


def _outcome_there(function: Callable[[Task], Result], task: Task) -> Any:
    """The outcome of a task in the process of a worker."""
    with underway.at_hand():
        return outcome(function, task)


@dataclass
class _Translated:
    """A future whose worker's death is an error of ours."""

    future: Future[Any]

    def result(self) -> Any:
        """The result of the task.

        Errors:
            WorkerDied: The workers that had it died.
        """
        try:
            return self.future.result()
        except Exception as error:
            if type(error).__name__ not in ("KilledWorker", "BrokenExecutor"):
                raise
            raise WorkerDied(
                f"{TRIES} workers died, one after the other, over the same simulations",
                hint="Look into their logs. Did they run out of memory? Or is it a fault in "
                "compiled code that your functions call?",
            ) from error

    def cancel(self) -> bool:
        """Withdraw the task if it has not begun."""
        return self.future.cancel()


def _translated(submitted: Iterator[Future[Any]]) -> Iterator[Any]:
    return (_Translated(future) for future in submitted)


def pool(name: str, jobs: int) -> Pool:
    """The executor of a name or function, and the number of its workers.

    Arguments:
        name: As in `--executor`; `local` for processes of this machine.
        jobs: How many processes, where it is for us to start them.

    Errors:
        UsageError: There is no such executor, or what it needs is not installed.
    """
    if name == "local":
        return Workers(jobs)
    if not jobs:
        raise UsageError(f"expected --jobs 0 without --executor {name}; got both")
    kind, _, address = name.partition(":")
    if kind == "dask" and (address.partition("://")[2] or not address):
        distributed = _needed("distributed", "dask")
        return Remote(lambda stack: _dask(distributed, stack, address, jobs))
    if name == "mpi":
        futures = _needed("mpi4py.futures", "mpi")
        return Remote(lambda stack: _mpi(futures, stack))
    raise UsageError(f"{EXPECTED}; got {name!r}")


def _needed(module: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # the latter where there is no library of MPI
        raise UsageError(
            f"--executor {extra} needs {module.partition('.')[0]}, which can't be imported "
            f"({str(error).partition(chr(10))[0]})",
            hint=f'Install it with: pip install "abi-cli[{extra}]"',
        ) from None


def _dask(
    distributed: ModuleType, stack: ExitStack, address: str, jobs: int
) -> tuple[Executor, int]:
    """Dask's executor: of a scheduler that runs somewhere, or of one that is started here.

    Errors:
        UsageError: No scheduler answers there, or it has no workers.
    """
    if not address:
        import dask

        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": TRIES - 1}))
        with inherited():
            cluster = distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, dashboard_address=None, memory_limit=0
            )
        address = stack.enter_context(cluster)
    try:
        client = stack.enter_context(
            distributed.Client(address, timeout="30s", set_as_default=False)
        )
    except (OSError, TimeoutError) as error:
        raise UsageError(
            f"no scheduler of Dask answers at {address}: {error}",
            hint="Start one with: dask scheduler",
        ) from None
    threads = sum(client.nthreads().values())
    if not threads:
        raise UsageError(
            f"the scheduler of Dask at {address} has no workers",
            hint=f"Start some with: dask worker {address} --nthreads 1",
        )
    # a task is a range of rows of a seed: it is the same wherever, whenever it is done
    return stack.enter_context(client.get_executor(pure=False)), threads


def _mpi(futures: ModuleType, stack: ExitStack) -> tuple[Executor, int]:
    """The executor of the other MPI ranks, and their number.

    Errors:
        UsageError: There are none.
    """
    from mpi4py import MPI

    ranks = MPI.COMM_WORLD.Get_size() - 1
    if not ranks:
        raise UsageError(
            "--executor mpi has no other rank to simulate",
            hint="Begin with: mpiexec -n 4 python -m mpi4py.futures -m abi_cli …",
        )
    return stack.enter_context(futures.MPIPoolExecutor()), ranks
