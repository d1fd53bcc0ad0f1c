"""Findings of a rehearsal about a model: each may be intended, or may be a mistake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from abi_cli.adapter import Adapter
from abi_cli.adapter.adapter import INFERENCE_CONDITIONS, INFERENCE_VARIABLES, summarized
from abi_cli.adapter.parts_shapes import AsTimeSeries
from abi_cli.adapter.parts_standardize import Scale, Standardize
from abi_cli.adapter.step import event_of
from abi_cli.data.entries import listing
from abi_cli.model.rehearsal import without_noise
from abi_cli.model.simulator import Simulator
from abi_cli.networks.network import SummaryNetwork
from abi_cli.precision import almost_constant
from abi_cli.spec import Spec
from abi_cli.training.derive import derived_training
from abi_cli.variables import Datasets, Layout, Value, Variable, array_of, count


class Severity(StrEnum):
    """The severity of a finding."""

    error = "error"
    warning = "warning"


@dataclass(frozen=True)
class Finding:
    """A finding of a rehearsal.

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


def warnings(
    data: Datasets,
    layout: Layout,
    spec: Spec,
    adapter: Adapter | None,
    *,
    already: Collection[str] = (),
) -> list[Finding]:
    """Findings that may be intended.

    Arguments:
        data: Simulated data sets.
        spec: Complete.
        adapter: Fitted; None where it can't be.
        already: Parameters on whose bounds there is a finding already.
    """
    return [
        *_constants(data, layout),
        *_heavy_tails(data, layout, adapter),
        *_order_ignored(spec),
        *(_narrow_summary(spec, adapter) if adapter is not None else ()),
        *(_large(data, adapter) if adapter is not None else ()),
        *(_unbounded(data, layout, adapter, already) if adapter is not None else ()),
    ]


def noise_findings(spec: Spec, simulator: Simulator, *, seed: int) -> list[Finding]:
    """Observables without noise, but for those of which the spec says so."""
    meant = spec.model.noise_free if spec.model else ()
    names = [name for name in without_noise(simulator, seed=seed) if name not in meant]
    if not names:
        return []
    listed = ", ".join(names)
    return [
        warning(
            f"{listed}: the same for the same parameters, as if without noise, or with the same "
            "noise in all data sets",
            "Draw from `rng` or np.random, not from a generator that a function seeds itself. If "
            f"there is to be no noise, say so: model: {{noise_free: [{listed}]}}",
        )
    ]


_FEW = 32
"""Fewest data sets that show enough of a model."""

_LONG = 1800.0
"""Seconds of simulation in a training from where on a warning is due."""


def slowness_findings(
    spec: Spec,
    rows: Datasets,
    layout: Layout,
    *,
    seconds: float,
    processes: int,
    batched: bool,
) -> list[Finding]:
    """Findings on slow simulations: few of them were seen, and training takes longer.

    Arguments:
        rows: Data sets that one process simulated in `seconds`.
        processes: That would simulate for a training.
        batched: Whether functions make many data sets at a time.
    """
    found: list[Finding] = []
    seen = count(rows)
    if seen < _FEW:
        found.append(
            warning(
                f"only {seen} data sets could be simulated in {_time(seconds)}: what never "
                "differs, has heavy tails or fails now and then does not show in so few",
                "abi simulate SPEC -o FILE makes more of them, and check --data FILE reads those.",
            )
        )
    told = [variable.name for variable in layout.of("given", "observable")]
    training = derived_training(spec.training, rows, told)
    number = training.epochs * training.num_batches * training.batch_size
    total = number * seconds / seen / processes
    if total > _LONG:
        found.append(
            warning(
                f"training simulates {number:,} data sets: about {_time(total)} with "
                f"{processes} processes",
                (
                    "Learn"
                    if batched
                    else "Let the likelihood make many at a time (an argument batch_size), learn"
                )
                + " from fewer (-s training.num_batches=16), or simulate once, "
                "elsewhere too, and train --data FILE.",
            )
        )
    return found


