"""Posterior draws of data sets, from a run. None of its Python is executed but for quantities."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli import __version__
from abi_cli.data import (
    STATISTICS,
    Disagreement,
    DrawHeader,
    Draws,
    Kind,
    Loaded,
    Statistics,
    Style,
    collect,
    estimates_of,
    formats,
    open_draws,
    summarize,
    write_estimates,
)
from abi_cli.data.draws import USUAL_STYLE
from abi_cli.data.statistics import fewest_draws, parse
from abi_cli.errors import UsageError
from abi_cli.listener import Listener, Progress
from abi_cli.model.quantities import Quantities
from abi_cli.model.streams import Purpose
from abi_cli.run import MODEL, Run, open_run
from abi_cli.variables import Datasets, DrawBlock, Variable, count
from abi_cli.workflow.naming import naming_of, titles_of, told_labels
from abi_cli.workflow.opening import (
    Batches,
    DataFiles,
    load_batches,
    model_of,
    open_approximator,
    refuse_without_draws,
    spec_of,
    watched,
)
from abi_cli.workflow.refusing import refusing_among
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    tell_files,
)
from abi_cli.workflow.selecting import USUAL_SELECTION, Selection
from abi_cli.workflow.simulating import Written

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator


@dataclass(frozen=True)
class Shape:
    """What a file of draws looks like.

    Arguments:
        style: Of names and numbers in tables.
        long: A row for each element of a draw, in tables.
        points: Statistics that are written instead of draws, `mean,sd,q5`; see `data.statistics`.
    """

    style: Style = USUAL_STYLE
    long: bool = False
    points: str | None = None

    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics.

        Errors:
            UsageError: One is unknown, or goes with `long`.
        """
        if self.points is not None and self.long:
            raise UsageError("expected --long or --points; got both")
        return () if self.points is None else parse(self.points)

    def refuse_too_few(self, draws: int) -> None:
        """Refuse to estimate from fewer draws than it takes.

        Errors:
            UsageError: There are.
        """
        refuse_too_few(self.statistics(), draws)

    def fits(self, codec: formats.Codec) -> bool:
        """Whether a format has a place for it."""
        kind = Kind.LONG_DRAWS if self.long else Kind.DRAWS
        wanted = kind if self.points is None else Kind.ESTIMATES
        return wanted in codec.holds and (codec.table or self.style == USUAL_STYLE)


def refuse_too_few(names: Sequence[str], draws: int) -> None:
    """Refuse statistics of fewer draws than they take.

    Errors:
        UsageError: There are.
    """
    if draws < fewest_draws(names):
        raise UsageError(f"expected 2 draws at least, for {', '.join(names)}; got {draws}")


USUAL_SHAPE = Shape()


@dataclass(frozen=True)
class Sampling:
    """Posterior draws that are about to be made; use it once, for a table or for a file.

    Arguments:
        data: Data sets, as they come.
        networks: Loads them.
        model: Whose quantities are computed, too; None for parameters alone.
        shape: Of the file.
        titles: Name of a parameter's element → its label.
    """

    run: Run
    data: Batches
    draws: int
    seed: int
    networks: Callable[[], Approximator]
    listener: Listener
    target: Target = USUAL_PLACE
    model: Model | None = None
    shape: Shape = USUAL_SHAPE
    titles: Mapping[str, str] = field(default_factory=dict)

    def _begin(self) -> tuple[DrawHeader, Iterator[DrawBlock], Disagreement]:
        """What is known before the first draw; the draws; what watches them.

        The first data sets are read, and the networks loaded, before anything is written.
        """
        first = next(self.data.parts)
        labels = list(first.labels)
        more = [] if self.model is None else quantity_variables(self.model, first.datasets)
        header = DrawHeader.of(
            first.datasets,
            self.run.layout,
            labels=labels,
            draws=self.draws,
            seed=self.seed,
            provenance={
                "abi": __version__,
                "run": self.run.manifest.name,
                "model_sha256": self.run.manifest.hashes[MODEL],
                **told_labels(self.titles),
            },
            more=more,
            style=self.shape.style,
        )
        networks = self.networks()
        watch = Disagreement(networks.members)
        events = {variable.name: variable.event for variable in more}
        drawn = self._drawn(networks, first, labels, events)
        return header, watched(drawn, watch, labels, self.run, self.listener), watch

    def _drawn(
        self,
        networks: Approximator,
        first: Loaded,
        labels: list[str],
        events: Mapping[str, tuple[int, ...]],
    ) -> Iterator[DrawBlock]:
        """The draws of all batches.

        Arguments:
            labels: Of the first batch; those of the others are added as they come.
            events: Quantity → its shape.
        """
        total = len(labels) * self.draws if self.data.whole else None
        with ExitStack() as tasks:
            progress = tasks.enter_context(self.listener.task("sampling", total, "draws"))
            advance = tasks.enter_context(self._computing(total)).advance
            begun = 0
            for loaded in self._all(first, labels):
                blocks: Iterable[DrawBlock] = networks.sample(
                    loaded.datasets, draws=self.draws, seed=self.seed, first=begun
                )
                blocks = refusing_among(blocks, loaded, self.run.layout)
                if self.model is not None:
                    blocks = self.model.quantities.added(
                        blocks,
                        loaded.datasets,
                        first=begun,
                        seed=self.seed,
                        events=events,
                        advance=advance,
                    )
                for block in blocks:
                    yield block
                    datasets, draws = block.shape
                    progress.advance(datasets * draws)
                begun += len(loaded.labels)

    def _computing(self, draws: int | None) -> AbstractContextManager[Progress]:
        """The task of computing quantities of so many draws; one in silence where there are none.

        Arguments:
            draws: Of all data sets; None where that is not known.
        """
        if self.model is None:
            return Listener().task("")
        return computing(self.model.quantities, draws, self.listener)

    def _all(self, first: Loaded, labels: list[str]) -> Iterator[Loaded]:
        yield first
        for loaded in self.data.parts:
            labels += loaded.labels
            yield loaded

    def collect(self) -> Draws:
        """All draws at once."""
        header, blocks, watch = self._begin()
        draws = collect(header, blocks)
        return replace(draws, disagreement=watch.shares())

    def summary(self) -> Statistics:
        """The statistics that are asked for, or mean, sd and others, instead of draws."""
        found = summarize(self.collect(), self.shape.statistics() or STATISTICS)
        return replace(found, titles=self.titles)

    def write(self) -> Written:
        """Write them to the target.

        Errors:
            OutputError: It can't be written.
        """
        begun = time.perf_counter()
        names, long = self.shape.statistics(), self.shape.long
        header, blocks, _ = self._begin()
        path, format = self.target.path, self.target.format
        if names:
            parts = estimates_of(header, blocks, names)
            write_estimates(path, names, parts, format=format, style=header.style)
            what = f"{', '.join(names)} of {', '.join(header.elements())} in {{:,}} data sets"
        else:
            with open_draws(path, header, format=format, long=long) as writer:
                for block in blocks:
                    writer.write(block)
            elements = ", ".join(header.elements())
            what = f"{{:,}} × {self.draws:,} posterior draws of {elements}"
        seconds = time.perf_counter() - begun
        return Written(path, what.format(len(header.labels)), self.seed, seconds)


