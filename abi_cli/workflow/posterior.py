"""Posteriors of data sets, from a run: draws and densities. None of its Python is executed."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli import __version__
from abi_cli.data import (
    Disagreement,
    DrawHeader,
    Draws,
    Estimates,
    Loaded,
    Summary,
    collect,
    estimates_of,
    formats,
    open_draws,
    read_parameters,
    summarize,
    write_estimates,
)
from abi_cli.data.statistics import parse
from abi_cli.errors import UsageError
from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.run import MODEL, Run, open_run
from abi_cli.spec import Spec
from abi_cli.variables import DrawBlock, Variable, take
from abi_cli.workflow.estimating import Estimating, drawing
from abi_cli.workflow.opening import (
    DataFiles,
    load_data,
    naming_of,
    open_approximator,
    refuse_without_density,
    refuse_without_draws,
    spec_of,
    watched,
)
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    USUAL_PLACE,
    Compute,
    Model,
    Target,
    read_model,
    tell_files,
)
from abi_cli.workflow.simulating import Written

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

Columns = Mapping[str, Sequence[float | str]]
"""A table by columns; a pandas DataFrame serves, too."""


@dataclass(frozen=True)
class Sampling:
    """Posterior draws that are about to be made; use it once, for a table or for a file.

    Arguments:
        networks: Loads them.
        model: Whose quantities are computed, too; None for parameters alone.
        points: Statistics that are written instead of draws; see `data.statistics`.
        index_base: What draws and elements are counted from in CSV and netCDF: 0, or 1 as in R.
    """

    run: Run
    loaded: Loaded
    draws: int
    seed: int
    networks: Callable[[], Approximator]
    listener: Listener
    target: Target = USUAL_PLACE
    model: Model | None = None
    points: tuple[str, ...] = ()
    index_base: int = 0

    def header(self) -> DrawHeader:
        """What a file of these draws says about itself."""
        header = DrawHeader.of(
            self.loaded.datasets,
            self.run.layout,
            labels=self.loaded.labels,
            draws=self.draws,
            seed=self.seed,
            provenance={
                "abi": __version__,
                "run": self.run.manifest.name,
                "model_sha256": self.run.manifest.hashes[MODEL],
            },
            more=() if self.model is None else quantity_variables(self.model),
        )
        return replace(header, index_base=self.index_base)

    def blocks(self) -> Iterable[DrawBlock]:
        """The draws, block after block."""
        return self._blocks()[0]

    def _blocks(self) -> tuple[Iterable[DrawBlock], Disagreement]:
        """The draws, and what watches them."""
        networks, given = self.networks(), self.loaded.datasets
        watch = Disagreement(networks.members)
        drawn = networks.sample(given, draws=self.draws, seed=self.seed, listener=self.listener)
        blocks = watched(drawn, watch, self.loaded.labels, self.listener)
        if self.model is None:
            return blocks, watch
        return self.model.quantities.added(blocks, given), watch

    def collect(self) -> Draws:
        """All draws at once."""
        blocks, watch = self._blocks()
        return replace(collect(self.header(), blocks), disagreement=watch.shares())

    def summary(self) -> Summary:
        """Mean, sd, Monte Carlo error and quantiles instead of draws."""
        return summarize(self.collect())

    def write(self) -> Written:
        """Write them to the target.

        Errors:
            OutputError: It can't be written.
        """
        begun = time.perf_counter()
        header = self.header()
        blocks = self.blocks()  # networks that can't be loaded show before anything is written
        sets, elements = len(self.loaded.labels), ", ".join(header.elements())
        if self.points:
            estimates = estimates_of(header, blocks, self.points)
            write_estimates(self.target.path, estimates, format=self.target.format)
            what = f"{', '.join(self.points)} of {elements} in {sets:,} data sets"
            return Written(self.target.path, what, self.seed, time.perf_counter() - begun)
        with open_draws(self.target.path, header, format=self.target.format) as writer:
            for block in blocks:
                writer.write(block)
        what = f"{sets:,} × {self.draws:,} posterior draws of {elements}"
        return Written(self.target.path, what, self.seed, time.perf_counter() - begun)


def sample(
    path: Path,
    data: Path | DataFiles,
    *,
    draws: int = 1000,
    seed: int | None = None,
    target: Target = USUAL_PLACE,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    quantities: bool = False,
    points: str | None = None,
    index_base: int = 0,
    listener: Listener | None = None,
) -> Sampling:
    """Read data sets and make ready to draw from their posteriors.

    Arguments:
        path: The run folder.
        data: A file of data sets, `-` for standard input, or several.
        draws: How many per data set.
        seed: The run's by default.
        trust_code: Whether to execute parts of the run's own, if it has any.
        quantities: Whether to compute those of the spec, too, by the run's own code.
        points: Statistics to write instead of draws: `mean,sd,q5,q95`.
        index_base: What draws and elements are counted from in files: 0 or 1.

    Errors:
        UsageError: The network has no draws; a statistic is unknown.
        RunError, DataError, OutputError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    statistics = () if points is None else parse(points)
    able = (lambda fmt: fmt.write_estimates) if statistics else (lambda fmt: fmt.write_draws)
    formats.choose(target.path, target.format, able)
    spec = spec_of(run, trust_code=trust_code)
    refuse_without_draws(run, spec)
    target.claim()
    loaded = load_data(run, data, naming_of(spec), listener)
    seed = run.manifest.seed if seed is None else seed
    model = _with_quantities(path, listener) if quantities else None
    networks = partial(open_approximator, run, compute, listener)
    return Sampling(
        run, loaded, draws, seed, networks, listener, target, model, statistics, index_base
    )


