"""The step that brings features to a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import AdapterError, State, Step, event_of, no_change, on_array, total
from abi_cli.precision import RESOLUTION, almost_constant
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value, array_of

HEAVY = 3.0
"""A feature has heavy tails where its sd is more than so many times what its IQR suggests."""

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of sd 1."""

EXTREME = 100.0
"""Tails are extreme where more than 1 % of the pilot is farther out than so many scales."""

FAR = 1e7
"""Number of scales that no network can be told, however rarely they occur."""

LINEAR = {"extreme": 10.0, "far": 1e4}
"""Number of scales up to which a feature with such tails stays as it is; beyond is the logarithm.

What data say of parameters is mostly linear, and between two logarithms it is not: with the mean of
normal data under a Cauchy prior, posteriors at 300 scales were a thousand times too wide where the
logarithm began at 30. So it is left to tails that leave nothing else to learn: exponential growth
to 10⁸ scales diverged with 1,000, and was learned with 10.
"""


@part("step", "standardize", example="standardize: {exclude: N}")
class Standardize(Step):
    """Bring features to mean 0 and sd 1.

        z = (x − location) / scale

    Location and scale are the mean and sd of each feature (an entry of the last axis) over the
    pilot simulations and their members. Where the tails are heavy (sd > 3 · IQR / 1.349) they are
    the median and IQR / 1.349. Where they are extreme, what is far out is brought in by the
    logarithm, which has a density and a way back,

        ±(c + log(1 + |z| − c)) beyond ±c,

    with c = 10 where more than 1 % of the pilot is beyond 100, else c = 10,000 where any is beyond
    10⁷. What is constant over the pilot, or differs by less than single precision tells, becomes 0:
    it is its own location, and its scale is its size, or 1 if that is smaller. What is `whole` has
    one location and one scale.
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
        """The variables that are named, each made from itself."""
        return {key: (key,) for key in (*(self.include or self.whole), *self.exclude)}

    def fit(self, data: Mapping[str, Value]) -> State:
        """Location and scale of each feature, and where its extreme tails begin.

        Returns:
            `name.location`, `name.scale` and `name.linear`, each `(feature,)` or, of a scalar or
            whole variable, `()`, float64. The last is 0 where there is no end to what is linear.
            Runs of old have none: their networks have learned from tails as they are.
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
                    np.full(feature, np.inf),
                    np.zeros(feature, dtype=bool),
                )
            state[f"{name}.location"] = fitted.location
            state[f"{name}.scale"] = fitted.scale
            state[f"{name}.linear"] = np.where(np.isfinite(fitted.linear), fitted.linear, 0.0)
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
        """−Σ log scale, and −log(1 + |z| − c) of what is in heavy tails."""
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
    """Location and scale of each feature, which bring all to a common scale.

    Arguments:
        location, scale: `(feature,)`, or `()` for one of all.
        linear: The same: up to so many scales it is only shifted and scaled; infinite but where
            tails are extreme.
        heavy: The same, bool: whether location and scale are those of quantiles.
    """

    location: np.ndarray
    scale: np.ndarray
    linear: np.ndarray
    heavy: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, feature: tuple[int, ...]) -> Scale:
        """The scale of pilot values `(row, …, *feature)`; missing ones (NaN) say nothing of others.

        Where the quartiles are equal, the distance from the median that is typical of what is not
        the median stands for IQR / 1.349: most counts of something rare are 0.
        """
        pooled = np.asarray(array, dtype=np.float64).reshape(len(array) and -1, *feature)
        columns = pooled.reshape(len(pooled), int(np.prod(feature))).T
        each = [_moments(column[~np.isnan(column)]) for column in columns]
        return cls(*(np.array(values).reshape(feature) for values in zip(*each, strict=True)))

    @property
    def _straight(self) -> bool:
        """True if all features are linear everywhere."""
        return bool(np.isinf(self.linear).all())

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The values on the common scale, `(…, *feature)`."""
        z = (x - self.location) / self.scale
        if self._straight:
            return z
        return np.clip(z, -self.linear, self.linear) + np.sign(z) * np.log1p(self._beyond(z))

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """The values on their own scale, `(…, *feature)`; infinite where beyond any float64."""
        with np.errstate(over="ignore"):
            if not self._straight:
                within = np.clip(z, -self.linear, self.linear)
                z = within + np.sign(z) * np.expm1(self._beyond(z))
            return self.location + self.scale * z

    def log_slope(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the derivative of `forward`, `(…, *feature)`."""
        log_slope = np.broadcast_to(-np.log(self.scale), x.shape)
        if self._straight:
            return log_slope
        return log_slope - np.log1p(self._beyond((x - self.location) / self.scale))

    def _beyond(self, z: np.ndarray) -> np.ndarray:
        """The distance of each number from the linear range, in scales; 0 inside."""
        return np.maximum(np.abs(z) - self.linear, 0.0)


def _in(data: Mapping[str, Value], state: State) -> list[tuple[str, Scale]]:
    """The variables that are standardized, each with its scale."""
    scales = []
    for name in data:
        if f"{name}.scale" in state:
            linear = state.get(f"{name}.linear", np.zeros(()))
            linear = np.where(linear > 0, linear, np.inf)
            fitted = state[f"{name}.location"], state[f"{name}.scale"]
            scales.append((name, Scale(*fitted, linear, np.zeros((), dtype=bool))))
    return scales


def _moments(values: np.ndarray) -> tuple[float, float, float, bool]:
    """The fields of `Scale` for the values `(row,)` of one feature."""
    if not len(values):
        return 0.0, 1.0, np.inf, False
    if almost_constant(values):
        location = float(values[0] if values.min() == values.max() else values.mean())
        return location, max(1.0, abs(location)), np.inf, False
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
        out = np.abs(values - median) / typical
        linear = np.inf
        if np.quantile(out, 0.99) > EXTREME:
            linear = LINEAR["extreme"]
        elif out.max() > FAR:
            linear = LINEAR["far"]
        return float(median), float(typical), linear, True
    return mean, sd, np.inf, False
