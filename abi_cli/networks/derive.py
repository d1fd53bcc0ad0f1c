"""The networks of a spec that leaves them out, from what its variables are."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from abi_cli import registry
from abi_cli.networks.network import SummaryNetwork
from abi_cli.spec import NetworksSection
from abi_cli.variables import Layout

_SETS = {"deep_set": {"width": 32, "moment_features": 1}}
_SERIES = {"convolutional": {"widths": [8], "moment_features": 1}}
_READER = {"mlp": {"summary_dim": 32}}
"""Small networks beside statistics, which do most of the work."""

_ALONE = {"coupling_flow": {"transform": "spline"}}
_SEVERAL = {"coupling_flow": {"transform": "auto"}}

_OWN_STATISTICS = "moment_features"
"""The option of summary networks by which they make statistics themselves."""


_NEW = {"size", "regularise"}
"""Options that specs of old runs don't spell out."""


def derived_networks(
    section: NetworksSection, layout: Layout, *, series: Collection[str], adapted: bool
) -> NetworksSection:
    """The section with a summary network where there are sets or series, and with statistics.

    A parameter that is alone has no others to be coupled with: without splines a coupling flow of
    it is a normal distribution. Several have splines where the pilot shows that posteriors have
    several modes.

    Statistics are for every spec that does not choose them itself, and take the place of those that
    a summary network makes. A spec that leaves `statistics` out and writes its summary network with
    `moment_features`, or with all options as the spec of a run from before does, keeps the network
    that it had then; the first only where no values may be missing, because what a network makes
    itself takes gaps for zeros.

    Arguments:
        series: Variables that are series; all others without a fixed shape are sets.
        adapted: Whether the adapter is written, so that a summary network that is left out is not
            wanted, or missed.
    """
    written = section.model_fields_set
    update: dict[str, registry.Part | None] = {}
    sets = {variable.name for variable in layout.of("given", "observable") if variable.ragged}
    if section.summary is None and sets and not adapted:
        update["summary"] = _network(_SERIES if sets & set(series) else _SETS)
    if "statistics" not in written and not _chosen(section, gaps=bool(layout.missing)):
        update["statistics"] = _network(_READER)
        named = section.summary
        if named is not None and _OWN_STATISTICS in type(named).model_fields:
            update["summary"] = named.model_copy(update={_OWN_STATISTICS: 1})
    if "inference" not in written:
        word = _ALONE if _numbers(layout) == 1 else _SEVERAL
        update["inference"] = registry.from_config("inference network", word)
    return section.model_copy(update=update)


def _numbers(layout: Layout) -> int:
    """Number of scalars among the parameters."""
    return sum(math.prod(variable.event) for variable in layout.of("parameter"))


def _chosen(section: NetworksSection, *, gaps: bool) -> bool:
    """True if a section without statistics is complete, and so asks for none."""
    if section.summary is None:
        return "summary" in section.model_fields_set
    network = registry.expected(section.summary, SummaryNetwork)
    options = network.model_fields_set
    spelt_out = set(type(network).model_fields) - _NEW <= options
    return spelt_out or (_OWN_STATISTICS in options and not gaps)


def _network(config: Mapping[str, Any]) -> registry.Part:
    return registry.from_config("summary network", dict(config))
