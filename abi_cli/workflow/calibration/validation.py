"""Data sets whose parameters are known, on which posteriors are judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abi_cli.errors import UsageError
from abi_cli.listener import Listener
from abi_cli.model.making import Work
from abi_cli.model.streams import Purpose
from abi_cli.run import Run
from abi_cli.variables import Datasets, Ragged, take
from abi_cli.workflow.learning.stored import stored_simulations
from abi_cli.workflow.request import Compute, Model
from abi_cli.workflow.simulating import fixed_context, simulate_rows

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator

_DATASETS = 2_000
"""Number of fresh data sets, by default."""

FIRST_LOOK = 1_000
"""Data sets of the first look; each further one has twice as many as that before."""

SPENT = (1 / 2, 1 / 4, 1 / 8, 1 / 8)
"""Shares of the error rates, look by look."""


@dataclass(frozen=True)
class Validation:
    """Data sets to take for a validation.

    Arguments:
        datasets: How many; 2,000 by default, or all that are stored.
        data: Stored simulations that training has not seen, instead of fresh ones.
        context: Context variables to hold fixed in fresh ones, as `NAME=VALUE`.
        until_sure: Take as many fresh ones as are needed to tell, see `looks`.
    """

    datasets: int | None = None
    data: Path | None = None
    context: Sequence[str] = ()
    until_sure: bool = False

    def looks(self) -> Iterator[tuple[Validation, float]]:
        """Data sets to take at each look, and the share of both error rates that is spent on it.

        Looking until something is found finds it by chance: so the error rates of all looks must
        add up to those of one (Pocock 1977, Biometrika 64; Lan & DeMets 1983, Biometrika 70).

        Errors:
            UsageError: A number is asked for, too, or stored ones are.
        """
        if not self.until_sure:
            yield self, 1.0
            return
        if self.datasets is not None or self.data is not None:
            asked = "--datasets" if self.data is None else "--data"
            raise UsageError(
                f"Expected --until-sure with fresh simulations alone; got {asked}, too"
            )
        for k, share in enumerate(SPENT):
            yield replace(self, datasets=FIRST_LOOK * 2**k), share

    def simulations(
        self, model: Model, *, seed: int, compute: Compute, listener: Listener
    ) -> Datasets:
        """Simulate or read the data sets.

        Errors:
            UsageError: A context is given with stored ones.
            SpecError: Fresh ones are asked for, of a spec without a model.
            DataError, UserFunctionError: As they say.
        """
        fixed = fixed_context(self.context)
        if self.data is not None:
            if fixed:
                raise UsageError("Expected --context with fresh simulations; got it with --data")
            stored = stored_simulations(self.data, model, seed=seed, listener=listener)
            return take(stored, slice(0, self.datasets))
        number = self.datasets or _DATASETS
        work = Work(model.need_simulator(), seed, Purpose.DIAGNOSE, fixed)
        return simulate_rows(work, 0, number, compute=compute, listener=listener)


USUAL_VALIDATION = Validation()


def parameters_of(datasets: Datasets, run: Run) -> dict[str, np.ndarray]:
    """Values of the parameters that the run infers."""
    return {
        variable.name: value
        for variable in run.layout.of("parameter")
        if isinstance(value := datasets[variable.name], np.ndarray)
    }


def data_of(datasets: Datasets, run: Run) -> Datasets:
    """Values of the data sets that the run's posteriors are conditioned on."""
    given = run.layout.of("context", "given", "observable")
    return {variable.name: datasets[variable.name] for variable in given}


def context_of(datasets: Datasets, run: Run) -> dict[str, np.ndarray]:
    """Scalar context, and how many members sets have where that is no context."""
    scalars = {
        variable.name: value
        for variable in run.layout.of("context", "given")
        if isinstance(value := datasets[variable.name], np.ndarray) and value.ndim == 1
    }
    counted = {name for v in run.layout.of("context") for name in v.length_of}
    sizes = {
        f"members of {name}": value.row_size
        for name, value in datasets.items()
        if isinstance(value, Ragged) and name not in counted
    }
    return scalars | sizes


def density_of(
    approximator: Approximator,
    datasets: Datasets,
    truths: Mapping[str, np.ndarray],
    listener: Listener,
) -> np.ndarray | None:
    """Log density of the true parameters, `(dataset,)`; None where one of them has none.

    A truth at the very edge of its support, as far as float32 tells, has a density of 0.
    """
    if not approximator.inference_network.has_density:
        return None
    density = approximator.log_prob(datasets, truths)
    wrong = int((~np.isfinite(density)).sum())
    if wrong:
        listener.note(f"−log q is left out: {wrong} of {len(density)} truths have a density of 0")
        return None
    return density
