"""Replicated data sets, simulated here or, where that takes long, by other processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from abi_cli.model.prediction import Replication
from abi_cli.variables import Datasets, Layout, count, take
from abi_cli.workflow.request import Compute

_FIRST_TASKS = 0.5
"""Seconds of work in this process before others are worth starting."""
_WORTH_WORKERS = 3.0
"""Seconds that the rest must take for other processes to be worth starting."""


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


def beside(layout: Layout, datasets: Datasets, replicated: Datasets, *, draws: int) -> Datasets:
    """Replicated data sets, with context and given of those that they are replicated from.

    Arguments:
        draws: Replicated data sets of each, one after the other.
    """
    rows = np.repeat(np.arange(count(datasets)), draws)
    held = {v.name: datasets[v.name] for v in layout.of("context", "given")}
    return (take(held, rows) if held else {}) | replicated
