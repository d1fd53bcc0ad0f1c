"""A normalizing flow of stacked layers: an invertible map from parameters to simple noise.

Every layer changes coordinates x given others and the conditions c,

    h = MLP(x of others, c)
    a = A tanh(a' / A),  a' and b linear in h, a' with a linear skip from c
    y = RQS((x + S c + R x of others) exp(a) + b),    log |dy/dx| = Σ a + log RQS'

where RQS is the identity or, with bins, a monotone spline (`nn.spline`), by which one layer can
have several modes. Which others a layer sees makes it a coupling (`CouplingFlow`) or autoregressive
(`AutoregressiveFlow`).

The linear skips S c and R x act before the scaling, the bent shift b after it. Where the posterior
is a hundred times narrower than the prior, exp(a) is large, and an error of the network in b is
then an error in units of the posterior's own width; only the linear part must be exact. (Mean KL on
`specs/regression.yaml` 0.12 instead of 0.18 for a shift of one kind after the scaling, before other
changes.) The limit A on log scales lets training stand a twice larger learning rate.

What is left is distributed as the base, which is standard normal noise or another (`nn.base`).
All layers' weights are stacked on a leading axis and looped (`backend.scan_layers`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend
from abi_cli.networks import parts_inference as words
from abi_cli.nn import spline
from abi_cli.nn.base import Base, Normal, NormalMixture, StudentT, log_proposal
from abi_cli.nn.inference import InferenceLayer

LOG_SCALE_LIMIT = 8.0
"""The bound A of a layer's log scale: no more than exp(8) ≈ 3,000."""

MOST_REFLECTIONS = 16
"""Most reflections of a layer: dim of them already make any rotation; more are slow."""

LEAST_SD = 1e-6
"""Least sd that a coordinate is divided by: it may be constant over the pilot."""

Coefficients = tuple[Any, Any, Any, Any]
"""Inner shift, log scale and outer shift, each `(…, dim)`; the numbers of a spline, or None."""