def _with_quantities(path: Path, listener: Listener) -> Model:
    """The model of a run, with the functions of its quantities, which are executed.

    Errors:
        UsageError: It has none.
    """
    model = read_model(path)
    if not model.quantities.functions:
        raise UsageError(
            f"the spec of {path} names no quantities",
            hint="model: {quantities: {NAME: FILE.py:FUNCTION}}, and train again.",
        )
    tell_files(model, listener)
    return model


def quantity_variables(model: Model) -> list[Variable]:
    """What the quantities of a model are, judging by its first simulation."""
    simulator = model.need_simulator()
    one = simulator.simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=simulator.unit)
    parameters = {
        variable.name: np.asarray(one[variable.name])
        for variable in model.layout(one).of("parameter")
    }
    return model.quantities.variables(parameters, one)


@dataclass(frozen=True)
class Densities:
    """Log posterior densities of given parameter values.

    Arguments:
        labels: The data set of each.
        log_prob: `(row,)`, on the parameters' own scale, −inf outside their support.
    """

    labels: tuple[str, ...]
    log_prob: np.ndarray


def log_prob(
    path: Path,
    data: Path | DataFiles,
    at: Path,
    *,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    listener: Listener | None = None,
) -> Densities:
    """Log posterior density of the parameter values in `at`, each given its data set.

    Errors:
        UsageError: The network has no density.
        RunError, DataError: As they say.
    """
    listener = listener or Listener()
    run = open_run(path)
    spec = spec_of(run, trust_code=trust_code)
    refuse_without_density(run, spec)
    naming = naming_of(spec)
    loaded = load_data(run, data, naming, listener)
    index, parameters = read_parameters(at, run.layout, loaded.labels, naming=naming)
    approximator = open_approximator(run, compute, listener)
    density = approximator.log_prob(take(loaded.datasets, index), parameters)
    return Densities(tuple(loaded.labels[i] for i in index), density)


