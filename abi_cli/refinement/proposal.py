"""Candidates for the posteriors of data sets, made by a run's networks, and their density.

Every call of the networks has one shape, that of a block of one data set: what becomes of a data
set depends on it, its place and the seed alone, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from abi_cli import backend
from abi_cli.approximator import Approximator
from abi_cli.model.streams import NOISE_BLOCK, Purpose, generator, noise
from abi_cli.nn.base import WIDE_SHARE, WIDER
from abi_cli.refinement.student import StudentT

BLOCK = NOISE_BLOCK
"""Number of candidates that are made together."""


@dataclass(frozen=True)
class Candidates:
    """Candidates for the posterior of a data set.

    Arguments:
        theta: `(candidate, dim)`, float64, on the networks' scale.
        log_density: `(candidate,)`, of the proposal that made them.
    """

    theta: np.ndarray
    log_density: np.ndarray


class Proposal(Protocol):
    """A source of candidates for posteriors."""

    def block(self, told: np.ndarray, dataset: int, number: int) -> Candidates:
        """A block of candidates.

        Arguments:
            told: Conditions, mean and log sd of the data set, `(told,)`, by `Approximator.told`.
            dataset: Its place among all.
            number: The number of the block.
        """


def proposal_of(networks: Approximator, seed: int) -> Proposal:
    """The source of candidates that suits a run's networks."""
    with_density = networks.inference_network.has_density
    return OfDensity(networks, seed) if with_density else OfDraws(networks, seed)


class OfDensity:
    """Draws of networks with a density; one in five is made from a wider base.

    Which ones are is fixed: a mixture that is drawn in fixed parts varies less.
    """

    def __init__(self, networks: Approximator, seed: int):
        self._networks, self._seed = networks, seed
        every = round(1 / WIDE_SHARE)
        wide = np.arange(BLOCK) % every == every - 1
        self._width = np.where(wide, WIDER, 1.0).astype(np.float32)[None, :, None]
        fused = networks.inference_network.fuse_draws
        self._made = backend.compiled(self._make, fused=fused)
        self._density = backend.compiled(networks.log_density)

    def _make(self, z: Any, told: Any, width: Any) -> tuple[Any, Any]:
        network, standardization = self._networks.inference_network, self._networks.standardization
        c, mean, log_sd = self._networks.heard(told)
        theta = standardization.restored(network.propose(z, c, width), mean, log_sd)
        standardized, log_det = standardization.standardized(theta, mean, log_sd)
        return theta, network.log_proposal(standardized, c) + log_det

    def log_density(self, told: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Log density of `theta (draw, dim)` by the networks alone, for up to a block of draws."""
        padded = np.resize(theta.astype(np.float32), (BLOCK, theta.shape[1]))
        found = self._density(padded, np.repeat(told[None], BLOCK, axis=0))
        return backend.to_numpy(found)[: len(theta)].astype(np.float64)

    def block(self, told: np.ndarray, dataset: int, number: int) -> Candidates:
        """A block of candidates."""
        shape = BLOCK, self._networks.inference_network.noise_dim
        z = noise(self._seed, dataset, draw_block=number, shape=shape)
        made = self._made(z[None], told[None, None], self._width)
        theta, log_density = (backend.to_numpy(x)[0].astype(np.float64) for x in made)
        impossible = ~np.isfinite(log_density)  # beyond single precision
        return Candidates(theta, np.where(impossible, np.inf, log_density))


@dataclass
class OfDraws:
    """Draws of a Student's t that is fitted to those of networks that have no density."""

    networks: Approximator
    seed: int
    _fitted: dict[int, StudentT] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fused = self.networks.inference_network.fuse_draws
        self._inverse = backend.compiled(self.networks.inverse, fused=fused)

    def block(self, told: np.ndarray, dataset: int, number: int) -> Candidates:
        """A block of candidates."""
        student = self._fitted.get(dataset)
        if student is None:
            shape = BLOCK, self.networks.inference_network.noise_dim
            z = noise(self.seed, dataset, draw_block=0, shape=shape)
            draws = backend.to_numpy(self._inverse(z[None], told[None, None]))[0]
            student = StudentT.fitted(draws.astype(np.float64))
            self._fitted = {dataset: student}
        rng = generator(self.seed, Purpose.REFINE, block=number, item=dataset)
        theta = student.draws(BLOCK, rng)
        return Candidates(theta, student.log_density(theta))
