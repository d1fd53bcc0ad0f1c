"""The chain of steps between simulated data and the networks, fitted once and then fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from abi_cli import registry
from abi_cli.adapter.gaps import all_features, as_features, refuse_missing, with_channels
from abi_cli.adapter.step import (
    AdapterError,
    State,
    Step,
    event_of,
    every,
    no_change,
    on_array,
    require_present,
)
from abi_cli.adapter.targets import Targets
from abi_cli.errors import DataError
from abi_cli.registry import Part
from abi_cli.statistics import Statistics
from abi_cli.variables import Datasets, Ragged, Value, count, take

INFERENCE_VARIABLES = "inference_variables"
INFERENCE_CONDITIONS = "inference_conditions"
SUMMARY_VARIABLES = "summary_variables"
SUMMARY_STATISTICS = "summary_statistics"


def summarized(names: Iterable[str]) -> list[str]:
    """The inputs of the networks that are summarized: one, or the members of a group."""
    return [n for n in names if n == SUMMARY_VARIABLES or n.startswith(f"{SUMMARY_VARIABLES}.")]


Fitted = tuple[Step, State]
"""A step and what it learned."""

Watch = Callable[[str, Datasets], None]


def _unwatched(_title: str, _data: Datasets) -> None:
    pass


def sources(steps: Sequence[Fitted], *made: str) -> frozenset[str]:
    """The variables before the first step that `made`, variables after the last, are made from."""
    names = set(made)
    for step, state in reversed(steps):
        flow = step.flow(state)
        names = {read for name in names for read in flow.get(name, (name,))}
    return frozenset(names)


@dataclass(frozen=True)
class Adapter:
    """Invertible steps with what each learned from the pilot simulations.

    Forward they make of the variables of a model those of the networks: `inference_variables`, the
    target of the inference network, and what it is told, `inference_conditions` and
    `summary_variables`, of which there may be one or both. Observables that are to be fused keep
    their shapes in a group: `summary_variables.x`, …. Parameters may be absent, as they are at
    inference: then `inference_variables` is too.

    Arguments:
        steps: In the order of the spec.
        states: What each step learned.
        event: Shape that `inference_variables` has for one data set, () where a scalar.
        gaps: Input of the networks → which of its features may be missing, `(feature,)` bool. After
            the last step each such feature gets 0 where it is missing, and a further feature that
            is 1 there and else 0.
        missing: Variables of which values may be missing (NaN).
        targets: What `inference_variables` are instead of what the steps make of the parameters,
            where these are to be estimated as the user has them; `inverse` knows nothing of them.
        statistics: What is said of the variables before the first step, as `summary_statistics`.
    """

    steps: tuple[Step, ...]
    states: tuple[State, ...]
    event: tuple[int, ...]
    gaps: Mapping[str, np.ndarray] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    targets: Targets | None = None
    statistics: Statistics | None = None

    @classmethod
    def fit(
        cls,
        steps: Iterable[Part],
        pilot: Datasets,
        *,
        missing: Collection[str] = (),
        watch: Watch = _unwatched,
    ) -> Adapter:
        """Learn from pilot simulations, which have all variables of the model.

        Arguments:
            steps: The steps of a spec: parts of the kind `step`.
            missing: Variables of which values may be missing (NaN).
            watch: Called with the name of each step and the data sets after it, up to one that
                can't take them; last with `missing` and the inputs of the networks without gaps.

        Errors:
            AdapterError: A step asks for what isn't there or can't take it, or nothing reaches
                `inference_variables`.
        """
        chain = tuple(registry.expected(part, Step) for part in steps)
        states = []
        refuse_missing(pilot, allowed=missing)
        data = _in_double(pilot)
        for number, step in enumerate(chain):
            with _placed(number, step):
                require_present(data, (read for reads in step.flow({}).values() for read in reads))
                states.append(step.fit(data))
                data = step.forward(data, states[-1])
            watch(step.name, data)
        target = data.get(INFERENCE_VARIABLES)
        if target is None:
            raise AdapterError(
                f"Expected a variable {INFERENCE_VARIABLES} after the last step; "
                f"got {', '.join(data)}",
                hint="Make it of the parameters:\n"
                f"  - concatenate: {{keys: [...], into: {INFERENCE_VARIABLES}}}",
                place="adapter",
            )
        if isinstance(target, Ragged):
            raise AdapterError(
                f"Expected {INFERENCE_VARIABLES} to have one shape in every data set; "
                "got a set or series",
                place="adapter",
                variable=INFERENCE_VARIABLES,
            )
        adapter = cls(chain, tuple(states), event_of(target), missing=frozenset(missing))
        _refuse_one_way(adapter.fitted)
        adapter = replace(adapter, gaps=adapter._features_made_of_missing(pilot))
        if adapter.gaps:
            watch("missing", adapter._without_gaps(data))
        return adapter

    def _features_made_of_missing(self, pilot: Datasets) -> dict[str, np.ndarray]:
        """Features of the networks' inputs that are missing where variables are that may be."""
        if not self.missing:
            return {}
        few = take(_in_double(pilot), slice(0, 4))
        for name in self.missing:
            few[name] = on_array(few[name], lambda x: np.full(x.shape, np.nan))
        adapted = self._through(few)
        gaps = {}
        for name in (INFERENCE_VARIABLES, INFERENCE_CONDITIONS, *summarized(adapted)):
            if name in adapted:
                array = all_features(adapted[name])
                gaps[name] = np.isnan(array).reshape(-1, array.shape[-1]).any(axis=0)
        if gaps.pop(INFERENCE_VARIABLES).any():
            names = ", ".join(sorted(self.missing))
            raise AdapterError(
                f"Expected parameters that are never missing; got some of {names}",
                place="adapter",
                variable=INFERENCE_VARIABLES,
            )
        return {name: features for name, features in gaps.items() if features.any()}

    @property
    def fitted(self) -> tuple[Fitted, ...]:
        """The steps, each with what it learned."""
        return tuple(zip(self.steps, self.states, strict=True))

    @property
    def dim(self) -> int:
        """The number of numbers that the inference network has to learn."""
        return math.prod(self.event) if self.targets is None else self.targets.dim

    @property
    def parameters(self) -> frozenset[str]:
        """The variables that reach `inference_variables`."""
        return sources(self.fitted, INFERENCE_VARIABLES)

    @property
    def conditions(self) -> frozenset[str]:
        """The variables that the networks are told about: what inference needs."""
        made = [name for step, state in self.fitted for name in step.flow(state)]
        inputs = {INFERENCE_CONDITIONS, SUMMARY_VARIABLES, *summarized(made)}
        return sources(self.fitted, *inputs) - inputs

    def forward(self, data: Mapping[str, Value]) -> Datasets:
        """The inputs of the networks, made of variables on the user's scale.

        Arguments:
            data: Context and observables, with or without parameters.

        Errors:
            DataError: Context or observables are missing.
            AdapterError: Values lie outside the domain of a step.
        """
        missing = sorted(self.conditions - data.keys())
        if missing:
            raise DataError(
                f"Expected {', '.join(sorted(self.conditions))}; got no {' and no '.join(missing)}"
            )
        refuse_missing(data, allowed=self.missing)
        adapted = self._through(_in_double(data))
        if self.targets is not None and INFERENCE_VARIABLES in adapted:
            adapted[INFERENCE_VARIABLES] = self.targets.forward(data)
        if self.statistics is not None:
            adapted[SUMMARY_STATISTICS] = self.statistics.of(data)
        return self._without_gaps(adapted)

    def estimating(self, pilot: Datasets, parameters: Sequence[str]) -> Adapter:
        """The same adapter, with `parameters` as the user has them in `inference_variables`."""
        return replace(self, targets=Targets.fit(self.fitted, _in_double(pilot), parameters))

    def with_statistics(
        self, pilot: Datasets, *, given: Collection[str], series: Collection[str]
    ) -> Adapter:
        """The same adapter, with statistics of the networks' inputs, chosen on pilot simulations.

        Arguments:
            given: Variables that the model takes and does not draw.
            series: Variables whose members have an order.
        """
        adapted = self._through(_in_double(pilot))
        theta = np.asarray(adapted[INFERENCE_VARIABLES]).reshape(count(pilot), -1)
        names = [name for name in pilot if name in self.conditions]
        statistics = Statistics.fit(pilot, names, theta, given=given, series=series)
        return replace(self, statistics=statistics)

    def _through(self, data: Datasets) -> Datasets:
        """The data sets after the last step."""
        for number in range(len(self.steps)):
            data = self._step(number, data)
        return data

    def _without_gaps(self, adapted: Datasets) -> Datasets:
        """Inputs with 0 in place of what is missing, and with features that say where that is."""
        filled = dict(adapted)
        for name, features in self.gaps.items():
            if name in adapted:
                filled[name] = on_array(
                    as_features(adapted[name]), partial(with_channels, features=features)
                )
        return filled

    def inverse(self, data: Mapping[str, Value]) -> Datasets:
        """The variables on the user's scale, float64, made of those on the scale of the networks.

        Arguments:
            data: Any variables that `forward` makes; draws as `inference_variables (row, dim)`,
                with data sets and draws in one axis.
        """
        out = _in_double(data)
        target = out.get(INFERENCE_VARIABLES)
        if isinstance(target, np.ndarray):
            out[INFERENCE_VARIABLES] = target.reshape(len(target), *self.event)
        for step, state in reversed(self.fitted):
            out = step.inverse(out, state)
        return out

    def log_det(self, parameters: Mapping[str, Value]) -> np.ndarray:
        """The log-determinant of the parameters' way, log |det ∂inference_variables/∂parameters|.

        Added to a log-density of `inference_variables` it gives that of the parameters.

        Arguments:
            parameters: All that reach `inference_variables` and nothing else, in the support.

        Returns:
            `(dataset,)`.

        Errors:
            AdapterError: A step has no density.
        """
        log_det = no_change(parameters)
        data = _in_double(parameters)
        for number, (step, state) in enumerate(self.fitted):
            with _placed(number, step):
                log_det = log_det + step.log_det(data, state)
            data = self._step(number, data)
        return log_det

    def in_support(self, parameters: Mapping[str, Value]) -> np.ndarray:
        """Data sets with finite parameters that every step accepts, `(dataset,)` bool."""
        rows = np.flatnonzero(every(parameters, parameters, np.isfinite))
        data = take(_in_double(parameters), rows)
        for number, (step, state) in enumerate(self.fitted):
            inside = np.flatnonzero(step.in_support(data, state))
            rows, data = rows[inside], self._step(number, take(data, inside))
        accepted = np.zeros(count(parameters), dtype=bool)
        accepted[rows] = True
        return accepted

    def to_config(self) -> dict[str, Any]:
        """The adapter as plain JSON values, exact to the last bit."""
        return {
            "steps": [step.to_config() for step in self.steps],
            "states": [
                {name: _array_to_config(array) for name, array in state.items()}
                for state in self.states
            ],
            "event": list(self.event),
            "gaps": {name: features.tolist() for name, features in self.gaps.items()},
            "missing": sorted(self.missing),
            "targets": self.targets and self.targets.to_config(),
            "statistics": self.statistics and self.statistics.to_config(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Adapter:
        """The adapter that `to_config` described; its description may have been JSON in between."""
        steps = tuple(
            registry.expected(registry.from_config("step", entry), Step)
            for entry in config["steps"]
        )
        states = tuple(
            {name: _array_from_config(array) for name, array in state.items()}
            for state in config["states"]
        )
        gaps = {name: np.array(features) for name, features in config.get("gaps", {}).items()}
        missing = frozenset(config.get("missing", ()))
        written = config.get("targets")
        targets = None if written is None else Targets.from_config(written)
        said = config.get("statistics")
        statistics = None if said is None else Statistics.from_config(said)
        return cls(steps, states, tuple(config["event"]), gaps, missing, targets, statistics)

    def _step(self, number: int, data: Mapping[str, Value]) -> Datasets:
        """The data sets after one step."""
        step = self.steps[number]
        with _placed(number, step):
            return step.forward(data, self.states[number])


def _in_double(data: Mapping[str, Value]) -> Datasets:
    """`data` with draws, which are single precision, in the precision of the steps."""
    return {name: on_array(value, _widened) for name, value in data.items()}


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array


def _refuse_one_way(steps: Sequence[Fitted]) -> None:
    """Refuse steps that parameters can't come back through."""
    inferred = frozenset({INFERENCE_VARIABLES})
    for number, (step, state) in reversed(list(enumerate(steps))):
        touched = inferred.intersection(step.flow(state))
        if step.one_way and touched:
            changed = sorted(sources(((step, state),), *touched))
            with _placed(number, step):
                raise AdapterError(
                    f"Expected a step that draws of {', '.join(changed)} can come back through, "
                    f"but {step.one_way}",
                    hint="To keep a parameter within bounds: constrain",
                    variable=changed[0],
                )
        inferred = sources(((step, state),), *inferred)


@contextmanager
def _placed(number: int, step: Step) -> Iterator[None]:
    """Let errors of a step say which one it is, in the words of `-s`."""
    try:
        yield
    except AdapterError as error:
        error.place = f"adapter.{number}.{step.name}"
        raise


def _array_to_config(array: np.ndarray) -> dict[str, Any]:
    # JSON writes a float with as many digits as it takes to read the same one back.
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}


def _array_from_config(config: Mapping[str, Any]) -> np.ndarray:
    return np.array(config["values"], dtype=config["dtype"]).reshape(config["shape"])
