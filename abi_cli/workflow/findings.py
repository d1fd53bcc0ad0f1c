"""What a rehearsal has to say about a model that may be meant, or may be a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from abi_cli.adapter import Adapter
from abi_cli.adapter.parts_sets import AsTimeSeries
from abi_cli.adapter.parts_standardize import HEAVY, NORMAL_IQR
from abi_cli.model.noise import without_noise
from abi_cli.model.simulator import Simulator
from abi_cli.networks.network import SummaryNetwork
from abi_cli.spec import Spec
from abi_cli.variables import Datasets, Layout, array_of, element_names


class Severity(StrEnum):
    """How bad a finding is."""

    error = "error"
    warning = "warning"


@dataclass(frozen=True)
class Finding:
    """Something that a rehearsal came upon.

    Arguments:
        code, place: Of the problem, where it is in the spec.
        shown: The same with the lines of the spec.
    """

    severity: Severity
    message: str
    hint: str = ""
    code: str = ""
    place: str = ""
    shown: str = ""


def warnings(data: Datasets, layout: Layout, spec: Spec, adapter: Adapter | None) -> list[Finding]:
    """All that may be meant.

    Arguments:
        data: Simulated data sets.
        spec: Complete.
        adapter: Fitted; None where it can't be.
    """
    return [
        *_constants(data, layout),
        *_heavy_tails(data, layout),
        *_order_ignored(spec),
        *(_narrow_summary(spec, adapter) if adapter is not None else ()),
        *(_unbounded(data, layout, adapter) if adapter is not None else ()),
    ]


def noise_findings(spec: Spec, simulator: Simulator, *, seed: int) -> list[Finding]:
    """Observables without noise, but for those of which the spec says so."""
    meant = spec.model.noise_free if spec.model else ()
    names = [name for name in without_noise(simulator, seed=seed) if name not in meant]
    if not names:
        return []
    listed = ", ".join(names)
    return [
        _warning(
            f"{listed}: the same for the same parameters, as if without noise, or with the same "
            "noise in all data sets",
            "Draw from `rng` or np.random, not from a generator that a function seeds itself. If "
            f"there is to be no noise, say so: model: {{noise_free: [{listed}]}}",
        )
    ]


def _constants(data: Datasets, layout: Layout) -> list[Finding]:
    return [
        _warning(
            f"{variable.name} is always {array_of(data[variable.name]).flat[0]:g}",
            f"The posterior will hold for data sets with {variable.name} = "
            f"{array_of(data[variable.name]).flat[0]:g} alone; draw it in meta to have all sizes."
            if variable.length_of
            else "Nothing can be learned about it, or from it.",
        )
        for variable in layout.variables
        if array_of(data[variable.name]).size and np.ptp(array_of(data[variable.name])) == 0
    ]


def _heavy_tails(data: Datasets, layout: Layout) -> list[Finding]:
    """Elements whose sd says nothing of where most values are."""
    heavy = []
    for variable in layout.variables:
        array = array_of(data[variable.name]).astype(np.float64)
        flat = array.reshape(len(array), -1)
        low, high = np.nanquantile(flat, [0.25, 0.75], axis=0)
        tailed = np.nanstd(flat, axis=0) > HEAVY * (high - low) / NORMAL_IQR
        names = element_names(variable.name, array.shape[1:])
        heavy += [
            _warning(
                f"{name} has heavy tails: half of it is between {low[k]:.3g} and {high[k]:.3g}, "
                f"all of it between {np.nanmin(flat[:, k]):.3g} and {np.nanmax(flat[:, k]):.3g}",
                "If a prior is wider than you meant, narrow it; for a positive parameter, "
                "constrain with method: log suits.",
            )
            for k, name in enumerate(names)
            if tailed[k] and high[k] > low[k]
        ]
    return heavy


def _narrow_summary(spec: Spec, adapter: Adapter) -> list[Finding]:
    network = spec.networks.summary
    if not isinstance(network, SummaryNetwork) or network.summary_dim >= adapter.dim:
        return []
    return [
        _warning(
            f"{adapter.dim} parameters are to be told from a summary of {network.summary_dim} "
            "numbers",
            f"Make it wider: -s networks.summary.{network.name}.summary_dim={2 * adapter.dim}",
        )
    ]


def _order_ignored(spec: Spec) -> list[Finding]:
    network = spec.networks.summary
    said = {name for name, axis in (spec.observables or {}).items() if axis.kind == "series"}
    stepped = [s.keys for s in spec.adapter or () if isinstance(s, AsTimeSeries)]
    series = sorted(said.union(*stepped))
    takes_sets = isinstance(network, SummaryNetwork) and network.members and not network.ordered
    if not series or not takes_sets or network is None:
        return []
    return [
        _warning(
            f"{', '.join(series)}: a series, of which {network.name} ignores the order",
            "networks:\n  summary: time_series",
        )
    ]


def _unbounded(data: Datasets, layout: Layout, adapter: Adapter) -> list[Finding]:
    """Parameters that seem to be positive, but whose draws may be negative all the same."""
    parameters = {name: data[name] for name in data if name in adapter.parameters}
    found = []
    for name in (variable.name for variable in layout.of("parameter")):
        if name not in parameters:
            continue
        array = array_of(parameters[name])
        near_zero = 0 < array.min() < 0.2 * array.std()
        if near_zero and adapter.in_support({**parameters, name: -array}).all():
            found.append(
                _warning(
                    f"{name} is always above 0, but nothing keeps its posterior draws there",
                    f"If it can't be negative: - constrain: {{keys: {name}, lower: 0}}, or declare "
                    "its prior in the spec instead of drawing it in a function.",
                )
            )
    return found


def _warning(message: str, hint: str) -> Finding:
    return Finding(Severity.warning, message, hint)
