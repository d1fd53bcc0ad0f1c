"""Draws of a prior that is a function: they show supports of parameters, and ties."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from abi_cli.adapter.traits import ENOUGH, Traits, traits
from abi_cli.errors import UserFunctionError
from abi_cli.model.declared import Declared
from abi_cli.model.simulator import Simulator
from abi_cli.model.support import Support
from abi_cli.variables import Datasets, Layout

_FIRST = 64
"""Draws after which their time is first measured."""

_SECONDS, _WAIT = 5.0, 20.0
"""Most seconds of drawing: of this process, the same on a busy machine, and by the clock. A
prior that is slower is drawn less often, and nothing is certain."""

_BYTES = 1 << 26
"""Bytes that the draws may take."""

_ELEMENTS = 1000
"""Most elements of a parameter that is looked at."""


@dataclass(frozen=True)
class Prior:
    """Draws of the variables of a prior, and what they show.

    Arguments:
        values: Variable → `(draw, *event)`; empty where all are declared.
        traits: Parameter that a function draws → what its draws show.
        declared: Supports of declared variables.
    """

    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    traits: Mapping[str, Traits] = field(default_factory=dict)
    declared: Mapping[str, Support] = field(default_factory=dict)

    def supports(self) -> dict[str, Support]:
        """Supports of the variables, as far as they are declared or certain."""
        certain = {name: found.support() for name, found in self.traits.items()}
        found = {name: support for name, support in certain.items() if support is not None}
        return {**found, **self.declared}

    def bounded(self) -> set[str]:
        """Parameters whose draws show something of their support."""
        return {
            name
            for name, own in self.traits.items()
            if own.simplex or own.ordered or any((*own.lower, *own.upper))
        }


def drawn_prior(simulator: Simulator, layout: Layout, *, seed: int) -> Prior:
    """Draws of the pilot without its data, which are what takes long.

    Those that fail are for the simulations to tell of.
    """
    prior = simulator.prior
    if isinstance(prior, Declared) and not prior.functions:
        return Prior(declared=simulator.supports)
    names = _looked_at(layout)
    parts: list[Datasets] = []
    start, size, began, clock = 0, 0, time.process_time(), time.perf_counter()
    while start < ENOUGH and 2 * size < _BYTES:
        if time.process_time() - began > _SECONDS or time.perf_counter() - clock > _WAIT:
            break
        stop = min(max(2 * start, _FIRST, simulator.unit), max(ENOUGH, simulator.unit))
        try:
            drawn = simulator.without_data(seed=seed, start=start, stop=stop)
        except UserFunctionError:
            break
        parts.append({name: drawn[name] for name in names})
        size += sum(np.asarray(value).nbytes for value in parts[-1].values())
        start = stop
    if not parts:
        return Prior(declared=simulator.supports)
    values = {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in names}
    return _prior(values, layout, simulator.supports, whole=False)


def stored_prior(stored: Datasets, layout: Layout, *, declared: Mapping[str, Support]) -> Prior:
    """The parameters of stored simulations: those that are learned from, and no others."""
    values = {name: np.asarray(stored[name]) for name in _looked_at(layout)}
    return _prior(values, layout, declared, whole=True)


def _looked_at(layout: Layout) -> list[str]:
    return [
        variable.name
        for variable in layout.of("parameter", "nuisance")
        if not variable.ragged and len(variable.elements()) <= _ELEMENTS
    ]


def _prior(
    values: Mapping[str, np.ndarray],
    layout: Layout,
    declared: Mapping[str, Support],
    *,
    whole: bool,
) -> Prior:
    parameters = [variable.name for variable in layout.of("parameter")]
    found = {
        name: traits(values[name], whole=whole)
        for name in parameters
        if name in values and name not in declared
    }
    return Prior(values, found, declared)
