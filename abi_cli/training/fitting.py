"""Faults that would keep a spec from training, found before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from abi_cli import registry
from abi_cli.adapter.adapter import (
    INFERENCE_CONDITIONS,
    INFERENCE_VARIABLES,
    SUMMARY_VARIABLES,
    Adapter,
    sources,
    summarized,
)
from abi_cli.adapter.batches import network_inputs
from abi_cli.adapter.step import AdapterError, event_of
from abi_cli.errors import AbiError, DataError, SpecError
from abi_cli.networks.network import SummaryNetwork
from abi_cli.networks.parts_summary import Fusion
from abi_cli.precision import almost_constant
from abi_cli.spec import NetworksSection, Spec, TrainingSection
from abi_cli.training.parts import Callback
from abi_cli.variables import Datasets, Layout, Ragged, Value, array_of, take

HELD_OUT = 0.1
"""Share of stored simulations that validates and is never learned from."""

_ROWS = 1024
"""Most data sets that are looked at."""

_ROUND_TRIP = 1e-5
"""Largest error of a round trip through the adapter, in units of the variable's sd."""


@dataclass(frozen=True)
class Fitted:
    """An adapter and what it was fitted to.

    Arguments:
        data: Data sets with their parameters.
    """

    adapter: Adapter
    layout: Layout
    data: Datasets


def faults(spec: Spec, *, stored: int | None, fitted: Fitted | None = None) -> Iterator[AbiError]:
    """Faults that would keep a complete spec from being trained, as errors at their places.

    Arguments:
        stored: How many simulations there are to learn from; None where they are drawn afresh.
        fitted: Its adapter; None where a training goes on, whose networks are there.
    """
    validated = stored is not None or spec.training.validation > 0
    asked = [
        partial(refuse_unmonitored, spec.training, validated=validated),
        *([partial(refuse_too_few, spec.training, stored)] if stored is not None else []),
    ]
    try:
        if fitted is not None:
            few = take(fitted.data, slice(0, _ROWS))
            adapter = replace(fitted.adapter, targets=None, statistics=None)
            adapted = adapter.forward(few)
            network_inputs(adapted)
            yield from _lost(adapter, fitted.layout)
            yield from _depending_on_parameters(adapter, few, adapted, fitted.layout)
            yield from _changed_on_the_way(adapter, few, adapted, fitted.layout)
            series = {
                name
                for name in summarized(adapted)
                if sources(adapter.fitted, name) & spec.series()
            }
            asked.insert(0, partial(refuse_unfit, spec.networks, adapted, series=series))
    except AbiError as error:
        yield error
    for refuse in asked:
        try:
            refuse()
        except AbiError as error:
            yield error


def refuse_untrainable(spec: Spec, *, stored: int | None, fitted: Fitted | None = None) -> None:
    """Refuse what would not train; as `faults`, of which it raises the first.

    Errors:
        SpecError, DataError: There is one.
    """
    for fault in faults(spec, stored=stored, fitted=fitted):
        raise fault


def divided(stored: int) -> tuple[int, int]:
    """The numbers of stored simulations that are learned from, and that validate."""
    held_out = int(stored * HELD_OUT)
    return stored - held_out, held_out


def refuse_too_few(training: TrainingSection, stored: int) -> None:
    """Refuse stored simulations that don't fill a batch, or of which none would validate.

    Errors:
        DataError: There are so few.
    """
    learned, held_out = divided(stored)
    if learned < training.batch_size or not held_out:
        raise DataError(
            f"Expected simulations for a batch of {training.batch_size} and some to validate; "
            f"got {stored}",
            hint="Store more simulations, or set training.batch_size lower.",
        )


def _lost(adapter: Adapter, layout: Layout) -> Iterator[AdapterError]:
    """Parameters that the adapter leaves out."""
    for variable in layout.of("parameter"):
        if variable.name not in adapter.parameters:
            yield AdapterError(
                f"the parameter {variable.name} does not reach inference_variables",
                hint="Concatenate it with the others, or say under parameters: which are meant",
                place="adapter",
                variable="inference_variables",
                origins=(variable.name,),
            )


def _depending_on_parameters(
    adapter: Adapter, data: Datasets, adapted: Mapping[str, Value], layout: Layout
) -> Iterator[SpecError]:
    """Inputs of the networks that are not the same without the parameters, as at inference."""
    known = {variable.name for variable in layout.of("context", "given", "observable")}
    without = adapter.forward({name: value for name, value in data.items() if name in known})
    for name in (*summarized(adapted), INFERENCE_CONDITIONS):
        if name in adapted and not (name in without and _equal(adapted[name], without[name])):
            yield SpecError(
                f"{name} is not the same without the parameters, as it is at inference",
                hint="A step makes it of a parameter.",
                place="adapter",
            )


def _changed_on_the_way(
    adapter: Adapter, data: Datasets, adapted: Mapping[str, Value], layout: Layout
) -> Iterator[SpecError]:
    """Parameters that don't come out of the adapter's inverse as they went in: draws would not."""
    back = adapter.inverse({INFERENCE_VARIABLES: adapted[INFERENCE_VARIABLES]})
    for variable in layout.of("parameter"):
        if variable.name not in adapter.parameters:  # told of already
            continue
        there, again = array_of(data[variable.name]), array_of(back.get(variable.name, np.zeros(0)))
        if there.shape != again.shape:
            problem = f"comes back with shape {again.shape[1:]} instead of {there.shape[1:]}"
        else:
            sd = 1.0 if almost_constant(there.ravel()) else float(np.std(there))
            error = float(np.max(np.abs(again - there)) / sd)
            if error <= _ROUND_TRIP:
                continue
            problem = f"comes back off by {error:.1g} of its sd"
        yield SpecError(
            f"{variable.name} {problem} after all steps and their inverse", place="adapter"
        )


