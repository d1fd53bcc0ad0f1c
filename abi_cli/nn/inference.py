"""The contract of inference networks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import numpy as np

from abi_cli.networks import parts_inference as words


class InferenceLayer(keras.Layer):
    """A distribution of `theta (…, dim)` given `c (…, conditions)`.

    Arguments:
        dim: Number of parameters.

    Attributes:
        noise_dim: Length of the standard normal noise that a draw is made from.
        training_noise: Standard normal numbers that a step of training takes for each data set.
        loss_is_density: Whether training maximizes the log density, in nats.
        has_density: Whether `log_prob` gives one.
        fuse_draws: Whether draws take many small operations, which are worth compiling as one.
        adapts: Whether it begins from pilot data sets, by `adapt`.
    """

    adapts: bool = False
    training_noise: int = 0
    loss_is_density: bool = True
    has_density: bool = True
    fuse_draws: bool = False

    def __init__(self, *, dim: int):
        super().__init__()
        self.dim = self.noise_dim = dim

    @abstractmethod
    def log_prob(self, theta: Any, c: Any) -> Any:
        """Log density `(batch,)` of `theta (batch, dim)` given `c (batch, conditions)`."""

    @abstractmethod
    def inverse(self, z: Any, c: Any) -> Any:
        """Draws `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`.

        Arguments:
            c: `(dataset, 1, conditions)`.
        """

    def propose(self, z: Any, c: Any, width: Any) -> Any:
        """Draws as of `inverse`, with a base that is `width (dataset, draw, 1)` times as wide.

        Errors:
            NotImplementedError: There is no density.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def log_proposal(self, theta: Any, c: Any) -> Any:
        """Log density of `theta (dataset, draw, dim)` of `propose`, `(dataset, draw)`.

        It is that of widths that are `base.WIDER` for a share `base.WIDE_SHARE` of the draws, and
        else 1.

        Arguments:
            c: `(dataset, 1, conditions)`.

        Errors:
            NotImplementedError: There is no density.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def adapt(self, theta: np.ndarray, c: np.ndarray) -> None:
        """Begin from `theta (dataset, dim)` and `c (dataset, conditions)`, if it `adapts`."""

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:  # noqa: ARG002
        """The objective whose mean training maximizes, `(batch,)`: the log density of the truth.

        Arguments:
            noise: `(batch, training_noise)`.
        """
        return self.log_prob(theta, c)


class NumbersLayer(InferenceLayer):
    """A distribution described by numbers: a perceptron of the conditions, and a linear skip.

        numbers = W h(c) + b + S c,    W and S zero to begin with

    Arguments:
        options: As the spec has them.
    """

    def __init__(self, options: words.GaussianMixture | words.Point, *, dim: int):
        super().__init__(dim=dim)
        self.options = options

    def build_numbers(self, conditions: int, first: np.ndarray) -> None:
        """Make the weights.

        Arguments:
            first: The numbers to begin with, b.
        """
        width = self.options.width
        self.hidden = []
        for inputs in [conditions, *[width] * (self.options.depth - 1)]:
            layer = keras.layers.Dense(
                width, activation=self.options.activation, dtype=self.dtype_policy
            )
            layer.build((None, inputs))
            self.hidden.append(layer)
        self.out = keras.layers.Dense(
            len(first), kernel_initializer="zeros", dtype=self.dtype_policy
        )
        self.out.build((None, width))
        self.out.bias.assign(first)
        self.skip = keras.layers.Dense(
            len(first), use_bias=False, kernel_initializer="zeros", dtype=self.dtype_policy
        )
        self.skip.build((None, conditions))

    def numbers(self, c: Any) -> Any:
        """The numbers `(…, number)` of conditions `(…, conditions)`."""
        h = c
        for layer in self.hidden:
            h = layer(h)
        return self.out(h) + self.skip(c)
