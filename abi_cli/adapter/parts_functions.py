"""Steps that apply a function to every number: apply, log, scale, shift, sqrt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.maps import LOG, Bijection, Elementwise, between
from abi_cli.adapter.step import AdapterError, State, event_of
from abi_cli.registry import Keys, part
from abi_cli.variables import Value

_LOG1P = Bijection(np.log1p, np.expm1, lambda x: -np.log1p(x), lower=-1.0)
_ABOVE = "values above 0 alone"
_LOGIT = between(0.0, 1.0)

_HALF_PI = np.pi / 2


def _log_cosh(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, -x) - np.log(2.0)


_MAPS = {
    "arcsinh": Bijection(np.arcsinh, np.sinh, lambda x: -np.log(np.hypot(1.0, x))),
    "arctan": Bijection(
        np.arctan, np.tan, lambda x: -2 * np.log(np.hypot(1.0, x)), image="values within ±π/2 alone"
    ),
    "arctanh": Bijection(
        np.arctanh, np.tanh, lambda x: -np.log1p(x) - np.log1p(-x), lower=-1.0, upper=1.0
    ),
    "exp": Bijection(np.exp, np.log, lambda x: x, image=_ABOVE),
    "expm1": Bijection(np.expm1, np.log1p, lambda x: x, image="values above −1 alone"),
    "log": LOG,
    "log1p": _LOG1P,
    "logit": _LOGIT,
    "negative": Bijection(np.negative, np.negative, np.zeros_like),
    "reciprocal": Bijection(
        np.reciprocal, np.reciprocal, lambda x: -2 * np.log(x), lower=0.0, image=_ABOVE
    ),
    "sigmoid": Bijection(
        _LOGIT.inverse,
        _LOGIT.forward,
        lambda x: -np.logaddexp(0.0, x) - np.logaddexp(0.0, -x),
        image="values within 0 and 1 alone",
    ),
    "sinh": Bijection(np.sinh, np.arcsinh, _log_cosh),
    "sqrt": Bijection(
        np.sqrt,
        np.square,
        lambda x: -0.5 * (np.log(4.0) + np.log(x)),
        lower=0.0,
        closed=True,
        image="values of 0 and above alone",
    ),
    "square": Bijection(
        np.square, np.sqrt, lambda x: np.log(2 * x), lower=0.0, closed=True, image=_ABOVE
    ),
    "tan": Bijection(
        np.tan, np.arctan, lambda x: -2 * np.log(np.cos(x)), lower=-_HALF_PI, upper=_HALF_PI
    ),
    "tanh": Bijection(
        np.tanh, np.arctanh, lambda x: -2 * _log_cosh(x), image="values within ±1 alone"
    ),
}
"""Functions that `apply` knows, each with its inverse and the logarithm of its slope."""

_WAY_BACK = {
    **{"arcsinh": "sinh", "arctan": "tan", "arctanh": "tanh", "exp": "log", "expm1": "log1p"},
    **{"logit": "sigmoid", "sqrt": "square", "negative": "negative", "reciprocal": "reciprocal"},
}
_WAY_BACK |= {back: name for name, back in _WAY_BACK.items()}

Function = Literal[
    "arcsinh", "arctan", "arctanh", "exp", "expm1", "log", "log1p", "logit", "negative",
    "reciprocal", "sigmoid", "sinh", "sqrt", "square", "tan", "tanh",
]  # fmt: skip


@part("step", "apply", example="apply: {include: dose, forward: log1p}")
class Apply(Elementwise):
    """Apply a function that can be undone.

    Parameters can go only through those that reach every number: arcsinh, arctanh, log, log1p,
    logit, negative, sinh and tan. The network draws any number, which the others can't take back.
    """

    include: Keys = Field(description="Variables to apply it to.")
    forward_function: Function = Field(alias="forward", description="The function.")
    inverse_function: Function | None = Field(
        None, alias="inverse", description="The way back; needs no saying."
    )

    @model_validator(mode="after")
    def _there_and_back(self) -> Apply:
        back = _WAY_BACK[self.forward_function]
        if self.inverse_function not in (None, back):
            raise ValueError(
                f"Expected {back}, which undoes {self.forward_function}; "
                f"got {self.inverse_function} as inverse"
            )
        return self

    @property
    def one_way(self) -> str | None:
        """The reason why draws can't come back: results cover a part of the line; None if all."""
        image = self.bijection().image
        if image is None:
            return None
        return f"{self.forward_function} gives {image}, and draws are anywhere"

    def variables(self) -> tuple[str, ...]:
        """The variables included."""
        return self.include

    def bijection(self) -> Bijection:
        """The function."""
        return _MAPS[self.forward_function]


