"""The generative model: meta draws the context, prior the parameters, likelihood the data.

The unit of simulation is the chunk: one row where every function makes one draw, else `chunk`
consecutive rows. Meta draws once per chunk. Row i is a function of seed, purpose, the chunk that i
is in and its place there, and of nothing else: not of what was simulated before, nor of where.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from abi_cli import underway
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.declared import Declared, DeclaredSection, Source
from abi_cli.model.design import Design
from abi_cli.model.failures import (
    NO_FAILURES,
    NONE_ALLOWED,
    Allowed,
    Failures,
    drawn_again,
)
from abi_cli.model.functions import UserFunction
from abi_cli.model.gaps import Rate, with_gaps
from abi_cli.model.modules import user_modules
from abi_cli.model.simulation import Simulation
from abi_cli.model.stage import Origin, Stage
from abi_cli.model.streams import Purpose, Streams
from abi_cli.model.support import Support
from abi_cli.spec import DesignSection, Spec
from abi_cli.spec.durations import seconds
from abi_cli.variables import (
    Datasets,
    Layout,
    Role,
    Value,
    array_of,
)

_ROLES: dict[str, Role] = {
    "meta": "context",
    "given": "given",
    "prior": "parameter",
    "likelihood": "observable",
}
"""Section of the model → what its variables are."""


@dataclass(frozen=True)
class Simulator:
    """A model's functions, and what is known of their results. It can cross processes.

    Arguments:
        prior, likelihood: Draw the parameters, and the data given parameters and context.
        meta: Draws the context, if there is any.
        given: Draws what data sets come with but the model does not generate, if there is any.
        chunk: Rows of a unit where a function is batched.
        ragged: Variables that are sets or series. A parameter never is.
        parameters: Results of the prior to infer (None: all); the others are nuisance.
        max_failures: Draws that may fail and are then made again.
        missing: Variables whose values may be missing → at which rate they are left out.
        series: Variables that are series, so that their gaps come in blocks, too.
        timeout: Seconds that a unit may take; None for any time.
        repeats: Whether of all that is simulated a few rows are simulated twice, to be the same.
    """

    prior: Source
    likelihood: UserFunction
    meta: Source | None = None
    given: Source | None = None
    chunk: int = 32
    ragged: frozenset[str] = frozenset()
    parameters: tuple[str, ...] | None = None
    max_failures: Allowed = NONE_ALLOWED
    missing: Mapping[str, Rate] = field(default_factory=dict)
    series: frozenset[str] = frozenset()
    timeout: float | None = None
    repeats: bool = True

    @classmethod
    def from_spec(
        cls, spec: Spec, base_dir: Path, *, design: Mapping[str, Value] | None = None
    ) -> Simulator:
        """The simulator of a spec whose functions are relative to `base_dir`.

        Arguments:
            spec: With a model.
            design: What the file under `given:` holds, where that names one.

        Errors:
            SpecError: A file or function isn't there.
            UserFunctionError: A file raised when it was imported.
        """
        model = spec.model
        assert model is not None  # noqa: S101  # the caller has seen to it

        def load(section: DeclaredSection, *, like: tuple[Source | None, ...]) -> Source | None:
            source = getattr(model, section)
            if source is None:
                return None
            if isinstance(source, str):
                return UserFunction.load(source, base_dir)
            batched = any(other.batched for other in like if other is not None)
            if isinstance(source, DesignSection):
                file, resample, size = source.file, source.resample, source.size
                return Design(file, design or {}, resample, size, batched=batched)
            return Declared.load(section, source, base_dir, batched=batched)

        likelihood = UserFunction.load(model.likelihood, base_dir)
        meta = load("meta", like=())  # context is drawn once a chunk
        given = load("given", like=(likelihood, meta))
        prior = load("prior", like=(likelihood, meta, given))
        assert prior is not None  # noqa: S101  # the spec has one
        return cls(
            prior=prior,
            likelihood=likelihood,
            meta=meta,
            given=given,
            chunk=model.chunk,
            ragged=spec.ragged(),
            parameters=None if spec.parameters is None else tuple(spec.parameters),
            max_failures=Allowed.of(model.max_failures),
            missing={name: rate or 0.0 for name, rate in spec.missing.items()},
            series=spec.series(),
            timeout=seconds(model.timeout) if model.timeout else None,
        )

    @property
    def unit(self) -> int:
        """Rows that are drawn from one stream. Blocks that start at multiples of it waste none."""
        return self.chunk if self._batched else 1

    @property
    def sources(self) -> dict[str, Source]:
        """Sources of the variables, in order: meta and given if there are any, then the others."""
        sources = {"meta": self.meta, "given": self.given, "prior": self.prior}
        drawn = {section: source for section, source in sources.items() if source is not None}
        return {**drawn, "likelihood": self.likelihood}

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """All functions of the person's."""
        return tuple(f for source in self.sources.values() for f in source.functions)

    @property
    def _batched(self) -> bool:
        return any(source.batched for source in self.sources.values())

    @property
    def supports(self) -> Mapping[str, Support]:
        """Supports of the variables that the prior declares."""
        return self.prior.supports if isinstance(self.prior, Declared) else {}

    def log_prior(self, datasets: Mapping[str, np.ndarray]) -> np.ndarray:
        """The log-density of all that the prior draws, `(dataset,)`.

        Arguments:
            datasets: Its values, and the context that they depend on, `(dataset, *event)`.

        Errors:
            SpecError: A function draws the prior, or part of it.
        """
        if not isinstance(self.prior, Declared):
            raise SpecError(
                f"the density of the prior is not known: {self.prior.name} draws it",
                hint="Declare the prior, as in prior: {sigma: {gamma: {shape: 1}}}.",
                place=self.prior.place,
            )
        return self.prior.log_density(datasets)

    def simulate(
        self,
        *,
        seed: int,
        purpose: Purpose,
        start: int,
        stop: int,
        context: Mapping[str, float] | None = None,
    ) -> Datasets:
        """Data sets start … stop − 1, with their context and parameters.

        Arguments:
            seed: Any non-negative integer.
            purpose: What they are for; other purposes get other data sets.
            context: Context variables to hold fixed. Others are drawn as they would be otherwise.

        Returns:
            Context, prior's results, likelihood's results, in this order: int64 where all values
            are whole, else float64; scalars `(dataset,)`; sets and series as `Ragged`.

        Errors:
            UserFunctionError: A function raised, or returned what can't be used, more than
                `max_failures` times; or it gives something else when it is called again.
            UsageError: `context` names no context of this model.
        """
        datasets, failures = self.simulate_counted(
            Origin(seed, purpose, context or {}), start, stop
        )
        failures.refuse_more_than(self.max_failures, stop - start)
        return datasets

    def simulate_counted(self, origin: Origin, start: int, stop: int) -> tuple[Datasets, Failures]:
        """Rows as `simulate` gives them, with all failures; the caller decides how many may be.

        Errors:
            UserFunctionError: There may be none, or rows failed again and again.
        """
        if self.max_failures:
            datasets, failures = drawn_again(
                self.rows, origin, start, stop, self.unit, self.drawn_from
            )
        else:
            datasets, failures = self._run(origin, start, stop, data=True)[0], NO_FAILURES
        return self.with_gaps(datasets, origin, start), failures

    def rows(self, origin: Origin, start: int, stop: int) -> Datasets:
        """Rows as they are drawn, without gaps.

        Errors:
            UserFunctionError: One failed.
        """
        return self._run(origin, start, stop, data=True)[0]

    def with_gaps(self, datasets: Datasets, origin: Origin, start: int) -> Datasets:
        """Rows from `start` on, with values missing at the spec's rates."""
        if not self.missing:
            return datasets
        return with_gaps(
            datasets,
            self.missing,
            seed=origin.seed,
            purpose=origin.purpose,
            start=start,
            series=self.series,
        )

    def drawn_from(self, origin: Origin, start: int, stop: int) -> dict[str, np.ndarray]:
        """Variables that rows are drawn from, those of one shape; empty where drawing fails."""
        try:
            drawn = self._run(origin, start, stop, data=False)[0]
        except UserFunctionError:
            return {}
        return {name: value for name, value in drawn.items() if isinstance(value, np.ndarray)}

    def layout(self, pilot: Datasets) -> Layout:
        """The variables of the model, judged by simulated data sets.

        Errors:
            SpecError: The spec names a parameter that the prior doesn't return, or a parameter is
                discrete.
            UserFunctionError: A variable has no values.
        """
        for name, value in pilot.items():
            if not array_of(value).size:
                raise UserFunctionError(
                    f"{name} is empty in every data set: nothing can be learned from it",
                    hint="Return values, or leave it out.",
                    place=self.drawn_by(name, pilot).place,
                )
        layout = Layout.of_values(pilot, self._roles(pilot), missing=self.missing)
        given = self.given
        if isinstance(given, Design):
            layout = layout.reaching(given.values)
        for variable in layout.of("parameter"):
            if variable.integer:
                raise SpecError(
                    f"Expected parameters that vary continuously; got {variable.name}, whose "
                    "values are all whole numbers",
                    hint="If it is continuous, return floats. Otherwise let it be nuisance: list "
                    "only the others under `parameters:`.",
                    place=self.prior.place,
                )
        return layout

    def _roles(self, pilot: Datasets) -> dict[str, Role]:
        """The role of each variable of simulated data sets."""
        # All but the likelihood is run for its keys, with context that only `simulate` was given.
        context = {
            name: value[0].item()
            for source in (self.given, self.prior)
            for name in (() if source is None else source.arguments)
            if isinstance(value := pilot.get(name), np.ndarray) and value.ndim == 1
        }
        _, stages = self._run(Origin(1, Purpose.PILOT, context), 0, 1, data=False)
        drawn = stages[-1].keys
        parameters = drawn if self.parameters is None else self.parameters
        for name in parameters:
            if name not in drawn:
                near = difflib.get_close_matches(name, drawn, n=1)
                raise SpecError(
                    f"Expected parameters that {self.prior.name} returns, {', '.join(drawn)}; "
                    f"got {name}",
                    hint=f"Did you mean {near[0]}?" if near else None,
                    place=f"parameters.{name}",
                )
        names = list(pilot)
        roles: dict[str, Role] = dict.fromkeys(names, "observable")
        first = next(place for place, name in enumerate(names) if name in drawn)
        roles |= dict.fromkeys(names[:first], "context")  # it comes first
        for stage in stages:
            roles |= dict.fromkeys(stage.keys, stage.role)
        roles |= dict.fromkeys(drawn, "nuisance")
        return roles | dict.fromkeys(parameters, "parameter")

    def drawn_apart(self, unit: int, *, seed: int, apart: Mapping[Role, int]) -> Datasets:
        """The rows of a unit of the pilot, some of whose variables come from other streams.

        Arguments:
            apart: What those variables are → how many units away their stream is.

        Errors:
            UserFunctionError: A function raised, or returned what can't be used.
        """
        origin = Origin(seed, Purpose.PILOT, {})
        start, stop = unit * self.unit, (unit + 1) * self.unit
        return self._run(origin, start, stop, data=True, apart=apart)[0]

    def without_data(self, *, seed: int, start: int, stop: int) -> Datasets:
        """Rows of the pilot as far as the prior draws them."""
        return self._run(Origin(seed, Purpose.PILOT, {}), start, stop, data=False)[0]

    def observables(self, datasets: Datasets) -> tuple[str, ...]:
        """Variables of simulated data sets that the likelihood draws."""
        roles = self._roles(datasets)
        return tuple(name for name in datasets if roles[name] == "observable")

    def drawn_by(self, name: str, datasets: Datasets) -> Source:
        """The source that draws a variable."""
        role = self._roles(datasets)[name]
        role = "parameter" if role == "nuisance" else role
        sections = {drawn: section for section, drawn in _ROLES.items()}
        return self.sources[sections[role]]

    def _run(
        self,
        origin: Origin,
        start: int,
        stop: int,
        *,
        data: bool,
        apart: Mapping[Role, int] | None = None,
    ) -> tuple[Datasets, tuple[Stage, ...]]:
        if not 0 <= start < stop:
            raise ValueError(f"Expected 0 ≤ start < stop; got {start}, {stop}")
        with ExitStack() as opened:
            # Modules are loaded before the streams open: a seed set on import stays outside.
            stages: tuple[Stage, ...] = ()
            for section, source in self.sources.items():
                role = _ROLES[section]
                if role == "observable" and not data:
                    continue
                ragged = self.ragged
                if role == "parameter":  # nuisance alone may be
                    ragged = ragged.difference(self.parameters or ragged)
                stage = Stage(source, role=role, ragged=ragged, origin=origin, earlier=stages)
                stages = (*stages, stage)
            for base_dir in {function.base_dir for function in self.functions}:
                opened.enter_context(user_modules(base_dir).at_hand())
            streams = Streams(origin.seed, origin.purpose, origin.attempt)
            opened.enter_context(streams.everywhere())
            where = f"row {{}} of {origin}"
            opened.enter_context(underway.work(where, rows=self.unit, limit=self.timeout))
            chunk = self.chunk if self._batched else None
            simulation = Simulation(
                stages,
                origin=origin,
                streams=streams,
                chunk=chunk,
                missing=self.missing,
                apart=apart,
            )

            def work() -> Datasets:
                datasets = simulation.rows(start, stop)
                if self.repeats and data and apart is None:
                    simulation.repeat_some(datasets, start, stop)
                return datasets

            return streams.run(work), stages
