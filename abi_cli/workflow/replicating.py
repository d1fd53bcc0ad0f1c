"""Replicated data sets, simulated here or, where that takes long, by other processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from abi_cli.model.prediction import Replication
from abi_cli.variables import Datasets
from abi_cli.workflow.request import Compute

_FIRST_TASKS = 0.5
"""Seconds of work in this process before others are worth starting."""
_WORTH_WORKERS = 3.0
"""Seconds that the rest must take for that."""


def replicated_of(
    tasks: Iterator[Replication], *, compute: Compute, number: int
) -> Iterator[Datasets]:
    """Tasks done here, and by other processes if they take long; the results are the same."""
    begun = time.perf_counter()
    done = 0
    for task in tasks:
        yield task.simulate()
        done += 1
        if (took := time.perf_counter() - begun) > _FIRST_TASKS:
            break
    else:
        return
    worth = took / done * (number - done) > _WORTH_WORKERS
    with compute.pool(needed=worth or compute.is_remote) as workers:
        yield from workers.imap(Replication.simulate, tasks, ahead=4 * compute.workers() + 1)
