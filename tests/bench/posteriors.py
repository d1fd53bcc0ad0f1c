"""Standard posteriors that can be sampled exactly: what inference networks are compared on.

NumPy alone: both sides import it, each in its own environment. Parameters are `theta (row, dim)`,
data `y (row, data)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

Rng = np.random.Generator


class Task(ABC):
    """A prior, a likelihood, and the posterior of any data set.

    Attributes:
        name: As on the command line.
        dim: Length of theta as the networks learn it.
    """

    name: ClassVar[str]
    dim: ClassVar[int]

    @abstractmethod
    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """`theta (row, dim)`."""

    @abstractmethod
    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """`y (row, data)` of `theta (row, dim)`."""

    @abstractmethod
    def posterior(self, rng: Rng, y: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Exact draws `(draw, dim)` given `y (data,)`, and their log densities `(draw,)`."""


class Gaussian(Task):
    """θ ~ N(0, I₃), y ~ N(A θ, 0.5² I): correlated normals."""

    name, dim = "gaussian", 3
    A = np.array([[1.0, 0.9, 0.5], [0.9, 1.0, 0.9], [0.5, 0.9, 1.0]])

    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """Standard normal."""
        return rng.normal(size=(rows, 3))

    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """A noisy linear image."""
        return theta @ self.A.T + 0.5 * rng.normal(size=theta.shape)

    def posterior(self, rng: Rng, y: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Conjugate."""
        precision = np.eye(3) + self.A.T @ self.A / 0.25
        factor = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, self.A.T @ y / 0.25)
        z = rng.normal(size=(draws, 3))
        theta = mean + np.linalg.solve(factor.T, z.T).T
        log_det = np.log(np.diag(factor)).sum()
        return theta, log_det - 0.5 * (z**2).sum(axis=1) - 1.5 * np.log(2 * np.pi)


class Ladder(Task):
    """θ = (a, b): a one-dimensional posterior of a, on a fine grid, and a normal one of b given a.

    Grid cells are uniform within, 1/400 of a unit wide.
    """

    dim = 2
    grid = np.linspace(-6, 6, 4_801)

    @abstractmethod
    def log_marginal(self, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(a) + log p(y | a), up to a constant."""

    @abstractmethod
    def rest(self, a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of b given a and y."""

    def posterior(self, rng: Rng, y: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """a by its grid, then b."""
        step = self.grid[1] - self.grid[0]
        log_p = self.log_marginal(self.grid, y)
        mass = np.exp(log_p - log_p.max())
        mass /= mass.sum()
        cell = rng.choice(len(mass), size=draws, p=mass)
        a = self.grid[cell] + step * (rng.random(draws) - 0.5)
        mean, sd = self.rest(a, y)
        z = rng.normal(size=draws)
        log_density = np.log(mass[cell] / step) - 0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        return np.stack([a, mean + sd * z], axis=1), log_density


def _normal(
    x: np.ndarray | float, mean: np.ndarray | float, variance: np.ndarray | float
) -> np.ndarray:
    return np.asarray(-0.5 * (x - mean) ** 2 / variance - 0.5 * np.log(variance))


class Modes(Ladder):
    """a, b ~ N(0, 1), y = (a² + 0.2 e, b + 0.3 e): two modes, mostly apart."""

    name = "modes"

    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """Standard normal."""
        return rng.normal(size=(rows, 2))

    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """The sign of a is lost."""
        clean = np.stack([theta[:, 0] ** 2, theta[:, 1]], axis=1)
        return clean + [0.2, 0.3] * rng.normal(size=theta.shape)

    def log_marginal(self, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of a."""
        return _normal(a, 0, 1) + _normal(y[0], a**2, 0.2**2)

    def rest(self, a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of b, conjugate."""
        precision = 1 + 1 / 0.3**2
        mean = y[1] / 0.3**2 / precision
        return np.full(len(a), mean), np.full(len(a), precision**-0.5)


class Crescents(Ladder):
    """a, b ~ N(0, 1), y = (a² + 0.3 e, b + a² / 2 + 0.3 e): two that bend."""

    name = "crescents"

    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """Standard normal."""
        return rng.normal(size=(rows, 2))

    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """The sign of a is lost, and b is bent."""
        square = theta[:, 0] ** 2
        clean = np.stack([square, theta[:, 1] + square / 2], axis=1)
        return clean + 0.3 * rng.normal(size=theta.shape)

    def log_marginal(self, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of a, b integrated out."""
        both = _normal(y[0], a**2, 0.3**2) + _normal(y[1], a**2 / 2, 1 + 0.3**2)
        return _normal(a, 0, 1) + both

    def rest(self, a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of b, conjugate."""
        precision = 1 + 1 / 0.3**2
        mean = (y[1] - a**2 / 2) / 0.3**2 / precision
        return mean, np.full(len(a), precision**-0.5)


class Funnel(Ladder):
    """a ~ N(0, 1.5²), b ~ N(0, e^a), y = b + 0.5 e: a neck and a mouth."""

    name = "funnel"
    grid = np.linspace(-10, 10, 8_001)

    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """The funnel."""
        a = 1.5 * rng.normal(size=rows)
        return np.stack([a, np.exp(a / 2) * rng.normal(size=rows)], axis=1)

    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """b, seen through noise."""
        return theta[:, 1:] + 0.5 * rng.normal(size=(len(theta), 1))

    def log_marginal(self, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of a, b integrated out."""
        return _normal(a, 0, 1.5**2) + _normal(y[0], 0, np.exp(a) + 0.25)

    def rest(self, a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of b, conjugate."""
        precision = np.exp(-a) + 4
        return 4 * y[0] / precision, precision**-0.5


class Simplex(Task):
    """p ~ Dirichlet(2, 1, 1), y ~ multinomial(20, p); theta is (log p₁/p₃, log p₂/p₃)."""

    name, dim = "simplex", 2
    concentration = np.array([2.0, 1.0, 1.0])

    def _ratios(self, p: np.ndarray) -> np.ndarray:
        return np.log(p[:, :2] / p[:, 2:])

    def prior(self, rng: Rng, rows: int) -> np.ndarray:
        """Log ratios of a Dirichlet."""
        return self._ratios(rng.dirichlet(self.concentration, size=rows))

    def data(self, rng: Rng, theta: np.ndarray) -> np.ndarray:
        """Counts."""
        scaled = np.exp(np.concatenate([theta, np.zeros((len(theta), 1))], axis=1))
        p = scaled / scaled.sum(axis=1, keepdims=True)
        return rng.multinomial(20, p).astype(float)

    def posterior(self, rng: Rng, y: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Conjugate; the density is that of the log ratios, |∂p/∂θ| = p₁ p₂ p₃."""
        from math import lgamma

        alpha = self.concentration + y
        p = rng.dirichlet(alpha, size=draws)
        constant = lgamma(alpha.sum()) - sum(map(lgamma, alpha))
        return self._ratios(p), constant + (alpha * np.log(p)).sum(axis=1)


TASKS: dict[str, Task] = {
    task.name: task for task in (Gaussian(), Modes(), Crescents(), Funnel(), Simplex())
}
