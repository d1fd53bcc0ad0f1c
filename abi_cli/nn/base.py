"""Base distributions of flows: a flow maps parameters to them, and draws begin from them.

Each has a log density of `z (…, dim)` and makes z of standard normal noise, of which it may take
more than dim numbers. A smooth flow of bounded slopes leaves tails as heavy as those of its base
(Jaini et al. 2020, arXiv:1907.04481), and one connected mode connected, so that heavy tails and
separate modes are better begun with than bent into being.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

LOG_2PI = math.log(2 * math.pi)

FIRST_DEGREES = 8.0
"""Degrees of freedom to begin with: tails in which gradients are felt, and a variance of 4 / 3."""

FARTHEST = 80.0
"""Largest exponent of a draw's distance: exp of it is finite in single precision."""


class Normal:
    """z ~ N(0, I).

    Arguments:
        dim: Length of z.

    Attributes:
        noise_dim: Length of the standard normal noise that a draw is made from.
    """

    def __init__(self, *, dim: int):
        self.dim = self.noise_dim = dim

    def log_prob(self, z: Any) -> Any:
        """Log density `(batch,)` of `z (batch, dim)`."""
        return -0.5 * (ops.sum(ops.square(z), axis=-1) + self.dim * LOG_2PI)

    def draw(self, noise: Any) -> Any:
        """Draws `(…, dim)` from noise `(…, noise_dim)`."""
        return noise


class BaseLayer(keras.Layer):
    """A base distribution with weights: the same as `Normal` otherwise."""

    def __init__(self, *, dim: int):
        super().__init__()
        self.dim = self.noise_dim = dim

    @abstractmethod
    def log_prob(self, z: Any) -> Any:
        """Log density `(batch,)` of `z (batch, dim)`."""

    @abstractmethod
    def draw(self, noise: Any) -> Any:
        """Draws `(…, dim)` from noise `(…, noise_dim)`."""


class StudentT(BaseLayer):
    """Independent Student's t for each coordinate, its degrees of freedom ν > 1 learned.

    Tails that fall off as a power keep single outlying simulations from pulling at a flow
    (Alexanderson & Henter 2020, arXiv:2003.03474). Draws are Bailey's (1994, "Polar generation of
    random variates with the t-distribution", Math. Comp. 62:779), exact for every ν and without a
    quantile: of two normal numbers n and m

        z = n √((exp w − 1) / w),    w = (n² + m²) / ν.
    """

    def __init__(self, *, dim: int):
        super().__init__(dim=dim)
        self.noise_dim = 2 * dim
        first = keras.initializers.Constant(math.log(FIRST_DEGREES - 1))
        self.log_degrees = self.add_weight(shape=(dim,), initializer=first, name="log_degrees")
        self.built = True

    def degrees(self) -> Any:
        """ν of each coordinate, `(dim,)`."""
        return 1.0 + ops.exp(self.log_degrees)

    def log_prob(self, z: Any) -> Any:
        """Log density `(batch,)` of `z (batch, dim)`."""
        nu = self.degrees()
        scale = _log_gamma((nu + 1) / 2) - _log_gamma(nu / 2) - 0.5 * ops.log(nu * math.pi)
        return ops.sum(scale - 0.5 * (nu + 1) * ops.log1p(ops.square(z) / nu), axis=-1)

    def draw(self, noise: Any) -> Any:
        """Draws `(…, dim)` from noise `(…, 2 dim)`."""
        n, m = noise[..., : self.dim], noise[..., self.dim :]
        w = ops.clip((ops.square(n) + ops.square(m)) / self.degrees(), 1e-12, FARTHEST)
        return n * ops.sqrt(ops.expm1(w) / w)


class NormalMixture(BaseLayer):
    """Σ_k π_k N(μ_k, diag σ_k²), all of it learned; the last number of the noise picks k.

    Arguments:
        components: Of the mixture.
        seed: Seed of the first means.
    """

    def __init__(self, *, dim: int, components: int, seed: int):
        super().__init__(dim=dim)
        self.noise_dim = self.dim + 1
        shape = (components, self.dim)
        half = math.sqrt(0.5)  # of the variance lies between the means, half within
        means = np.random.default_rng(seed).normal(size=shape) * half
        self.logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.means.assign(means)
        within = keras.initializers.Constant(math.log(half))
        self.log_sds = self.add_weight(shape=shape, initializer=within, name="log_sds")
        self.built = True

    def log_prob(self, z: Any) -> Any:
        """Log density `(batch,)` of `z (batch, dim)`."""
        scaled = (z[..., None, :] - self.means) * ops.exp(-self.log_sds)
        each = -ops.sum(0.5 * ops.square(scaled) + self.log_sds, axis=-1)
        log_weights = ops.log_softmax(self.logits)
        return ops.logsumexp(log_weights + each, axis=-1) - 0.5 * self.dim * LOG_2PI

    def draw(self, noise: Any) -> Any:
        """Draws `(…, dim)` from noise `(…, dim + 1)`."""
        level = 0.5 * (1.0 + ops.erf(noise[..., -1:] / math.sqrt(2.0)))
        ends = ops.cumsum(ops.softmax(self.logits))
        number = ops.sum(ops.cast(level >= ends[:-1], "int32"), axis=-1)
        mean, log_sd = ops.take(self.means, number, axis=0), ops.take(self.log_sds, number, axis=0)
        return mean + ops.exp(log_sd) * noise[..., :-1]


Base = Normal | BaseLayer

WIDER = 1.5
"""Factor by which a part of a proposal's base is wider."""

WIDE_SHARE = 0.2
"""Share of a proposal's draws that come from the wider base."""


def mixed(narrow: Any, wide: Any) -> Any:
    """Log density of a proposal, from those of its parts."""
    return ops.logaddexp(narrow + math.log(1 - WIDE_SHARE), wide + math.log(WIDE_SHARE))


def log_proposal(base: Base, z: Any) -> Any:
    """Log density `(…,)` of `z (…, dim)` where a share of the base is wider.

        r(z) = (1 − s) p(z) + s p(z / w) / wᵈ,    s = `WIDE_SHARE`, w = `WIDER`

    A posterior's tails that a flow has made too light are then reached all the same, and nowhere is
    its density less than 1 − s of the flow's (Hesterberg 1995, "Weighted average importance
    sampling and defensive mixture distributions").
    """
    return mixed(base.log_prob(z), base.log_prob(z / WIDER) - base.dim * math.log(WIDER))


def _log_gamma(x: Any) -> Any:
    """Log Γ by Stirling's series, six steps up from x > 0: off by 1e-7."""
    y = x + 6.0
    series = 1 / (12 * y) - 1 / (360 * y**3)
    below = sum(ops.log(x + k) for k in range(6))
    return (y - 0.5) * ops.log(y) - y + 0.5 * LOG_2PI + series - below
