"""A multivariate Student's t that is fitted to draws, as a proposal with a density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

DEGREES = 5.0
"""Degrees of freedom: tails that are heavier than those of most posteriors."""

WIDER = 1.1
"""Scale of the distribution, relative to that of the draws."""


@dataclass(frozen=True)
class StudentT:
    """Student's t with `DEGREES` of freedom.

    Arguments:
        centre: `(dim,)`.
        root: `(dim, dim)`, lower triangular: root rootᵀ is the scale matrix.
    """

    centre: np.ndarray
    root: np.ndarray

    @classmethod
    def fitted(cls, draws: np.ndarray) -> StudentT:
        """The distribution with centre and spread of `draws (draw, dim)`."""
        centred = draws - draws.mean(axis=0)
        scale = np.maximum(centred.std(axis=0), 1e-300)
        correlation = np.atleast_2d((centred / scale).T @ (centred / scale)) / len(draws)
        root = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(scale)))
        return cls(draws.mean(axis=0), WIDER * scale[:, None] * root)

    def draws(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Independent draws `(draw, dim)`."""
        normal = rng.standard_normal((number, len(self.centre)))
        stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, number))
        return self.centre + stretch[:, None] * (normal @ self.root.T)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log density `(draw,)` of `theta (draw, dim)`."""
        dim = len(self.centre)
        z = np.linalg.solve(self.root, (theta - self.centre).T)
        constant = gammaln((DEGREES + dim) / 2) - gammaln(DEGREES / 2)
        constant -= 0.5 * dim * math.log(DEGREES * math.pi)
        constant -= np.log(np.diagonal(self.root)).sum()
        return constant - 0.5 * (DEGREES + dim) * np.log1p(np.square(z).sum(axis=0) / DEGREES)
