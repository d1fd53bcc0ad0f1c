"""A run that is opened: its spec, its networks, data sets for it and what it says of them.

None of the run's Python is executed, but for the functions of quantities where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.adapter.step import AdapterError
from abi_cli.data import (
    Disagreement,
    Draws,
    Frame,
    Loaded,
    Naming,
    Statistics,
    estimates_of,
    joined,
    oddities,
)
from abi_cli.data.statistics import OF_DRAWS
from abi_cli.errors import DataError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.run import Run, open_run
from abi_cli.spec import Spec
from abi_cli.variables import DrawBlock, take
from abi_cli.workflow.naming import naming_of, titles_of
from abi_cli.workflow.opened.drawing import (
    USUAL_DRAWS,
    Drawing,
    Drawn,
    Estimates,
    drawing_of_estimates,
    drawn_from,
    growing,
    header_of,
    known_ranges,
    watched,
)
from abi_cli.workflow.opened.guarded import Guarding, OnUnlike, examined, guard_of
from abi_cli.workflow.opened.opening import (
    model_of,
    open_approximator,
    refuse_without_density,
    refuse_without_draws,
    spec_of,
)
from abi_cli.workflow.opened.reading import Batches, Data, Densities, read_data, read_points
from abi_cli.workflow.opened.refining import CERTIFIED, Refiner, may_refine
from abi_cli.workflow.opened.refusing import refusing
from abi_cli.workflow.opened.selecting import USUAL_SELECTION, Selection
from abi_cli.workflow.request import USUAL_COMPUTE, Compute, Model, tell_files

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator
    from abi_cli.guard import Guard


@dataclass(frozen=True)
class Session:
    """A run that is open, for commands and for Python.

    Example:
        >>> posterior = abi_cli.load("runs/regression")  # doctest: +SKIP
        >>> draws = posterior.sample({"x": [-1, 0, 1], "y": [1.2, 2, 3.1]})  # doctest: +SKIP
        >>> draws.values["beta"].shape  # doctest: +SKIP
        (1, 1000, 2)

    `sample`, `estimate` and `log_prob` answer in memory. Commands take the way below them: they
    `read` data sets as these come, and pass on what `drawn` and `estimates` make of them.

    Arguments:
        run: The run folder.
        spec: The run's.
        compute: Backend and device.
        listener: Hears notes, warnings and progress.
        on_unlike: What is done about data sets that look unlike the simulations.
        refiner: Makes posteriors exact by the model's density; None to leave them as they are.
    """

    run: Run
    spec: Spec
    compute: Compute = USUAL_COMPUTE
    listener: Listener = SILENT
    on_unlike: OnUnlike = OnUnlike.WARN
    refiner: Refiner | None = None

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        compute: Compute = USUAL_COMPUTE,
        trust_code: bool = False,
        refine: bool = False,
        listener: Listener = SILENT,
        on_unlike: OnUnlike = OnUnlike.WARN,
    ) -> Session:
        """Open a run.

        Arguments:
            refine: Whether to make posteriors exact by the model's `log_likelihood`, which is
                executed.
            trust_code: Whether to execute what the run was trained with, if it has parts of its
                own (`use:` in its spec); without it such a run is refused.

        Errors:
            RunError: It is no run, or one whose training has not come to its end, or its spec was
                changed since, by more than its `data:` or `diagnostics:`.
            InvalidSpecError: It has parts of its own.
            UsageError: It is to be refined, and its spec names no `log_likelihood`.
        """
        run = open_run(Path(path))
        spec = spec_of(run, trust_code=trust_code)
        refiner = None
        if refine:
            refuse_without_draws(run, spec)
            refiner = Refiner.of(run, jobs=compute.workers(), listener=listener)
        return cls(run, spec, compute, listener, on_unlike, refiner)

    @cached_property
    def networks(self) -> Approximator:
        """The run's networks, loaded when they are first needed.

        Errors:
            RunError: They have learned other variables than the run says.
        """
        return open_approximator(self.run, self.compute, self.listener)

    @property
    def seed(self) -> int:
        """The seed of draws where no other is asked for: the run's."""
        return self.run.manifest.seed

    @cached_property
    def naming(self) -> Naming:
        """Other names of variables in files."""
        return naming_of(self.spec)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Name of a parameter's element → its label; those without one are left out."""
        return titles_of(self.spec, self.run.layout)

    def with_quantities(self, selection: Selection = USUAL_SELECTION) -> Model:
        """The model with the functions of its quantities, which are executed.

        Errors:
            UsageError: It has none.
        """
        model = model_of(self.run)
        if not (model.quantities.functions or selection.added):
            raise UsageError(
                f"the spec of {self.run.path} names no quantities",
                hint="Name one: -s model.quantities.NAME=FILE.py:FUNCTION",
            )
        model = selection.of(model, self.run.layout)
        tell_files(model, self.listener)
        return model

    def say_what_may_be_refined(self) -> None:
        """A hint at refinement, where it is possible and nobody has asked for it."""
        robust = self.spec.training.noise is not None  # which is undone by that
        if self.refiner is None and may_refine(self.spec) and not robust:
            self.listener.note(
                "the spec names a log_likelihood: --refine makes these posteriors exact by it"
            )

    def read(self, data: Data, *, whole: bool = False) -> Batches:
        """Data sets for the run as they come; of each kind of oddity there is one warning.

        Arguments:
            data: A file, several, or a table with a column for every variable and, where it holds
                several data sets, one called `dataset`: a mapping of columns or a pandas DataFrame.
            whole: All of them at once, whatever the format.

        Errors:
            UsageError: No such format; groups are asked of what does not come in them.
            DataError: They are not there, or not data of this model.
        """
        batches = read_data(data, self.run.layout, self.naming, whole=whole)
        return replace(
            batches, parts=examined(batches, self.examine, self.guarding(), self.listener)
        )

    def read_all(self, data: Data) -> Loaded:
        """All data sets at once; see `read`."""
        return next(self.read(data, whole=True).parts)

    @cached_property
    def guard(self) -> Guard | None:
        """The run's guard; None where it has none, or nobody is to look.

        Errors:
            RunError: Its file is not what training wrote.
        """
        return None if self.on_unlike is OnUnlike.OFF else guard_of(self.run)

    def guarding(self) -> Guarding:
        """The guard of a command's data sets: are they like the simulations?"""
        return Guarding(
            self.guard,
            self.run.layout,
            lambda data: self.networks.summaries(data),
            self.on_unlike,
            self.listener,
        )

    def examine(self, loaded: Loaded) -> dict[str, str]:
        """Sentences on oddities of data sets, by what they are about.

        All data sets that a posterior is asked of come by here before it is drawn from, whether
        from a file, from memory or line by line. Context outside what was simulated is left to the
        guard, where there is one.
        """
        told = oddities(loaded.datasets, loaded.labels, self.run.layout)
        if self.guard is None:
            return told
        return {what: text for what, text in told.items() if what not in self.run.layout}

    def draws(
        self, loaded: Loaded, *, draws: int, seed: int, first: int = 0
    ) -> Iterator[DrawBlock]:
        """Posterior draws of data sets.

        Arguments:
            draws: How many per data set.
            first: The place of the first data set among all that posteriors are asked of.

        Errors:
            DataError: A step, or single precision, has no place for a value; a posterior is not
                finite. The message names the place in the file.
        """
        with refusing(loaded, self.run.layout):
            if self.refiner is None:
                yield from self.networks.sample(
                    loaded.datasets, draws=draws, seed=seed, first=first
                )
            else:
                yield from self.refiner.draws(
                    self.networks, loaded, draws=draws, seed=seed, first=first
                )

    def drawn(self, data: Batches, drawing: Drawing) -> Drawn:
        """Posterior draws of all data sets, on their way to wherever they go.

        The first data sets are read, and the networks loaded, before anything is drawn.

        Errors:
            DataError: As `read` and, while the draws come, as `draws`.
        """
        first = next(data.parts)
        labels = list(first.labels)
        scores = {name: own.tolist() for name, own in first.scores.items()}
        header = header_of(self.run, self.titles, drawing, first, labels, scores)
        header = replace(header, certificates=() if self.refiner is None else CERTIFIED)
        watch = Disagreement(0 if self.refiner else self.networks.members)
        draw = partial(self.draws, draws=drawing.draws, seed=drawing.seed)
        total = len(labels) * drawing.draws if data.whole else None
        parts = growing(labels, scores, first, data.parts)
        blocks = drawn_from(parts, draw, header, drawing, total=total, listener=self.listener)
        blocks = watched(blocks, watch, labels, known_ranges(self.run, self.spec), self.listener)
        if self.refiner is not None:
            blocks = self.refiner.telling(blocks)
        return Drawn(header, blocks, watch)

    def estimates(
        self, data: Batches, drawing: Drawing | None, names: Sequence[str] = OF_DRAWS
    ) -> Estimates:
        """Point estimates of all data sets, on their way to wherever they go.

        Arguments:
            drawing: Of the draws that they are of; None for a network that gives them itself.
            names: Of statistics of draws.

        Errors:
            DataError: As `drawn`.
        """
        if drawing is not None and self.refiner is not None and drawing.model is None:
            elements = tuple(e for v in self.run.layout.of("parameter") for e in v.elements())
            refined = self.refiner.all_estimates(self.networks, data, drawing, names)
            return Estimates(tuple(names), elements, refined)
        if drawing is not None:
            drawn = self.drawn(data, drawing)
            parts = estimates_of(drawn.header, drawn.blocks, names)
            return Estimates(tuple(names), drawn.header.elements(), parts)
        first = next(data.parts)
        own = tuple(self.networks.inference_network.names)
        elements = tuple(e for v in self.run.layout.of("parameter") for e in v.elements())
        return Estimates(own, elements, self._estimates(chain([first], data.parts), own))

    def _estimates(self, parts: Iterable[Loaded], names: tuple[str, ...]) -> Iterator[Statistics]:
        """Estimates that the network gives."""
        with self.listener.task("estimating"):
            for loaded in parts:
                with refusing(loaded, self.run.layout):
                    values = self.networks.estimate(loaded.datasets)
                single = {name: value.astype(np.float32) for name, value in values.items()}
                yield Statistics(tuple(loaded.labels), names, single)

    def sample(
        self,
        data: Data,
        *,
        draws: int = USUAL_DRAWS,
        seed: int | None = None,
        quantities: bool = False,
    ) -> Draws:
        """Draws from the posterior of every data set.

        Arguments:
            data: As `read` takes it.
            draws: How many per data set.
            seed: The run's by default.
            quantities: Whether to compute those of the spec, too, by the run's own code, which is
                executed.

        Returns:
            `values[parameter]` is `(dataset, draw, *event)`, float32; quantities likewise. Of an
            ensemble, `disagreement` says how much not to believe them.

        Errors:
            DataError: The table is not data of this model.
            UsageError: The spec names no quantities, or the network has no draws.
        """
        refuse_without_draws(self.run, self.spec)
        batches = self.read(data, whole=True)
        model = self.with_quantities() if quantities else None
        seed = self.seed if seed is None else seed
        return self.drawn(batches, Drawing(draws, seed, model)).collect()

    def estimate(
        self, data: Data, *, draws: int | None = None, seed: int | None = None
    ) -> Statistics:
        """Point estimates of the parameters of every data set.

        A `point` network gives those that it was trained for. Of others they are mean, sd and
        quantiles of draws.

        Arguments:
            data: As `read` takes it.
            draws: How many per data set, 1,000 by default; a `point` network has none.
            seed: Seed of the draws; the run's by default.

        Returns:
            `values[parameter]` is `(dataset, estimate, *event)`, the estimates being `names`.

        Errors:
            DataError: The table is not data of this model.
            UsageError: Draws are asked for where there are none.
        """
        drawing = drawing_of_estimates(self.run, self.spec, draws=draws, seed=seed)
        parts = self.estimates(self.read(data), drawing).parts
        return replace(joined(parts), titles=self.titles)

    def log_prob(self, data: Data, at: Path | str | Frame) -> np.ndarray:
        """Log posterior density of every row of `at` given its data set, `(row,)`.

        Arguments:
            at: A file or table with a column for every element of the parameters, such as
                `beta[0]`, and `dataset` where there are several.

        Errors:
            DataError: They are not data, or parameters, of this model.
            UsageError: The network has no density.
        """
        return self.densities(data, at).log_prob

    def densities(self, data: Data, at: Path | str | Frame) -> Densities:
        """Log posterior densities, with the data set of each."""
        refuse_without_density(self.run, self.spec)
        loaded = replace(self, on_unlike=OnUnlike.OFF).read_all(data)  # nothing is drawn
        points = read_points(at, loaded, self.run.layout, self.naming, note=self.listener.note)
        try:
            with refusing(loaded, self.run.layout, of=points.index):
                asked = take(loaded.datasets, points.index)
                found = self.networks.log_prob(asked, points.parameters)
        except AdapterError as error:
            raise DataError(error.message, place=points.place, hint=error.hint) from None
        return Densities(tuple(loaded.labels[i] for i in points.index), found)


load = Session.open
"""The entry from Python."""
