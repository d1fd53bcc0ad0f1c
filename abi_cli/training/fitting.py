"""Whether networks and callbacks fit what there is, found out before anything is built."""

from __future__ import annotations

from collections.abc import Mapping

from abi_cli import registry
from abi_cli.adapter.adapter import SUMMARY_VARIABLES, summarized
from abi_cli.adapter.step import event_of
from abi_cli.errors import SpecError
from abi_cli.networks.network import SummaryNetwork
from abi_cli.networks.parts_summary import Fusion
from abi_cli.spec import NetworksSection, TrainingSection
from abi_cli.training.parts import Callback
from abi_cli.variables import Ragged, Value


def refuse_unfit(networks: NetworksSection, adapted: Mapping[str, Value]) -> None:
    """Refuse a summary network that can't take what there is to summarize, or that is missing.

    Arguments:
        adapted: What the adapter makes of data sets.

    Errors:
        SpecError: As it says.
    """
    summary = None
    if networks.summary is not None:
        summary = registry.expected(networks.summary, SummaryNetwork)
    group = {
        name.removeprefix(f"{SUMMARY_VARIABLES}."): adapted[name]
        for name in summarized(adapted)
        if name != SUMMARY_VARIABLES
    }
    if isinstance(summary, Fusion):
        _refuse_unfused(summary, group)
        return
    if group:
        raise SpecError(
            f"Expected the summary network fusion for a group in {SUMMARY_VARIABLES}; "
            f"got {summary.name if summary else 'none'}",
            hint=f"summary: {{fusion: {{networks: {{{next(iter(group))}: deep_set, …}}}}}}",
            place="networks.summary",
        )
    value = adapted.get(SUMMARY_VARIABLES)
    if isinstance(value, Ragged) and summary is None:
        raise SpecError(
            "The sets in summary_variables need a summary network",
            hint="networks:\n  summary: deep_set",
            place="networks.summary",
        )
    if summary is not None:
        _refuse_unfit_to(summary, value, name=SUMMARY_VARIABLES, place="networks.summary")


def _refuse_unfused(fusion: Fusion, group: Mapping[str, Value]) -> None:
    """Refuse a fusion whose networks are not those of the group's members."""
    for name in (*fusion.networks, *group):
        if name not in group or name not in fusion.networks:
            missing = "in the group" if name not in group else "among fusion's networks"
            raise SpecError(
                f"Expected {name} {missing}; got "
                f"{', '.join(fusion.networks if name in group else group) or 'no group'}",
                hint=f"- group: {{keys: [{', '.join(fusion.networks)}], into: {SUMMARY_VARIABLES}}}"
                if name not in group
                else f"Add {name}: deep_set (for a set) or mlp (for a vector).",
                place="networks.summary.fusion.networks",
            )
    for name, part in fusion.networks.items():
        network = registry.expected(part, SummaryNetwork)
        place = f"networks.summary.fusion.networks.{name}"
        _refuse_unfit_to(network, group[name], name=f"{SUMMARY_VARIABLES}.{name}", place=place)


def _refuse_unfit_to(
    summary: SummaryNetwork, value: Value | None, *, name: str, place: str
) -> None:
    ragged = isinstance(value, Ragged)
    takes = summary.members if ragged else summary.also_fixed or not summary.members
    if value is not None and takes:
        shape = event_of(value)
        reason = summary.misfit((None, *shape) if ragged else shape or (1,))
        if reason:
            raise SpecError(
                f"The summary network {summary.name} can't take {name} of shape {shape}: {reason}",
                place=f"{place}.{summary.name}",
            )
        return
    found = "none" if value is None else "a set" if ragged else "a fixed shape"
    hint = "For sets: deep_set or set_transformer; for series: time_series."
    if summary.members or value is None:
        hint = (
            "Name the observables in as_set and concatenate them into summary_variables, or leave "
            "networks.summary out."
        )
    raise SpecError(
        f"Expected {'a set' if summary.members else 'a fixed shape'} in {name} for the "
        f"summary network {summary.name}; got {found}",
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