class Flow(InferenceLayer):
    """Density and draws of `theta (…, dim)` given `c (…, conditions)`.

    Arguments:
        options: As the spec has them.
        seed: Seed of the choice of what each layer sees, and of the first weights.
    """

    def __init__(self, options: words.OfLayers, *, dim: int, seed: int):
        super().__init__(dim=dim)
        self.options, self.seed = options, seed
        self.bins = (options.bins or 8) if options.transform == "spline" else 0
        self.base = _base(options, dim, seed)
        self.noise_dim = self.base.noise_dim

    @abstractmethod
    def fixed(self) -> list[Any]:
        """Arrays `(layer, …)` that each layer takes beside the weights of its network."""

    @abstractmethod
    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """Map of one layer: `y (…, dim)`, and the log slope of each coordinate, `(…, dim)`."""

    @abstractmethod
    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """Inverse of one layer: the coordinates that it maps to `y (…, dim)`."""

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the stacked weights for `conditions_shape[-1]` conditions."""
        L, D, W = self.options.depth, self.dim, self.options.width
        C = conditions_shape[-1] or 0

        def weight(name: str, inputs: int, outputs: int, *, gain: float) -> Any:
            initializer = keras.initializers.RandomNormal(
                stddev=gain / math.sqrt(max(inputs, 1)), seed=self.seed + len(self.weights)
            )
            return self.add_weight(
                shape=(L, inputs, outputs),
                initializer=initializer if gain else "zeros",
                name=name,
            )

        def bias(name: str, outputs: int) -> Any:
            return self.add_weight(shape=(L, 1, outputs), initializer="zeros", name=name)

        self.w_x = weight("w_x", D, W, gain=1.0)
        self.w_c = weight("w_c", C, W, gain=1.0)
        self.b_1 = bias("b_1", W)
        self.w_2 = weight("w_2", W, W, gain=1.4)
        self.b_2 = bias("b_2", W)
        self.w_a = weight("w_a", W, D, gain=0.0)
        self.w_b = weight("w_b", W, D, gain=0.0)
        self.b_a = bias("b_a", D)
        self.b_b = bias("b_b", D)
        self.skip_a = weight("skip_a", C, D, gain=0.0)
        self.skip_s = weight("skip_s", C, D, gain=0.0)
        self.skip_r = weight("skip_r", D, D, gain=0.0)
        if self.bins:
            K = spline.numbers_of(self.bins)
            self.w_k = weight("w_k", W, D * K, gain=0.0)
            self.b_k = bias("b_k", D * K)
            self.skip_k = weight("skip_k", C, D * K, gain=0.0)
        super().build(conditions_shape)

    def stacked(self) -> list[Any]:
        """The weights of the layers' networks, `(layer, …)` each."""
        stacked = [self.w_x, self.w_c, self.b_1, self.w_2, self.b_2]
        stacked += [self.w_a, self.w_b, self.b_a, self.b_b, self.skip_a, self.skip_s, self.skip_r]
        return [*stacked, self.w_k, self.b_k, self.skip_k] if self.bins else stacked

    def coefficients(self, seen: Any, c: Any, weights: Sequence[Any]) -> Coefficients:
        """Coefficients of one layer's map, by its network, from the coordinates seen and from c."""
        w_x, w_c, b_1, w_2, b_2, w_a, w_b, b_a, b_b, skip_a, skip_s, skip_r, *bending = weights
        act = keras.activations.get(self.options.activation)
        h = act(ops.matmul(seen, w_x) + (ops.matmul(c, w_c) + b_1))
        h = act(ops.matmul(h, w_2) + b_2)
        a = ops.matmul(h, w_a) + (ops.matmul(c, skip_a) + b_a)
        a = LOG_SCALE_LIMIT * ops.tanh(a / LOG_SCALE_LIMIT)
        b = ops.matmul(h, w_b) + b_b
        numbers = None
        if bending:
            w_k, b_k, skip_k = bending
            numbers = ops.matmul(h, w_k) + (ops.matmul(c, skip_k) + b_k)
            lead = ops.shape(numbers)[:-1]
            numbers = ops.reshape(numbers, (*lead, self.dim, spline.numbers_of(self.bins)))
        return ops.matmul(c, skip_s) + ops.matmul(seen, skip_r), a, b, numbers

    def forward(self, theta: Any, c: Any) -> tuple[Any, Any]:
        """Noise `(batch, dim)` that parameters map to, and the log-determinant, `(batch,)`."""
        fixed = self.fixed()
        many = len(fixed)

        def layer(carry: tuple[Any, Any], stacked: Sequence[Any], c: Any) -> tuple[Any, Any]:
            x, log_det = carry
            y, log_slope = self.step(x, c, stacked[:many], stacked[many:])
            return y, log_det + ops.sum(log_slope, axis=-1)

        carry = (theta, ops.zeros_like(theta[..., 0]))
        stacked = [ops.convert_to_tensor(w) for w in [*fixed, *self.stacked()]]
        z, log_det = backend.scan_layers(layer, carry, stacked, c)
        return z, log_det

    def backward(self, z: Any, c: Any) -> Any:
        """Parameters that `forward` maps to `z (dataset, draw, dim)`, given `c (dataset, 1, …)`."""
        fixed = self.fixed()
        many = len(fixed)

        def layer(carry: tuple[Any], stacked: Sequence[Any], c: Any) -> tuple[Any]:
            return (self.step_back(carry[0], c, stacked[:many], stacked[many:]),)

        stacked = [ops.flip(ops.convert_to_tensor(w), axis=0) for w in [*fixed, *self.stacked()]]
        return backend.scan_layers(layer, (z,), stacked, c)[0]

    def log_prob(self, theta: Any, c: Any) -> Any:
        """Log density `(batch,)` of `theta (batch, dim)` given `c (batch, conditions)`."""
        z, log_det = self.forward(theta, c)
        return log_det + self.base.log_prob(z)

    def inverse(self, z: Any, c: Any) -> Any:
        """Parameters `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`."""
        return self.backward(self.base.draw(z), c)

    def propose(self, z: Any, c: Any, width: Any) -> Any:
        """Parameters as `inverse` makes them, of a base `width` times as wide."""
        return self.backward(width * self.base.draw(z), c)

    def log_proposal(self, theta: Any, c: Any) -> Any:
        """Log density of what `propose` gives, `(dataset, draw)`."""
        z, log_det = self.forward(theta, c)
        return log_det + log_proposal(self.base, z)


def _base(options: words.OfLayers, dim: int, seed: int) -> Base:
    """The base distribution, to which the flow maps parameters."""
    if options.base == "mixture":
        return NormalMixture(dim=dim, components=options.components or 4, seed=seed)
    return StudentT(dim=dim) if options.base == "student_t" else Normal(dim=dim)


