"""Consistency: a network that goes from noise to parameters in a step or two.

f(y, φ) = cos φ y − sin φ F(y, φ) is to be the same all along a path of the ODE dy/dφ = F*. In
continuous time this asks the derivative of f along the path to vanish (Lu & Song 2024,
arXiv:2410.11081), which is brought about by

    loss = |F − stop(F + g / (|g| + 0.1))|²
    g = −cos² φ (F − dy/dφ) − cos φ sin φ (y + dF/dφ)

with dy/dφ = cos φ z − sin φ x of the pair itself, and dF/dφ the derivative of F along it, here in
forward mode (`TimeNetwork.jvp`). The value of the loss is nearly constant: it does not tell how far
training has come. There is no density.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.nn.free_form import NOISE_END, FreeForm, normal_score

P_MEAN, P_SD = -1.0, 1.4
"""Of the log of tan φ."""

SOFTENING = 0.1


@keras.saving.register_keras_serializable("abi")
class Consistency(FreeForm):
    """Draws in `steps` evaluations; between them data are noised again, with fresh noise."""

    has_density = False

    def __init__(self, *, steps: int, **free_form: Any):
        super().__init__(steps=steps, integrator="euler", tolerance=1.0, **free_form)
        self.noise_dim = self.dim * steps

    def angle(self, share: Any) -> Any:
        """φ whose log tangent is normal."""
        return ops.arctan(ops.exp(P_MEAN + P_SD * normal_score(share)))

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:
        """Minus the loss above, `(batch,)`, the mean over pairs."""
        phi, x, z = self.pairs(theta, noise, c)
        cos, sin = ops.cos(phi), ops.sin(phi)
        y, dy = cos * x + sin * z, cos * z - sin * x
        told = self.network.told(c[:, None, :])
        field, along = self.network.jvp(y, phi, told, dy, ops.ones_like(phi))
        g = -ops.square(cos) * (field - dy) - cos * sin * (y + along)
        size = ops.sqrt(ops.mean(ops.square(g), axis=-1, keepdims=True) + 1e-12)
        aim = ops.stop_gradient(field + g / (size + SOFTENING))
        return -ops.mean(ops.square(field - aim), axis=(-2, -1))

    def inverse(self, z: Any, c: Any) -> Any:
        """Draws `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`."""
        told = self.network.told(c)
        fresh = ops.reshape(z, (*ops.shape(z)[:-1], self.steps, self.dim))
        x = ops.zeros_like(fresh[..., 0, :])
        for number in range(self.steps):
            phi = ops.full((1, 1, 1), NOISE_END * (self.steps - number) / self.steps)
            y = ops.cos(phi) * x + ops.sin(phi) * fresh[..., number, :]
            x = ops.cos(phi) * y - ops.sin(phi) * self.network(y, phi, told)
        return x

    def log_prob(self, theta: Any, c: Any) -> Any:
        """There is none.

        Errors:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a consistency model has no density")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        return {name: config[name] for name in config if name not in ("integrator", "tolerance")}
