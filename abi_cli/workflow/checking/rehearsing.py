"""A rehearsal of a spec without training: simulate, adapt, go back, and report what is wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli.adapter import Adapter
from abi_cli.errors import AbiError, SpecError, TookTooLong, UserFunctionError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.rehearsal import check_reproducible, rehearsed
from abi_cli.model.streams import Purpose
from abi_cli.spec import InvalidSpecError
from abi_cli.training.contamination import asked_of
from abi_cli.training.fitting import Fitted, faults
from abi_cli.variables import (
    Datasets,
    Layout,
    Ragged,
    Value,
    array_of,
    count,
    element_names,
    take,
)
from abi_cli.workflow.checking.agreeing import density_error
from abi_cli.workflow.checking.findings import (
    Finding,
    Severity,
    noise_findings,
    slowness_findings,
    warnings,
)
from abi_cli.workflow.checking.observing import Observed, observe
from abi_cli.workflow.checking.pointing import (
    pointed,
    pointing,
    refuse_unknown_names,
    telling_of_names,
)
from abi_cli.workflow.checking.prior import Prior
from abi_cli.workflow.checking.prior_findings import prior_findings, unused_findings
from abi_cli.workflow.checking.trying import Built, Trial, try_networks
from abi_cli.workflow.learning.stored import stored_simulations
from abi_cli.workflow.request import Compute, Model, completed, read_model, usable_cores

_ROWS = 1024
"""Most rows that a rehearsal simulates, unless a second is over before."""
_QUANTITY_ROWS = 64
_SECONDS = 1.0


@dataclass(frozen=True)
class View:
    """One variable at one place of the way, in numbers.

    Arguments:
        shape: Such as `(2,)`, or `5…14 × (2,)` for sets of so many members; `()` is a number.
        dtype: NumPy's name of the type of its numbers.
        missing: The share of numbers that are NaN; the others tell the rest.
        constant: Whether all are equal.
    """

    name: str
    shape: str
    dtype: str
    missing: float
    constant: bool
    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class StepView:
    """Variables that a step of the adapter changed; the first one is the simulator.

    Arguments:
        dropped: Variables that are gone after it.
    """

    title: str
    variables: tuple[View, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """Results of a rehearsal.

    Arguments:
        files: The user's modules that were executed.
        sources: meta, prior, likelihood → where the function is and what it takes, or what is
            declared.
        data: Where stored simulations were read, instead.
        rows: How many data sets were simulated or read, and in how many `seconds`.
        layout: The variables of the model; None where simulating them is as far as it got.
        ranges: Every scalar element of every variable as simulated.
        quantities: Every scalar element of the quantities of interest, for some of the data sets.
        steps: The way through the adapter.
        built: The networks, where they were asked for and can be built.
        observed: Real data, where they were asked for.
    """

    name: str
    files: tuple[str, ...]
    sources: dict[str, str]
    data: str | None
    rows: int
    seconds: float
    layout: Layout
    ranges: tuple[View, ...]
    quantities: tuple[View, ...]
    steps: tuple[StepView, ...]
    findings: tuple[Finding, ...]
    built: Built | None = None
    observed: Observed | None = None

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that may be intended."""
        return tuple(f for f in self.findings if f.severity is Severity.warning)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings on which training would fail."""
        return tuple(f for f in self.findings if f.severity is Severity.error)


def check(
    source: Path,
    *,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    observed: Path | None = None,
    build: Compute | None = None,
    listener: Listener = SILENT,
) -> Check:
    """Simulate a few data sets, adapt them, leave the parameters out, and go back.

    Arguments:
        data: Stored simulations, to be taken instead.
        observed: Real data, to be held against simulated ones.
        build: Where to build and try the networks, too; None not to.

    Errors:
        SpecError: The spec can't be read at all.
        DataError: Stored simulations, or real data, can't.
        UserFunctionError: A function raised or returned what it must not.
    """
    model = read_model(source, overrides=overrides)
    seed = model.spec.seed if seed is None else seed
    begun = time.perf_counter()
    whole = None
    if data is None:
        with telling_of_names(model, seed=seed):
            rows = rehearsed(
                model.need_simulator(),
                seed=seed,
                purpose=Purpose.PILOT,
                rows=_ROWS,
                seconds=_SECONDS,
                listener=listener,
            )
    else:
        whole = stored_simulations(data, model, seed=seed, listener=listener)
        rows = take(whole, slice(0, _ROWS))
    seconds = time.perf_counter() - begun
    with pointing(model):
        layout = model.layout(rows)
        refuse_unknown_names(model.spec, layout)
        asked_of(model.spec.training.noise, rows, layout)
        model.judged.refuse_unfit(layout)
    prior = model.prior(layout, seed=seed, stored=whole)
    stored = None if whole is None else count(whole)
    steps, findings, adapter = _adapt(model, rows, layout, prior, stored=stored)
    if data is None:
        slow = slowness_findings(
            model.spec,
            rows,
            layout,
            seconds=seconds,
            processes=usable_cores(),
            batched=model.need_simulator().unit > 1,
        )
        findings = [*_rows_and_noise(model, rows, prior, seed=seed), *findings, *slow]
    findings += _density_findings(model, layout, adapter, rows, seed=seed)
    beside = None
    if observed is not None:
        beside = observe(observed, model, layout, rows, adapter=adapter, listener=listener)
        findings = [*findings, *beside.findings]
    built = None
    if build is not None and not any(f.severity is Severity.error for f in findings):
        each = seconds / count(rows) if data is None else 0.0
        trial = Trial(completed(model, rows, prior, stored=stored), rows, layout, each)
        built = try_networks(trial, build, listener=listener)
    return Check(
        name=model.spec.name,
        files=model.file_names(),
        sources=_sources(model),
        data=None if data is None else str(data),
        rows=count(rows),
        seconds=seconds,
        layout=layout,
        ranges=tuple(
            view for variable in layout.variables for view in _elements(rows, variable.name)
        ),
        quantities=_quantities(model, rows, layout),
        steps=steps,
        findings=tuple(findings),
        built=built,
        observed=beside,
    )


def _sources(model: Model) -> dict[str, str]:
    """Sources of the variables and of their density, in words, by role."""
    drawn = model.simulator.sources if model.simulator else {}
    density = model.judged.density
    said = dict(
        zip(("log_likelihood", "log_prior"), density.functions if density else (), strict=False)
    )
    return {role: source.description() for role, source in {**drawn, **said}.items()}


def _quantities(model: Model, data: Datasets, layout: Layout) -> tuple[View, ...]:
    """The quantities of interest, and the density, of the parameters that were simulated."""
    if not model.judged:
        return ()
    few = take(data, slice(0, _QUANTITY_ROWS))
    parameters = {v.name: np.asarray(few[v.name])[:, None] for v in layout.of("parameter")}
    values = model.judged.of(parameters, few)
    model.judged.refuse_infinite(values)
    return tuple(view for name in values for view in _elements(_one_draw(values), name))


def _one_draw(values: Mapping[str, np.ndarray]) -> Datasets:
    """Values of the first draw, `(dataset, *event)`."""
    return {name: value[:, 0] for name, value in values.items()}


def _rows_and_noise(model: Model, pilot: Datasets, prior: Prior, *, seed: int) -> list[Finding]:
    """Findings on rows that depend on more than their number, and on data without noise."""
    simulator = model.need_simulator()
    try:
        check_reproducible(simulator, seed, pilot)
    except TookTooLong:  # as anywhere else
        raise
    except UserFunctionError as error:
        return _findings(error)
    return [
        *unused_findings(model.spec, simulator, prior),
        *noise_findings(model.spec, simulator, seed=seed),
    ]


def _density_findings(
    model: Model, layout: Layout, adapter: Adapter | None, rows: Datasets, *, seed: int
) -> list[Finding]:
    """A finding if the density that is named is not the simulator's."""
    density = model.judged.density
    if density is None or adapter is None:
        return []
    told = density_error(density, adapter, layout, rows, seed=seed)
    return [] if told is None else [Finding(Severity.warning, told.message, told.hint or "")]


