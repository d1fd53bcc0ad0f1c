"""Replicated data: what the likelihood would generate, given draws of the parameters.

A data set y with posterior draws θ₁, θ₂, … has the posterior predictive distribution

    p(y' | y) = ∫ p(y' | θ) p(θ | y) dθ,

of which y'ᵢ ~ p(y' | θᵢ) are draws. What y comes with, context and given, is the same in all y'ᵢ
(Rubin 1984, Annals of Statistics 12; Gelman, Meng & Stern 1996, Statistica Sinica 6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from abi_cli import underway
from abi_cli.errors import SpecError, TookTooLong, UserFunctionError
from abi_cli.model.evaluation import by_data_set
from abi_cli.model.functions import BATCH_SIZE, RNG, Known, UserFunction
from abi_cli.model.outputs import (
    UnusableOutputError,
    as_chunk,
    as_members,
    check_finite,
    join,
    stack,
)
from abi_cli.model.repeating import HINT, UnrepeatableError, alike, repeated
from abi_cli.model.simulator import Simulator
from abi_cli.model.stage import Origin, Stage
from abi_cli.model.streams import Purpose, Streams
from abi_cli.variables import Datasets, Layout, Value, take

LOST = 0.05
"""Largest share of draws from which nothing can be simulated, and that others take the place of."""

OUT_OF_REACH = (
    "Draws may lie where the prior never gives any: is the function right there? A prior that is "
    "declared in the spec, or `constrain` in the adapter, keeps draws inside its bounds."
)

ROUNDS = 3
"""Rounds of that: what others are simulated from is other noise, too."""

_UNITS = 1 << 32
"""Streams of a data set: more than it has draws."""


@dataclass(frozen=True)
class Replicated:
    """The replicated data of one data set.

    Arguments:
        data: One data set for each draw.
        source: The draw that each is simulated from, `(draw,)`: its own, or one in its place.
        error: Why nothing could be simulated from some draw; None where it could from all.
    """

    data: Datasets
    source: np.ndarray
    error: UserFunctionError | None = None

    @property
    def lost(self) -> int:
        """Number of draws that others took the place of."""
        return int((self.source != np.arange(len(self.source))).sum())


@dataclass(frozen=True)
class Replication:
    """The replicated data of one data set, as a task that can cross processes.

    Arguments:
        likelihood: Draws data.
        ragged: Its results that are sets or series.
        missing: Those whose values may be NaN.
        chunk: Draws that a batched likelihood is called for at a time.
        once: Context that it gets as one number, as when its chunk shares a single draw of it.
        known: Context and given of the data set: numbers, arrays, members.
        draws: Parameter → `(draw, *event)`, float64.
        dataset: Its place among all.
        timeout: Seconds that a call of the likelihood may take; None for any time.
    """

    likelihood: UserFunction
    ragged: frozenset[str]
    missing: Collection[str]
    chunk: int
    once: frozenset[str]
    known: Mapping[str, Any]
    draws: Mapping[str, np.ndarray]
    dataset: int
    seed: int
    timeout: float | None = None

    def simulate(self) -> Datasets:
        """One data set for each draw: the observables.

        Errors:
            UserFunctionError: The likelihood raised, or returned what can't be used, or something
                else when it is called again.
        """
        origin = Origin(self.seed, Purpose.PREDICT, {})
        stage = Stage(self.likelihood, role="observable", ragged=self.ragged, origin=origin)
        streams = Streams(self.seed, Purpose.PREDICT)
        where = f"data set {self.dataset} of {origin}"
        with (
            self.likelihood.at_hand(),
            streams.everywhere(),
            underway.work(where, limit=self.timeout),
        ):
            return streams.run(lambda: self._simulated(stage, streams))

    def simulate_possible(self) -> Replicated:
        """One data set for each draw, or for another where nothing can be simulated from it.

        A network's draws may lie where a prior never gives any, as beyond the region in which a
        series is stationary, if only one in a thousand.

        Errors:
            UserFunctionError: As `simulate`, for more than a share of the draws, or for all of a
                sort that no other draw mends.
        """
        source, first = np.arange(self._number), None
        for _ in range(ROUNDS):
            task = replace(self, draws={name: v[source] for name, v in self.draws.items()})
            try:
                return Replicated(task.simulate(), source, first)
            except (TookTooLong, UnrepeatableError):
                raise
            except UserFunctionError as error:
                first = first or error
                bad = ~task._possible()  # its own kind
                if not bad.any() or bad.mean() > LOST:
                    raise
                source = np.where(bad, source[np.flatnonzero(~bad)[_next_to(bad)]], source)
        raise first or ValueError("Expected rounds; got none")

    def _possible(self) -> np.ndarray:
        """True for draws from which, alone, something can be simulated, `(draw,)`."""
        possible = np.ones(self._number, bool)
        for draw in range(self._number):
            one = {name: value[draw : draw + 1] for name, value in self.draws.items()}
            try:
                replace(self, draws=one).simulate()
            except UserFunctionError:
                possible[draw] = False
        return possible

    def _simulated(self, stage: Stage, streams: Streams) -> Datasets:
        work, size = (self._in_chunks, self.chunk) if stage.batched else (self._one_by_one, 1)
        units = -(-self._number // size)
        values = work(stage, streams, range(units))
        for unit in repeated(0, units) if repeated(self.dataset, self.dataset + 1) else ():
            underway.again()
            again = work(stage, streams, range(unit, unit + 1))
            before = take(values, slice(unit * size, (unit + 1) * size))
            for name in stage.keys:
                if not alike(before[name], again[name]):
                    raise UnrepeatableError(
                        f"{name} differs when it is simulated again for draw {unit * size} "
                        f"({stage.origin})",
                        hint=HINT,
                        place=self.likelihood.place,
                    )
        return values

    @property
    def _number(self) -> int:
        return len(next(iter(self.draws.values())))

    def _one_by_one(self, stage: Stage, streams: Streams, units: range) -> Datasets:
        outputs = []
        for draw in units:
            streams.seek(self.dataset * _UNITS + draw)
            own = {name: value[draw] for name, value in self.draws.items()}
            outputs.append(stage.call({**self.known, **own, RNG: streams.rng}, draw)[1])
        values: Datasets = {}
        for name in stage.keys:
            column = [output[name] for output in outputs]
            ragged = name in self.ragged
            with _blaming(stage):
                values[name] = stack(name, column, ragged=ragged, first_row=0)
                check_finite(name, values[name], missing=name in self.missing)
        return values

    def _in_chunks(self, stage: Stage, streams: Streams, units: range) -> Datasets:
        parts: list[dict[str, Value]] = []
        for number in units:
            first = number * self.chunk
            size = min(self.chunk, self._number - first)
            streams.seek(self.dataset * _UNITS + number)
            known: Known = {
                name: value if name in self.once else np.repeat(np.asarray(value)[None], size, 0)
                for name, value in self.known.items()
            }
            own = {name: value[first : first + size] for name, value in self.draws.items()}
            _, output = stage.call({**known, **own, RNG: streams.rng, BATCH_SIZE: size}, first)
            made: dict[str, Value] = {}
            for name in stage.keys:
                with _blaming(stage):
                    value = as_chunk(name, output[name], size=size)
                made[name] = as_members(value) if name in self.ragged else value
            parts.append(made)
        values: Datasets = {}
        for name in stage.keys:
            with _blaming(stage):
                values[name] = join(name, [part[name] for part in parts], first_row=0)
                check_finite(name, values[name], missing=name in self.missing)
        return values


def _next_to(bad: np.ndarray) -> np.ndarray:
    """For each draw the place, among those that are not bad, of the next one, around the end."""
    number = int((~bad).sum())
    return np.cumsum(~bad) % number if number else np.zeros(len(bad), int)


@contextmanager
def _blaming(stage: Stage) -> Iterator[None]:
    """Unusable results are the fault of the likelihood, at a draw."""
    try:
        yield
    except UnusableOutputError as error:
        where = f"draw {error.row}, {stage.origin}"
        hint = OUT_OF_REACH if error.lacks else None
        raise stage.unusable(f"{error.message} ({where})", hint=hint) from None


def replications(
    simulator: Simulator,
    layout: Layout,
    parameters: Mapping[str, np.ndarray],
    datasets: Datasets,
    *,
    seed: int,
) -> Iterator[Replication]:
    """A task for each data set.

    Arguments:
        layout: The variables of the model.
        parameters: Name → `(dataset, draw, *event)`.
        datasets: The same data sets; their observables play no part.

    Errors:
        SpecError: The likelihood needs nuisance variables, of which there are no draws.
    """
    likelihood = simulator.likelihood
    nuisance = {variable.name for variable in layout.of("nuisance")}
    for name, required in likelihood.signature().items():
        if required and name in nuisance:
            raise SpecError(
                f"{likelihood.name} takes {name}, which the run does not infer: there are no "
                "posterior draws of it to predict from",
                hint=f"Infer it, too: list {name} under `parameters:`, and train again.",
            )
    held = {variable.name: datasets[variable.name] for variable in layout.of("context", "given")}
    meta_is_shared = simulator.meta is not None and not simulator.meta.batched
    context = frozenset(variable.name for variable in layout.of("context"))
    for dataset, (known, draws) in enumerate(by_data_set(parameters, held)):
        yield Replication(
            likelihood,
            simulator.ragged,
            frozenset(simulator.missing),
            chunk=simulator.chunk,
            once=context if meta_is_shared else frozenset(),
            known=known,
            draws=draws,
            dataset=dataset,
            seed=seed,
            timeout=simulator.timeout,
        )
