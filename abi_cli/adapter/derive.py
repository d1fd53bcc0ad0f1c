"""The adapter of a spec that names none: what most models need, judging by their variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from abi_cli import registry
from abi_cli.adapter.adapter import INFERENCE_CONDITIONS, INFERENCE_VARIABLES, SUMMARY_VARIABLES
from abi_cli.adapter.step import AdapterError, Step
from abi_cli.model.support import Support
from abi_cli.variables import Layout, Variable


def derived_steps(
    layout: Layout, *, series: Collection[str], supports: Mapping[str, Support]
) -> tuple[Step, ...]:
    """Steps from the variables of a model to the inputs of the networks.

    Parameters go to `inference_variables`, each by its support: constrained where it has bounds (by
    the logarithm where its tail is heavy), by log ratios where it is a simplex, by the logarithms
    of its gaps where it ascends. Observables go to
    `summary_variables`; where some are sets or series, those do, and the ones of fixed shape go to
    `inference_conditions` with the context. Everything is standardized but simplices, which have a
    scale, and counts of members: the width of a posterior goes with their square root, so that is
    what the network is told. What data sets come with but the model does not generate (`given`)
    goes the way of observables where it is a set or series, else that of context.

    Arguments:
        series: Observables that are series; all others without a fixed shape are sets.
        supports: Where parameters can be, as far as it is known; the whole line otherwise.

    Errors:
        AdapterError: A variable is a matrix or more, but for an observable that is the only one, or
            a context has no fixed shape: what is meant has to be said.
    """
    parameters = layout.of("parameter")
    given, observables = layout.of("given"), layout.of("observable")
    ragged = [variable for variable in (*given, *observables) if variable.ragged]
    fixed = [variable for variable in observables if not variable.ragged]
    context = [*layout.of("context"), *(variable for variable in given if not variable.ragged)]
    summarized = ragged or fixed
    for variable in (*parameters, *given, *observables, *context):
        if summarized != [variable] or variable.ragged:  # alone it may be an image
            _refuse_shape(variable)
    conditions = [*context, *(fixed if ragged else ())]
    counts = [variable for variable in context if variable.length_of]
    kinds = {name: support.kind for name, support in supports.items()}
    simplices = [name for name in _names(parameters) if kinds.get(name) == "simplex"]
    ordered = [name for name in _names(parameters) if kinds.get(name) == "ordered"]
    standardized = [
        name
        for name in _names([*parameters, *summarized, *conditions])
        if name not in (*simplices, *_names(counts))
    ]
    steps: list[Mapping[str, Any] | None] = [
        _step("as_set", keys=[name for name in _names(ragged) if name not in series]),
        _step("as_time_series", keys=[name for name in _names(ragged) if name in series]),
        *_constraints(_names(parameters), supports),
        _step("as_simplex", keys=simplices),
        _step("as_ordered", keys=ordered),
        {"standardize": {"include": standardized}},
        _step("sqrt", keys=_names(counts)),
        _step("concatenate", keys=_names(parameters), into=INFERENCE_VARIABLES),
        _step("concatenate", keys=_names(summarized), into=SUMMARY_VARIABLES),
        _step("concatenate", keys=_names(conditions), into=INFERENCE_CONDITIONS),
    ]
    return tuple(
        registry.expected(registry.from_config("step", dict(step)), Step)
        for step in steps
        if step is not None
    )


def _names(variables: Sequence[Variable]) -> list[str]:
    return [variable.name for variable in variables]


def _step(name: str, *, keys: list[str], into: str | None = None) -> Mapping[str, Any] | None:
    """The step `name` with these keys; None where there are none."""
    options: dict[str, Any] = {"keys": keys} if into is None else {"keys": keys, "into": into}
    return {name: options} if keys else None


def _constraints(
    parameters: Sequence[str], supports: Mapping[str, Support]
) -> list[Mapping[str, Any]]:
    """One step for all parameters that are constrained alike."""
    keys: dict[tuple[float | None, float | None, str | None], list[str]] = {}
    for name in parameters:
        support = supports.get(name)
        if support is None or (support.lower is None and support.upper is None):
            continue
        if support.kind == "simplex":
            continue
        one_bound = support.lower is None or support.upper is None
        method = "log" if support.heavy and one_bound else None
        keys.setdefault((support.lower, support.upper, method), []).append(name)
    return [
        {"constrain": {"keys": names, "lower": lower, "upper": upper, "method": method}}
        for (lower, upper, method), names in keys.items()
    ]


def _refuse_shape(variable: Variable) -> None:
    if len(variable.event) > 1:
        raise AdapterError(
            f"Expected numbers and vectors, to derive an adapter; got {variable.name}, "
            f"{'whose members have' if variable.ragged else 'with'} shape {variable.event}",
            hint="Say what becomes of it: write the steps under `adapter:`.",
            variable=variable.name,
            place="adapter",
        )
    if variable.ragged and variable.role not in ("given", "observable"):
        raise AdapterError(
            f"Expected context of one shape, to derive an adapter; got {variable.name}, "
            "a set or series",
            hint="Say what becomes of it: write the steps under `adapter:`.",
            variable=variable.name,
            place="adapter",
        )
