"""Pictures of posteriors, from draws of any tool or from a run and data."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abi_cli.data import Draws, Loaded, Statistics
from abi_cli.diagnostics.pictures import Picture
from abi_cli.errors import DataError, UsageError
from abi_cli.harmless import to_type
from abi_cli.listener import SILENT, Listener
from abi_cli.placing import writing
from abi_cli.workflow.about_data.shown import (
    Shown,
    predictive,
    prior_of,
    refuse_one_draw,
    refuse_unknown_parameters,
    rows_of,
    truths_of,
)
from abi_cli.workflow.describing import read_posteriors
from abi_cli.workflow.naming import labels_in
from abi_cli.workflow.opened.drawing import USUAL_DRAWS, Drawing
from abi_cli.workflow.opened.guarded import OnUnlike
from abi_cli.workflow.opened.opening import model_of, refuse_without_draws
from abi_cli.workflow.opened.reading import Batches, DataFiles
from abi_cli.workflow.predicting import USUAL_DRAWS as REPLICAS
from abi_cli.workflow.predicting import Predicting, Prediction
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    need_piped,
    tell_files,
)
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import Written

KINDS = ("pairs", "marginals", "intervals", "predictive")
EXTENSIONS = ("png", "pdf", "svg")
MOST = 20
"""Pictures that are made by default."""

MOST_IN_ONE = 500
"""Most data sets beside each other in one picture."""


@dataclass(frozen=True)
class Wish:
    """The pictures that are wanted.

    Arguments:
        kinds: Among `KINDS`.
        datasets, parameters: By name; all where there are none.
        truth: A table of true values to mark.
        prior: Whether the prior is shown behind.
    """

    kinds: Sequence[str] = ("pairs",)
    datasets: Sequence[str] = ()
    parameters: Sequence[str] = ()
    truth: Path | None = None
    prior: bool = False

    def refuse_unknown(self) -> None:
        """Refuse unknown kinds of pictures.

        Errors:
            UsageError: One is unknown, or there are none.
        """
        for kind in self.kinds or ("",):
            if kind not in KINDS:
                raise UsageError(f"expected --kind {'|'.join(KINDS)}; got {kind!r}")


def plot(
    source: Path,
    data: DataFiles | None = None,
    *,
    wish: Wish,
    run: Path | None = None,
    draws: int = USUAL_DRAWS,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    on_unlike: OnUnlike = OnUnlike.WARN,
    listener: Listener = SILENT,
) -> list[Written]:
    """Draw pictures of posteriors.

    Arguments:
        source: A file of draws, of any tool; or a run folder, with data.
        data: What the run's posteriors are asked of.
        run: Of a file of draws: the run that it is from, for labels and prior.
        draws: How many per data set, of a run.
        target: A file (with several pictures, the name of each is put into its own), or a folder;
            by default files in the working folder.
        on_unlike: What is done about data sets that look unlike the simulations, of a run.

    Errors:
        UsageError: Something is asked for that is not there; more pictures than anyone looks at.
        RunError, DataError, UserFunctionError, OutputError: As they say.
    """
    wish.refuse_unknown()
    _refuse_extension(target)
    of_run = source.is_dir()
    if of_run:
        refuse_one_draw(draws)
    _refuse_unfit(source, data, wish, run, of_run=of_run)
    if not of_run:
        _refuse_for_draws(seed=seed, draws=draws, on_unlike=on_unlike)
    folder = source if of_run else run
    session = None
    if folder is not None:
        session = Session.open(
            folder,
            compute=compute,
            trust_code=trust_code,
            listener=listener,
            on_unlike=on_unlike,
        )
    model = None if session is None else _model(session, wish)
    loaded = None
    if of_run and session is not None and data is not None:
        refuse_without_draws(session.run, session.spec)
        refuse_unknown_parameters(wish.parameters, session)
        seed = session.seed if seed is None else seed
        loaded = session.read_all(data)
        place, labels = str(data.files[0]), tuple(loaded.labels)
    else:
        seed, drawn = None, _read(source)
        place, labels = str(source), drawn.labels
    rows = rows_of(labels, wish.datasets, place=place)
    plan = _plan(wish, labels, rows)
    files = _files(plan, labels, stem=source.resolve().stem, target=target)
    if session is not None and loaded is not None and seed is not None:
        one = Batches(iter([loaded]), whole=True)
        drawn = session.drawn(one, Drawing(draws, seed)).collect()
    shown = Shown.of(drawn, session.titles if session else labels_in(drawn.provenance), place=place)
    if session is not None:
        shown.refuse_other(session.run.layout, session.run.path, place=place)
    if wish.truth is not None:
        shown = replace(shown, truth=truths_of(wish.truth, drawn, rows))
    if wish.prior and session is not None and model is not None:
        shown = replace(shown, prior=prior_of(model, session.run.layout, seed=session.seed))
    shown = shown.only(wish.parameters)
    replicas = None
    if "predictive" in wish.kinds and session and model and loaded and seed is not None:
        replicas = Replicating(session, model, loaded, drawn, seed)
    written = []
    for (kind, row), file in zip(plan, files, strict=True):
        begun = time.perf_counter()
        if kind == "intervals":
            picture = shown.forest(rows)
        elif kind == "predictive" and replicas is not None and row is not None:
            picture = replicas.picture(row)
        else:
            picture = shown.pairs(row or 0, paired=kind == "pairs")
        save(picture, file)
        written.append(
            Written(
                file,
                f"a picture, {kind} of {_whose(labels, row, len(rows))}",
                seed,
                time.perf_counter() - begun,
            )
        )
    return written


def _refuse_extension(target: Target) -> None:
    suffix = "" if target.path is None else target.path.suffix.lower()
    if suffix and suffix[1:] not in EXTENSIONS:
        raise UsageError(
            f"expected a picture, .{', .'.join(EXTENSIONS)}, or a folder; got {target.path}"
        )


def _refuse_unfit(
    source: Path, data: DataFiles | None, wish: Wish, run: Path | None, *, of_run: bool
) -> None:
    """Refuse what does not go with a run and data, or with draws.

    Errors:
        UsageError: Something does not.
    """
    if of_run and data is None:
        raise UsageError(
            f"expected data with the run {source}; got none",
            hint=f"{to_type('abi', 'plot', source, 'DATA')}; pictures of its diagnosis are in "
            f"{source}/diagnostics/figures.",
        )
    if not of_run and data is not None:
        raise UsageError(f"expected a run folder with data, or draws alone; got {source} and data")
    if of_run and run is not None:
        raise UsageError(f"expected --run with a file of draws; got it with the run {source}")
    if not of_run and "predictive" in wish.kinds:
        raise UsageError(
            "expected RUN DATA for --kind predictive, which simulates; got draws",
            hint="abi plot RUN DATA --kind predictive",
        )
    if not of_run and wish.prior and run is None:
        raise UsageError("expected --run RUN with --prior, which its code draws; got draws alone")


def _refuse_for_draws(*, seed: int | None, draws: int, on_unlike: OnUnlike) -> None:
    """Refuse what says how to draw, where draws are there.

    Errors:
        UsageError: Something does.
    """
    for option, given, does in (
        ("--guard", on_unlike is not OnUnlike.WARN, "looks at data"),
        ("--seed", seed is not None, "decides new draws"),
        ("--draws", draws != USUAL_DRAWS, "says how many to make"),
    ):
        if given:
            raise UsageError(f"expected {option} with RUN DATA, as it {does}; got a file of draws")


def _model(session: Session, wish: Wish) -> Model | None:
    """The model whose functions are executed for the pictures; None where none are.

    Errors:
        SpecError: There is none.
    """
    if not (wish.prior or "predictive" in wish.kinds):
        return None
    model = model_of(session.run)
    model.need_simulator()
    tell_files(model, session.listener)
    return model


def _read(file: Path) -> Draws:
    """Draws of a file.

    Errors:
        DataError: It holds no draws.
    """
    need_piped(file)
    found = read_posteriors(file)
    if isinstance(found, Statistics):
        raise DataError("expected draws; got statistics of them", place=str(file))
    return found


Plan = list[tuple[str, int | None]]
"""Kinds of pictures, each with the place of its data set; None for all of them."""


def _plan(wish: Wish, labels: Sequence[str], rows: Sequence[int]) -> Plan:
    """The pictures that are wanted.

    Errors:
        UsageError: They are more than anyone looks at.
    """
    kinds = list(dict.fromkeys(wish.kinds))
    plan: Plan = [("intervals", None)] if "intervals" in kinds else []
    plan += [(kind, row) for kind in kinds if kind != "intervals" for row in rows]
    hint = f"Name some of them: --datasets {','.join(labels[:2])}"
    if len(plan) > MOST and not wish.datasets:
        raise UsageError(
            f"expected up to {MOST} pictures; got {len(plan):,}, for {len(rows):,} data sets",
            hint=f"{hint}; or --kind intervals, which has all in one picture.",
        )
    if len(rows) > MOST_IN_ONE and "intervals" in kinds:
        raise UsageError(
            f"expected up to {MOST_IN_ONE} data sets in one picture; got {len(rows):,}",
            hint=f"{hint}.",
        )
    return plan


def _files(plan: Plan, labels: Sequence[str], *, stem: str, target: Target) -> list[Path]:
    """The file of each picture; the places are claimed.

    Errors:
        OutputError: One is taken, or its folder is not there.
    """
    kinds = {kind for kind, _ in plan}
    path = target.path
    into = path is not None and not path.suffix
    if into and path is not None:
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for kind, row in plan:
        parts = [kind] if len(kinds) > 1 or path is None or into else []
        if row is not None and (len(plan) > 1 or not parts):
            parts += [_as_file_name(labels[row])] if len(plan) > 1 else []
        if path is None:
            file = Path("-".join([stem, *parts]) + ".png")
        elif into:
            file = path / ("-".join(parts) + ".png")
        else:
            file = path.with_name("-".join([path.stem, *parts]) + path.suffix)
        number = 2
        while file in files:  # labels that differ in what no name of a file may have
            file = file.with_name(f"{file.stem}-{number}{file.suffix}")
            number += 1
        files.append(file)
    for file in files:
        replace(target, path=file).claim()
    return files


def _whose(labels: Sequence[str], row: int | None, number: int) -> str:
    return f"{number:,} data sets" if row is None else f"data set {labels[row]}"


def _as_file_name(label: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", label).strip("_.")[:60] or "dataset"


@dataclass
class Replicating:
    """Data that posteriors generate, simulated for a data set when its picture is drawn."""

    session: Session
    model: Model
    loaded: Loaded
    drawn: Draws
    seed: int

    def of(self, rows: Sequence[int]) -> Prediction:
        """The prediction for some data sets.

        Errors:
            UserFunctionError: A function of the run's failed.
        """
        at = np.array(rows)
        drawn = Draws(
            tuple(self.drawn.labels[row] for row in rows),
            {name: value[at, :REPLICAS] for name, value in self.drawn.values.items()},
        )
        return Predicting(self.session, self.model, self.loaded.of(at), drawn, self.seed).predict()

    def picture(self, row: int) -> Picture:
        """A data set beside its replications."""
        spec = self.session.spec
        return predictive(self.of([row]), 0, series=spec.series(), times=spec.times())


def save(picture: Picture, file: Path) -> None:
    """Draw a picture into a file, whole or not at all.

    Errors:
        OutputError: It can't be written.
    """
    from abi_cli.diagnostics import style

    style.save(picture.draw, file)
