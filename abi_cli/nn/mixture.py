"""Gaussian mixture density network: weights, means and precisions of components given the data.

    q(θ | c) = Σ_k π_k N(θ; μ_k, (T_kᵀ T_k)⁻¹),    T_k lower triangular,  diag T_k = exp(t_k)

(Bishop 1994, "Mixture density networks"; with precisions by their Cholesky factors, so that a
density needs no solving: Williams 1996.) With one component it is the best Gaussian given the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from abi_cli.networks import parts_inference as words
from abi_cli.nn.base import LOG_2PI, WIDER, mixed
from abi_cli.nn.inference import NumbersLayer

SPREAD = 1.0
"""Sd of the components' first means, in standardized parameters: they begin as different ones."""

LOG_PRECISION_LIMIT = 12.0
"""Limit of the log precision: no component is narrower than exp(−12) standardized sds."""


class GaussianMixture(NumbersLayer):
    """Density and draws of `theta (…, dim)` given `c (…, conditions)`.

    Attributes:
        noise_dim: Length of the noise of a draw: its last number picks the component.
    """

    options: words.GaussianMixture

    def __init__(self, options: words.GaussianMixture, *, dim: int, seed: int):
        super().__init__(options, dim=dim)
        self.seed = seed
        self.noise_dim = dim + 1
        self._row, self._column = np.tril_indices(dim, -1)

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the weights for `conditions_shape[-1]` conditions."""
        K, D = self.options.components, self.dim
        self.sizes = [K, K * D, K * D, K * len(self._row)]
        first = np.zeros(sum(self.sizes), np.float32)
        if K > 1:
            means = np.random.default_rng(self.seed).normal(size=K * D) * SPREAD
            first[K : K + K * D] = means
        self.build_numbers(conditions_shape[-1] or 0, first)
        super().build(conditions_shape)

    def _components(self, c: Any) -> tuple[Any, Any, Any, Any]:
        """Log weights `(…, K)`, means, log diagonals `(…, K, D)`, and T below them."""
        logits, means, log_diagonal, below = ops.split(
            self.numbers(c), np.cumsum(self.sizes)[:-1].tolist(), axis=-1
        )
        lead, K, D = ops.shape(c)[:-1], self.options.components, self.dim
        limit = LOG_PRECISION_LIMIT
        log_diagonal = limit * ops.tanh(log_diagonal / limit)
        return (
            ops.log_softmax(logits, axis=-1),
            ops.reshape(means, (*lead, K, D)),
            ops.reshape(log_diagonal, (*lead, K, D)),
            ops.reshape(below, (*lead, K, len(self._row))),
        )

    def log_prob(self, theta: Any, c: Any) -> Any:
        """Log density `(batch,)` of `theta (batch, dim)` given `c (batch, conditions)`."""
        parts = self._log_parts(theta, c, (1.0,))
        return ops.logsumexp(parts[0], axis=-1)

    def log_proposal(self, theta: Any, c: Any) -> Any:
        """Log density of what `propose` gives, `(dataset, draw)`."""
        narrow, wide = self._log_parts(theta, c, (1.0, WIDER))
        return mixed(ops.logsumexp(narrow, axis=-1), ops.logsumexp(wide, axis=-1))

    def _log_parts(self, theta: Any, c: Any, widths: Sequence[float]) -> list[Any]:
        """Log weight and density of each component, `(…, K)`, if it were so many times as wide."""
        log_weight, mean, log_diagonal, below = self._components(c)
        centred = theta[..., None, :] - mean
        scaled = ops.exp(log_diagonal) * centred
        noise = [scaled[..., i] for i in range(self.dim)]
        for number, (i, j) in enumerate(zip(self._row, self._column, strict=True)):
            noise[i] = noise[i] + below[..., number] * centred[..., j]
        squares = sum(ops.square(z) for z in noise)
        constant = log_weight + ops.sum(log_diagonal, axis=-1) - 0.5 * self.dim * LOG_2PI
        return [constant - 0.5 * squares / w**2 - self.dim * math.log(w) for w in widths]

    def propose(self, z: Any, c: Any, width: Any) -> Any:
        """Parameters as `inverse` makes them, of components `width` times as wide."""
        return self.inverse(ops.concatenate([width * z[..., :-1], z[..., -1:]], axis=-1), c)

    def inverse(self, z: Any, c: Any) -> Any:
        """Parameters `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`."""
        log_weight, mean, log_diagonal, below = self._components(c)
        level = 0.5 * (1.0 + ops.erf(z[..., -1:] / math.sqrt(2.0)))
        ends = ops.cumsum(ops.exp(log_weight), axis=-1)[..., :-1]
        above = ops.cast(level >= ends, z.dtype)
        first = ops.ones_like(level)
        chosen = ops.concatenate([first, above], axis=-1)
        chosen = chosen - ops.concatenate([above, 0 * first], axis=-1)

        def of(values: Any) -> Any:
            return ops.sum(chosen[..., None] * values, axis=-2)

        mean, log_diagonal = of(mean), of(log_diagonal)
        below = of(below) if len(self._row) else below
        centred: list[Any] = []  # forward substitution of T (θ − μ) = z
        for i in range(self.dim):
            left = z[..., i]
            for number in np.flatnonzero(self._row == i):
                left = left - below[..., number] * centred[self._column[number]]
            centred.append(left * ops.exp(-log_diagonal[..., i]))
        return mean + ops.stack(centred, axis=-1)