@dataclass(frozen=True)
class Posterior:
    """The posterior that a run has learned, for use from Python.

    Example:
        >>> posterior = abi_cli.load("runs/regression")  # doctest: +SKIP
        >>> draws = posterior.sample({"x": [-1, 0, 1], "y": [1.2, 2, 3.1]})  # doctest: +SKIP
        >>> draws.values["beta"].shape  # doctest: +SKIP
        (1, 1000, 2)

    Arguments:
        run: The run folder.
        spec: The run's.
        compute: Backend and device.
        listener: Hears notes, warnings and progress; None is silent.
    """

    run: Run
    spec: Spec
    compute: Compute = USUAL_COMPUTE
    listener: Listener | None = None

    @cached_property
    def approximator(self) -> Approximator:
        """Its networks, loaded when they are first needed."""
        return open_approximator(self.run, self.compute, self.listener or Listener())

    def sample(
        self,
        data: Path | str | Columns,
        *,
        draws: int = 1000,
        seed: int | None = None,
        quantities: bool = False,
    ) -> Draws:
        """Draws from the posterior of every data set.

        Arguments:
            data: A file, or a table with a column for every variable and, where it holds several
                data sets, one called `dataset`: a mapping of columns or a pandas DataFrame.
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
        loaded = self._load(data)
        seed = self.run.manifest.seed if seed is None else seed
        listener = self.listener or Listener()
        model = _with_quantities(self.run.path, listener) if quantities else None
        return Sampling(
            self.run, loaded, draws, seed, lambda: self.approximator, listener, model=model
        ).collect()

    def estimate(
        self, data: Path | str | Columns, *, draws: int | None = None, seed: int | None = None
    ) -> Estimates:
        """Point estimates of the parameters of every data set.

        A `point` network gives those that it was trained for. Of others they are mean, sd and
        quantiles of draws.

        Arguments:
            data: As `sample` takes them.
            draws: How many per data set, 1,000 by default; a `point` network has none.
            seed: Of the draws; the run's by default.

        Returns:
            `values[parameter]` is `(dataset, estimate, *event)`, the estimates being `names`.

        Errors:
            DataError: The table is not data of this model.
            UsageError: Draws are asked for where there are none.
        """
        wanted = drawing(self.run, self.spec, draws=draws, seed=seed)
        listener = self.listener or Listener()
        return Estimating(
            self.run, self._load(data), lambda: self.approximator, wanted, listener
        ).estimates()

    def log_prob(self, data: Path | str | Columns, at: Path | str | Columns) -> np.ndarray:
        """Log posterior density of every row of `at` given its data set, `(row,)`.

        Arguments:
            at: A table with a column for every element of the parameters, such as `beta[0]`, and
                `dataset` where there are several.

        Errors:
            UsageError: The network has no density.
        """
        refuse_without_density(self.run, self.spec)
        loaded = self._load(data)
        with _as_file(at) as file:
            naming = naming_of(self.spec)
            index, parameters = read_parameters(file, self.run.layout, loaded.labels, naming=naming)
        return self.approximator.log_prob(take(loaded.datasets, index), parameters)

    def _load(self, data: Path | str | Columns) -> Loaded:
        with _as_file(data) as file:
            return load_data(self.run, file, naming_of(self.spec), self.listener or Listener())


@contextmanager
def _as_file(table: Path | str | Columns) -> Iterator[Path]:
    """Files are read as they are, tables in memory by the same rules: as CSV."""
    if isinstance(table, Path | str):
        yield Path(table)
        return
    names = list(table)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(names)
            rows.writerows(zip(*(table[name] for name in names), strict=True))
        yield file


def load(
    path: Path | str,
    *,
    compute: Compute = USUAL_COMPUTE,
    trust_code: bool = False,
    listener: Listener | None = None,
) -> Posterior:
    """Open a run for sampling; none of its Python is executed.

    Arguments:
        trust_code: Whether to execute what the run was trained with, if it has parts of its own
            (`use:` in its spec); without it such a run is refused.

    Errors:
        RunError: It is no run, or one whose training has not come to its end.
        InvalidSpecError: It has parts of its own.
    """
    run = open_run(Path(path))
    return Posterior(run, spec_of(run, trust_code=trust_code), compute, listener)
