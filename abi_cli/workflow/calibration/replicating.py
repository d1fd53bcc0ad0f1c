"""Replicated data sets, simulated here or, where that takes long, by other processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from abi_cli.errors import DataError
from abi_cli.listener import Listener
from abi_cli.model.prediction import OUT_OF_REACH, Replicated, Replication
from abi_cli.model.simulator import Simulator
from abi_cli.variables import Datasets, Layout, Ragged, array_of, count, share_missing, take
from abi_cli.workflow.request import Compute
from abi_cli.workflow.simulating import WORTH_WORKERS

_FIRST_TASKS = 0.5
"""Seconds of work in this process before others are worth starting."""


def replicated_of(
    tasks: Iterator[Replication], *, compute: Compute, number: int
) -> Iterator[Replicated]:
    """Tasks done here, and by other processes if they take long; the results are the same."""
    begun = time.perf_counter()
    done = 0
    for task in tasks:
        yield task.simulate_possible()
        done += 1
        if (took := time.perf_counter() - begun) > _FIRST_TASKS:
            break
    else:
        return
    worth = took / done * (number - done) > WORTH_WORKERS
    with compute.pool(needed=worth or compute.is_remote) as workers:
        yield from workers.imap(
            Replication.simulate_possible, tasks, ahead=4 * compute.workers() + 1
        )


def beside(layout: Layout, datasets: Datasets, replicated: Datasets, *, draws: int) -> Datasets:
    """Replicated data sets, with context and given of those that they are replicated from.

    Arguments:
        draws: Replicated data sets of each, one after the other.
    """
    rows = np.repeat(np.arange(count(datasets)), draws)
    held = {v.name: datasets[v.name] for v in layout.of("context", "given")}
    return (take(held, rows) if held else {}) | replicated


def left_out(simulator: Simulator) -> tuple[str, ...]:
    """Observables that lack values at a rate, and not because the likelihood returns NaN."""
    return tuple(name for name, rate in simulator.missing.items() if rate)


def lacking_as_much(simulator: Simulator, datasets: Datasets) -> Simulator:
    """A simulator whose data sets lack as large a share of their values as these do."""
    shares = {name: share_missing(datasets[name]) for name in left_out(simulator)}
    ends = {name: (float(own.min()), float(own.max())) for name, own in shares.items()}
    return replace(simulator, missing={**simulator.missing, **ends})


def lacking_the_same(
    names: Iterable[str], datasets: Datasets, replicated: Datasets, *, draws: int
) -> Datasets:
    """Replicated data sets without the values that the data sets lack.

    Where replicated data sets have other sizes than the data they stay as they are.

    Arguments:
        names: Variables of which that holds, from `left_out`.
        draws: Replicated data sets of each, one after the other.
    """
    rows = np.repeat(np.arange(count(datasets)), draws)
    found = dict(replicated)
    for name in replicated.keys() & {*names}:  # the others are given
        own, made = take({name: datasets[name]}, rows)[name], replicated[name]
        gaps, values = np.isnan(array_of(own)), array_of(made)
        if gaps.shape != values.shape:
            continue
        if isinstance(made, Ragged):
            if isinstance(own, Ragged) and np.array_equal(own.row_size, made.row_size):
                found[name] = Ragged(np.where(gaps, np.nan, values), made.row_size)
        else:
            found[name] = np.where(gaps, np.nan, values)
    return found


def tell_lost(parts: Iterable[Replicated], listener: Listener) -> None:
    """Warn of draws from which nothing could be simulated, and that others took the place of."""
    failed = [(part.lost, part.error) for part in parts if part.error is not None]
    if not failed:
        return
    error = failed[0][1]
    where = f"{error.place}: " if error and error.place else ""
    listener.warn(
        f"from {sum(lost for lost, _ in failed):,} draws of {len(failed):,} data sets nothing can "
        f"be simulated; others took their place. {where}{error.message if error else ''}",
        hint=OUT_OF_REACH,
    )


def refuse_gaps(layout: Layout, datasets: Datasets, labels: Sequence[str]) -> None:
    """Refuse data sets that lack values of what a likelihood takes as given.

    Errors:
        DataError: Some do.
    """
    for variable in layout.of("given"):
        lacking = share_missing(datasets[variable.name]) > 0
        if lacking.any():
            raise DataError(
                f"{variable.name} lacks values in data set {labels[int(lacking.argmax())]}: the "
                "likelihood takes it as given, and can replicate no data without them",
                hint=f"Leave these members out; or let the likelihood draw {variable.name}, and "
                "take it out of given:, so that data are replicated with values of its own.",
            )
