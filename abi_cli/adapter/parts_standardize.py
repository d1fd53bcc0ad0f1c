"""The step that brings features to a common scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import AdapterError, State, Step, event_of, no_change, on_array, total
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value, array_of

HEAVY = 3.0
"""A feature has heavy tails where its sd is more than so many times what its IQR suggests."""

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of sd 1."""


@part("step", "standardize", example="standardize: {exclude: N}")
class Standardize(Step):
    """Bring features to mean 0 and sd 1.

        z = (x − location) / scale

    Location and scale are the mean and sd of each feature (an entry of the last axis) over the
    pilot simulations and their members. Where the tails are heavy (sd > 3 · IQR / 1.349) they are
    the median and IQR / 1.349. What is constant over the pilot is left as it is. What is `whole`
    has one location and one scale.
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
        """Location and scale of each feature, and whether its tails are heavy.

        Returns:
            `name.location`, `name.scale` (both float64) and `name.heavy` (bool), each `(feature,)`,
            or `()` for a scalar or whole variable.
        """
        state: State = {}
        for name in data if self.include is None else self.include:
            if name in self.exclude:
                continue
            feature = () if name in self.whole else event_of(data[name])[-1:]
            if self.mean is None:
                location, scale, heavy = moments(array_of(data[name]), feature)
            else:
                location = self._given(self.mean, name, feature)
                scale = self._given(self.std, name, feature)
                heavy = np.zeros(feature, dtype=bool)
            state[f"{name}.location"] = location
            state[f"{name}.scale"] = scale
            state[f"{name}.heavy"] = heavy
        return state

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Subtract the location, divide by the scale."""
        return {
            **data,
            **{name: _standardized(data[name], *_fitted(state, name)) for name in _in(data, state)},
        }

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Multiply by the scale, add the location."""
        return {
            **data,
            **{name: _restored(data[name], *_fitted(state, name)) for name in _in(data, state)},
        }

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """−Σ log scale."""
        return no_change(data) - sum(
            _log_scale(data[name], _fitted(state, name)[1]) for name in _in(data, state)
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


def _in(data: Mapping[str, Value], state: State) -> list[str]:
    return [name for name in data if f"{name}.scale" in state]


def _fitted(state: State, name: str) -> tuple[np.ndarray, np.ndarray]:
    return state[f"{name}.location"], state[f"{name}.scale"]


def _standardized(value: Value, location: np.ndarray, scale: np.ndarray) -> Value:
    return on_array(value, lambda x: (x - location) / scale)


def _restored(value: Value, location: np.ndarray, scale: np.ndarray) -> Value:
    return on_array(value, lambda z: location + scale * z)


def _log_scale(value: Value, scale: np.ndarray) -> np.ndarray:
    return total(value, lambda x: np.broadcast_to(np.log(scale), x.shape))


def moments(
    array: np.ndarray, feature: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Location, scale and whether the tails are heavy, of each feature; see `Standardize`."""
    pooled = np.asarray(array, dtype=np.float64).reshape(-1, *feature)
    if not len(pooled):
        return np.zeros(feature), np.ones(feature), np.zeros(feature, dtype=bool)

    if np.isnan(pooled).any():  # missing values say nothing of the others
        return _moments_of_known(pooled)
    with np.errstate(over="ignore"):  # an sd beyond float64 is infinite, hence heavy
        mean, sd = pooled.mean(axis=0), pooled.std(axis=0)
    lower, median, upper = np.quantile(pooled, (0.25, 0.5, 0.75), axis=0)
    typical = (upper - lower) / NORMAL_IQR
    heavy = (sd > HEAVY * typical) & (typical > 0)
    # Not sd == 0: the sd of equal numbers can be off zero by rounding.
    constant = pooled.min(axis=0) == pooled.max(axis=0)

    location = np.where(constant, 0.0, np.where(heavy, median, mean))
    scale = np.where(constant, 1.0, np.where(heavy, typical, sd))
    return location, scale, heavy


def _moments_of_known(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same feature by feature `(row, [feature])`, of the values that are there."""
    columns = pooled.reshape(len(pooled), -1).T
    each = [moments(column[~np.isnan(column)], ()) for column in columns]
    shape = pooled.shape[1:]
    location, scale, heavy = (np.array(values).reshape(shape) for values in zip(*each, strict=True))
    return location, scale, heavy
