"""Agreement of the density that refinement takes with the simulator.

If (θ, y) is drawn from p(θ, y) and θ′ = θ + ε with ε as likely as −ε, then

    E[ a(θ → θ′; y) h(θ, θ′, y) ] = 0,    a = p(θ′, y) / (p(θ, y) + p(θ′, y)),

for every h that changes its sign where θ and θ′ change places: p(θ, y) a is symmetric in them, as
in Barker's rule of acceptance (1965, Aust. J. Phys. 18:119). Nothing here can be large, unlike in
E[p(θ′, y) / p(θ, y)] = 1, which holds, too, but whose tails no sample shows. Two kinds of h are
looked at: tanh of the log ratio, which a temperature or a factor breaks, and tanh of each
coordinate of ε, which a term that was left out, or a sign, breaks. Not to be seen here: a term in y
alone, which matters for evidence only, and data left unread, since the density of a part of y is
right for that part.

Of the mean and sd of eight normal numbers, 1,000 data sets: the log density doubled p = 1e-40,
halved 1e-74, without a term log σ 1e-11, a sign of the mean 1e-242; with one θ′ each and no −ε
beside ε a doubled one was not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES = (0.05, 0.15, 0.4, 1.0)
"""Sds of ε, in prior sds of the networks' parameters. Each ε comes with −ε: where the density
hardly changes, what is only chance cancels."""

CERTAIN = 1e-6
"""Probability that a right density is called wrong, over all that is tested."""

FEWEST = 200
"""Fewest data sets for a verdict."""


@dataclass(frozen=True)
class Disagreement:
    """A density that is not the simulator's.

    Arguments:
        p: Of agreement.
        coordinate: Place of the parameter where it shows most; None for the density as a whole.
        impossible: How many simulated data sets have density 0.
        datasets: Of so many.
    """

    p: float
    coordinate: int | None
    impossible: int
    datasets: int


def proposals(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Proposals θ′ for each θ `(dataset, dim)`, `(dataset, proposal, dim)`."""
    noise = rng.normal(size=(len(theta), len(SCALES), theta.shape[1]))
    step = np.array(SCALES)[:, None] * _spread(theta) * noise
    return theta[:, None] + np.concatenate([step, -step], axis=1)


def _spread(theta: np.ndarray) -> np.ndarray:
    """Robust sds of parameters over data sets, `(dim,)`."""
    lower, upper = np.quantile(theta, (0.25, 0.75), axis=0)
    return np.maximum((upper - lower) / 1.349, 1e-300)


def disagreement(log_p: np.ndarray, theta: np.ndarray, proposed: np.ndarray) -> Disagreement | None:
    """A fault of the densities, None where none is certain.

    Arguments:
        log_p: Log p(θ, y) and log p(θ′, y) of each θ′, `(dataset, 1 + proposal)`; −inf where they
            can't be.
        theta: `(dataset, dim)`.
        proposed: θ′, as `proposals` has them.
    """
    from scipy import stats

    impossible = int((~np.isfinite(log_p[:, 0])).sum())
    number = len(log_p)
    if impossible:
        return Disagreement(0.0, None, impossible, number)
    if number < FEWEST:
        return None
    ratio = np.clip(log_p[:, 1:] - log_p[:, :1], -700, 700)
    accepted = 1 / (1 + np.exp(-ratio))
    step = (proposed - theta[:, None]) / np.tile(SCALES, 2)[:, None] / _spread(theta)
    odd = np.tanh(np.concatenate([ratio[:, :, None], step], axis=2))
    seen = (accepted[:, :, None] * odd).mean(axis=1)
    error = seen.std(axis=0, ddof=1) / np.sqrt(number)
    z = np.abs(seen.mean(axis=0)) / np.maximum(error, 1e-300)
    p = np.minimum(2 * stats.norm.sf(z) * len(z), 1.0)
    worst = int(p.argmin())
    if p[worst] >= CERTAIN:
        return None
    # A density that is wrong as a whole shows everywhere; a parameter is named where it tells.
    coordinate = int(p[1:].argmin()) if p[1:].min() < CERTAIN else None
    return Disagreement(float(p[worst]), coordinate, 0, number)
