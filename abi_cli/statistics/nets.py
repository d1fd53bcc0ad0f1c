"""Small networks of two hidden layers in NumPy, and their training: for surfaces of statistics.

f(x) = tanh(tanh(x W₀ + b₀) W₁ + b₁) W₂
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Layers = tuple[np.ndarray, ...]
"""Weights W₀, b₀, W₁, b₁ and W₂."""


def begun(rng: np.random.Generator, inputs: int, outputs: int, hidden: int) -> Layers:
    """First weights: the output is zero."""
    return (
        rng.normal(0, 1 / np.sqrt(inputs), (inputs, hidden)),
        rng.normal(0, 0.5, hidden),
        rng.normal(0, 1 / np.sqrt(hidden), (hidden, hidden)),
        np.zeros(hidden),
        np.zeros((hidden, outputs)),
    )


def activations(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    """Activations of both hidden layers, and the output, `(row, …)` each."""
    w0, b0, w1, b1, w2 = layers
    first = np.tanh(x @ w0 + b0)
    second = np.tanh(first @ w1 + b1)
    return [first, second, second @ w2]


def gradients(
    layers: Layers, x: np.ndarray, first: np.ndarray, second: np.ndarray, slope: np.ndarray
) -> list[np.ndarray]:
    """Gradients of a loss along all weights, given `slope (row, output)` along the output."""
    d1 = slope @ layers[4].T * (1 - second**2)
    d0 = d1 @ layers[2].T * (1 - first**2)
    return [x.T @ d0, d0.sum(axis=0), first.T @ d1, d1.sum(axis=0), second.T @ slope]


def slopes(layers: Layers, first: np.ndarray, second: np.ndarray, inputs: int) -> np.ndarray:
    """Slopes of the output along the first `inputs`, `(row, input, output)`."""
    w0, _, w1, _, w2 = layers
    hidden = len(w1)
    # One product of matrices for all rows and inputs, not one for each row.
    d = (w0[:inputs] * (1 - first**2)[:, None, :]).reshape(-1, hidden) @ w1
    d = d.reshape(-1, inputs, hidden) * (1 - second**2)[:, None, :]
    return (d.reshape(-1, hidden) @ w2).reshape(len(first), inputs, -1)


class Adam:
    """Steps of Adam (arXiv:1412.6980) on arrays, in place; the rate falls to zero as a cosine."""

    def __init__(self, arrays: Sequence[np.ndarray], *, rate: float, steps: int) -> None:
        self.arrays, self.rate, self.steps = arrays, rate, steps
        self.means = [np.zeros_like(a) for a in arrays]
        self.squares = [np.zeros_like(a) for a in arrays]
        self.done = 0

    def step(self, slopes: Sequence[np.ndarray]) -> None:
        """Make one step against the slopes of the loss."""
        self.done += 1
        rate = self.rate * 0.5 * (1 + np.cos(np.pi * self.done / self.steps))
        rate *= np.sqrt(1 - 0.99**self.done) / (1 - 0.9**self.done)
        for array, mean, square, slope in zip(
            self.arrays, self.means, self.squares, slopes, strict=True
        ):
            mean += 0.1 * (slope - mean)
            square += 0.01 * (slope * slope - square)
            array -= rate * mean / (np.sqrt(square) + 1e-10)