def _findings(error: AbiError) -> list[Finding]:
    """The findings of an error."""
    if isinstance(error, InvalidSpecError):
        return [
            Finding(
                Severity.error, p.message, p.hint or "", p.code, str(p.position), shown=p.render()
            )
            for p in error.problems
        ]
    message = f"{error.place}: {error.message}" if error.place else error.message
    return [Finding(Severity.error, message, error.hint or "")]


def _adapt(
    model: Model, data: Datasets, layout: Layout, prior: Prior, *, stored: int | None
) -> tuple[tuple[StepView, ...], list[Finding], Adapter | None]:
    """The way through the adapter and what is wrong on it; the adapter, if it can be fitted.

    Arguments:
        stored: How many simulations were read; None where they were simulated.
    """
    begin = "simulated" if stored is None else "read"
    steps = [StepView(begin, tuple(_view(name, value) for name, value in data.items()))]
    adapter = None
    adapted = data

    def watch(title: str, after: Datasets) -> None:
        nonlocal adapted
        steps.append(_changes(title, adapted, after))
        adapted = after

    derived = model.spec.adapter is None
    try:
        model = completed(model, data, prior, stored=stored)
        with pointing(model, layout):
            adapter = Adapter.fit(
                model.spec.adapter or (), data, missing=layout.missing, watch=watch
            )
        fitted = Fitted(adapter, layout, data)
        findings = [
            finding
            for fault in faults(model.spec, stored=stored, fitted=fitted)
            for finding in _findings(_pointed(fault, model, layout))
        ]
        findings += prior_findings(layout, prior, adapter, derived=derived)
    except AbiError as error:
        findings = _findings(error)
    bounded = prior.bounded() | prior.declared.keys()
    findings += warnings(data, layout, model.spec, adapter, already=bounded)
    return tuple(steps), findings, adapter


