"""Findings of a rehearsal about a prior: bounds that nothing keeps, parameters that are tied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from abi_cli.adapter import Adapter
from abi_cli.adapter.traits import FEWEST, Edge, Traits
from abi_cli.data.entries import listing
from abi_cli.model.declared import Declared
from abi_cli.model.functions import UserFunction
from abi_cli.model.simulator import Simulator
from abi_cli.model.support import Support
from abi_cli.precision import almost_constant
from abi_cli.spec import Spec
from abi_cli.variables import Layout, Variable
from abi_cli.workflow.checking.findings import Finding, warning
from abi_cli.workflow.checking.prior import Prior

_ROWS = 64
"""Draws that are moved out of their support, to see whether the adapter takes them."""

_TIED = 1e-5
"""Largest residual, in sds, of a parameter that is a sum of others, in single precision, too."""

_MOST = 256
"""Most elements among which ties are looked for."""

_LINKED = 5.0
"""Standard deviations of a rank correlation beyond which variables are not independent."""


def prior_findings(
    layout: Layout, prior: Prior, adapter: Adapter, *, derived: bool
) -> list[Finding]:
    """Findings on the support and the ties of a prior's draws, where nothing is done about them.

    Arguments:
        derived: Whether the adapter is derived: then it does what is certain.
    """
    found: list[Finding] = []
    for variable in layout.of("parameter"):
        own = prior.traits.get(variable.name)
        if own is not None and variable.name in adapter.parameters:
            found += _of_support(variable, own, prior, adapter, derived=derived)
    return [*found, *_ties(layout, prior)]


def _of_support(
    variable: Variable, own: Traits, prior: Prior, adapter: Adapter, *, derived: bool
) -> Iterator[Finding]:
    """Findings on the support of a parameter, by its draws."""
    name = variable.name
    certain = own.support()
    if derived and certain is not None:
        yield warning(
            f"{name} {_said(certain)}: the derived adapter keeps its draws there",
            "It follows from draws of a function. Nothing is guessed where the prior is declared "
            "in the spec, or the adapter is written: `abi fill` writes it out.",
        )
    values = prior.values[name].astype(np.float64)
    if own.simplex:
        if _taken(adapter, prior, name, values[..., 0] + 1.0, at=0):
            yield _unkept(name, "sums to one", f"as_simplex: {name}", also=" (dirichlet)")
        return
    if own.ordered and _taken(adapter, prior, name, values[..., 1] + np.ptp(values), at=0):
        yield _unkept(name, "ascends", f"as_ordered: {name}")
    flat = values.reshape(len(values), -1)

    def unkept(found: Edge | None, place: int, sign: int) -> Edge | None:
        if found is None:
            return None
        beyond = np.full(len(flat), found.at + sign * 0.1 * np.ptp(flat[:, place]))
        return found if _taken(adapter, prior, name, beyond, at=place, flat=True) else None

    edges = [
        (unkept(own.lower[place], place, -1), unkept(own.upper[place], place, 1))
        for place in range(flat.shape[1])
    ]
    if any(edge for pair in edges for edge in pair):
        yield _beyond(variable, edges, flat)


def _taken(
    adapter: Adapter, prior: Prior, name: str, moved: np.ndarray, *, at: int, flat: bool = False
) -> bool:
    """True if the adapter takes draws with an element, along the last axis, moved.

    Arguments:
        at: Of the element, in C order where `flat`.
    """
    if not adapter.parameters <= prior.values.keys():
        return False
    rows = {n: prior.values[n][:_ROWS].astype(np.float64) for n in adapter.parameters}
    value = rows[name].copy()
    if flat:
        value.reshape(len(value), -1)[:, at] = moved[:_ROWS]
    else:
        value[..., at] = moved[:_ROWS]
    return bool(adapter.in_support({**rows, name: value}).all())


def _said(support: Support) -> str:
    """A support in words."""
    if support.kind == "simplex":
        return "sums to one in every simulation, as a simplex does"
    bounds = _between(support.lower, support.upper)
    if support.kind == "ordered":
        return f"ascends in every simulation{f' and is always {bounds}' if bounds else ''}"
    return f"is always {bounds}"


def _between(lower: float | None, upper: float | None) -> str:
    if lower is not None and upper is not None:
        return f"between {lower:.6g} and {upper:.6g}"
    if lower is not None:
        return f"above {lower:.6g}"
    return "" if upper is None else f"below {upper:.6g}"


_DECLARED = "declare its prior{} in the spec instead of drawing it in a function"


def _unkept(name: str, what: str, step: str, *, also: str = "") -> Finding:
    declared = f", or {_DECLARED.format(also)}" if also else ""
    return warning(
        f"{name} {what} in every simulation, but nothing keeps its posterior draws so",
        f"If that is meant: - {step}, before standardize{declared}.",
    )


def _beyond(
    variable: Variable, edges: Sequence[tuple[Edge | None, Edge | None]], flat: np.ndarray
) -> Finding:
    """A finding on edges that nothing keeps draws within."""
    bounds = [
        (_outward(lower, flat[:, place], up=False), _outward(upper, flat[:, place], up=True))
        for place, (lower, upper) in enumerate(edges)
    ]
    if len(set(bounds)) == 1:
        said = f"{variable.name} is always {_between(*bounds[0])}"
        options = [
            f"{side}: {at:.10g}"
            for side, at in zip(("lower", "upper"), bounds[0], strict=True)
            if at is not None
        ]
        step = f"- constrain: {{keys: {variable.name}, {', '.join(options)}}}"
        plural = "these are its bounds" if len(options) > 1 else "that is its bound"
        hint = f"If {plural}: {step}, before standardize, or {_DECLARED.format('')}."
    else:
        each = zip(variable.elements(), bounds, strict=True)
        within = [f"{name} is always {_between(*pair)}" for name, pair in each if _between(*pair)]
        said = listing(within, most=3)
        hint = (
            "To be constrained, elements with bounds of their own need names of their own: let the "
            "prior return them apart, or declare them in the spec."
        )
    return warning(
        f"{said}, and close to that often, but nothing keeps its posterior draws there", hint
    )


def _outward(edge: Edge | None, draws: np.ndarray, *, up: bool) -> float | None:
    """A bound that is not round, moved out a little and written shortly."""
    if edge is None or edge.round:
        return None if edge is None else edge.at
    grid = 10.0 ** (math.floor(math.log10(np.ptp(draws))) - 2)
    near = math.ceil(edge.at / grid) if up else math.floor(edge.at / grid)
    return float(f"{near * grid:.12g}")


def _ties(layout: Layout, prior: Prior) -> Iterator[Finding]:
    """Parameters that follow from others: their joint posterior has no density."""
    names: list[str] = []
    columns: list[np.ndarray] = []
    for variable in layout.of("parameter"):
        values = prior.values.get(variable.name)
        if values is None or len(values) < FEWEST:
            continue
        flat = values.astype(np.float64).reshape(len(values), -1)
        own = prior.traits.get(variable.name)
        last = flat.shape[1] - 1 if own is not None and own.simplex else flat.shape[1]
        names += variable.elements()[:last]
        columns += list(flat.T[:last])
    if not 2 <= len(names) <= _MOST:
        return
    basis: list[np.ndarray] = []
    independent: list[int] = []
    for place, column in enumerate(columns):
        if almost_constant(column):
            continue
        unit = (column - column.mean()) / np.linalg.norm(column - column.mean())
        left = unit.copy()
        for _ in range(2):  # once more, for what rounding leaves
            for known in basis:
                left -= (known @ left) * known
        if np.linalg.norm(left) > _TIED:
            basis.append(left / np.linalg.norm(left))
            independent.append(place)
            continue
        yield _tied(names[place], _formula(names, columns, independent, place))
    yield from _monotone(names, columns, independent)


def _tied(name: str, how: str) -> Finding:
    return warning(
        f"{name} is a function of other parameters in every simulation: {how}",
        f"Infer the others: leave {name} out of `parameters:`, and compute it from their draws, or "
        "let it be one of `model: {quantities: …}`.",
    )


def _formula(
    names: Sequence[str], columns: Sequence[np.ndarray], independent: Sequence[int], place: int
) -> str:
    """A column as a sum of others."""
    target = columns[place]
    known = np.stack([np.ones_like(target), *(columns[other] for other in independent)], axis=1)
    scale = np.abs(known).max(axis=0)
    factors = np.linalg.lstsq(known / scale, target, rcond=None)[0] / scale
    share = np.abs(factors) * known.std(axis=0) / target.std()
    terms = [other for other in range(1, len(factors)) if share[other] > 1e-4]
    text = "" if abs(factors[0]) < 1e-6 * np.abs(target).max() else f"{factors[0]:.4g}"
    for term in terms[:3]:
        factor, other = factors[term], names[independent[term - 1]]
        size = "" if abs(abs(factor) - 1) < 1e-6 else f"{abs(factor):.4g} "
        sign = "−" if factor < 0 else "+" if text else ""
        text = f"{text} {sign} {size}{other}" if text else f"{sign}{size}{other}"
    return f"{names[place]} = {text}" + (" + …" if len(terms) > 3 else "")


def _monotone(
    names: Sequence[str], columns: Sequence[np.ndarray], independent: Sequence[int]
) -> Iterator[Finding]:
    """Parameters of which one rises or falls whenever another rises."""
    first: dict[bytes, int] = {}
    for place in independent:
        if len(np.unique(columns[place])) < len(columns[place]):
            continue
        order = np.argsort(columns[place])
        for key, how in ((order.tobytes(), "rises"), (order[::-1].tobytes(), "falls")):
            if key in first:
                other = names[first[key]]
                yield _tied(names[place], f"it {how} whenever {other} does")
                break
        else:
            first[order.tobytes()] = place


def unused_findings(spec: Spec, simulator: Simulator, prior: Prior) -> list[Finding]:
    """Parameters that the prior draws and that nothing is drawn by."""
    unused = _unnamed(spec, simulator) or _independent(spec, simulator, prior)
    if not unused:
        return []
    them = "it" if len(unused) == 1 else "them"
    nothing = (
        "" if isinstance(simulator.prior, Declared) else ", nor does anything depend on " + them
    )
    return [
        warning(
            f"{', '.join(unused)}: drawn by the prior, and no function takes {them}{nothing}: the "
            f"data will say nothing of {them}",
            f"Name {them} among the arguments of the likelihood, or take {them} out of the prior",
        )
    ]


def _unnamed(spec: Spec, simulator: Simulator) -> list[str]:
    """Declared parameters that nothing takes, by what the spec says of takers."""
    source = simulator.prior
    if not isinstance(source, Declared):
        return []
    taken = {name for other in simulator.sources.values() for name in other.arguments}
    for variable in source.variables.values():
        own = variable.arguments if isinstance(variable, UserFunction) else variable.references()
        taken |= set(own if isinstance(own, tuple) else own.values())
    inferred = spec.parameters or source.variables
    return [name for name in source.variables if name in inferred and name not in taken]


def _independent(spec: Spec, simulator: Simulator, prior: Prior) -> list[str]:
    """Parameters of a prior that is one function, which no function takes and nothing depends on.

    What is drawn by means of them depends on them, and so does what is drawn by means of that.
    """
    source = simulator.prior
    if not isinstance(source, UserFunction) or not prior.values:
        return []
    if len(next(iter(prior.values.values()))) < FEWEST:
        return []
    taken = {
        name
        for section, other in simulator.sources.items()
        if section != "prior"
        for name in other.arguments
    }
    ranks = {name: _ranks(values) for name, values in prior.values.items()}
    reached = [name for name in ranks if name in taken]
    left = [name for name in ranks if name not in taken]
    for known in reached:  # grows meanwhile
        linked = [name for name in left if _linked(ranks[name], ranks[known])]
        reached += linked
        left = [name for name in left if name not in linked]
    inferred = spec.parameters or prior.values
    return [name for name in left if name in inferred]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Standardized ranks of some elements, and how far those are from the middle, `(draw, …)`."""
    flat = values.astype(np.float64).reshape(len(values), -1)[:, :32]
    ranks = flat.argsort(axis=0).argsort(axis=0) - (len(flat) - 1) / 2
    both = np.concatenate([ranks, np.abs(ranks) - np.abs(ranks).mean(axis=0)], axis=1)
    norms = np.linalg.norm(both, axis=0)
    standardized: np.ndarray = both / np.where(norms > 0, norms, 1.0)
    return standardized


def _linked(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one.T @ other).max(initial=0.0) > _LINKED / math.sqrt(len(one)))
