"""Whether networks and callbacks fit what there is, found out before anything is built."""

from __future__ import annotations

from collections.abc import Mapping

from abi_cli import registry
from abi_cli.adapter.adapter import SUMMARY_VARIABLES
from abi_cli.errors import SpecError
from abi_cli.networks.network import SummaryNetwork
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
    summarized = adapted.get(SUMMARY_VARIABLES)
    named = networks.summary
    summary = None if named is None else registry.expected(named, SummaryNetwork)
    if isinstance(summarized, Ragged) and summary is None:
        raise SpecError(
            "The sets in summary_variables need a summary network",
            hint="networks:\n  summary: deep_set",
            place="networks.summary",
        )
    if summary is not None and not isinstance(summarized, Ragged):
        raise SpecError(
            f"Expected a set in summary_variables for the summary network {summary.name}; "
            f"got {'a fixed shape' if summarized is not None else 'none'}",
            hint="Name the observables in as_set and concatenate them into summary_variables, "
            "or leave networks.summary out.",
            place="networks.summary",
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
