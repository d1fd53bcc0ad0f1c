"""Parameters as the user has them, brought to a common scale: what point estimates are learned of.

Draws and densities can be taken through any invertible step and back. A posterior mean or sd can't:
the mean of log σ is not the logarithm of the mean of σ. Quantiles go through monotone steps of one
number, but through none that mixes several (a simplex, a covariance matrix). All of them go through

    t = (θ − location) / scale,    scale > 0,

element by element, so this is all that is done to parameters that are to be estimated, whatever
steps the spec has for them: each estimate is of the parameter itself, exactly. What those steps say
of bounds is kept: an estimate that lies beyond is moved to the nearest number inside. The truth is
there, so this makes no score worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.adapter.parts_constrain import Constrain
from abi_cli.adapter.parts_standardize import Scale
from abi_cli.adapter.step import State, Step
from abi_cli.variables import Datasets, Value, array_of


@dataclass(frozen=True)
class Targets:
    """Elements of parameters, one beside the other, as numbers of a common scale.

    Arguments:
        events: Parameter → its shape for one data set, in order.
        location, scale: `(dim,)`: mean and sd over the pilot, or what stands for them where tails
            are heavy (see the step `standardize`).
        lower, upper: `(dim,)`: bounds of estimates, on the user's scale; ±inf where there are none.
    """

    events: Mapping[str, tuple[int, ...]]
    location: np.ndarray
    scale: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def fit(
        cls, steps: Sequence[tuple[Step, State]], pilot: Mapping[str, Value], names: Sequence[str]
    ) -> Targets:
        """The targets for the parameters `names` in a pilot; `steps` tell their bounds."""
        dense = {name: value for name in names if isinstance(value := pilot[name], np.ndarray)}
        bounds = dict.fromkeys(dense, (-np.inf, np.inf))
        data: Datasets = dict(dense)
        for step, state in steps:
            if isinstance(step, Constrain):
                for name in step.keys:
                    if name in bounds and np.array_equal(array_of(data[name]), dense[name]):
                        bounds[name] = step.bijection().closest()
            data = step.forward(data, state)
        joined = _joined(dense)
        fitted = Scale.of(joined, joined.shape[1:])
        widths = [int(np.prod(value.shape[1:], dtype=int)) for value in dense.values()]
        lower, upper = np.repeat(np.array(list(bounds.values())), widths, axis=0).T
        return cls(
            {name: value.shape[1:] for name, value in dense.items()},
            fitted.location,
            fitted.scale,
            lower,
            upper,
        )

    @property
    def dim(self) -> int:
        """The number of elements."""
        return len(self.scale)

    def forward(self, parameters: Mapping[str, Value]) -> np.ndarray:
        """The parameters on the common scale, `(row, dim)`, float64."""
        joined = _joined({name: np.asarray(parameters[name]) for name in self.events})
        standardized: np.ndarray = (joined - self.location) / self.scale
        return standardized

    def on_users_scale(self, estimates: np.ndarray, degrees: np.ndarray) -> dict[str, np.ndarray]:
        """Estimates on the parameters' own scale, made of those on the common scale.

        Arguments:
            estimates: `(row, dim, functional)`.
            degrees: The argument of `moved`.

        Returns:
            Parameter → `(row, functional, *event)`.
        """
        there = moved(estimates, degrees, self.location, self.scale)
        inside = np.clip(there, self.lower[:, None], self.upper[:, None])
        there = np.swapaxes(np.where(degrees == 0, inside, there), 1, 2)
        ends = np.cumsum([int(np.prod(event, dtype=int)) for event in self.events.values()])
        parts = np.split(there, ends[:-1], axis=-1)
        return {
            name: part.reshape(*part.shape[:2], *event)
            for (name, event), part in zip(self.events.items(), parts, strict=True)
        }

    def to_config(self) -> dict[str, Any]:
        """The targets as plain JSON values, exact to the last bit; None stands for no bound."""

        def bounds(values: np.ndarray) -> list[float | None]:
            return [float(value) if np.isfinite(value) else None for value in values]

        return {
            "events": {name: list(event) for name, event in self.events.items()},
            "location": self.location.tolist(),
            "scale": self.scale.tolist(),
            "lower": bounds(self.lower),
            "upper": bounds(self.upper),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Targets:
        """The targets that `to_config` described; its description may have been JSON in between."""

        def bounds(values: Sequence[float | None], none: float) -> np.ndarray:
            return np.array([none if value is None else value for value in values])

        return cls(
            {name: tuple(event) for name, event in config["events"].items()},
            np.array(config["location"]),
            np.array(config["scale"]),
            bounds(config["lower"], -np.inf),
            bounds(config["upper"], np.inf),
        )


def moved(
    estimates: np.ndarray, degrees: np.ndarray, location: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Estimates `(row, dim, functional)` of location + scale · t from those of t, float64.

    Arguments:
        degrees: `(functional,)`: 0 for what moves with t as means and quantiles do, 1 for sds, 2
            for variances.
        location, scale: `(dim,)` or `(row, dim)`.
    """
    there: np.ndarray = np.where(degrees == 0, location[..., None], 0.0)
    return there + scale[..., None] ** np.maximum(degrees, 1) * estimates


def _joined(parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """All elements of parameters, `(row, dim)`, float64."""
    rows = [np.asarray(value, np.float64).reshape(len(value), -1) for value in parameters.values()]
    return np.concatenate(rows, axis=1)