def changed(x: Any, coefficients: Coefficients) -> tuple[Any, Any]:
    """Coordinates after one layer's map, and its log slope, both `(…, dim)`."""
    s, log_slope, b, numbers = coefficients
    y = (x + s) * ops.exp(log_slope) + b
    if numbers is None:
        return y, log_slope
    y, bent = spline.forward(y, numbers)
    return y, log_slope + bent


def changed_back(y: Any, coefficients: Coefficients) -> Any:
    """Inverse of `changed`: the coordinates that are mapped to y."""
    s, a, b, numbers = coefficients
    x = y if numbers is None else spline.inverse(y, numbers)
    return (x - b) * ops.exp(-a) - s


def coupling_masks(dim: int, depth: int, seed: int) -> np.ndarray:
    """Masks of the coordinates that each coupling keeps, `(depth, dim)` of 0 and 1."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((depth, dim), "float32")
    for first in range(1, depth, 2):
        kept = rng.permutation(dim)[: (dim + 1) // 2 if dim > 1 else 0]
        masks[first, kept] = 1.0
        if first + 1 < depth and dim > 1:
            masks[first + 1] = 1.0 - masks[first]
    return masks


def swapped_masks(dim: int, depth: int) -> np.ndarray:
    """Masks that keep the first and the last half by turns, `(depth, dim)`; at first nothing."""
    masks = np.zeros((depth, dim), "float32")
    if dim > 1:
        masks[1::2, : (dim + 1) // 2] = 1.0
        masks[2::2, (dim + 1) // 2 :] = 1.0
    return masks


class CouplingFlow(Flow):
    """A flow whose layers keep the coordinates of a mask m and change the others given those

        y = m x + (1 − m) changed(x | m x, c)

    (Dinh et al. 2017, arXiv:1605.08803). The first coupling has an empty mask, so it moves and
    scales every coordinate given c alone; the others come in pairs of complementary masks, over
    random halves or over the first and the last. With one parameter all masks are empty, and there
    is nothing to permute.

    `permutation: orthogonal` rotates (and mirrors) coordinates before each layer by an orthogonal
    matrix that is learned, a product of reflections 1 − 2 v vᵀ / |v|² (Tomczak & Welling 2016,
    arXiv:1611.09630), of which the log-determinant is 0. `actnorm` before that moves and scales
    each coordinate, y = (x − μ) exp(−a), to begin with to mean 0 and sd 1 over the pilot (Kingma &
    Dhariwal 2018, arXiv:1807.03039).
    """

    options: words.CouplingFlow

    def __init__(self, options: words.CouplingFlow, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        swaps = options.permutation == "swap"
        self.masks = (
            swapped_masks(dim, options.depth) if swaps else coupling_masks(dim, options.depth, seed)
        )
        self._rotates = options.permutation == "orthogonal" and dim > 1
        self.adapts = options.actnorm

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the stacked weights for `conditions_shape[-1]` conditions."""
        L, D = self.options.depth, self.dim
        if self._rotates:
            self.mirrors = self.add_weight(
                shape=(L, min(D, MOST_REFLECTIONS), D),
                initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
                name="mirrors",
            )
        if self.options.actnorm:
            self.shift = self.add_weight(shape=(L, 1, D), initializer="zeros", name="shift")
            self.log_scale = self.add_weight(shape=(L, 1, D), initializer="zeros", name="log_scale")
        super().build(conditions_shape)

    def _rotations(self) -> Any:
        """The orthogonal matrix of each layer, `(layer, dim, dim)`."""
        mirrors = ops.convert_to_tensor(self.mirrors)
        squares = ops.sum(ops.square(mirrors), axis=-1, keepdims=True)
        units = mirrors / ops.sqrt(squares + 1e-12)
        rotation = ops.zeros_like(mirrors[:, :1, :]) + ops.eye(self.dim)
        for number in range(mirrors.shape[1]):
            v = units[:, number : number + 1, :]
            along = ops.sum(rotation * v, axis=-1, keepdims=True)
            rotation = rotation - 2.0 * along * v
        return rotation

    def fixed(self) -> list[Any]:
        """The masks, `(layer, 1, dim)`, rotations, `(layer, dim, dim)`, shifts and log scales."""
        fixed: list[Any] = [self.masks[:, None, :]]
        if self._rotates:
            fixed.append(self._rotations())
        if self.options.actnorm:
            fixed += [self.shift, self.log_scale]
        return fixed

    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """Map of one coupling."""
        m, *before = fixed
        if self.options.actnorm:
            *before, shift, log_scale = before
            x = (x - shift) * ops.exp(-log_scale)
        if self._rotates:
            x = ops.matmul(x, before[0])
        kept = x * m
        y, log_slope = changed(x, self.coefficients(kept, c, weights))
        log_slope = (1 - m) * log_slope
        return kept + (1 - m) * y, log_slope - log_scale if self.options.actnorm else log_slope

    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """Inverse of one coupling."""
        m, *before = fixed
        kept = y * m
        x = kept + (1 - m) * changed_back(y, self.coefficients(kept, c, weights))
        if self._rotates:
            x = ops.matmul(x, ops.transpose(before[0]))
        if self.options.actnorm:
            *_, shift, log_scale = before
            x = x * ops.exp(log_scale) + shift
        return x

    def adapt(self, theta: np.ndarray, c: np.ndarray) -> None:
        """Let each layer's coordinates begin with mean 0 and sd 1 over pilot data sets.

        Arguments:
            theta: `(dataset, dim)`, standardized.
            c: `(dataset, conditions)`.
        """
        x: Any = theta
        shift, log_scale = np.zeros((2, self.options.depth, 1, self.dim), np.float32)
        for number in range(self.options.depth):
            seen = backend.to_numpy(x)
            shift[number] = seen.mean(axis=0)
            log_scale[number] = np.log(seen.std(axis=0) + LEAST_SD)
            self.shift.assign(shift)
            self.log_scale.assign(log_scale)
            fixed, weights = (
                [ops.convert_to_tensor(w)[number] for w in those]
                for those in (self.fixed(), self.stacked())
            )
            x, _ = self.step(x, c, fixed, weights)


