"""Parameters standardized given the data: what is left for the flow has unit scale everywhere.

Standardizing parameters by the prior's mean and sd leaves posteriors of very different widths: in
a regression with a small residual sd they are a thousand times narrower than the prior, and no
network trained by stochastic gradients resolves that. So, before training, the best Gaussian whose
mean and log sd are linear in a few statistics u of the data, which have no weights to learn,

    θ_k | u ~ N(u W_k, exp(u V_k)²),

is fitted to the pilot simulations, and held fixed. The flow then learns (θ − u W) exp(−u V), and
densities are those of θ:  log q(θ) = log q((θ − u W) exp(−u V)) − Σ_k u V_k. It is an affine map of
the parameters for each data set, so nothing is lost where the statistics say little: then it is
plain standardization. How it is fitted, and that a second Gaussian corrects it, is said in
`statistics.gaussian`. What is far off nevertheless is `compressed`, which adds to the log density.

What it gave, in mean KL from the exact posteriors of `specs/regression.yaml` at its budget: 0.019
instead of 0.068 nats with the same networks, most of it where the residual sd is below 0.03.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli.statistics import Statistics
from abi_cli.statistics.each import fit_each, fit_each_twice

ROUNDING = 1e-6
"""Relative sd of a statistic that rounding to single precision may have made."""

LINEAR = 10.0
"""Pilot sds up to which a statistic is passed on as it is."""


def tamed(s: Any) -> Any:
    """The identity up to `LINEAR` in size, logarithmic beyond: coefficients have heavy tails."""
    beyond = ops.maximum(ops.abs(s) - LINEAR, 0.0)
    return ops.sign(s) * (ops.minimum(ops.abs(s), LINEAR) + ops.log1p(beyond))


FAR = 8.0
"""Predicted sds from the predicted mean up to which parameters are passed on as they are."""

DEEP = 7.0
"""Units beyond `FAR`, compressed, from which on compression is linear again."""

STEEP = float(np.exp(DEEP))
"""Slope of `expanded` from there on: 1,100."""


def compressed(z: Any) -> tuple[Any, Any]:
    """Standardized parameters, pulled in beyond `FAR`, and the log slope of that, as `z` each.

    With b the size of what is beyond `FAR`,

        b → log(1 + b)  up to b = exp(DEEP) − 1,  linear from there on, with the same slope.

    A pilot of ten thousand data sets can't show all that simulations hold: one in a thousand of two
    well separated components was 3,600 predicted sds away, and gradients of a training stopped
    being finite. This can be undone, so densities stay exact. It is linear in the end because a
    draw of the flow may lie where no training was: of an AR(2) one of two million was 96 away,
    which exp makes infinite.
    """
    beyond = ops.maximum(ops.abs(z) - FAR, 0.0)
    near = ops.log1p(ops.minimum(beyond, STEEP - 1))
    further = ops.maximum(beyond - (STEEP - 1), 0.0) / STEEP
    return ops.sign(z) * (ops.minimum(ops.abs(z), FAR) + near + further), -near


def expanded(z: Any) -> Any:
    """Inverse of `compressed`: standardized parameters."""
    beyond = ops.maximum(ops.abs(z) - FAR, 0.0)
    near = ops.expm1(ops.minimum(beyond, DEEP))
    further = STEEP * ops.maximum(beyond - DEEP, 0.0)
    return ops.sign(z) * (ops.minimum(ops.abs(z), FAR) + near + further)


class Scaling(keras.Layer):
    """Statistics `(batch, statistics)` brought to mean 0 and sd 1 over the pilot, and tamed."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Weights for `input_shape[-1]` statistics; the identity until `adapt`."""
        self.location = self._fixed(input_shape[-1], "zeros", "location")
        self.scale = self._fixed(input_shape[-1], "ones", "scale")
        super().build(input_shape)

    def _fixed(self, size: int, initializer: str, name: str) -> Any:
        return self.add_weight(shape=(size,), initializer=initializer, trainable=False, name=name)

    def adapt(self, statistics: np.ndarray) -> None:
        """Learn location and scale; what is constant but for rounding is only centred."""
        mean = statistics.mean(axis=0, dtype=np.float64)
        sd = statistics.std(axis=0, dtype=np.float64)
        size = np.maximum(np.abs(mean), 1.0)
        self.location.assign(mean)
        self.scale.assign(np.where(sd > ROUNDING * size, sd, size))

    def call(self, statistics: Any) -> Any:
        """Scaled and tamed, `(batch, statistics)`."""
        return tamed((statistics - self.location) / self.scale)


