"""Calibrated predictive checks of a run, by the z of data that its own model has made.

The likelihood, and the other functions of the model, are the run's own, and are executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abi_cli.diagnostics.predictive import Check
from abi_cli.digits import probability
from abi_cli.guard import Plain, flagged
from abi_cli.guard.plain import Table, families_of
from abi_cli.guard.reference import MOST
from abi_cli.guard.replicated import STRANGE, Calibration, Strangeness, departures
from abi_cli.model.making import Work
from abi_cli.model.prediction import Replicated, replications
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout, concatenate, take
from abi_cli.workflow.calibration.replicating import (
    beside,
    lacking_as_much,
    lacking_the_same,
    left_out,
    replicated_of,
    tell_lost,
)
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import simulate_rows

SIMULATED = 1_000
"""Number of data sets that are simulated to see what is usual."""

DRAWS = 100
"""Replicated data sets of each data set, real or simulated; fewer where fewer are asked for."""

_TOGETHER = 50
"""Simulated data sets whose replications are in memory at a time."""

_NAMED = 5


@dataclass(frozen=True)
class Checked:
    """Data sets beside what their posteriors would generate.

    Arguments:
        checks: Of every statistic, data set after data set.
        verdict: What to know, a line each.
        p: Of each data set as a whole, `(dataset,)`.
    """

    checks: list[Check]
    verdict: tuple[str, ...]
    p: np.ndarray


def calibrated(
    session: Session,
    simulator: Simulator,
    datasets: Datasets,
    replicated: Datasets,
    labels: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> Checked:
    """Judge data sets by what is usual of simulated ones of the same context, or all contexts.

    Values that are left out at a rate are left out of simulated data sets as often as of these, and
    of replicated ones where they are of the data.

    Arguments:
        datasets: Context, given and observables.
        replicated: Observables of as many replicated data sets of each as there are draws.
        draws: Of each.

    Errors:
        SpecError, UserFunctionError: As they say.
    """
    layout, few = session.run.layout, min(draws, DRAWS)
    first = -(-MOST // simulator.unit) * simulator.unit  # those before it, the guard knows
    like = lacking_as_much(simulator, datasets)
    work = Work(like, seed, Purpose.GUARD, _shared(layout, datasets))
    simulated = simulate_rows(
        work, first, first + SIMULATED, compute=session.compute, listener=session.listener
    )
    families = families_of(layout, simulated, [*session.spec.series()])
    plain = Plain(layout, tuple(families))
    parts = _replicated(session, simulator, simulated, draws=few, seed=seed + 1)
    z = np.concatenate([departures(plain.statistics(a), plain.statistics(b)) for a, b in parts])
    calibration = Calibration.of(plain.context(simulated), z)
    own = plain.statistics(datasets)
    replicated = lacking_the_same(left_out(simulator), datasets, replicated, draws=draws)
    made = plain.statistics(beside(layout, datasets, replicated, draws=draws))
    chosen = np.arange(len(labels) * draws).reshape(len(labels), draws)[:, :few].ravel()
    z = departures(own, Table(made.names, made.numbers[chosen]))
    strange = calibration(plain.context(datasets), z)
    return _checked(labels, own, made, strange)


def _shared(layout: Layout, datasets: Datasets) -> dict[str, float]:
    """Scalar context that is the same in all data sets."""
    shared: dict[str, float] = {}
    for variable in layout.of("context"):
        value = datasets[variable.name]
        if isinstance(value, np.ndarray) and value.ndim == 1 and (value == value[0]).all():
            shared[variable.name] = value[0].item()
    return shared


def _replicated(
    session: Session, simulator: Simulator, simulated: Datasets, *, draws: int, seed: int
) -> Iterator[tuple[Datasets, Datasets]]:
    """Simulated data sets, some at a time, and their replications."""
    layout, gaps = session.run.layout, left_out(simulator)
    blocks = session.networks.sample(simulated, draws=draws, seed=seed)
    parameters: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        for name, value in block.values.items():
            parameters.setdefault(name, []).append(value)
    whole = {name: np.concatenate(values) for name, values in parameters.items()}
    tasks = replications(simulator, layout, whole, simulated, seed=seed)
    held: list[Datasets] = []
    lost: list[Replicated] = []
    done = 0
    with session.listener.task("calibrating", SIMULATED, "data sets") as progress:
        for part in replicated_of(tasks, compute=session.compute, number=SIMULATED):
            held.append(part.data)
            if part.error is not None:
                lost.append(replace(part, data={}))
            progress.advance()
            if len(held) == _TOGETHER or done + len(held) == SIMULATED:
                index = np.arange(done, done + len(held))
                some = take(simulated, index)
                made = lacking_the_same(gaps, some, concatenate(held), draws=draws)
                yield some, beside(layout, some, made, draws=draws)
                done, held = done + len(held), []
    tell_lost(lost, session.listener)


def _checked(labels: Sequence[str], own: Table, made: Table, strange: Strangeness) -> Checked:
    """Every statistic of every data set, and the verdict."""
    odd = flagged(strange.p, simulations=SIMULATED, level=STRANGE)
    numbers = made.numbers.reshape(len(labels), -1, len(own.names))
    checks: list[Check] = []
    verdict = []
    for i, label in enumerate(labels):
        rows: dict[str, Check] = {}
        for k, name in enumerate(own.names):
            value, others = own.numbers[i, k], numbers[i, :, k]
            others = others[np.isfinite(others)]
            if not len(others) or not np.isfinite(value):
                continue
            low, median, high = (float(q) for q in np.quantile(others, (0.05, 0.5, 0.95)))
            p = float(np.mean(others > value) + 0.5 * np.mean(others == value))
            marked = bool(odd[i] and strange.adjusted[i, k] < STRANGE)
            each = float(strange.each[i, k])
            rows[name] = Check(label, name, float(value), low, median, high, p, each, marked)
        checks += rows.values()
        if odd[i]:
            verdict.append(_strangest(label, rows, float(strange.p[i])))
    return Checked(checks, tuple(verdict or (_like(labels),)), strange.p)


def _like(labels: Sequence[str]) -> str:
    which = f"data set {labels[0]} is" if len(labels) == 1 else f"all {len(labels):,} data sets are"
    return f"{which} such as the model would generate"


def _strangest(label: str, rows: Mapping[str, Check], p: float) -> str:
    """A sentence on the strangest statistics of a data set."""
    marked: dict[str, Check] = {}  # of each kind the strangest
    for check in sorted(rows.values(), key=lambda check: check.calibrated or 0):
        if check.marked:
            marked.setdefault(check.name.partition(" of ")[0], check)
    named = "; ".join(
        f"{check.name} {_number(check.observed)}, replicated {_number(check.low)} to "
        f"{_number(check.high)}"
        for check in list(marked.values())[:_NAMED]
    )
    more = f"; and {len(marked) - _NAMED} more" if len(marked) > _NAMED else ""
    return (
        f"data set {label} is not what the model would generate ({probability(p)}): {named}{more}"
    )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
