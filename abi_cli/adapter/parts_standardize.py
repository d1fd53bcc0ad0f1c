"""The step that brings features to a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import AdapterError, State, Step, event_of, no_change, on_array, total
from abi_cli.registry import Keys, part
from abi_cli.spreads import RESOLUTION, almost_constant
from abi_cli.variables import Datasets, Value, array_of

HEAVY = 3.0
"""A feature has heavy tails where its sd is more than so many times what its IQR suggests."""

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of sd 1."""

LINEAR = 10.0
"""Up to so many scales from its location a feature of heavy tails stays as it is."""


@part("step", "standardize", example="standardize: {exclude: N}")
class Standardize(Step):
    """Bring features to mean 0 and sd 1.

        z = (x − location) / scale

    Location and scale are the mean and sd of each feature (an entry of the last axis) over the
    pilot simulations and their members. Where the tails are heavy (sd > 3 · IQR / 1.349) they are
    the median and IQR / 1.349, and what is then beyond ±10 is brought in by the logarithm,

        ±(10 + log(1 + |z| − 10)),

    which has a density and a way back. What is constant over the pilot, or differs by less than
    single precision tells, becomes 0: it is its own location, and its scale is its size, or 1 if
    that is smaller. What is `whole` has one location and one scale.
    """

    include: Keys | None = Field(None, description="Variables to standardize; all by default.")
    exclude: Keys = Field((), description="Variables to leave as they are.")
    whole: Keys = Field(
        (),
        description="Variables with one mean and sd for all their entries, such as a signal or an "
        "image without channels.",
    )
    mean: float | tuple[float, ...] | None = Field(
        None, description="To use instead of the pilot's: one number, or one for each feature."
    )
    std: float | tuple[float, ...] | None = Field(
        None, description="To use instead of the pilot's: one number, or one for each feature."
    )

    @model_validator(mode="after")
    def _options_make_sense(self) -> Standardize:
        both = [key for key in self.exclude if key in (self.include or ())]
        if both:
            raise ValueError(f"Expected include and exclude to differ; got {both[0]} in both")
        apart = [key for key in self.whole if key not in (self.include or self.whole)]
        apart += [key for key in self.whole if key in self.exclude]
        if apart:
            raise ValueError(f"Expected whole to be of what is standardized; got {apart[0]}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("Expected mean and std, or neither; got one of them")
        if not np.all(np.asarray(1.0 if self.std is None else self.std) > 0):
            raise ValueError(f"Expected std to be positive; got {self.std}")
        return self

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """Each variable that is named, from itself."""
        return {key: (key,) for key in (*(self.include or self.whole), *self.exclude)}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Location and scale of each feature, and whether its heavy tails are tamed.

        Returns:
            `name.location`, `name.scale` (both float64) and `name.tamed` (bool), each `(feature,)`,
            or `()` for a scalar or whole variable. Runs of old have no `name.tamed`: their
            networks have learned from tails as they are.
        """
        state: State = {}
        for name in data if self.include is None else self.include:
            if name in self.exclude:
                continue
            feature = () if name in self.whole else event_of(data[name])[-1:]
            if self.mean is None:
                fitted = Scale.of(array_of(data[name]), feature)
            else:
                fitted = Scale(
                    self._given(self.mean, name, feature),
                    self._given(self.std, name, feature),
                    np.zeros(feature, dtype=bool),
                )
            state[f"{name}.location"] = fitted.location
            state[f"{name}.scale"] = fitted.scale
            state[f"{name}.tamed"] = fitted.heavy
        return state

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Subtract the location, divide by the scale, bring in heavy tails."""
        return {
            **data,
            **{name: on_array(data[name], scale.forward) for name, scale in _in(data, state)},
        }

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Let heavy tails out again, multiply by the scale, add the location."""
        return {
            **data,
            **{name: on_array(data[name], scale.inverse) for name, scale in _in(data, state)},
        }

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """−Σ log scale, and −log(1 + |z| − 10) of what is beyond ±10 in heavy tails."""
        return no_change(data) + sum(
            total(data[name], scale.log_slope) for name, scale in _in(data, state)
        )

    def _given(
        self, option: float | tuple[float, ...] | None, name: str, feature: tuple[int, ...]
    ) -> np.ndarray:
        given = np.asarray(option, dtype=np.float64)
        if given.ndim and given.shape != feature:
            raise AdapterError(
                f"Expected mean and std of {name} to be one number or "
                f"{feature[0] if feature else 1}; got {given.size}",
                variable=name,
            )
        return np.broadcast_to(given, feature).copy()


@dataclass(frozen=True)
class Scale:
    """What brings each feature to a common scale.

    Arguments:
        location, scale: `(feature,)`, or `()` for one of all.
        heavy: The same, bool: whose tails are brought in by the logarithm.
    """

    location: np.ndarray
    scale: np.ndarray
    heavy: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, feature: tuple[int, ...]) -> Scale:
        """That of pilot values `(row, …, *feature)`; missing ones (NaN) say nothing of others.

        Where the quartiles are equal, the distance from the median that is typical of what is not
        the median stands for IQR / 1.349: most counts of something rare are 0.
        """
        pooled = np.asarray(array, dtype=np.float64).reshape(len(array) and -1, *feature)
        columns = pooled.reshape(len(pooled), int(np.prod(feature))).T
        each = [_moments(column[~np.isnan(column)]) for column in columns]
        location, scale, heavy = (np.array(values) for values in zip(*each, strict=True))
        return cls(location.reshape(feature), scale.reshape(feature), heavy.reshape(feature))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """To the common scale, `(…, *feature)`."""
        z = (x - self.location) / self.scale
        return np.where(self.heavy, _tamed(z), z) if self.heavy.any() else z

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """And back."""
        if self.heavy.any():
            z = np.where(self.heavy, _let_out(z), z)
        return self.location + self.scale * z

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the derivative of `forward`, `(…, *feature)`."""
        log_slope = np.broadcast_to(-np.log(self.scale), x.shape)
        if not self.heavy.any():
            return log_slope
        beyond = _beyond((x - self.location) / self.scale)
        return log_slope - np.where(self.heavy, np.log1p(beyond), 0.0)


def _in(data: Mapping[str, Value], state: State) -> list[tuple[str, Scale]]:
    return [
        (
            name,
            Scale(
                state[f"{name}.location"],
                state[f"{name}.scale"],
                state.get(f"{name}.tamed", np.zeros((), dtype=bool)),
            ),
        )
        for name in data
        if f"{name}.scale" in state
    ]


def _beyond(z: np.ndarray) -> np.ndarray:
    """How far each number is out of ±`LINEAR`."""
    return np.maximum(np.abs(z) - LINEAR, 0.0)


def _tamed(z: np.ndarray) -> np.ndarray:
    """The identity within ±`LINEAR`, and logarithmic beyond, with the same slope at the border."""
    within = np.clip(z, -LINEAR, LINEAR)
    return within + np.sign(z) * np.log1p(_beyond(z))


def _let_out(z: np.ndarray) -> np.ndarray:
    """The inverse of `_tamed`; infinite where that is beyond any float64."""
    with np.errstate(over="ignore"):
        return np.clip(z, -LINEAR, LINEAR) + np.sign(z) * np.expm1(_beyond(z))


def _moments(values: np.ndarray) -> tuple[float, float, bool]:
    """Location, scale, and whether the tails are heavy, of a feature's values `(row,)`."""
    if not len(values):
        return 0.0, 1.0, False
    if almost_constant(values):
        location = float(values[0] if values.min() == values.max() else values.mean())
        return location, max(1.0, abs(location)), False
    with np.errstate(over="ignore"):  # an sd beyond float64 is infinite, hence heavy
        mean, sd = float(values.mean()), float(values.std())
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
    resolved = RESOLUTION * abs(median)
    typical = (upper - lower) / NORMAL_IQR
    if typical <= resolved:
        off = np.abs(values - median)
        off = off[off > resolved]
        typical = np.median(off) if len(off) else sd
    if sd > HEAVY * typical:
        return float(median), float(typical), True
    return mean, sd, False