class ConditionalStandardization(keras.Layer):
    """Mean and log sd of parameters given statistics of the data, each `(batch, dim)`.

    Arguments:
        dim: Number of parameters.
        stages: Two, where a second Gaussian corrects the first in its own units (`fit_twice`); one
            in runs from before, and where nothing but a summary network makes statistics.
        compresses: Whether what is left is `compressed`; not where estimates are moved and scaled
            as they are.
    """

    def __init__(self, *, dim: int, stages: int = 1, compresses: bool = False):
        super().__init__()
        self.dim = dim
        self.stages = stages
        self.compresses = compresses

    @classmethod
    def beside(
        cls, statistics: Statistics | None, *, dim: int, draws: bool
    ) -> ConditionalStandardization:
        """A standardization by statistics that predict parameters themselves, or by others.

        Arguments:
            draws: Whether the inference network has draws, or else estimates alone.
        """
        predicted = statistics is not None and len(statistics.predictions) > 1
        return cls(dim=dim, stages=2 if predicted else 1, compresses=predicted and draws)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Weights for `input_shape[-1]` statistics; mean 0 and sd 1 until `adapt`."""
        self.scaling = Scaling(dtype=self.dtype_policy)
        self.scaling.build(input_shape)

        def fixed(name: str, *shape: int) -> Any:
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

        # Of each stage mean, log sd, and the bounds of the log sd; a keras file knows their order.
        self.fitted = [
            (
                fixed(f"mean{stage or ''}", input_shape[-1] + 1, self.dim),
                fixed(f"log_sd{stage or ''}", input_shape[-1] + 1, self.dim),
                fixed(f"lowest{stage or ''}", self.dim),
                fixed(f"highest{stage or ''}", self.dim),
            )
            for stage in range(self.stages)
        ]
        super().build(input_shape)

    def _regressors(self, statistics: Any) -> Any:
        u = self.scaling(statistics)
        return ops.concatenate([ops.ones_like(u[:, :1]), u], axis=-1)

    def adapt(
        self, statistics: np.ndarray, theta: np.ndarray, simple: Sequence[bool] | np.ndarray = ()
    ) -> None:
        """Fit to pilot data sets, each parameter by itself, and hold the result fixed.

        Arguments:
            statistics: `(dataset, statistics)`.
            theta: `(dataset, dim)`, adapted.
            simple: Which of the first statistics are not predictions themselves; all others aren't.
        """
        self.scaling.adapt(statistics)
        u = np.asarray(ops.convert_to_numpy(self._regressors(statistics)), np.float64)
        columns = np.ones(u.shape[1], bool)
        columns[1 : 1 + len(simple)] = simple
        theta = np.asarray(theta, np.float64)
        if self.stages == 1:
            means, log_sds = (one[None] for one in fit_each(u, theta))
        else:
            means, log_sds = fit_each_twice(u, theta, columns)
        for weights, mean, log_sd in zip(self.fitted, means, log_sds, strict=True):
            seen = u @ log_sd
            values = (mean, log_sd, seen.min(axis=0), seen.max(axis=0))
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)

    def call(self, statistics: Any) -> tuple[Any, Any]:
        """Mean and log sd; a log sd stays within what the pilot has shown."""
        u = self._regressors(statistics)
        mean, log_sd = 0.0, 0.0
        for w, v, lowest, highest in self.fitted:
            mean = mean + ops.exp(log_sd) * ops.matmul(u, w)
            log_sd = log_sd + ops.maximum(ops.minimum(ops.matmul(u, v), highest), lowest)
        return mean, log_sd

    def standardized(self, theta: Any, mean: Any, log_sd: Any) -> tuple[Any, Any]:
        """Parameters in units of what is predicted, and log |dz/dθ| `(…)` summed over them."""
        z, log_det = (theta - mean) * ops.exp(-log_sd), -ops.sum(log_sd, axis=-1)
        if not self.compresses:
            return z, log_det
        z, log_slope = compressed(z)
        return z, log_det + ops.sum(log_slope, axis=-1)

    def restored(self, z: Any, mean: Any, log_sd: Any) -> Any:
        """Inverse of `standardized`: parameters on their own scale."""
        return mean + ops.exp(log_sd) * (expanded(z) if self.compresses else z)
