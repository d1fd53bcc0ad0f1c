r"""Distances of data sets from simulated ones of similar context, each as if it had been left out.

From numbers y of each data set, given features f of its context, what the context explains is taken
out by least squares, ŷ = βᵀf, and the residuals are divided by the spread that it explains, s(f):

    z = (y − ŷ) / s(f),    d² = n zᵀ A⁻¹ z,    A = (1 − ρ) Σ zᵢ zᵢᵀ + ρ n I,

with the shrinkage ρ of Schäfer & Strimmer (2005, Stat. Appl. Genet. Mol. Biol. 4). A simulated one
takes part in its own β and A and so lies nearer than a new one would. That is undone exactly: with
its leverage hᵢ, its residual is eᵢ / (1 − hᵢ) without it, and by Sherman & Morrison

    dᵢ² = n qᵢ / (1 − c qᵢ),    qᵢ = zᵢᵀ A⁻¹ zᵢ,    c = (1 − ρ)(1 − hᵢ).

So all simulated data sets fit and all of them calibrate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abi_cli.precision import RESOLUTION, almost_constant
from abi_cli.statistics.members import tamed

_LINEAR = 5.0
"""Robust sds up to which numbers count as they are in d²; beyond, their logarithm."""

_SPREADS = 4.0
"""Largest factor by which the context may widen or narrow the spread of a number."""

_LEAST = 0.05
"""Least spread given the context, as a share of that without it: nearer to a curve through
simulated contexts, such as that of √N, a number lies between them only by chance."""


@dataclass(frozen=True)
class Distance:
    """Distances from simulated data sets.

    Arguments:
        location, scale: Median and robust sd of each number, `(number,)`; inf where constant.
        beta: Coefficients of the mean of each number, `(feature, number)`.
        gamma: Coefficients of the log of its squared residual, `(feature, number)`.
        inverse: A⁻¹ n, `(number, number)`.
        least: Least spread of each number given the context, `(number,)`; 1 where constant.
        z: Residuals of simulated data sets, each left out, `(dataset, number)`, not tamed.
        squared: d² of simulated data sets, each left out, `(dataset,)`.
    """

    location: np.ndarray
    scale: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    inverse: np.ndarray
    least: np.ndarray
    z: np.ndarray
    squared: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, numbers: np.ndarray) -> Distance:
        """Learn from simulated data sets.

        Arguments:
            features: Of the context, the first of them 1, `(dataset, feature)`.
            numbers: `(dataset, number)`; what is not finite counts as the median.
        """
        n, dim = numbers.shape
        if not dim:
            none = np.zeros(0)
            empty = np.zeros((features.shape[1], 0))
            return cls(none, none, empty, empty, np.zeros((0, 0)), none, numbers, np.zeros(n))
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        empty = np.isnan(numbers).all(axis=0)
        numbers = np.where(empty, 0.0, numbers)
        lower, middle, upper = np.nanquantile(numbers, (0.25, 0.5, 0.75), axis=0)
        typical, sd = (upper - lower) / 1.349, np.nanstd(numbers, axis=0)
        constant = almost_constant(numbers) | (sd == 0)
        scale = np.where(constant, np.inf, np.where(typical > 0.1 * sd, typical, sd))
        whole = np.where(np.isnan(numbers), 0.0, (numbers - middle) / scale)
        y = tamed(whole, _LINEAR)
        solver, leverage = _least_squares(features)
        beta = solver @ y
        without = (y - features @ beta) / (1 - leverage)
        least = np.where(constant, 1.0, _LEAST * y.std(axis=0))
        square = without**2 + 1e-3 * (without**2).mean(axis=0) + 1e-12
        log = np.log(square)
        gamma = solver @ log
        by_itself = leverage * (log - features @ gamma) / (1 - leverage)
        spread = _spread(features, gamma, constant)
        norm = np.sqrt((((1 - leverage) * without / spread) ** 2).mean(axis=0))
        gamma[0] += 2 * np.log(np.where(norm > 0, norm, 1.0))
        spread = np.maximum(_spread(features, gamma, constant), least)
        own = (1 - leverage) * without / spread
        spread = np.maximum(spread * np.exp(np.clip(-by_itself, -0.5, 0.5) / 2), least)
        z = without / spread
        total = own.T @ own
        lacking = n - np.diagonal(total)
        total += np.diag(np.where(lacking > n / 2, lacking, 0.0))  # or A⁻¹ would undo the floor
        rho = _shrinkage(own)
        inverse = np.linalg.inv((1 - rho) * total + rho * n * np.eye(dim))
        q = np.einsum("ni,ij,nj->n", z, inverse, z)
        c = (1 - rho) * (1 - leverage[:, 0])
        squared = n * q / np.maximum(1 - c * q, 1e-9)
        z = z + (whole - y) / spread
        return cls(middle, scale, beta, gamma, n * inverse, least, z, squared)

    def __call__(self, features: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals z in sds, `(dataset, number)`, NaN where y is, and d² `(dataset,)`.

        A number that is constant in the simulations takes no part in d²; its z is the difference.
        """
        constant = np.isinf(self.scale)
        off = numbers - self.location
        whole = off / self.scale
        y = tamed(whole, _LINEAR)
        spread = np.maximum(_spread(features, self.gamma, constant), self.least)
        z = (y - features @ self.beta) / spread
        known = np.where(np.isfinite(z), z, 0.0)
        differs = np.abs(off) > 4 * RESOLUTION * np.abs(self.location)
        alone = np.where(constant, np.where(differs, off, off * 0), z + (whole - y) / spread)
        return alone, np.einsum("ni,ij,nj->n", known, self.inverse, known)


def _spread(features: np.ndarray, gamma: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Spread of each number given the context, `(dataset, number)`; 1 where it is constant."""
    log = features @ gamma / 2
    middle = gamma[0] / 2
    near = np.clip(log, middle - np.log(_SPREADS), middle + np.log(_SPREADS))
    return np.where(constant, 1.0, np.exp(near))


def _least_squares(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pseudo-inverse `(feature, dataset)`, and the leverages `(dataset, 1)`."""
    left, value, right = np.linalg.svd(features, full_matrices=False)
    kept = value > 1e-9 * value.max()
    left = left[:, kept]
    leverage = np.minimum(np.square(left).sum(axis=1), 0.99)
    return (right[kept].T / value[kept]) @ left.T, leverage[:, None]


def _shrinkage(z: np.ndarray) -> float:
    """The shrinkage ρ of the covariance of z towards the unit matrix, 0 to 1."""
    n, dim = z.shape
    covariance = z.T @ z / n
    variance = (np.square(z).sum(axis=1) ** 2).mean() - np.square(covariance).sum()
    off = np.square(covariance - np.eye(dim)).sum()
    return float(min(1.0, max(variance / n / off, 1e-6))) if off > 0 else 1.0
