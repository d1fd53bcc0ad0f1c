"""The page about a user's own data: what a run says of them, and how far that can be trusted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from abi_cli import placing
from abi_cli.data import Draws, Loaded, Statistics, summarize
from abi_cli.data.statistics import OF_DRAWS
from abi_cli.diagnostics import Provenance
from abi_cli.diagnostics.page import image
from abi_cli.diagnostics.pictures import Picture
from abi_cli.diagnostics.posterior_page import MOST_COLUMNS, Page, Part, Statement, page_text
from abi_cli.digits import plural
from abi_cli.errors import AbiError, DataError, UserFunctionError
from abi_cli.listener import SILENT, Listener
from abi_cli.workflow.about_data.leaving import Leaving, MemberInfluence, statements
from abi_cli.workflow.about_data.provenance import provenance
from abi_cli.workflow.about_data.scoring import Scored, Scoring
from abi_cli.workflow.about_data.shown import (
    Shown,
    predictive,
    prior_of,
    refuse_one_draw,
    refuse_unknown_parameters,
    rows_of,
)
from abi_cli.workflow.about_data.statements import Heard, calibration, fit, in_order, likeness
from abi_cli.workflow.opened.drawing import USUAL_DRAWS, Drawing
from abi_cli.workflow.opened.guarded import SCORE, OnUnlike
from abi_cli.workflow.opened.opening import model_of, refuse_without_draws
from abi_cli.workflow.opened.reading import Batches, Data, DataFiles
from abi_cli.workflow.plotting import MOST_IN_ONE, Replicating
from abi_cli.workflow.predicting import Prediction
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    tell_files,
)
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import Written

IN_FULL = 20
"""Most data sets that are shown in full where none are named."""

MOST_ROWS = 200
"""Most rows of the table of all data sets; a row for each parameter where they are many."""

REFERENCES = (
    "Gelman, Meng & Stern 1996, Posterior predictive assessment of model fitness via realized "
    "discrepancies, Statistica Sinica 6",
)


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
    on_unlike: OnUnlike = OnUnlike.WARN,
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
        on_unlike: What is done about data sets that look unlike the simulations.

    Errors:
        UsageError: The network has no draws; there is no parameter of a name.
        RunError, DataError, UserFunctionError, OutputError: As they say.
    """
    begun = time.perf_counter()
    refuse_one_draw(draws)
    heard = Heard(listener)
    session = Session.open(
        path, compute=compute, trust_code=trust_code, listener=heard, on_unlike=on_unlike
    )
    refuse_without_draws(session.run, session.spec)
    refuse_unknown_parameters(parameters, session)
    model = model_of(session.run) if code else None
    if model is not None and model.simulator is None:
        model = None
    if model is not None:
        tell_files(model, heard)
    file = target.path or Path(f"{path.resolve().name}-report.html")
    replace(target, path=file).claim()
    seed = session.seed if seed is None else seed
    loaded = session.read_all(data)
    found = likeness(loaded, on_unlike, warned=bool(heard.warnings))
    rows = rows_of(loaded.labels, datasets, place=_files(data))
    drawn = session.drawn(Batches(iter([loaded]), whole=True), Drawing(draws, seed)).collect()
    shown = Shown.of(drawn, session.titles, place=loaded.place(0))
    full = rows if datasets or len(rows) <= IN_FULL else oddest(shown, loaded, IN_FULL)
    scored = Scored()
    if model is not None:
        scored = Scoring(session, model, draws, seed, heard).of(loaded, full)
        drawn = scored.put_into(drawn)
        shown = Shown.of(drawn, session.titles, place=loaded.place(0))
        shown = replace(shown, prior=prior_of(model, session.run.layout, seed=session.seed))
    shown = shown.only(parameters)
    replicas = None if model is None else Replicating(session, model, loaded, drawn, seed)
    leaving = Leaving(session, None if model is None else model.simulator, seed)
    influences = _influences(leaving, loaded, full, shown, listener)
    failed: list[tuple[str, AbiError]] = []
    predictions = {} if replicas is None else _predictions(replicas, full, failed)
    parts = _parts(session, shown, drawn, full, predictions, influences, scored)
    found += [*heard.statements(), *scored.statements(), *statements([*influences.values()])]
    found += calibration(session, exact=scored.all_exact)
    found += [*fit(parts, replicated=model is not None, failed=failed)]
    page = _page(
        *(session, shown, drawn, parts, in_order(found)),
        data=data,
        model=model,
        seed=seed,
        named=bool(datasets),
    )
    with listener.task("drawing", len(_pictures(page)), "pictures") as progress:
        images = {}
        for picture in _pictures(page):
            images[id(picture)] = image(picture)
            progress.advance()
    placing.write_text(file, page_text(page, images))
    number = len(loaded.labels)
    what = f"a report of {number:,} {plural('data set', number)}"
    return Written(file, what, seed, time.perf_counter() - begun)


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


