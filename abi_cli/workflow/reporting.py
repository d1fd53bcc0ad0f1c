"""The page about a user's own data: what a run says of them, and how far that can be trusted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from abi_cli import placing
from abi_cli.data import Draws, Loaded, Statistics, summarize
from abi_cli.data.entries import listing
from abi_cli.data.statistics import OF_DRAWS
from abi_cli.diagnostics import Provenance
from abi_cli.diagnostics.pictures import Picture
from abi_cli.diagnostics.posterior_page import Page, Part, Statement, Tone, image, page_text
from abi_cli.diagnostics.predictive import Check
from abi_cli.listener import SILENT, Listener, Progress
from abi_cli.run import DIAGNOSTICS
from abi_cli.workflow.describing import METRICS, verdict_in
from abi_cli.workflow.drawing import USUAL_DRAWS, Drawing
from abi_cli.workflow.guarded import SCORE
from abi_cli.workflow.leaving import Leaving, MemberInfluence, statements
from abi_cli.workflow.opening import model_of, refuse_without_draws
from abi_cli.workflow.plotting import MOST_IN_ONE, Replicating
from abi_cli.workflow.provenance import provenance
from abi_cli.workflow.reading import Batches, Data
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    tell_files,
)
from abi_cli.workflow.session import Session
from abi_cli.workflow.shown import Shown, predictive, prior_of, rows_of
from abi_cli.workflow.simulating import Written

IN_FULL = 20
"""Most data sets that are shown in full where none are named."""

MOST_ROWS = 200
"""Most rows of the table of all data sets."""

RARE = 0.01
"""Two-sided p of a statistic that the model would hardly generate."""

REFERENCES = (
    "Gelman, Meng & Stern 1996, Posterior predictive assessment of model fitness via realized "
    "discrepancies, Statistica Sinica 6",
)


@dataclass(frozen=True)
class Heard(Listener):
    """A listener that keeps the warnings which it passes on.

    Arguments:
        to: Who hears everything.
        warnings: Text and hint of each, as they come.
    """

    to: Listener
    warnings: list[tuple[str, str | None]] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Pass the note on."""
        self.to.note(text)

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Keep the warning and pass it on."""
        self.warnings.append((text, hint))
        self.to.warn(text, hint=hint)

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """Pass the task on."""
        with self.to.task(title, total, unit) as progress:
            yield progress


def report(
    path: Path,
    data: Data,
    *,
    draws: int = USUAL_DRAWS,
    seed: int | None = None,
    datasets: Sequence[str] = (),
    parameters: Sequence[str] = (),
    code: bool = True,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    listener: Listener = SILENT,
) -> Written:
    """Write a page about data sets.

    Arguments:
        path: The run folder.
        draws: How many per data set.
        seed: The run's by default.
        datasets, parameters: Those to show in full, by name; all by default, or of many data sets
            those whose posteriors differ most from the others'.
        code: Whether the run's own code is executed, for the prior and replicated data.
        target: A file; NAME-report.html by default, NAME being the run's.

    Errors:
        UsageError: The network has no draws; there is no parameter of a name.
        RunError, DataError, UserFunctionError, OutputError: As they say.
    """
    begun = time.perf_counter()
    heard = Heard(listener)
    session = Session.open(path, compute=compute, trust_code=trust_code, listener=heard)
    refuse_without_draws(session.run, session.spec)
    model = model_of(session.run) if code else None
    if model is not None and model.simulator is None:
        model = None
    if model is not None:
        tell_files(model, heard)
    file = target.path or Path(f"{path.resolve().name}-report.html")
    replace(target, path=file).claim()
    seed = session.seed if seed is None else seed
    loaded = session.read_all(data)
    likeness = _likeness(loaded, warned=bool(heard.warnings))
    rows = rows_of(loaded.labels, datasets, place=loaded.place(0))
    drawn = session.drawn(Batches(iter([loaded]), whole=True), Drawing(draws, seed)).collect()
    shown = Shown.of(drawn, session.titles, place=loaded.place(0))
    if model is not None:
        shown = replace(shown, prior=prior_of(model, session.run.layout, seed=session.seed))
    shown = shown.only(parameters)
    full = rows if datasets or len(rows) <= IN_FULL else oddest(shown, loaded, IN_FULL)
    replicas = None if model is None else Replicating(session, model, loaded, drawn, seed)
    simulator = None if model is None else model.simulator
    influences = _influences(Leaving(session, simulator, seed), loaded, full, shown, listener)
    parts = _parts(session, shown, drawn, full, replicas, influences)
    said = _statements(
        session, parts, heard, [*likeness, *statements([*influences.values()])], model=model
    )
    page = _page(session, shown, drawn, parts, said, model=model, seed=seed, named=bool(datasets))
    with listener.task("drawing", len(_pictures(page)), "pictures") as progress:
        images = {}
        for picture in _pictures(page):
            images[id(picture)] = image(picture)
            progress.advance()
    placing.write_text(file, page_text(page, images))
    what = f"a report of {len(loaded.labels):,} data sets"
    return Written(file, what, seed, time.perf_counter() - begun)


def _likeness(loaded: Loaded, *, warned: bool) -> list[Statement]:
    """Statements of the guard, where it has not warned.

    Arguments:
        warned: Whether something was odd about the data sets.
    """
    p = loaded.scores.get(SCORE)
    if p is None:
        return [
            Statement(
                Tone.OPEN,
                "The data were not held against the simulations",
                "This run has kept no simulations to hold data against.",
                "Trained again, it has.",
            )
        ]
    if warned:
        return []
    least = int(np.argmin(p))
    return [
        Statement(
            Tone.GOOD,
            "The data are like the simulations",
            f"Of {len(p):,} data sets, {loaded.labels[least]} is the least usual "
            f"({_p(float(p[least]))}), which is no more than chance gives."
            if len(p) > 1
            else f"It is as usual as simulated ones are ({_p(float(p[0]))}).",
        )
    ]


def oddest(shown: Shown, loaded: Loaded, most: int) -> list[int]:
    """The data sets least like the simulations, in their order.

    Without a guard they are those whose posteriors lie farthest from the others': by the median of
    any parameter, in robust sds of all medians.
    """
    if (p := loaded.scores.get(SCORE)) is not None:
        return sorted(np.argsort(p, kind="stable")[:most].tolist())
    medians = np.stack([np.median(own, axis=1) for own in shown.draws.values()])
    off = np.abs(medians - np.nanmedian(medians, axis=1, keepdims=True))
    scale = np.nanmedian(off, axis=1, keepdims=True)
    far = np.nan_to_num(off / np.where(scale > 0, scale, np.inf)).max(axis=0)
    return sorted(np.argsort(-far, kind="stable")[:most].tolist())


def _parts(
    session: Session,
    shown: Shown,
    drawn: Draws,
    rows: Sequence[int],
    replicas: Replicating | None,
    influences: Mapping[int, MemberInfluence],
) -> list[Part]:
    """The data sets that are shown in full."""
    prediction = None if replicas is None else replicas.of(rows)
    checks: dict[str, list[Check]] = {}
    for check in () if prediction is None else prediction.checks():
        checks.setdefault(check.label, []).append(check)
    series, times = session.spec.series(), session.spec.times()
    parts = []
    for place, row in enumerate(rows):
        label = shown.labels[row]
        pictures = [shown.pairs(row)]
        if prediction is not None:
            pictures.append(predictive(prediction, place, series=series, times=times))
        statistics = _statistics(drawn, shown, [row])
        own = [(shown.known(name), values) for _, name, values in statistics.rows()]
        moved = influences[row].rows() if row in influences else ()
        parts.append(Part(label, own, pictures, checks.get(label, ()), moved))
    return parts


def _influences(
    leaving: Leaving, loaded: Loaded, rows: Sequence[int], shown: Shown, listener: Listener
) -> dict[int, MemberInfluence]:
    """The influence of members, of the data sets that are sets."""
    found = {}
    with listener.task("leaving members out", len(rows), "data sets") as progress:
        for row in rows:
            one = MemberInfluence.of(leaving, loaded, row, shown.known)
            if one is not None:
                found[row] = one
            progress.advance()
    return found


def _statistics(drawn: Draws, shown: Shown, rows: Sequence[int]) -> Statistics:
    """Mean, sd and quantiles of what is shown of some data sets."""
    labels = tuple(drawn.labels[row] for row in rows)
    return summarize(Draws(labels, {n: d[list(rows)] for n, d in shown.draws.items()}), OF_DRAWS)


def _page(
    session: Session,
    shown: Shown,
    drawn: Draws,
    parts: Sequence[Part],
    statements: Sequence[Statement],
    *,
    model: Model | None,
    seed: int,
    named: bool,
) -> Page:
    number = len(shown.labels)
    table: dict[str, dict[str, Mapping[str, float]]] = {}
    for label, name, own in _statistics(drawn, shown, range(min(number, MOST_ROWS))).rows():
        table.setdefault(label, {})[name] = own
    absent = {"median": np.nan, "q5": np.nan, "q95": np.nan}
    source = provenance(session.run, session.spec, seed=seed)
    facts = {n: v for n, v in source.facts.items() if n != "seed of diagnosis"}
    return Page(
        f"{source.title}: {number:,} data set{'s'[: number - 1]}",
        statements,
        [shown.forest(range(min(number, MOST_IN_ONE)))] if number > 1 else [],
        [shown.known(name) for name in shown.draws],
        [(label, [own.get(n, absent) for n in shown.draws]) for label, own in table.items()],
        parts,
        _methods(source, drawn, model=model, seed=seed),
        replace(source, facts={**facts, "seed of draws": str(seed)}),
        remark=_remark(number, len(parts), named=named),
        references=(*source.references, *(REFERENCES if model is not None else ())),
    )


def _remark(number: int, full: int, *, named: bool) -> str:
    said = []
    if full < number:
        said.append(
            f"Of {number:,} data sets {full} {'is' if full == 1 else 'are'} shown in full"
            + ("." if named else ": the oddest.")
        )
    if number > MOST_ROWS:
        said.append(f"The table has the first {MOST_ROWS}; abi estimate has all of them.")
    return " ".join(said)


def _methods(source: Provenance, drawn: Draws, *, model: Model | None, seed: int) -> str:
    """A paragraph for a paper."""
    draws = next(iter(drawn.values.values())).shape[1]
    replicated = (
        " Data were compared with data sets that the posterior of each generates."
        if model is not None
        else ""
    )
    return (
        f"{source.methods} The posteriors of {len(drawn.labels):,} data sets were described by "
        f"{draws:,} draws each (seed {seed}); intervals are central ones of 90 %.{replicated}"
    ).strip()


def _statements(
    session: Session,
    parts: Sequence[Part],
    heard: Heard,
    likeness: Sequence[Statement],
    *,
    model: Model | None,
) -> list[Statement]:
    """Statements for the page, warnings first: all that commands warn of is among them."""
    found = [
        Statement(Tone.WARNING, "Look at this first", _sentence(text), hint)
        for text, hint in heard.warnings
    ]
    found += [*likeness, *_calibration(session), *_fit(parts, model=model)]
    return sorted(found, key=lambda one: [*_ORDER].index(one.tone))


_ORDER = (Tone.BAD, Tone.WARNING, Tone.OPEN, Tone.GOOD)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _calibration(session: Session) -> Iterable[Statement]:
    """A statement on the result of `abi diagnose`."""
    verdict = verdict_in(session.run.path / DIAGNOSTICS / METRICS)
    if verdict is None:
        yield Statement(
            Tone.OPEN,
            "Calibration is not known",
            "Whether the posteriors of this run cover the truth as often as they say has not been "
            "tested.",
            f"abi diagnose {session.run.path}",
        )
        return
    tone = {"pass": Tone.GOOD, "warn": Tone.WARNING, "fail": Tone.BAD}
    yield Statement(
        tone.get(verdict["outcome"], Tone.OPEN),
        f"Calibration: {verdict['outcome']}",
        verdict["sentence"],
    )


def _fit(parts: Sequence[Part], *, model: Model | None) -> Iterable[Statement]:
    """A statement on whether the model would generate the data."""
    if model is None:
        yield Statement(
            Tone.OPEN,
            "The model was not held against the data",
            "That takes replicated data, which only the run's own code can simulate.",
        )
        return
    checks = [check for part in parts for check in part.checks]
    rare = [one for one in checks if 2 * min(one.p, 1 - one.p) < RARE]
    if not rare:
        yield Statement(
            Tone.GOOD,
            "The model would generate such data",
            f"None of {len(checks)} statistics of the data is beyond what replicated data show.",
        )
        return
    told = listing([f"{one.name} of data set {one.label} ({_p(one.p)})" for one in rare])
    are = "is" if len(rare) == 1 else "are"
    yield Statement(
        Tone.WARNING,
        "The model would hardly generate such data",
        f"{len(rare)} of {len(checks)} statistics {are} rare among replicated data, where "
        f"{100 * RARE:g} % of them would be by chance: {told}.",
        "A posterior says what the parameters are if the model is right. Look at the pictures of "
        "these data sets, and at the model.",
    )


def _p(value: float) -> str:
    nearest = min(value, 1 - value)
    return (
        f"p {value:.3f}"
        if nearest >= 0.001
        else f"p {'<' if value < 0.5 else '>'} " + ("0.001" if value < 0.5 else "0.999")
    )


def _pictures(page: Page) -> list[Picture]:
    return [*page.overview, *(picture for part in page.parts for picture in part.pictures)]