def sample(
    path: Path,
    data: Path | DataFiles,
    *,
    draws: int = 1000,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    shape: Shape = USUAL_SHAPE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    quantities: bool = False,
    selection: Selection = USUAL_SELECTION,
    listener: Listener | None = None,
) -> Sampling:
    """Read data sets and make ready to draw from their posteriors.

    Arguments:
        path: The run folder.
        data: A file of data sets, `-` for standard input, or several.
        draws: How many per data set.
        seed: The run's by default.
        shape: What a file of them looks like.
        trust_code: Whether to execute parts of the run's own, if it has any.
        quantities: Whether to compute those of the spec, too, by the run's own code.
        selection: More of them, or fewer.

    Errors:
        UsageError: The network has no draws; a statistic is unknown.
        RunError, DataError, OutputError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    shape.refuse_too_few(draws)
    codec = formats.choose(target.path, target.format, shape.fits)
    spec = spec_of(run, trust_code=trust_code)
    refuse_without_draws(run, spec)
    target.claim()
    quantities = quantities or bool(selection.added)
    if selection.skipped and not quantities:
        raise UsageError("expected --skip with --quantities; got it alone")
    whole = quantities or (codec.counts_first and shape.points is None)
    batches = load_batches(run, data, naming_of(spec), listener, whole=whole)
    seed = run.manifest.seed if seed is None else seed
    model = with_quantities(path, listener, selection) if quantities else None
    networks = partial(open_approximator, run, compute, listener)
    titles = titles_of(spec, run.layout)
    return Sampling(run, batches, draws, seed, networks, listener, target, model, shape, titles)


def with_quantities(
    path: Path, listener: Listener, selection: Selection = USUAL_SELECTION
) -> Model:
    """The model of a run, with the functions of its quantities, which are executed.

    Errors:
        UsageError: It has none.
    """
    run = open_run(path)
    model = model_of(run)
    if not (model.quantities.functions or selection.added):
        raise UsageError(
            f"the spec of {path} names no quantities",
            hint="Name one: -s model.quantities.NAME=FILE.py:FUNCTION",
        )
    model = selection.of(model, run.layout)
    tell_files(model, listener)
    return model


def computing(
    quantities: Quantities, draws: int | None, listener: Listener
) -> AbstractContextManager[Progress]:
    """The task of computing quantities, with a word on how to save time where that is worth it.

    Arguments:
        draws: Of all data sets; None where that is not known.
    """
    slow = quantities.slow(draws or 0)
    if slow is not None:
        listener.note(slow)
    total = None if draws is None else draws * len(quantities.called())
    return listener.task(f"computing {', '.join(quantities.names)}", total, "values")


def quantity_variables(model: Model, datasets: Datasets) -> list[Variable]:
    """What the quantities of a model are for data sets, judging by parameters of one simulation."""
    simulator = model.need_simulator()
    one = simulator.simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=simulator.unit)
    parameters = {
        variable.name: np.repeat(np.asarray(one[variable.name])[:1], count(datasets), axis=0)
        for variable in model.layout(one).of("parameter")
    }
    return model.quantities.variables(parameters, datasets)
