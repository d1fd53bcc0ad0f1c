"""Candidates for the posteriors of data sets, made by a run's networks, and their density.

Every call of the networks has one shape, that of some blocks of one data set: what becomes of a
data set depends on it, its place and the seed alone, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from abi_cli import backend
from abi_cli.approximator import Approximator
from abi_cli.model.streams import Purpose, generator, noise
from abi_cli.nn.base import WIDE_SHARE, WIDER
from abi_cli.refinement.results import AT_ONCE, BLOCK, Candidates
from abi_cli.refinement.student import StudentT


class Proposal(Protocol):
    """A source of candidates for posteriors."""

    def blocks(self, told: np.ndarray, dataset: int, call: int) -> list[Candidates]:
        """The blocks of candidates from number `AT_ONCE * call` on, `AT_ONCE` of them.

        Arguments:
            told: Conditions, mean and log sd of the data set, `(told,)`, by `Approximator.told`.
            dataset: Its place among all.
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
        wide = np.tile(np.arange(BLOCK) % every == every - 1, AT_ONCE)
        self._width = np.where(wide, WIDER, 1.0).astype(np.float32)[None, :, None]
        # Other cores evaluate meanwhile: on one, fused, a block takes 3.2 instead of 8.4 ms.
        self._made = backend.compiled(self._make, fused=True)
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

    def blocks(self, told: np.ndarray, dataset: int, call: int) -> list[Candidates]:
        """The blocks of a call, as `Proposal.blocks`."""
        shape = BLOCK, self._networks.inference_network.noise_dim
        numbers = range(AT_ONCE * call, AT_ONCE * (call + 1))
        z = [noise(self._seed, dataset, draw_block=number, shape=shape) for number in numbers]
        made = self._made(np.concatenate(z)[None], told[None, None], self._width)
        theta, log_density = (backend.to_numpy(x)[0].astype(np.float64) for x in made)
        impossible = ~np.isfinite(log_density)  # beyond single precision
        log_density = np.where(impossible, np.inf, log_density)
        parts = np.split(theta, AT_ONCE), np.split(log_density, AT_ONCE)
        return [Candidates(*part) for part in zip(*parts, strict=True)]


@dataclass
class OfDraws:
    """Draws of a Student's t that is fitted to those of networks that have no density."""

    networks: Approximator
    seed: int
    _fitted: dict[int, StudentT] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fused = self.networks.inference_network.fuse_draws
        self._inverse = backend.compiled(self.networks.inverse, fused=fused)

    def blocks(self, told: np.ndarray, dataset: int, call: int) -> list[Candidates]:
        """The blocks of a call, as `Proposal.blocks`."""
        student = self._fitted.get(dataset)
        if student is None:
            shape = BLOCK, self.networks.inference_network.noise_dim
            z = noise(self.seed, dataset, draw_block=0, shape=shape)
            draws = backend.to_numpy(self._inverse(z[None], told[None, None]))[0]
            student = StudentT.fitted(draws.astype(np.float64))
            self._fitted = {dataset: student}
        made = []
        for number in range(AT_ONCE * call, AT_ONCE * (call + 1)):
            rng = generator(self.seed, Purpose.REFINE, block=number, item=dataset)
            theta = student.draws(BLOCK, rng)
            made.append(Candidates(theta, student.log_density(theta)))
        return made
