"""Ensembles of Markov chains that need a log density and nothing else.

A group of walkers moves by differences of its own members: of one half of it each proposes

    θ* = θ + γ (θ_a − θ_b) + ε,    a and b drawn of the other half,

with γ = 2.38 / √(2 d), now and then 1, by which walkers change between modes (ter Braak 2006, "A
Markov chain Monte Carlo version of the genetic algorithm differential evolution"), or along the
line through a third (snooker: ter Braak & Vrugt 2008, "Differential evolution Markov chain with
snooker updater and fewer chains"):

    θ* = θ + γ_s P(θ_a − θ_b),  P onto θ − θ_c,    Jacobian (|θ* − θ_c| / |θ − θ_c|)^(d − 1).

Since the other half stands still meanwhile, each move leaves the posterior as it is (Foreman-Mackey
et al. 2013, arXiv:1202.3665). Groups know nothing of each other, so that they can disagree: nested
R-hat compares their means, however short the chains are (Margossian et al. 2024, arXiv:2110.13017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

GROUPS = 4
"""Groups of walkers that know nothing of each other."""

FEWEST_WALKERS = 64
"""Fewest walkers of a group; in many dimensions there are 2 dim + 2.

A density of many places takes little longer than one of few, but each walker has to forget where it
began: a psychometric session took 11.9 s with 32 of them, 6.7 s with 64, 7.6 s with 128.
"""

FEWEST_STARTS = 32
"""Fewest different places of a group's walkers in the beginning."""

SNOOKER, JUMPS = 0.2, 0.1
"""Share of the moves along a line; of the others that have γ = 1."""

SNOOKER_GAMMA = 1.7
NOISE = 1e-5
"""Sd of ε, relative to the spread of the other half."""

MOST_RHAT = 1.005
"""Nested R-hat at which groups agree: 1 + 1 / (2 · 100), 100 draws' worth of a group's mean."""

ASTRAY = 3.0
"""Interquartile ranges below the lower quartile from where on a walker is astray."""

LONG = 4.0
"""Effective draws of each chain: so many times its memory is as long as it is after the warm-up."""

FEWEST_EFFECTIVE = 400
"""Draws in bulk and in tails, as recommended by Vehtari et al. 2021, arXiv:1903.08008."""

FIRST_STEPS, MOST_STEPS = 100, 3200
"""Steps of all walkers before they are looked at first, and at the most. Each time, the first half
of them is left out, and there are twice as many the next time."""

LogDensity = Callable[[np.ndarray], np.ndarray]
"""Log density, from `(point, dim)` to `(point,)`, −inf where a point is impossible."""


def walkers(dim: int) -> int:
    """Number of walkers of a group."""
    return max(FEWEST_WALKERS, 2 * (dim + 1))


def fewest_starts(dim: int) -> int:
    """Number of different places, for each group, below which chains are not begun."""
    return max(FEWEST_STARTS, 2 * (dim + 1))


@dataclass(frozen=True)
class Chains:
    """Draws of chains after their warm-up.

    Arguments:
        draws: `(group, walker, step, dim)`.
        rhat: The largest nested R-hat of a coordinate.
        ess: The smallest effective number of draws, of bulk or tails of a coordinate.
        accepted: Share of the moves that were made.
        settled: Whether no walker was astray, or those that were have been brought back before.
    """

    draws: np.ndarray
    rhat: float
    ess: float
    accepted: float
    settled: bool = True

    def good(self, wanted: float = FEWEST_EFFECTIVE) -> bool:
        """True if groups agree, and chains are long and have as many effective draws as wanted.

        Many walkers that have not moved are many independent draws of a wrong start, on which
        groups agree, too.
        """
        many = self.draws.shape[0] * self.draws.shape[1]
        long = self.ess >= max(wanted, LONG * many)
        return self.rhat <= MOST_RHAT and long and self.settled

    def flat(self) -> np.ndarray:
        """All draws `(draw, dim)`, step after step."""
        dim = self.draws.shape[-1]
        return np.moveaxis(self.draws, 2, 0).reshape(-1, dim)


