"""The means of a rival: networks and statistics that see more than those of the run may."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from abi_cli import registry
from abi_cli.adapter import Adapter
from abi_cli.adapter.adapter import INFERENCE_VARIABLES, SUMMARY_VARIABLES, sources, summarized
from abi_cli.networks.network import SummaryNetwork
from abi_cli.networks.parts_inference import OfLayers
from abi_cli.networks.parts_summary import Convolutional, Fusion
from abi_cli.registry import Part
from abi_cli.spec import NetworksSection, Spec, TrainingSection
from abi_cli.statistics import Statistics
from abi_cli.variables import Datasets, Layout, Ragged, Value, count

MOST_ATTENDED = 100
"""Members beyond which sets attend through points, and series are convolved."""

POINTS = 16
"""Through which large sets attend."""


def means_of(spec: Spec, adapter: Adapter, adapted: Datasets, *, choosing: int) -> Spec:
    """The spec of a rival: the run's model and adapter, other networks, the usual training.

    Arguments:
        adapted: Data sets as the run's networks are given them.
        choosing: Data sets that rivals are chosen on.
    """
    series = {name for name in summarized(adapted) if sources(adapter.fitted, name) & spec.series()}
    networks = NetworksSection(
        summary=_seeing(spec.networks.summary, adapted, SUMMARY_VARIABLES, series),
        statistics=_part("summary network", "mlp", size="large"),
        inference=_part(
            "inference network", "coupling_flow", transform="spline", **_base(spec.networks)
        ),
    )
    training = TrainingSection(
        epochs=spec.training.epochs,
        num_batches=spec.training.num_batches,
        batch_size=spec.training.batch_size,
        validation=choosing,
    )
    return spec.model_copy(update={"networks": networks, "training": training})


def knowing(
    adapter: Adapter, pilot: Datasets, layout: Layout, *, series: Collection[str]
) -> Adapter:
    """The run's adapter, with every family of statistics in place of those that it chose."""
    theta = np.asarray(replace(adapter, statistics=None).forward(pilot)[INFERENCE_VARIABLES])
    statistics = Statistics.whole(
        pilot,
        [name for name in pilot if name in adapter.conditions],
        theta.reshape(count(pilot), -1),
        given={variable.name for variable in layout.of("given")},
        series=series,
    )
    return replace(adapter, statistics=statistics)


def _base(networks: NetworksSection) -> dict[str, Any]:
    """Options of the run's flow, so that its rival has no less."""
    own = networks.inference
    if not isinstance(own, OfLayers) or own.base == "normal":
        return {}
    return {"base": own.base} | ({} if own.components is None else {"components": own.components})


def _seeing(
    part: Part | None, adapted: Datasets, name: str, series: Collection[str]
) -> Part | None:
    """A summary network that compares members with each other, or steps, or is larger."""
    if part is None:
        return None
    if isinstance(part, Fusion):
        inner = {
            key: _seeing(own, adapted, f"{SUMMARY_VARIABLES}.{key}", series)
            for key, own in part.networks.items()
        }
        head = _part("summary network", "mlp", size="large")
        return part.model_copy(update={"networks": inner, "head": head})
    value = adapted[name]
    if isinstance(value, Ragged):
        return _of_members(value, ordered=name in series)
    return _of_fixed(part, value)


def _of_members(value: Ragged, *, ordered: bool) -> Part:
    many = int(value.row_size.max(initial=0)) > MOST_ATTENDED
    if not ordered:
        return _attending("set_transformer", inducing=POINTS if many else 0)
    if not many:
        return _attending("time_series_transformer")
    return _part("summary network", "convolutional", size="large")


def _of_fixed(part: Part, value: Value) -> Part:
    network = registry.expected(part, SummaryNetwork)
    if isinstance(part, Convolutional):
        return _part("summary network", "convolutional", size="large", axes=part.axes)
    if isinstance(value, np.ndarray) and not network.shaped:
        return _part("summary network", "mlp", size="large")
    return part


def _attending(name: str, **options: Any) -> Part:
    return _part("summary network", name, summary_dim=32, moment_features=1, **options)


def _part(kind: str, name: str, **options: Any) -> Part:
    return registry.get(kind, name).model_validate(options)