def _predictions(
    replicas: Replicating, rows: Sequence[int], failed: list[tuple[str, AbiError]]
) -> dict[int, Prediction]:
    """Data that the posteriors generate; errors of simulations are kept in `failed`."""
    found = {}
    for row in rows:
        try:
            found[row] = replicas.of([row])
        except (UserFunctionError, DataError) as error:
            failed.append((replicas.loaded.labels[row], error))
    return found


def _parts(
    session: Session,
    shown: Shown,
    drawn: Draws,
    rows: Sequence[int],
    predictions: Mapping[int, Prediction],
    influences: Mapping[int, MemberInfluence],
    scored: Scored,
) -> list[Part]:
    """The data sets that are shown in full."""
    series, times = session.spec.series(), session.spec.times()
    parts = []
    for row in rows:
        pictures, checks = [shown.pairs(row)], []
        if (prediction := predictions.get(row)) is not None:
            pictures.append(predictive(prediction, 0, series=series, times=times))
            checks = prediction.checks()
        statistics = _statistics(drawn, shown, [row])
        own = [(shown.known(name), values) for _, name, values in statistics.rows()]
        elpd = scored.left_out.get(row)
        moved = influences[row].rows(elpd) if row in influences else ()
        said = "" if elpd is None else elpd.said()
        parts.append(Part(shown.labels[row], own, pictures, checks, moved, said))
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
    data: Data,
    model: Model | None,
    seed: int,
    named: bool,
) -> Page:
    number, told = len(shown.labels), _told(shown)
    table: dict[str, dict[str, Mapping[str, float]]] = {}
    for label, name, own in _statistics(drawn, shown, range(told)).rows():
        table.setdefault(label, {})[name] = own
    absent = {"median": np.nan, "q5": np.nan, "q95": np.nan}
    source = provenance(session.run, session.spec, session.networks.inference, seed=seed)
    facts = {n: v for n, v in source.facts.items() if n != "seed of diagnosis"}
    return Page(
        f"{source.title}: {number:,} {plural('data set', number)}",
        statements,
        [_overview(shown)] if number > 1 else [],
        [shown.known(name) for name in shown.draws],
        [(label, [own.get(n, absent) for n in shown.draws]) for label, own in table.items()],
        parts,
        _methods(source, drawn, model=model, seed=seed),
        replace(source, facts={"data": _files(data), **facts, "seed of draws": str(seed)}),
        remark=_remark(number, len(parts), told, named=named),
        references=(*source.references, *(REFERENCES if model is not None else ())),
    )


def _files(data: Data) -> str:
    """The files that data are from."""
    if isinstance(data, DataFiles):
        return ", ".join("standard input" if str(f) == "-" else str(f) for f in data.files)
    return str(data) if isinstance(data, Path | str) else "a table in memory"


def _overview(shown: Shown) -> Picture:
    """All data sets in one picture, or the first ones."""
    number = len(shown.labels)
    remark = f"They are the first of {number:,}." if number > MOST_IN_ONE else ""
    return shown.forest(range(min(number, MOST_IN_ONE)), remark=remark)


def _told(shown: Shown) -> int:
    """The number of data sets in the table of all of them."""
    number, parameters = len(shown.labels), len(shown.draws)
    rows = parameters if parameters > MOST_COLUMNS else 1
    return min(number, max(1, MOST_ROWS // rows))


def _remark(number: int, full: int, told: int, *, named: bool) -> str:
    said = []
    if full < number:
        said.append(
            f"Of {number:,} data sets {full} {'is' if full == 1 else 'are'} shown in full"
            + ("." if named else ": the oddest.")
        )
    if number > told:
        said.append(f"The table has the first {told}; abi estimate has all of them.")
    return " ".join(said)


def _methods(source: Provenance, drawn: Draws, *, model: Model | None, seed: int) -> str:
    """A paragraph for a paper."""
    draws = next(iter(drawn.values.values())).shape[1]
    number = len(drawn.labels)
    whose, each = f"The posteriors of {number:,} data sets were", " each"
    if number == 1:
        whose, each = "The posterior of a data set was", ""
    replicated = (
        " Data were compared with data sets that the posterior of each generates."
        if model is not None
        else ""
    )
    return (
        f"{source.methods} {whose} described by "
        f"{draws:,} draws{each} (seed {seed}); intervals are central ones of 90 %.{replicated}"
    ).strip()


def _pictures(page: Page) -> list[Picture]:
    return [*page.overview, *(picture for part in page.parts for picture in part.pictures)]
