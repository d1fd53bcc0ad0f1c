"""Posterior simulation-based calibration: are posteriors right for what would come after data?

Truths θ₁ … θ_K are drawn from the posterior of a real data set y, further members y'ₖ from the
model given θₖ, and the posterior is asked for of y and y'ₖ joined. If it is exact, for y and for
the joined sets, θₖ is one more draw from it, and its ranks are uniform: calibration near y, without
anybody knowing the truth (Säilynoja, Schmitt, Bürkner & Vehtari 2025, arXiv:2502.03279). It asks
for more members than y has, so it is for sets, and as far as such sizes were trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.data import Loaded
from abi_cli.diagnostics.scalars import flatten, summarize
from abi_cli.errors import SpecError
from abi_cli.listener import Listener
from abi_cli.model.prediction import replications
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Value, array_of, take
from abi_cli.workflow.request import Model
from abi_cli.workflow.session import Session

TRUTHS = 400
"""Drawn from the posterior of each real data set."""

DRAWS = 200
"""Of the posterior of each joined one."""

MOST = 5
"""Real data sets that are looked at: the first ones."""

Sample = Callable[[Datasets, int], Mapping[str, np.ndarray]]
"""Data sets, and how many draws of each → parameter → `(dataset, draw, *event)`."""

Replicate = Callable[[Datasets, Mapping[str, np.ndarray]], Datasets]
"""A data set, and parameters `(1, draw, *event)` → a data set's observables for each draw."""


@dataclass(frozen=True)
class Joined:
    """Ranks of truths that were drawn from posteriors of real data sets.

    Arguments:
        ranks: In words which data set → element name → ranks, `(truth,)`.
        lacking: What there are none of, and why; may be empty.
    """

    ranks: Mapping[str, Mapping[str, np.ndarray]]
    lacking: tuple[str, ...] = ()


NOTHING = Joined({})


def joined_of(
    session: Session, model: Model, real: Loaded, simulated: Datasets, *, seed: int
) -> Joined:
    """Posterior calibration of the first real data sets, where their members can be joined.

    Arguments:
        simulated: Data sets as the network knows them, which tell the sizes that it was trained on.

    Errors:
        UserFunctionError: The likelihood failed.
    """
    layout, spec = session.run.layout, model.spec
    if (reason := _no_sets(layout, spec.series())) is not None:
        return Joined({}, (reason,))
    if model.simulator is None:
        return NOTHING
    simulator, networks = model.simulator, session.networks

    def sample(datasets: Datasets, draws: int) -> Mapping[str, np.ndarray]:
        return _whole(list(networks.sample(datasets, draws=draws, seed=seed)), layout)

    def replicate(one: Datasets, parameters: Mapping[str, np.ndarray]) -> Datasets:
        (task,) = replications(simulator, layout, parameters, one, seed=seed)
        return task.simulate()

    ranks, told = {}, []
    labels = real.labels[:MOST]
    with session.listener.task("joining members", len(labels), "data sets") as progress:
        for row, label in enumerate(labels):
            one = take(real.datasets, np.array([row]))
            more = room(one, simulated, layout)
            if more is None:
                told.append(label)
            else:
                try:
                    found = ranks_of(one, more, layout, sample, replicate, seed=seed)
                except SpecError as error:  # nuisance variables that nobody has drawn
                    return Joined({}, (f"No members are joined: {error.message}.",))
                ranks[f"{label} joined with {max(more.values())} replicated members"] = found
            progress.advance()
    sentence = f"{', '.join(told)}: as large as data sets were in training, so none are joined."
    return Joined(ranks, (sentence,) if told else ())


def _no_sets(layout: Layout, series: frozenset[str]) -> str | None:
    """Why members can't be joined with others; None where they can."""
    for variable in layout.of("given", "observable"):
        if variable.role == "observable" and not variable.ragged:
            return f"No members are joined: {variable.name} has a fixed shape."
        if variable.name in series:
            return f"No members are joined: {variable.name} is a series, not a set."
    return None


def room(one: Datasets, simulated: Datasets, layout: Layout) -> dict[str, int] | None:
    """Set → how many members may join it, as many as it has at the most; None where none may.

    Arguments:
        one: A single data set.
    """
    more = {}
    for variable in layout.of("given", "observable"):
        if not variable.ragged:
            continue
        own, known = one[variable.name], simulated[variable.name]
        if isinstance(own, Ragged) and isinstance(known, Ragged):
            size = int(own.row_size[0])
            counted = [v.high or 0 for v in layout.of("context") if variable.name in v.length_of]
            largest = max(int(known.row_size.max()), *map(int, counted), 0)
            more[variable.name] = min(size, largest - size)
    return more if more and min(more.values()) > 0 else None


def ranks_of(
    one: Datasets,
    more: Mapping[str, int],
    layout: Layout,
    sample: Sample,
    replicate: Replicate,
    *,
    seed: int,
) -> dict[str, np.ndarray]:
    """Ranks of truths drawn from the posterior of one data set, by element, `(truth,)`."""
    drawn = sample(one, TRUTHS)
    made = replicate(one, {name: value.astype(np.float64) for name, value in drawn.items()})
    datasets = joined(one, made, more, layout, number=TRUTHS)
    truths = {name: value[0] for name, value in drawn.items()}
    scalars = flatten(sample(datasets, DRAWS), truths, labels={})
    with Listener().task("ranking") as progress:
        summary = summarize(scalars, seed=seed, progress=progress)
    return dict(zip(scalars.names, summary.pit, strict=True))


def joined(
    one: Datasets, made: Datasets, more: Mapping[str, int], layout: Layout, *, number: int
) -> Datasets:
    """A data set, joined with the first members of each of others that the model has made of it.

    What its members come with comes again with those that join; what counts them counts all.

    Arguments:
        one: A single data set.
        made: Observables of `number` data sets.
        more: Set → how many join.
    """
    rows = np.zeros(number, np.int64)
    held = take({v.name: one[v.name] for v in layout.of("context", "given", "observable")}, rows)
    whole: Datasets = {}
    for variable in layout.of("context", "given", "observable"):
        own = held[variable.name]
        if variable.name in more:
            whole[variable.name] = _joined(
                own, made.get(variable.name, own), more[variable.name], number
            )
        elif variable.length_of:
            whole[variable.name] = array_of(own) + more[variable.length_of[0]]
        else:
            whole[variable.name] = own
    return whole


def _joined(own: Value, others: Value, more: int, number: int) -> Ragged:
    if not (isinstance(own, Ragged) and isinstance(others, Ragged)):
        raise TypeError("Expected sets; got something else")
    size = int(own.row_size[0])
    first = own.values.reshape(number, size, *own.values.shape[1:])
    place = others.starts()[:, None] + np.arange(more)
    values = np.concatenate([first, others.values[place]], axis=1)
    sizes = np.full(number, size + more, np.int64)
    return Ragged(values.reshape(-1, *own.values.shape[1:]), sizes)


def _whole(blocks: list[DrawBlock], layout: Layout) -> dict[str, np.ndarray]:
    """Parameter → draws of all data sets, `(dataset, draw, *event)`."""
    firsts = sorted({block.first_dataset for block in blocks})
    names = [variable.name for variable in layout.of("parameter")]
    return {
        name: np.concatenate(
            [
                np.concatenate([b.values[name] for b in blocks if b.first_dataset == first], axis=1)
                for first in firsts
            ]
        )
        for name in names
    }