@part("step", "log", example="log: {keys: counts, p1: true}")
class Log(Elementwise):
    """Take the logarithm.

        z = log x for x > 0, or with p1 z = log(1 + x) for x > −1

    Draws come back above 0 (above −1), so that it also keeps a parameter there.
    """

    keys: Keys = Field(description="Variables to take the logarithm of.")
    p1: bool = Field(False, description="Whether to add 1 first, as suits counts.")

    def variables(self) -> tuple[str, ...]:
        """The keys."""
        return self.keys

    def bijection(self) -> Bijection:
        """The map x → log x, or x → log(1 + x)."""
        return _LOG1P if self.p1 else LOG


@part("step", "sqrt", example="sqrt: N")
class Sqrt(Elementwise):
    """Take the square root.

        z = √x for x ≥ 0,  log |dz/dx| = −log 2 − ½ log x

    Made for counts among the conditions. It reaches only half of the line: for a parameter that is
    positive use `constrain`, because a network also draws from the other half.
    """

    keys: Keys = Field(description="Variables to take the square root of.")

    def variables(self) -> tuple[str, ...]:
        """The keys."""
        return self.keys

    def bijection(self) -> Bijection:
        """The map x → √x."""
        return _MAPS["sqrt"]


class _By(Elementwise):
    """A step with a number for all features, or one for each."""

    keys: Keys
    by: float | tuple[float, ...]

    def variables(self) -> tuple[str, ...]:
        """The keys."""
        return self.keys

    def fit(self, data: Mapping[str, Value]) -> State:
        """Check that there are as many numbers as features; nothing is learned.

        Errors:
            AdapterError: There are more or fewer numbers than features.
        """
        for key in self.keys:
            features = event_of(data[key])[-1:]
            if isinstance(self.by, tuple) and (len(self.by),) != features:
                raise AdapterError(
                    f"Expected one number, or {features[0] if features else 1} for the features "
                    f"of {key}; got {len(self.by)}",
                    variable=key,
                )
        return {}


@part("step", "scale", example="scale: {keys: x, by: 0.01}")
class Scale(_By):
    """Multiply by a number: z = by · x."""

    keys: Keys = Field(description="Variables to multiply.")
    by: float | tuple[float, ...] = Field(
        description="One number, or one for each feature (entry of the last axis); none is 0."
    )

    @model_validator(mode="after")
    def _not_zero(self) -> Scale:
        if not np.all(np.asarray(self.by)):
            raise ValueError("Expected numbers other than 0; got 0, which can't be undone")
        return self

    def bijection(self) -> Bijection:
        """The map x → by · x."""
        by = np.asarray(self.by)
        return Bijection(
            lambda x: by * x,
            lambda z: z / by,
            lambda x: np.broadcast_to(np.log(np.abs(by)), x.shape),
        )


@part("step", "shift", example="shift: {keys: dose, by: -100}")
class Shift(_By):
    """Add a number: z = x + by."""

    keys: Keys = Field(description="Variables to add to.")
    by: float | tuple[float, ...] = Field(
        description="One number, or one for each feature (entry of the last axis)."
    )

    def bijection(self) -> Bijection:
        """The map x → x + by."""
        by = np.asarray(self.by)
        return Bijection(lambda x: x + by, lambda z: z - by, np.zeros_like)
