"""Posteriors of data sets, from a run: draws and densities. None of its Python is executed."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.adapter.step import AdapterError
from abi_cli.data import (
    Draws,
    Loaded,
    Statistics,
    read_parameters,
)
from abi_cli.errors import DataError
from abi_cli.harmless import cell
from abi_cli.listener import Listener
from abi_cli.run import Run, open_run
from abi_cli.spec import Spec
from abi_cli.variables import Datasets, take
from abi_cli.workflow.estimating import Estimating, drawing
from abi_cli.workflow.naming import naming_of
from abi_cli.workflow.opening import (
    Batches,
    DataFiles,
    load_data,
    open_approximator,
    refuse_without_density,
    refuse_without_draws,
    spec_of,
)
from abi_cli.workflow.refusing import refusing
from abi_cli.workflow.request import (
    USUAL_COMPUTE,
    Compute,
)
from abi_cli.workflow.sampling import Sampling, with_quantities

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

Columns = Mapping[str, Sequence[float | str]]
"""A table by columns; a pandas DataFrame serves, too."""


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
    density = _log_prob(approximator, loaded, index, parameters, at)
    return Densities(tuple(loaded.labels[i] for i in index), density)


def _log_prob(
    approximator: Approximator, loaded: Loaded, index: np.ndarray, parameters: Datasets, at: object
) -> np.ndarray:
    """Log density of each row of parameters given data set `index`, `(row,)`.

    Arguments:
        at: What the parameters are from.

    Errors:
        DataError: A data set, or values of parameters, that the networks can't take.
    """
    try:
        with refusing(loaded, approximator.layout, of=index):
            return approximator.log_prob(take(loaded.datasets, index), parameters)
    except AdapterError as error:
        raise DataError(error.message, place=str(at), hint=error.hint) from None


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
        model = with_quantities(self.run.path, listener) if quantities else None
        batches = Batches(iter([loaded]), whole=True)
        return Sampling(
            self.run, batches, draws, seed, lambda: self.approximator, listener, model=model
        ).collect()

    def estimate(
        self, data: Path | str | Columns, *, draws: int | None = None, seed: int | None = None
    ) -> Statistics:
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
        batches = Batches(iter([self._load(data)]), whole=True)
        return Estimating(
            self.run, batches, lambda: self.approximator, wanted, listener
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
        place = at if isinstance(at, Path | str) else "the table of parameters"
        return _log_prob(self.approximator, loaded, index, parameters, place)

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
            for row in zip(*(table[name] for name in names), strict=True):
                rows.writerow([cell(value) if isinstance(value, str) else value for value in row])
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