def run(
    log_density: LogDensity,
    start: np.ndarray,
    rng: np.random.Generator,
    *,
    wanted: float = FEWEST_EFFECTIVE,
    most: int = MOST_STEPS,
) -> Chains:
    """Chains from `start (group, walker, dim)`, as long as it takes for groups to agree.

    A walker that began far out, where moves are rare, hardly comes back: of a bent ridge, begun
    wide, sds were 0.9 to 1.6 times the exact ones, and 0.9 to 1.0 since. Where one is astray when
    all are looked at, it goes on from the place of another of its group, and all before is warm-up
    (Vrugt et al. 2009, IJNSNS 10:273, by the quartiles of mean log densities, too).

    Arguments:
        wanted: Effective draws.
        most: Steps at the most; chains that don't agree by then aren't `good`.
    """
    state = _State.at(log_density, start)
    steps: list[np.ndarray] = []
    heights: list[np.ndarray] = []
    accepted = 0.0
    until = FIRST_STEPS
    while True:
        while len(steps) < until:
            accepted += state.step(log_density, rng)
            steps.append(state.theta.copy())
            heights.append(state.log_p.copy())
        kept = np.stack(steps[until // 2 :], axis=2)
        astray = _astray(np.mean(heights[until // 2 :], axis=0))
        settled = until > FIRST_STEPS or not astray.any()
        chains = Chains(kept, *judged(kept), accepted / until, settled)
        if chains.good(wanted) or until >= most:
            return chains
        state.bring_back(astray, rng)
        until = min(2 * until, most)


def _astray(height: np.ndarray) -> np.ndarray:
    """True for walkers that are far lower than others, by mean log densities `(group, walker)`."""
    lower, upper = np.quantile(height, (0.25, 0.75))
    return height < lower - ASTRAY * (upper - lower)


def judged(draws: np.ndarray) -> tuple[float, float]:
    """The largest nested R-hat and the smallest effective number of draws of any coordinate.

    Arguments:
        draws: `(group, walker, step, dim)`.
    """
    from arviz_stats.base import array_stats

    groups, size, steps, dim = draws.shape
    chains = np.moveaxis(draws.reshape(groups * size, steps, dim), -1, 0)  # (dim, chain, step)
    if (np.ptp(chains, axis=-1) == 0).any():  # a walker that has never moved
        return math.inf, 0.0
    of_group = np.repeat(np.arange(groups), size)
    rhat = array_stats.rhat_nested(chains, of_group, chain_axis=1, draw_axis=2)
    ess = [
        array_stats.ess(chains, method=method, chain_axis=1, draw_axis=2, prob=prob)
        for method, prob in (("bulk", None), ("tail", (0.05, 0.95)))
    ]
    return float(np.max(rhat)), float(np.min(ess))


@dataclass
class _State:
    """Places of all walkers.

    Arguments:
        theta: `(group, walker, dim)`.
        log_p: `(group, walker)`.
    """

    theta: np.ndarray
    log_p: np.ndarray

    @classmethod
    def at(cls, log_density: LogDensity, start: np.ndarray) -> _State:
        theta = np.array(start, np.float64)
        return cls(theta, _of_all(log_density, theta))

    def bring_back(self, astray: np.ndarray, rng: np.random.Generator) -> None:
        """Let walkers that are `astray (group, walker)` go on from places of others."""
        for group, lost in enumerate(astray):
            there = np.flatnonzero(~lost)
            if len(there):
                others = rng.choice(there, size=int(lost.sum()))
                self.theta[group, lost] = self.theta[group, others]
                self.log_p[group, lost] = self.log_p[group, others]

    def step(self, log_density: LogDensity, rng: np.random.Generator) -> float:
        """Move all walkers, one half of each group after the other; the share that has moved."""
        size = self.theta.shape[1]
        order = rng.permutation(size)
        moved = 0
        for half, others in (
            (order[: size // 2], order[size // 2 :]),
            (order[size // 2 :], order[: size // 2]),
        ):
            theta = self.theta[:, half]
            proposed, log_jacobian = _proposed(theta, self.theta[:, others], rng)
            log_p = _of_all(log_density, proposed)
            level = -rng.exponential(size=log_p.shape)
            with np.errstate(invalid="ignore"):
                better = log_p - self.log_p[:, half] + log_jacobian > level
            self.theta[:, half] = np.where(better[..., None], proposed, theta)
            self.log_p[:, half] = np.where(better, log_p, self.log_p[:, half])
            moved += int(better.sum())
        return moved / self.log_p.size


def _of_all(log_density: LogDensity, theta: np.ndarray) -> np.ndarray:
    """Log density of `theta (group, walker, dim)`, `(group, walker)`, in one call."""
    return log_density(theta.reshape(-1, theta.shape[-1])).reshape(theta.shape[:2])


def _proposed(
    theta: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Proposed places of walkers, as `theta (group, walker, dim)`, and the log Jacobian.

    Arguments:
        others: `(group, other, dim)`, of whom they learn directions.
    """
    groups, size, dim = theta.shape
    a, b, c = (_picked(others, pick) for pick in _three(groups, size, others.shape[1], rng))
    gamma = np.where(rng.random((groups, size, 1)) < JUMPS, 1.0, 2.38 / math.sqrt(2 * dim))
    spread = others.std(axis=1, keepdims=True)
    noise = NOISE * spread * rng.standard_normal(theta.shape)
    by_difference = theta + gamma * (a - b) + noise
    line = theta - c
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    unit = line / np.maximum(length, 1e-300)
    along = SNOOKER_GAMMA * np.sum((a - b) * unit, axis=-1, keepdims=True)
    by_line = theta + along * unit
    snooker = rng.random((groups, size)) < SNOOKER
    ratio = np.abs(length + along)[..., 0] / np.maximum(length[..., 0], 1e-300)
    log_jacobian = (dim - 1) * np.log(np.maximum(ratio, 1e-300))
    proposed = np.where(snooker[..., None], by_line, by_difference)
    return proposed, np.where(snooker, log_jacobian, 0.0)


def _three(groups: int, size: int, others: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Three different ones of the others for each walker, `(group, walker)` each."""
    order = rng.random((groups, size, others)).argpartition(3, axis=-1)[..., :3]
    order = rng.permuted(order, axis=-1)
    return [order[..., k] for k in range(3)]


def _picked(others: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(others, index[..., None], axis=1)
