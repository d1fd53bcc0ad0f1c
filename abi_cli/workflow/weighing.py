"""Comparison of models by real data: evidence, and members left out in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli.data import Loaded
from abi_cli.errors import RunError, UsageError, UserFunctionError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.making import Work
from abi_cli.model.streams import Purpose
from abi_cli.run import Run
from abi_cli.variables import Datasets, count
from abi_cli.workflow.calibration.validation import context_of
from abi_cli.workflow.request import USUAL_COMPUTE, Compute
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import simulate_rows

if TYPE_CHECKING:
    from abi_cli.refinement.factors import FactorTest
    from abi_cli.refinement.leaving import Elpd

TESTED = 100
"""Data sets of each model by which their evidences are tested."""

ALIKE = 1e-3
"""p-value below which the contexts of two models are drawn differently."""


@dataclass(frozen=True)
class Weighed:
    """The results of one model for the data sets.

    Arguments:
        log_evidence, log_evidence_error: `(dataset,)`; NaN where they are not known.
        by: The way in which each posterior was refined.
        elpd: Elpd of each data set; empty where the density has no value for each member.
    """

    run: Run
    log_evidence: np.ndarray
    log_evidence_error: np.ndarray
    by: Sequence[str]
    elpd: Sequence[Elpd]


@dataclass(frozen=True)
class Weighing:
    """Models side by side.

    Arguments:
        labels: Labels of the data sets.
        weighed: Results of each model; the others are compared with the first.
        tests: Tests of each evidence beside the first's; None for itself, or if not asked for.
    """

    labels: Sequence[str]
    weighed: Sequence[Weighed]
    tests: Sequence[FactorTest | None]
    evidence: bool

    def factor(self, which: int, row: int) -> tuple[float, float]:
        """Log Bayes factor of a model for the first, and its standard error."""
        one, first = self.weighed[which], self.weighed[0]
        error = math.hypot(one.log_evidence_error[row], first.log_evidence_error[row])
        return float(one.log_evidence[row] - first.log_evidence[row]), error

    def to_config(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        runs = []
        for k, one in enumerate(self.weighed):
            rows = []
            for row, label in enumerate(self.labels):
                told: dict[str, Any] = {"dataset": label, "by": str(one.by[row])}
                if one.elpd:
                    own, difference = one.elpd[row], one.elpd[row].minus(self.weighed[0].elpd[row])
                    told |= {"elpd": own.total, "elpd_error": own.error, "bad_khat": own.bad}
                    told |= {"elpd_difference": difference[0], "difference_error": difference[1]}
                    told["word"] = own.word(self.weighed[0].elpd[row]) if k else ""
                    told["members"] = {"elpd": own.each.tolist(), "khat": own.khat.tolist()}
                if self.evidence:
                    factor, error = self.factor(k, row)
                    told |= {"log_evidence": float(one.log_evidence[row])}
                    told |= {"log_evidence_error": float(one.log_evidence_error[row])}
                    told |= {"log_bayes_factor": factor, "log_bayes_factor_error": error}
                rows.append(told)
            test = self.tests[k]
            runs.append({"run": str(one.run.path), "rows": rows, "test": test and vars(test)})
        return {"runs": runs}


def weigh(
    paths: Sequence[Path],
    observed: Path,
    *,
    evidence: bool = False,
    draws: int = 1000,
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener = SILENT,
) -> Weighing:
    """Compare models with the first of them by real data, with refined posteriors.

    Arguments:
        paths: Run folders, at least two, whose specs name a `log_likelihood`.
        observed: A file of data sets.
        evidence: Whether Bayes factors are wanted.
        draws: Effective ones of each posterior.
        seed: Each run's own by default.

    Errors:
        UsageError: Fewer than two runs; one without a density, or without one by member where
            nothing else is asked for.
        RunError: They are of other data.
        UserFunctionError: A density is none; it lacks a term that evidence needs.
    """
    if len(paths) < 2:
        raise UsageError("Expected two runs or more", hint="abi compare runs/one runs/other")
    sessions = [
        Session.open(path, compute=compute, refine=True, listener=listener) for path in paths
    ]
    for session in sessions[1:]:
        _refuse_other_data(session.run, sessions[0].run)
    loaded = [session.read_all(observed) for session in sessions]
    if any(one.labels != loaded[0].labels for one in loaded):
        raise RunError(f"{observed} is read as other data sets by these runs")
    tests: list[FactorTest | None] = [None] * len(sessions)
    if evidence:
        tests[1:] = _tested(sessions, draws=draws, compute=compute, listener=listener)
    weighed = []
    for session, own in zip(sessions, loaded, strict=True):
        weighed.append(_weighed(session, own, draws=draws, seed=seed, by_member=True))
        if not weighed[-1].elpd and not evidence:
            raise UsageError(
                f"the log_likelihood of {session.run.path} gives a total: without one value for "
                "each member none can be left out",
                hint="Let it return the log density of every member, as an array, or compare by "
                "--evidence.",
            )
    if not all(one.elpd for one in weighed):
        listener.note("no elpd: a log_likelihood gives a total, not a value for each member")
        weighed = [
            Weighed(one.run, one.log_evidence, one.log_evidence_error, one.by, ())
            for one in weighed
        ]
    for session in sessions:
        if session.refiner is not None:
            session.refiner.tell()
    return Weighing(loaded[0].labels, weighed, tests, evidence)


def _weighed(
    session: Session, loaded: Loaded, *, draws: int, seed: int | None, by_member: bool
) -> Weighed:
    """The results of a model for data sets."""
    refiner = session.refiner
    assert refiner is not None  # noqa: S101  # it was opened with one
    seed = session.seed if seed is None else seed
    evidences, by, each = [], [], []
    made = refiner.refined(session.networks, loaded, draws=draws, seed=seed)
    total = len(loaded.labels)
    with session.listener.task(f"refining {session.run.path}", total, "data sets") as progress:
        for row, (joint, one) in enumerate(made):
            certificate = one.certificate
            evidences.append((certificate.log_evidence, certificate.log_evidence_error))
            by.append(certificate.how)
            progress.advance()
            if not by_member:
                continue
            if (found := refiner.by_member(joint, loaded, row, one)) is None:
                by_member = False
                continue
            each.append(found)
    log_evidence, error = np.array(evidences).reshape(-1, 2).T
    return Weighed(session.run, log_evidence, error, by, each if len(each) == len(by) else ())


def _refuse_other_data(run: Run, first: Run) -> None:
    """Refuse a run of other observables than the first.

    Errors:
        RunError: It is.
    """
    own, others = ({v.name: v.event for v in r.layout.of("observable")} for r in (run, first))
    if own != others:
        raise RunError(
            f"{run.path} is a model of {', '.join(own)}; {first.path} of {', '.join(others)}",
            hint="Models can be compared that are of the same data.",
        )


def _tested(
    sessions: Sequence[Session], *, draws: int, compute: Compute, listener: Listener
) -> list[FactorTest | None]:
    """Test the evidence of each model beside the first's, by data sets of either.

    Errors:
        UserFunctionError: They don't belong together.
    """
    from abi_cli.refinement.factors import CERTAIN, factor_test

    simulated = [_simulated(s, compute=compute, listener=listener) for s in sessions]
    contexts = [context_of(rows, s.run) for s, rows in zip(sessions, simulated, strict=True)]
    found: list[FactorTest | None] = []
    own = [_evidence(s, rows, draws=draws) for s, rows in zip(sessions, simulated, strict=True)]
    for k in range(1, len(sessions)):
        names = f"{sessions[0].run.path} and {sessions[k].run.path}"
        if other := _unlike(contexts[0], contexts[k]):
            listener.warn(
                f"the evidences of {names} are not tested: {other} is drawn otherwise in either"
            )
            found.append(None)
            continue
        of_first = _evidence(sessions[k], simulated[0], draws=draws) - own[0]
        of_second = own[k] - _evidence(sessions[0], simulated[k], draws=draws)
        test = factor_test(of_first, of_second)
        if test.p < CERTAIN:
            raise UserFunctionError(
                f"the evidences of {names} can't be compared: under the first model the mean Bayes "
                f"factor for the second is {test.mean:.3g} ± {test.error:.2g}, not 1 "
                f"(p = {max(test.p, 1e-300):.0e})",
                hint="A log_likelihood or log_prior lacks a term in the data alone, or a constant, "
                "such as −½ log 2π or a binomial coefficient. Posteriors don't need it.",
            )
        tail = "" if test.khat <= 0.7 else f"; its tail is heavy, k-hat {test.khat:.2f}"
        told = (
            f"under the first, the mean Bayes factor for the second is {test.mean:.3g} ± "
            f"{test.error:.2g}{tail}, and 1 where no term is missing; by a bounded test "
            f"p = {test.p:.2g}"
        )
        listener.note(f"evidences of {names}, by {test.datasets} data sets of either: {told}")
        found.append(test)
    for session in sessions:
        if session.refiner is not None:
            session.refiner.forget()
    return found


def _simulated(session: Session, *, compute: Compute, listener: Listener) -> Datasets:
    refiner = session.refiner
    assert refiner is not None  # noqa: S101  # it was opened with one
    seed = session.run.manifest.seed
    work = Work(refiner.model.need_simulator(), seed, Purpose.REFINE)
    return simulate_rows(work, 0, TESTED, compute=compute, listener=listener)


def _evidence(session: Session, rows: Datasets, *, draws: int) -> np.ndarray:
    """Log evidence of simulated data sets, `(dataset,)`; NaN where it is not known."""
    kept = {v.name for v in session.run.layout.of("context", "given", "observable")}
    data = {name: value for name, value in rows.items() if name in kept}
    if missing := sorted(kept - data.keys()):
        raise RunError(
            f"{session.run.path} needs {', '.join(missing)}, which the other model has not",
            hint="Models can be compared that are of the same data.",
        )
    labels = [f"{k} that was simulated" for k in range(count(data))]
    loaded = Loaded(labels, data, (), lambda row: f"data set {row}", lambda name, _at: name)
    return _weighed(session, loaded, draws=draws, seed=None, by_member=False).log_evidence


def _unlike(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> str | None:
    """A context variable that two models draw differently; None where there is none."""
    from scipy import stats

    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            return name
        if stats.ks_2samp(first[name], second[name]).pvalue < ALIKE:
            return name
    return None