def _equal(one: Value, other: Value) -> bool:
    one, other = array_of(one), array_of(other)
    return np.array_equal(one, other, equal_nan=True)


def refuse_unfit(
    networks: NetworksSection, adapted: Mapping[str, Value], *, series: Collection[str] = ()
) -> None:
    """Refuse a summary network that can't take what there is to summarize, or that is missing.

    Arguments:
        adapted: What the adapter makes of data sets.
        series: Those of its names whose members have an order.

    Errors:
        SpecError: As it says.
    """
    summary = None
    if networks.summary is not None:
        summary = registry.expected(networks.summary, SummaryNetwork)
    group = {
        name.removeprefix(f"{SUMMARY_VARIABLES}."): _Input(name, adapted[name], name in series)
        for name in summarized(adapted)
        if name != SUMMARY_VARIABLES
    }
    if isinstance(summary, Fusion):
        _refuse_unfused(summary, group)
        return
    if group:
        members = ", ".join(f"{name}: {member.network}" for name, member in group.items())
        raise SpecError(
            f"Expected the summary network fusion for a group in {SUMMARY_VARIABLES}; "
            f"got {summary.name if summary else 'none'}",
            hint=f"summary: {{fusion: {{networks: {{{members}}}}}}}",
            place="networks.summary",
        )
    alone = _Input(SUMMARY_VARIABLES, adapted.get(SUMMARY_VARIABLES), SUMMARY_VARIABLES in series)
    if alone.ragged and summary is None:
        raise SpecError(
            f"The {alone.nouns} in summary_variables need a summary network",
            hint=f"networks:\n  summary: {alone.network}",
            place="networks.summary",
        )
    if summary is not None:
        _refuse_unfit_to(summary, alone, place="networks.summary")


@dataclass(frozen=True)
class _Input:
    """The input of a summary network.

    Arguments:
        value: None where there is nothing.
        ordered: Whether members, if it has some, have an order.
    """

    name: str
    value: Value | None
    ordered: bool

    @property
    def ragged(self) -> bool:
        """True if the number of members varies."""
        return isinstance(self.value, Ragged)

    @property
    def noun(self) -> str:
        """The kind, for messages."""
        return "series" if self.ordered else "set"

    @property
    def nouns(self) -> str:
        """The plural of that."""
        return "series" if self.ordered else "sets"

    @property
    def network(self) -> str:
        """A network that can take it."""
        if not self.ragged:
            return "mlp"
        return "time_series" if self.ordered else "deep_set"


def _refuse_unfused(fusion: Fusion, group: Mapping[str, _Input]) -> None:
    """Refuse a fusion whose networks are not those of the group's members."""
    for name in (*fusion.networks, *group):
        if name not in group or name not in fusion.networks:
            missing = "in the group" if name not in group else "among fusion's networks"
            raise SpecError(
                f"Expected {name} {missing}; got "
                f"{', '.join(fusion.networks if name in group else group) or 'no group'}",
                hint=f"- group: {{keys: [{', '.join(fusion.networks)}], into: {SUMMARY_VARIABLES}}}"
                if name not in group
                else f"Add {name}: {group[name].network}",
                place="networks.summary.fusion.networks",
            )
    for name, part in fusion.networks.items():
        network = registry.expected(part, SummaryNetwork)
        _refuse_unfit_to(network, group[name], place=f"networks.summary.fusion.networks.{name}")


def _refuse_unfit_to(summary: SummaryNetwork, given: _Input, *, place: str) -> None:
    value = given.value
    takes = summary.members if given.ragged else summary.also_fixed or not summary.members
    if value is not None and takes:
        shape = event_of(value)
        reason = summary.misfit((None, *shape) if given.ragged else shape or (1,))
        if reason:
            raise SpecError(
                f"The summary network {summary.name} can't take {given.name} of shape {shape}: "
                f"{reason}",
                place=f"{place}.{summary.name}",
            )
        return
    found = "none" if value is None else f"a {given.noun}" if given.ragged else "a fixed shape"
    others = "convolutional" if given.ordered else "set_transformer"
    hint = f"For {given.nouns}: {given.network} or {others}."
    if summary.members or value is None:
        hint = (
            "Name the observables in as_set or as_time_series and concatenate them into "
            "summary_variables, or leave networks.summary out."
        )
    raise SpecError(
        f"Expected {'a set or series' if summary.members else 'a fixed shape'} in {given.name} for "
        f"the summary network {summary.name}; got {found}",
        hint=hint,
        place=place,
    )


def refuse_unmonitored(training: TrainingSection, *, validated: bool) -> None:
    """Refuse callbacks that watch what history.csv will not have.

    Arguments:
        validated: Whether there is a loss on data sets that are not learned from.

    Errors:
        SpecError: One does.
    """
    columns = ("loss", "val_loss") if validated else ("loss",)
    for number, part in enumerate(training.callbacks):
        callback = registry.expected(part, Callback)
        if callback.monitor not in columns:
            raise SpecError(
                f"Expected {callback.name} to monitor {' or '.join(columns)}; "
                f"got {callback.monitor!r}",
                hint=None
                if validated
                else "val_loss is there with training.validation, such as "
                "-s training.validation=1000",
                place=f"training.callbacks.{number}.{callback.name}",
            )
