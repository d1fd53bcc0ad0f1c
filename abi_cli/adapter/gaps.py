"""Missing values (NaN) on their way through the adapter: refused, or told to the networks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from abi_cli.adapter.step import AdapterError, event_of, on_array
from abi_cli.variables import Ragged, Value, array_of


def refuse_missing(data: Mapping[str, Value], *, allowed: Collection[str]) -> None:
    """Refuse NaN in variables of which no value may be missing: steps let it pass."""
    for name, value in data.items():
        if name in allowed:
            continue
        array = array_of(value)
        if array.dtype.kind == "f" and np.isnan(array).any():
            at = int(np.isnan(array).reshape(len(array), -1).any(axis=1).argmax())
            row = at
            if isinstance(value, Ragged):
                row = value.dataset_of(at)
            raise AdapterError(
                f"Expected numbers in {name}; got NaN in data set {row}",
                hint=f"Where values may be missing the spec says so: missing: {{{name}: 0.1}}",
                variable=name,
                row=row,
            )


def as_features(value: Value) -> Value:
    """Numbers as vectors of length one."""
    return on_array(value, lambda array: array[:, None]) if event_of(value) == () else value


def all_features(value: Value) -> np.ndarray:
    """The features of all members, or of all data sets, `(..., feature)`."""
    value = as_features(value)
    return array_of(value)


def with_channels(array: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Features `(..., feature)` without NaN, then 1 where some features had NaN, else 0."""
    missing = np.isnan(array)
    channels = missing[..., features].astype(np.float64)
    return np.concatenate([np.where(missing, 0.0, array), channels], axis=-1)