def orders(dim: int, depth: int, seed: int) -> np.ndarray:
    """The place of each coordinate in each layer, `(depth, dim)` of 1 … dim.

    The first is random, and every other one is the reverse of the one before.
    """
    first = np.random.default_rng(seed).permutation(dim) + 1
    return np.array([first if layer % 2 == 0 else dim + 1 - first for layer in range(depth)])


class AutoregressiveFlow(Flow):
    """A flow whose layers change each coordinate given all those before it, in one pass

        y_i = changed(x_i | x of lower order, c)

    by a network whose weights are masked, so that no path leads from a coordinate to one of lower
    order (Papamakarios et al. 2017, "Masked autoregressive flow", arXiv:1705.07057; Germain et al.
    2015, arXiv:1502.03509). The order is turned round from layer to layer. Densities take one pass;
    drawing takes one for each coordinate, in the same compiled loop.
    """

    def __init__(self, options: words.AutoregressiveFlow, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        depth, width = options.depth, options.width
        order = orders(dim, depth, seed)
        # A hidden unit of degree g sees coordinates up to g, and tells those beyond.
        degree = np.arange(width) % dim
        sees = degree >= order[:, :, None]
        tells = np.moveaxis(order[:, :, None] > degree, 1, 2)
        hidden = np.broadcast_to(degree[None, :] >= degree[:, None], (depth, width, width))
        before = order[:, None, :] > order[:, :, None]
        self.seen = [mask.astype("float32") for mask in (sees, hidden, tells, before)]

    def fixed(self) -> list[Any]:
        """Masks of the weights, `(layer, inputs, outputs)`."""
        return self.seen

    def _masked(self, fixed: Sequence[Any], weights: Sequence[Any]) -> list[Any]:
        sees, hidden, tells, before = fixed
        w_x, w_c, b_1, w_2, b_2, w_a, w_b, b_a, b_b, skip_a, skip_s, skip_r, *bending = weights
        masked = [w_x * sees, w_c, b_1, w_2 * hidden, b_2, w_a * tells, w_b * tells, b_a, b_b]
        masked += [skip_a, skip_s, skip_r * before]
        if bending:
            w_k, b_k, skip_k = bending
            numbers = spline.numbers_of(self.bins)
            masked += [w_k * ops.repeat(tells, numbers, axis=-1), b_k, skip_k]
        return masked

    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """Map of one layer."""
        return changed(x, self.coefficients(x, c, self._masked(fixed, weights)))

    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """Inverse of one layer: each pass makes the next coordinate right."""
        masked = self._masked(fixed, weights)
        x = ops.zeros_like(y)
        for _ in range(self.dim):
            x = changed_back(y, self.coefficients(x, c, masked))
        return x
