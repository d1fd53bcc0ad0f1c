"""Diagnosing: do the posteriors of a run cover the truth as often as they claim to?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli import placing
from abi_cli.data import Disagreement, DrawHeader, Loaded, collect, disagreement_note
from abi_cli.diagnostics import (
    Inputs,
    Limits,
    Metrics,
    Outcome,
    PointMetrics,
    Summaries,
    diagnose_points,
    measure_points,
)
from abi_cli.diagnostics.report import Study, study, write
from abi_cli.errors import UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.quantities import OF_TRUTHS
from abi_cli.run import DIAGNOSTICS, Run, open_run
from abi_cli.variables import Datasets, count
from abi_cli.workflow.about_data.provenance import provenance
from abi_cli.workflow.calibration.challenging import Challenging
from abi_cli.workflow.calibration.exactly import exact_of
from abi_cli.workflow.calibration.joining import NOTHING, joined_of
from abi_cli.workflow.calibration.validation import (
    USUAL_VALIDATION,
    Validation,
    context_of,
    data_of,
    density_of,
    parameters_of,
)
from abi_cli.workflow.opened.drawing import known_ranges
from abi_cli.workflow.opened.guarded import OnUnlike
from abi_cli.workflow.opened.opening import has_draws, model_of
from abi_cli.workflow.opened.refining import Refiner
from abi_cli.workflow.opened.refusing import blaming_the_run, refusing
from abi_cli.workflow.opened.selecting import USUAL_SELECTION, Selection, computing
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    tell_files,
)
from abi_cli.workflow.session import Session

USUAL_DRAWS = 1000


@dataclass(frozen=True)
class Diagnosis:
    """Metrics, the folder with them, their report and pictures; the history of the training."""

    metrics: Metrics | PointMetrics
    folder: Path
    history: Sequence[Mapping[str, float]] = ()


def diagnose(
    path: Path,
    *,
    validation: Validation = USUAL_VALIDATION,
    draws: int | None = None,
    seed: int | None = None,
    observed: Path | None = None,
    near: bool = False,
    refine: bool = False,
    challenge: float | None = None,
    selection: Selection = USUAL_SELECTION,
    shown: str | None = None,
    pdf: bool = False,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener = SILENT,
) -> Diagnosis:
    """Simulate fresh data sets with the run's own code, sample them, compare with the truth.

    The truth of each parameter, and of each quantity that the spec names, is ranked among its
    draws; with `log_likelihood` so is the density of the model. Estimates of a network that has no
    draws are held against the truth themselves.

    Arguments:
        path: The run folder.
        validation: Which data sets.
        draws: How many posterior draws of each, 1,000 by default.
        seed: Of both; the run's by default.
        observed: Real data, to be held against simulated ones.
        near: Whether posteriors are judged by simulated data sets near each of these, too.
        refine: Whether posteriors are held against refined ones, too, by `log_likelihood`.
        challenge: Seconds that rivals may learn, and then judge posteriors; None for no rivals.
        selection: Quantities beside those of the spec, or some of them to leave out.
        shown: The data set whose posterior is shown, counted from 0.
        pdf: Write figures as PDF, too.
        target: A folder; RUN/diagnostics by default, which is replaced.

    Errors:
        UsageError: Something is asked for that a network without draws does not have.
        RunError, DataError, UserFunctionError, OutputError: As they say.
    """
    run = open_run(path)
    seed = run.manifest.seed if seed is None else seed
    model = selection.of(model_of(run), run.layout)
    drawn = has_draws(model.spec)
    if not drawn:
        asked = {
            "--draws": draws,
            "--show": shown,
            "--near": near,
            "--refine": refine,
            "--challenge": challenge,
            "-s": selection.added,
            "--skip": selection.skipped,
        }
        _refuse_draws(run, model.spec.networks.inference.name, asked)
    target.claim()
    folder = target.path or run.path / DIAGNOSTICS
    placing.refuse_locked(folder)
    refiner = Refiner.of(run, jobs=compute.workers(), listener=listener) if refine else None
    if refiner is None:
        tell_files(model, listener)
    if model.spec.training.noise is not None:
        listener.note(
            "judges by data without errors: what training.noise makes wider is called too wide"
        )
    session = Session(run, model.spec, compute, listener, refiner=refiner)
    rivals = None if challenge is None else Challenging(session, model, challenge, seed)
    of = _Examined(
        session,
        model,
        rivals,
        real=replace(session, on_unlike=OnUnlike.OFF).read_all(observed) if observed else None,
        near=near,
        data=validation.data,
        seed=seed,
        draws=draws or USUAL_DRAWS,
        shown=shown,
        skipped=selection.skipped,
    )
    for look, share in validation.looks():
        simulated = look.simulations(model, seed=seed, compute=compute, listener=listener)
        limits = Limits(**dict(model.spec.diagnostics)).spending(share)
        answered = of.drawn(simulated, limits) if drawn else of.estimated(simulated, limits)
        if answered.metrics.verdict.outcome is not Outcome.CANNOT_TELL:
            break
    with placing.replacing(folder) as place:
        answered.write(place, listener=listener, pdf=pdf)
    return Diagnosis(answered.metrics, folder, run.history())


@dataclass(frozen=True)
class _Points:
    """Results for a network without draws."""

    metrics: PointMetrics
    note: str

    def write(self, place: Path, *, listener: Listener, pdf: bool) -> None:
        """Write the results into a folder."""
        if self.note:
            listener.note(self.note)
        diagnose_points(self.metrics, place, listener=listener, pdf=pdf)


@dataclass(frozen=True)
class _Draws:
    """Results for a network with draws, and what they were computed from."""

    inputs: Inputs
    found: Study

    @property
    def metrics(self) -> Metrics:
        """The metrics in numbers."""
        return self.found.metrics

    def write(self, place: Path, *, listener: Listener, pdf: bool) -> None:
        """Write the results into a folder."""
        write(self.inputs, self.found, place, listener=listener, pdf=pdf)


@dataclass(frozen=True)
class _Examined:
    """A run that is asked about data sets whose parameters are known.

    Arguments:
        session, model: The run's.
        rivals: That judge posteriors, too; None where they don't.
        real: Real data sets; None where there are none.
        data: Where the data sets are read from; None where they are simulated.
        near, seed, draws, shown, skipped: As in `diagnose`.
    """

    session: Session
    model: Model
    rivals: Challenging | None
    real: Loaded | None
    near: bool
    data: Path | None
    seed: int
    draws: int
    shown: str | None
    skipped: Sequence[str]

    def estimated(self, simulated: Datasets, limits: Limits) -> _Points:
        """Metrics of the estimates of a network without draws."""
        networks, run = self.session.networks, self.session.run
        with blaming_the_run(run, data=self.data):
            summaries = _summaries(self.session, simulated, self.real)
            estimates = networks.estimate(simulated)
        points = measure_points(
            networks.inference_network.names,
            estimates,
            parameters_of(simulated, run),
            labels=self._labels(),
            limits=limits,
        )
        return _Points(replace(points, observed=dict(summaries.p)), summaries.sentence)

    def drawn(self, simulated: Datasets, limits: Limits) -> _Draws:
        """Metrics of draws."""
        last = count(simulated) - 1
        if self.shown is not None and not (self.shown.isdecimal() and int(self.shown) <= last):
            raise UsageError(f"Expected --show 0 to {last}; got {self.shown}")
        session, model, run = self.session, self.model, self.session.run
        with blaming_the_run(run, data=self.data):
            summaries = _summaries(session, simulated, self.real)
            answers = _answers(session, model, simulated, draws=self.draws, seed=self.seed)
        after = NOTHING
        if self.near and self.real is not None:
            after = joined_of(session, model, self.real, simulated, seed=self.seed)
        exact = exact_of(session, simulated, seed=self.seed) if session.refiner else None
        inputs = Inputs(
            estimates=answers.estimates,
            truths=answers.truths,
            labels=self._labels(),
            prior=answers.truths,
            history=run.history(),
            seed=self.seed,
            shown=int(self.shown or 0),
            data=data_of(simulated, run),
            given=tuple(variable.name for variable in run.layout.of("context", "given")),
            series=model.spec.series(),
            context=context_of(simulated, run),
            disagreement=answers.disagreement,
            summaries=summaries,
            near=self.near,
            joined=after.ranks,
            log_density=answers.log_density,
            ranges=known_ranges(run, model.spec),
            notes=(*answers.notes, *after.lacking),
            computed=model.judged.functions,
            skipped=dict.fromkeys(self.skipped, "--skip"),
            density=None if model.judged.density is None else model.judged.density.name,
            exact=exact,
            challenge=None if self.rivals is None else self.rivals.against(simulated),
            limits=limits,
            source=provenance(run, model.spec, session.networks.inference, seed=self.seed),
        )
        return _Draws(inputs, study(inputs, listener=session.listener))

    def _labels(self) -> dict[str, Sequence[str]]:
        sections = self.model.spec.parameters or {}
        return {name: section.labels for name, section in sections.items()}


def _refuse_draws(run: Run, network: str, asked: Mapping[str, object]) -> None:
    """Refuse what only draws have.

    Arguments:
        asked: Option → what it says.

    Errors:
        UsageError: One says something.
    """
    for option, said in asked.items():
        if said:
            raise UsageError(
                f"expected no {option}: {network}, the network of {run.path}, has no draws, and "
                "its estimates are judged",
                hint="For draws, train it with another network, such as "
                "-s networks.inference=coupling_flow",
            )


@dataclass(frozen=True)
class _Answers:
    """Answers of a run for data sets, beside the truth.

    Arguments:
        estimates: Parameter or quantity → draws `(dataset, draw, *event)`.
        truths: The same → `(dataset, *event)`.
        log_density: Of the true parameters, `(dataset,)`; None where the network has none.
        disagreement: Of an ensemble: element name → share of the variance between its members.
        notes: What is worth telling.
    """

    estimates: dict[str, np.ndarray]
    truths: dict[str, np.ndarray]
    log_density: np.ndarray | None
    disagreement: Mapping[str, np.ndarray]
    notes: tuple[str, ...]


def _answers(
    session: Session, model: Model, simulated: Datasets, *, draws: int, seed: int
) -> _Answers:
    """Sample the posterior of every data set, and compute what posteriors are judged by."""
    approximator, run, listener = session.networks, session.run, session.listener
    truths = parameters_of(simulated, run)
    density = density_of(approximator, simulated, truths, listener)
    watch = Disagreement(approximator.members)
    drawn = approximator.sample(simulated, draws=draws, seed=seed, listener=listener)
    labels = tuple(map(str, range(count(simulated))))
    header = DrawHeader.of(simulated, run.layout, labels=labels, draws=draws, seed=seed)
    estimates = collect(header, watch.watching(drawn)).values
    if model.judged:
        at_truth = {name: value[:, None] for name, value in truths.items()}
        values = model.judged.of(at_truth, simulated, first_draw=OF_TRUTHS, seed=seed)
        truths = truths | {name: value[:, 0] for name, value in values.items()}
        with computing(model.judged, draws * count(simulated), listener) as progress:
            estimates |= model.judged.of(estimates, simulated, seed=seed, advance=progress.advance)
    if model.judged.density is not None:
        _bring_to_earth(model.judged.density.name, estimates, truths, listener)
    shares = watch.shares()
    told = disagreement_note(shares, labels)
    notes = () if told is None else (f"{told[0].upper()}{told[1:]}.",)
    return _Answers(estimates, truths, density, shares, notes)


def _summaries(session: Session, simulated: Datasets, real: Loaded | None) -> Summaries:
    """Summaries of simulated data sets by the network, and of real ones where there are some."""
    approximator = session.networks
    made = approximator.summaries(simulated)
    if real is None:
        return Summaries(made, {})
    with refusing(real, approximator.layout):
        rows = approximator.summaries(real.datasets)
    observed = dict(zip(real.labels, rows, strict=True))
    scores, told = session.guarding().judged(real)
    p = {} if scores is None else dict(zip(real.labels, map(float, scores.p), strict=True))
    return Summaries(made, observed, p, told)


def _bring_to_earth(
    name: str,
    estimates: dict[str, np.ndarray],
    truths: dict[str, np.ndarray],
    listener: Listener,
) -> None:
    """Let log densities of −inf be as low as the lowest finite one: only their ranks count."""
    draws, truth = estimates[name], truths[name]
    impossible = np.isneginf(draws)
    if not impossible.any() and not np.isneginf(truth).any():
        return
    listener.note(
        f"{name} is −inf for {impossible.mean():.2%} of the draws and {np.isneginf(truth).sum()} "
        "of the truths: they are ranked lowest"
    )
    lowest = min(draws[~impossible].min(initial=0.0), truth[np.isfinite(truth)].min(initial=0.0))
    estimates[name] = np.where(impossible, lowest, draws)
    truths[name] = np.where(np.isneginf(truth), lowest, truth)