def _pointed(fault: AbiError, model: Model, layout: Layout) -> AbiError:
    return pointed(fault, model, layout) if isinstance(fault, SpecError) else fault


def _changes(title: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> StepView:
    changed = [
        name
        for name, value in after.items()
        if name not in before or not _equal(value, before[name])
    ]
    return StepView(
        title,
        tuple(_view(name, after[name]) for name in changed),
        tuple(name for name in before if name not in after),
    )


def _equal(one: Value, other: Value) -> bool:
    one, other = array_of(one), array_of(other)
    return np.array_equal(one, other, equal_nan=True)


def _view(name: str, value: Value) -> View:
    array = array_of(value)
    shape = str(array.shape[1:])
    if isinstance(value, Ragged):
        least, most = value.row_size.min(), value.row_size.max()
        members = f"{least}" if least == most else f"{least}…{most}"
        shape = f"{members} × {shape}"
    return _numbers(name, shape, array)


def _numbers(name: str, shape: str, array: np.ndarray) -> View:
    dtype, array = array.dtype.name, array.astype(np.float64)
    missing = float(np.isnan(array).mean())
    array = array[~np.isnan(array)] if 0 < missing < 1 else array
    mean, sd = float(array.mean()), float(array.std())
    low, high = float(array.min()), float(array.max())
    if low == high:  # rounding would make a little more of it
        mean, sd = low, 0.0
    if abs(mean) < 1e-12 * sd:
        mean = 0.0
    return View(name, shape, dtype, missing, low == high, mean, sd, low, high)


def _elements(data: Datasets, name: str) -> list[View]:
    """Every scalar element over data sets, members included."""
    array = array_of(data[name])
    flat = array.reshape(len(array), -1)
    names = element_names(name, array.shape[1:])
    return [_numbers(label, "()", flat[:, k]) for k, label in enumerate(names)]