def _time(seconds: float) -> str:
    """About how long, in words."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"


def _constants(data: Datasets, layout: Layout) -> list[Finding]:
    """Elements that never differ, or by less than networks can tell."""
    found = []
    for variable in layout.variables:
        flat = _by_element(data, variable)
        constant = np.flatnonzero(almost_constant(flat))
        if not len(flat) or not len(constant):
            continue
        spread = np.nanmax(flat[:, constant], axis=0) - np.nanmin(flat[:, constant], axis=0)
        found += [
            _always(variable, constant[spread == 0], flat),
            _almost_always(variable, constant[spread > 0], flat, spread.max()),
        ]
    return [finding for finding in found if finding is not None]


def _always(variable: Variable, elements: np.ndarray, flat: np.ndarray) -> Finding | None:
    if not len(elements):
        return None
    values = np.nanmin(flat[:, elements], axis=0)
    value = f"{values[0]:.10g}"
    if len(elements) == flat.shape[1] and (values == values[0]).all():
        message = f"{variable.name} is always {value}"
    else:
        same = "" if len(elements) == 1 else "the same: "
        message = f"{_listed(variable, elements)} always {same}{_of(variable, elements, value)}"
    if variable.length_of:
        hint = (
            f"The posterior will hold for data sets with {variable.name} = {value} alone; draw it "
            "in meta to have all sizes."
        )
    elif variable.role in ("context", "given", "observable"):
        hint = "Nothing can be learned from it: of data that have another value there you are told."
    else:
        hint = "Nothing can be learned about it."
    return warning(message, hint)


def _almost_always(
    variable: Variable, elements: np.ndarray, flat: np.ndarray, spread: float
) -> Finding | None:
    if not len(elements):
        return None
    value = f"{np.nanmedian(flat[:, elements[0]]):.7g}"
    return warning(
        f"{_listed(variable, elements)} almost always the same, "
        f"{_of(variable, elements, value)}: what they differ by, {spread:.3g}, is below what "
        "single precision tells",
        "It is taken for a constant. If the differences matter, subtract what is always there: "
        f"- shift: {{keys: {variable.name}, by: -{value}}}",
    )


def _heavy_tails(data: Datasets, layout: Layout, adapter: Adapter | None) -> list[Finding]:
    """Elements with heavy tails, whose sd says little of most values, unless a step sees to it."""
    arriving = _before_standardize(data, adapter) if adapter is not None else data
    found = []
    for variable in layout.variables:
        flat = _by_element(data, variable)
        heavy = np.flatnonzero(Scale.of(flat, flat.shape[1:]).heavy)
        arrived = arriving.get(variable.name)
        tamed = (
            arrived is not None and not Scale.of(array_of(arrived), event_of(arrived)).heavy.any()
        )
        if not len(heavy) or tamed:
            continue
        first = flat[:, heavy[0]]
        low, high = np.nanquantile(first, [0.25, 0.75])
        names = [variable.elements()[place] for place in heavy]
        verb, whose = ("has", "it") if len(names) == 1 else ("have", names[0])
        found.append(
            warning(
                f"{listing(names, most=_LISTED)} {verb} heavy tails: half of {whose} is between "
                f"{low:.3g} and {high:.3g}, all of it between {np.nanmin(first):.3g} and "
                f"{np.nanmax(first):.3g}",
                _advice(variable, float(np.nanmin(flat))),
            )
        )
    return found


def _before_standardize(data: Datasets, adapter: Adapter) -> Mapping[str, Value]:
    """Data as the first step finds them that brings them to a scale."""
    for step, state in adapter.fitted:
        if isinstance(step, Standardize):
            break
        data = step.forward(data, state)
    return data


def _advice(variable: Variable, low: float) -> str:
    """Advice on heavy tails of a variable whose least value is `low`."""
    if variable.role in ("parameter", "nuisance"):
        return (
            "If a prior is wider than you meant, narrow it; for a positive parameter, "
            "constrain with method: log suits."
        )
    if low < 0:
        return "If a prior is wider than you meant, narrow it."
    log = variable.name if low > 0 else f"{{keys: {variable.name}, p1: true}}"
    return (
        "If a prior is wider than you meant, narrow it; where orders of magnitude matter, a step "
        f"before standardize suits: - log: {log}. Where the spec has no adapter, abi fill writes "
        "it out."
    )


_LISTED = 3
"""Most elements that a warning names."""


def _by_element(data: Datasets, variable: Variable) -> np.ndarray:
    """All numbers of a variable, `(row, element)`, float64."""
    array = array_of(data[variable.name]).astype(np.float64)
    return array.reshape(len(array), len(variable.elements()))


def _listed(variable: Variable, elements: np.ndarray) -> str:
    """Names of elements, with a verb."""
    names = [variable.elements()[place] for place in elements]
    return f"{listing(names, most=_LISTED)} {'is' if len(names) == 1 else 'are'}"


def _of(variable: Variable, elements: np.ndarray, value: str) -> str:
    """The value of the first of some elements, or of the only one."""
    name = variable.elements()[elements[0]]
    return value if len(elements) == 1 else f"{name} is {value}"


_LARGE = 1e3
"""Networks learn little from inputs beyond this: their first weights suit numbers about 1."""


def _large(data: Datasets, adapter: Adapter) -> list[Finding]:
    """Inputs of the networks that no step has brought to their scale."""
    found = []
    for name, value in adapter.forward(data).items():
        if name in (INFERENCE_VARIABLES, INFERENCE_CONDITIONS, *summarized([name])):
            largest = float(np.nanmax(np.abs(array_of(value)), initial=0.0))
            if largest > _LARGE:
                found.append(
                    warning(
                        f"{name} has values up to {largest:.3g}: networks learn little from them",
                        "Is a variable left out of standardize?",
                    )
                )
    return found


def _narrow_summary(spec: Spec, adapter: Adapter) -> list[Finding]:
    network = spec.networks.summary
    if not isinstance(network, SummaryNetwork) or network.summary_dim >= adapter.dim:
        return []
    return [
        warning(
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
        warning(
            f"{', '.join(series)}: a series, of which {network.name} ignores the order",
            "networks:\n  summary: time_series",
        )
    ]


def _unbounded(
    data: Datasets, layout: Layout, adapter: Adapter, already: Collection[str]
) -> list[Finding]:
    """Parameters that seem to be positive, but whose draws may be negative all the same."""
    parameters = {name: data[name] for name in data if name in adapter.parameters}
    found = []
    for name in (variable.name for variable in layout.of("parameter")):
        if name not in parameters or name in already:
            continue
        array = array_of(parameters[name])
        close = 0.2 * array.std()
        if (
            not 0 < array.min() < close
            or not adapter.in_support({**parameters, name: -array}).all()
        ):
            continue
        share = 0 < 1 - array.max() < close
        where, bounds = ("between 0 and 1", ", upper: 1") if share else ("above 0", "")
        never = "If it can't be anywhere else" if share else "If it can't be negative"
        found.append(
            warning(
                f"{name} is always {where}, but nothing keeps its posterior draws there",
                f"{never}: - constrain: {{keys: {name}, lower: 0{bounds}}}, or declare its prior "
                "in the spec instead of drawing it in a function.",
            )
        )
    return found


def warning(message: str, hint: str) -> Finding:
    """A finding that may be intended."""
    return Finding(Severity.warning, message, hint)
