"""Posterior predictive data: what the model would generate, given what was seen.

The likelihood, and the functions of quantities, are the run's own, and are executed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from abi_cli.data import Draws, Kind, Loaded, formats, read_draws, write_replicates
from abi_cli.diagnostics.predictive import (
    MOST_ELEMENTS,
    Check,
    check,
    statistics_of,
    without_ends_of_binary,
)
from abi_cli.errors import DataError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.prediction import replications
from abi_cli.model.quantities import OF_TRUTHS
from abi_cli.run import Run
from abi_cli.variables import Datasets, Layout, Value, Variable, array_of, concatenate, count, take
from abi_cli.workflow.calibration.calibrating import Checked, calibrated
from abi_cli.workflow.calibration.replicating import (
    beside,
    lacking_the_same,
    left_out,
    refuse_gaps,
    replicated_of,
    tell_lost,
)
from abi_cli.workflow.opened.drawing import Drawing
from abi_cli.workflow.opened.guarded import OnUnlike
from abi_cli.workflow.opened.opening import model_of, refuse_without_draws
from abi_cli.workflow.opened.reading import Batches, Data
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
from abi_cli.workflow.simulating import Written

USUAL_DRAWS = 200


@dataclass(frozen=True)
class Prediction:
    """Replicated data of data sets.

    Arguments:
        labels: Of the data sets.
        replicated: Observable → values of `dataset × draw` data sets, draw after draw.
        observed: Given or observable → the data.
        parameters: Name → `(dataset, draw, *event)`.
        quantities: Name → `(dataset, draw, *event)` of the replicated data, and of the observed;
            of the latter those alone that depend on data.
        gaps: Observables whose values are left out at a rate: those that data lack are not looked
            at in replicated ones.
    """

    labels: list[str]
    replicated: Datasets
    observed: Datasets
    parameters: dict[str, np.ndarray]
    quantities: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    gaps: tuple[str, ...] = ()

    def of(self, row: int) -> tuple[Datasets, Datasets]:
        """A data set with what it came with, and those that replicate it."""
        draws = count(self.replicated) // len(self.labels)
        own = take(self.observed, np.array([row]))
        return own, take(self.replicated, np.arange(row * draws, (row + 1) * draws))

    def checks(self) -> list[Check]:
        """Statistics of the data beside those of replicated data, data set after data set."""
        number = len(self.labels)
        draws = count(self.replicated) // number
        replicated = lacking_the_same(self.gaps, self.observed, self.replicated, draws=draws)
        of_replicated = {
            name: value.reshape(number, -1) for name, value in statistics_of(replicated).items()
        }
        of_observed = statistics_of({name: self.observed[name] for name in self.replicated})
        of_data = self.quantities[1]
        for values, found in zip(self.quantities, (of_replicated, of_observed), strict=True):
            found |= {n: v for n, v in values.items() if n in of_data and v.ndim == 2}
        return check(self.labels, without_ends_of_binary(of_observed, of_replicated), of_replicated)


@dataclass(frozen=True)
class Predicting:
    """Data that are about to be simulated; use it once, for a table or for a file."""

    session: Session
    model: Model
    loaded: Loaded
    drawn: Draws
    seed: int
    target: Target = USUAL_PLACE

    def predict(self) -> Prediction:
        """Simulate the replicated data.

        Errors:
            SpecError: The likelihood needs what is not inferred.
            DataError: What is given lacks values.
            UserFunctionError: A function of the run's failed.
        """
        session, loaded, parameters = self.session, self.loaded, self._parameters()
        refuse_gaps(session.run.layout, loaded.datasets, loaded.labels)
        layout, datasets = session.run.layout, loaded.datasets
        tasks = replications(
            self.model.need_simulator(), layout, parameters, datasets, seed=self.seed
        )
        parts = []
        number = len(loaded.labels)
        with session.listener.task("simulating", number, "data sets") as progress:
            for part in replicated_of(tasks, compute=session.compute, number=number):
                parts.append(part)
                progress.advance()
        tell_lost(parts, session.listener)
        replicated = concatenate([part.data for part in parts])
        parameters = {
            name: np.stack([own[part.source] for own, part in zip(value, parts, strict=True)])
            for name, value in parameters.items()
        }
        observed = {v.name: datasets[v.name] for v in layout.of("given", "observable")}
        return Prediction(
            loaded.labels,
            replicated,
            observed,
            parameters,
            (
                self._quantities(parameters, self._beside(replicated)),
                self.model.quantities.of_data(layout).of(
                    parameters,
                    datasets,
                    first_draw=OF_TRUTHS,
                    seed=self.seed,
                    labels=loaded.labels,
                ),
            ),
            left_out(self.model.need_simulator()),
        )

    def checks(self) -> list[Check]:
        """Statistics of the data beside those of replicated data, data set after data set.

        Errors:
            SpecError, DataError, UserFunctionError: As `predict`.
        """
        self._tell_what_is_not_looked_at()
        return self.predict().checks()

    def _tell_what_is_not_looked_at(self) -> None:
        for variable in self.session.run.layout.of("observable"):
            number = math.prod(variable.event)
            if number > MOST_ELEMENTS:
                self.session.listener.note(
                    f"of the {number:,} numbers of {variable.name} the first {MOST_ELEMENTS} are "
                    "looked at; model.quantities can sum up the rest"
                )

    def check(self) -> Checked:
        """Simulate replications, those of simulated data sets as well, and judge the data sets.

        Errors:
            SpecError, UserFunctionError: As `predict`.
        """
        self._tell_what_is_not_looked_at()
        prediction = self.predict()
        found = calibrated(
            self.session,
            self.model.need_simulator(),
            self.loaded.datasets,
            prediction.replicated,
            self.loaded.labels,
            draws=self._draws,
            seed=self.seed,
        )
        quantities = [c for c in prediction.checks() if c.name in prediction.quantities[1]]
        return replace(found, checks=[*found.checks, *quantities])

    def _parameters(self) -> dict[str, np.ndarray]:
        return {v.name: self.drawn.values[v.name] for v in self.session.run.layout.of("parameter")}

    @property
    def _draws(self) -> int:
        return int(next(iter(self.drawn.values.values())).shape[1])

    @property
    def _replicated_labels(self) -> list[str]:
        return [label for label in self.loaded.labels for _ in range(self._draws)]

    def _beside(self, replicated: Datasets) -> Datasets:
        layout = self.session.run.layout
        return beside(layout, self.loaded.datasets, replicated, draws=self._draws)

    def _quantities(
        self, parameters: Mapping[str, np.ndarray], replicated: Datasets
    ) -> dict[str, np.ndarray]:
        """Quantities of replicated data: each data set goes with one draw."""
        quantities = self.model.quantities
        if not quantities:
            return {}
        single = {n: v.reshape(-1, 1, *v.shape[2:]) for n, v in parameters.items()}
        quantities = self.model.quantities
        with computing(quantities, count(replicated), self.session.listener) as progress:
            values = quantities.of(
                single,
                replicated,
                seed=self.seed,
                advance=progress.advance,
                labels=self._replicated_labels,
            )
        shape = (len(self.loaded.labels), self._draws)
        return {name: value.reshape(*shape, *value.shape[2:]) for name, value in values.items()}

    def write(self) -> Written:
        """Simulate the replicated data and write them, with their draws, to the target.

        Errors:
            OutputError: It can't be written.
        """
        begun = time.perf_counter()
        prediction = self.predict()
        self.model.quantities.refuse_infinite(prediction.quantities[0], self.loaded.labels)
        made = count(prediction.replicated)
        draw = np.tile(np.arange(self._draws), len(self.loaded.labels))
        values: dict[str, Value] = {"draw": draw, **self._beside({})}
        for name, value in (prediction.parameters | prediction.quantities[0]).items():
            short = value.astype("U").astype(np.float64)  # 0.1, not what float32 makes of it
            values[name] = short.reshape(made, *value.shape[2:])
        values |= prediction.replicated
        layout = Layout(tuple(self._variable(name, value) for name, value in values.items()))
        labels = self._replicated_labels
        write_replicates(self.target.path, values, layout, labels, format=self.target.format)
        names = ", ".join(prediction.replicated)
        what = f"{made:,} replicated data sets of {names}, {self._draws:,} for each"
        return Written(self.target.path, what, self.seed, time.perf_counter() - begun)

    def _variable(self, name: str, value: Value) -> Variable:
        if name in self.session.run.layout:
            return self.session.run.layout[name]
        return Variable(name, "context", ragged=False, event=array_of(value).shape[1:])


def predict(
    path: Path,
    data: Data,
    *,
    draws: int = USUAL_DRAWS,
    drawn: Path | None = None,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    selection: Selection = USUAL_SELECTION,
    refine: bool = False,
    on_unlike: OnUnlike = OnUnlike.WARN,
    listener: Listener = SILENT,
) -> Predicting:
    """Make ready to simulate data that the posteriors of data sets would generate.

    Arguments:
        path: The run folder, whose likelihood is executed.
        data: The data sets; what they come with stays as it is.
        draws: How many of each posterior, and so how many replicated data sets of each.
        drawn: A file of draws to take, instead of drawing now.
        seed: The run's by default.
        selection: Quantities beside those of the spec, or some of them to leave out.
        on_unlike: What is done about data sets that look unlike the simulations.

        refine: Whether to make posteriors exact by the run's `log_likelihood`.

    Errors:
        UsageError: The network has no draws.
        RunError, DataError, SpecError, OutputError: As they say.
    """
    formats.for_writing(target.path, target.format, Kind.REPLICATES)
    if refine and drawn is not None:
        raise UsageError("expected --refine or a file of draws; got both")
    session = Session.open(
        path,
        compute=compute,
        trust_code=trust_code,
        refine=refine,
        listener=listener,
        on_unlike=on_unlike,
    )
    run = session.run
    if drawn is None:
        refuse_without_draws(run, session.spec)
    model = selection.of(model_of(run), run.layout)
    model.need_simulator()
    tell_files(model, listener)
    target.claim()
    loaded = session.read_all(data)
    seed = session.seed if seed is None else seed
    if drawn is not None:
        made = _fitting(read_draws(drawn), run, loaded, draws, place=str(drawn))
    else:
        batches = Batches(iter([loaded]), whole=True)
        made = session.drawn(batches, Drawing(draws, seed)).collect()
    return Predicting(session, model, loaded, made, seed, target)


def _fitting(draws: Draws, run: Run, loaded: Loaded, most: int, *, place: str) -> Draws:
    """Draws of a file for the data sets at hand, `most` of each.

    Errors:
        DataError: Parameters or data sets are missing in it.
    """
    values = {}
    position = {label: i for i, label in enumerate(draws.labels)}
    if missing := [label for label in loaded.labels if label not in position]:
        raise DataError(
            f"expected draws of every data set; got none of {', '.join(islice(missing, 5))}",
            place=place,
        )
    rows = [position[label] for label in loaded.labels]
    for variable in run.layout.of("parameter"):
        value = draws.values.get(variable.name)
        if value is None or value.shape[2:] != variable.event:
            found = ", ".join(f"{n} {v.shape[2:] or ''}".strip() for n, v in draws.values.items())
            raise DataError(
                f"expected draws of {variable.name} {variable.event or ''}; got {found}",
                place=place,
            )
        values[variable.name] = value[rows, :most]
    return Draws(tuple(loaded.labels), values)
