"""Coupling flow: each layer keeps the coordinates of a mask m and changes the others given those

    y = m x + (1 − m) changed(x | m x, c)

(Dinh et al. 2017, arXiv:1605.08803). The first coupling has an empty mask, so it moves and scales
every coordinate given c alone; the others come in pairs of complementary masks over random halves.
With one parameter all masks are empty, and there is nothing to permute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend
from abi_cli.nn.flow import Flow, changed, changed_back

MOST_REFLECTIONS = 16
"""As many as there are coordinates make every orthogonal matrix of their sign; more are slow."""

LEAST_SD = 1e-6
"""Coordinates that are constant over the pilot are not blown up without end."""


def coupling_masks(dim: int, depth: int, seed: int) -> np.ndarray:
    """Which coordinates each coupling keeps, `(depth, dim)` of 0 and 1."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((depth, dim), "float32")
    for first in range(1, depth, 2):
        kept = rng.permutation(dim)[: (dim + 1) // 2 if dim > 1 else 0]
        masks[first, kept] = 1.0
        if first + 1 < depth and dim > 1:
            masks[first + 1] = 1.0 - masks[first]
    return masks


def swapped_masks(dim: int, depth: int) -> np.ndarray:
    """Those of the first and the last half by turns, `(depth, dim)`, after the empty one."""
    masks = np.zeros((depth, dim), "float32")
    if dim > 1:
        masks[1::2, : (dim + 1) // 2] = 1.0
        masks[2::2, (dim + 1) // 2 :] = 1.0
    return masks


@keras.saving.register_keras_serializable("abi")
class CouplingFlow(Flow):
    """A flow whose layers change one half of the coordinates given the other.

    Arguments:
        shuffled: Whether halves are random ones, or else the first and the last by turns.
        rotated: Whether before each layer coordinates are rotated (and mirrored) by an orthogonal
            matrix that is learned, a product of reflections 1 − 2 v vᵀ / |v|² (Tomczak & Welling
            2016, arXiv:1611.09630), of which the log-determinant is 0.
        actnorm: Whether before that each coordinate is moved and scaled, y = (x − μ) exp(−a), to
            begin with to mean 0 and sd 1 over the pilot (Kingma & Dhariwal 2018, arXiv:1807.03039).
    """

    def __init__(
        self, *, shuffled: bool = True, rotated: bool = False, actnorm: bool = False, **flow: Any
    ):
        super().__init__(**flow)
        self.shuffled, self.rotated, self.actnorm = shuffled, rotated, actnorm
        self.masks = swapped_masks(self.dim, self.depth)
        if shuffled:
            self.masks = coupling_masks(self.dim, self.depth, self.seed)
        self._rotates = rotated and self.dim > 1
        self.adapts = actnorm

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the stacked weights for `conditions_shape[-1]` conditions."""
        L, D = self.depth, self.dim
        if self._rotates:
            self.mirrors = self.add_weight(
                shape=(L, min(D, MOST_REFLECTIONS), D),
                initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
                name="mirrors",
            )
        if self.actnorm:
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
        if self.actnorm:
            fixed += [self.shift, self.log_scale]
        return fixed

    def step(self, x: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any]:
        """One coupling."""
        m, *before = fixed
        if self.actnorm:
            *before, shift, log_scale = before
            x = (x - shift) * ops.exp(-log_scale)
        if self._rotates:
            x = ops.matmul(x, before[0])
        kept = x * m
        y, log_slope = changed(x, self.told(kept, c, weights))
        log_slope = (1 - m) * log_slope
        return kept + (1 - m) * y, log_slope - log_scale if self.actnorm else log_slope

    def step_back(self, y: Any, c: Any, fixed: Sequence[Any], weights: Sequence[Any]) -> Any:
        """One coupling undone."""
        m, *before = fixed
        kept = y * m
        x = kept + (1 - m) * changed_back(y, self.told(kept, c, weights))
        if self._rotates:
            x = ops.matmul(x, ops.transpose(before[0]))
        if self.actnorm:
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
        shift, log_scale = np.zeros((2, self.depth, 1, self.dim), np.float32)
        for number in range(self.depth):
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

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "shuffled": self.shuffled,
            "rotated": self.rotated,
            "actnorm": self.actnorm,
        }
