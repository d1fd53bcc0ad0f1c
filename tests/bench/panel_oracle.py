"""Exact posteriors of the panel's models, by Monte Carlo that owes nothing to networks.

For each simulated data set y, with log p(y | θ) from the model's file and p(θ) from its spec:

1. *Annealing*: particles from the prior go through p(θ) p(y | θ)^t, t from 0 to 1 in steps that
   keep half of the effective sample size, with Metropolis moves at each (Del Moral, Doucet & Jasra
   2006, JRSS B 68:411). That finds every mode which the prior's particles fall into.
2. *Importance sampling*: draws from a mixture of a multivariate t fitted to the particles and a
   kernel estimate of them, weighted by p(θ) p(y | θ) / q(θ). Its effective sample size and the
   shape k of the weights' tail (Vehtari et al. 2024, arXiv:1507.02646) say whether the answer
   holds; it is repeated from its own weighted draws until ESS ≥ 10,000.

The results are means and sds of the parameters, log p(y), and log p(θ* | y) of the truth θ*, by
which the KL divergence of any approximation is estimated. `python -m tests.bench.panel_oracle`
makes them once; they are kept in `tests/bench/panel/NAME.csv`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp

from abi_cli.model.density import LogDensity
from abi_cli.model.evaluation import At, by_data_set
from abi_cli.model.functions import UserFunction
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets
from abi_cli.workflow.request import Model, read_model
from tests.bench.panel_models import ASIDE, CHOOSING

SPECS = Path(__file__).parents[2] / "specs" / "panel"
KEPT = Path(__file__).parent / "panel"
DATASETS = 200
SEED = 20_26
PARTICLES = 2_000
DRAWS = 20_000
ENOUGH = 10_000
"""Effective draws."""


@dataclass(frozen=True)
class Coordinates:
    """Free coordinates φ of a model's parameters θ, and back.

    Arguments:
        names: Parameters, in the order of the columns.
        widths: How many numbers of φ each has.
        kinds: For each, `simplex`, or its bounds (lower, upper), None where it has none.
        scalars: Those that are one number.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    kinds: tuple[str | tuple[float | None, float | None], ...]
    scalars: frozenset[str]

    @classmethod
    def of(cls, model: Model, prior: Datasets) -> Coordinates:
        """Those of a model whose parameters were drawn from the prior."""
        names = tuple(v.name for v in model.layout(prior).of("parameter"))
        kinds: list[str | tuple[float | None, float | None]] = []
        widths = []
        for name in names:
            width = int(np.prod(np.shape(prior[name])[1:], dtype=int))
            support = model.simulator.supports.get(name) if model.simulator else None
            simplex = support is not None and support.kind == "simplex"
            kinds.append("simplex" if simplex else BOUNDS.get(name, _bounds(support)))
            widths.append(width - simplex)
        scalars = frozenset(name for name in names if np.ndim(prior[name]) == 1)
        return cls(names, tuple(widths), tuple(kinds), scalars)

    def free(self, theta: Datasets) -> np.ndarray:
        """φ `(draw, dim)` of θ."""
        parts = []
        for name, kind in zip(self.names, self.kinds, strict=True):
            x = np.asarray(theta[name], float).reshape(len(theta[name]), -1)
            if kind == "simplex":
                parts.append(np.log(x[:, :-1]) - np.log(x[:, -1:]))
                continue
            lower, upper = kind
            if lower is not None and upper is not None:
                x = np.log(x - lower) - np.log(upper - x)
            elif lower is not None:
                x = np.log(x - lower)
            parts.append(x)
        return np.concatenate(parts, axis=1)

    def restored(self, phi: np.ndarray) -> tuple[Datasets, np.ndarray]:
        """θ of φ `(draw, dim)`, and log |dθ/dφ| `(draw,)`."""
        theta: Datasets = {}
        log_det = np.zeros(len(phi))
        ends = np.cumsum(self.widths)[:-1]
        for name, kind, x in zip(self.names, self.kinds, np.split(phi, ends, axis=1), strict=True):
            if kind == "simplex":
                full = np.concatenate([x, np.zeros((len(x), 1))], axis=1)
                log_p = full - logsumexp(full, axis=1, keepdims=True)
                theta[name] = np.exp(log_p)
                log_det = log_det + log_p.sum(axis=1)
                continue
            lower, upper = kind
            if lower is not None and upper is not None:
                share = 1 / (1 + np.exp(-x))
                slope = np.log(upper - lower) - np.logaddexp(0, x) - np.logaddexp(0, -x)
                x = lower + (upper - lower) * share
                log_det = log_det + slope.sum(axis=1)
            elif lower is not None:
                log_det = log_det + x.sum(axis=1)
                x = lower + np.exp(x)
            theta[name] = x[:, 0] if name in self.scalars else x
        return theta, log_det


BOUNDS: dict[str, tuple[float | None, float | None]] = {"share": (0.0, 1.0), "sd": (0.0, None)}
"""Of parameters that a function draws."""


def _bounds(support: object) -> tuple[float | None, float | None]:
    return (getattr(support, "lower", None), getattr(support, "upper", None))


@dataclass(frozen=True)
class Exact:
    """The exact posterior of one data set.

    Arguments:
        mean, sd: Of each element of the parameters.
        log_evidence: log p(y).
        log_truth: log p(θ* | y) of the truth.
        effective: Draws that its weighted ones are worth.
        tail: k of the weights.
    """

    mean: np.ndarray
    sd: np.ndarray
    log_evidence: float
    log_truth: float
    effective: float
    tail: float


def tail_shape(log_weights: np.ndarray) -> float:
    """k of a generalized Pareto tail fitted to the largest weights (Zhang & Stephens 2009)."""
    largest = np.sort(log_weights)[-int(min(0.2 * len(log_weights), 3 * len(log_weights) ** 0.5)) :]
    x = np.exp(largest - largest[-1]) - np.exp(largest[0] - largest[-1])
    x = np.sort(x[1:])
    n = len(x)
    quarter = max(x[int(n / 4 + 0.5) - 1], 1e-300)
    grid = 30 + int(n**0.5)
    theta = 1 / x[-1] + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quarter)
    k = np.array([np.mean(np.log1p(-t * x)) for t in theta])
    score = n * (np.log(-theta / k) - k - 1)
    weights = 1 / np.exp(score[None, :] - score[:, None]).sum(axis=1)
    return float(np.mean(np.log1p(-np.sum(weights * theta) * x)))


Target = Callable[[np.ndarray], np.ndarray]


def next_temperature(t: float, log_likelihood: np.ndarray) -> float:
    """The largest step from t that keeps half of the effective sample size."""

    def kept(step: float) -> float:
        w = (step - t) * log_likelihood
        return float(np.exp(2 * logsumexp(w) - logsumexp(2 * w))) / len(w)

    if kept(1.0) >= 0.5:
        return 1.0
    low, high = t, 1.0
    while high - low > 1e-3 * (high - t):
        middle = t + np.sqrt((low - t) * (high - t)) if low > t else t + (high - t) / 10
        low, high = (middle, high) if kept(middle) >= 0.5 else (low, middle)
    return low


def annealed(
    target: Target, prior: Target, phi: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Particles `(particle, dim)` of the posterior from those of the prior."""
    n, dim = phi.shape
    log_prior = prior(phi)
    log_likelihood = target(phi) - log_prior
    possible = np.flatnonzero(np.isfinite(log_likelihood))
    kept = np.where(np.isfinite(log_likelihood), np.arange(n), rng.choice(possible, n))
    phi, log_prior, log_likelihood = phi[kept], log_prior[kept], log_likelihood[kept]
    t = 0.0
    while t < 1.0:
        step = next_temperature(t, log_likelihood)
        w = (step - t) * log_likelihood
        t = step
        p = np.exp(w - logsumexp(w))
        kept = np.searchsorted(np.cumsum(p), (rng.random() + np.arange(n)) / n).clip(0, n - 1)
        phi, log_prior, log_likelihood = phi[kept], log_prior[kept], log_likelihood[kept]
        for move in range(6):
            root = np.linalg.cholesky(np.cov(phi.T).reshape(dim, dim) + 1e-12 * np.eye(dim))
            scale = 2.4 / np.sqrt(dim) * (1.0, 0.3, 1.0, 0.1, 0.6, 1.0)[move]
            proposed = phi + scale * rng.normal(size=phi.shape) @ root.T
            new_prior = prior(proposed)
            new_likelihood = target(proposed) - new_prior
            new_likelihood = np.where(np.isfinite(new_prior), new_likelihood, -np.inf)
            ratio = np.where(np.isfinite(new_likelihood), new_likelihood, -np.inf) - log_likelihood
            ratio = (new_prior - log_prior) + t * ratio
            yes = np.log(rng.random(n)) < np.nan_to_num(ratio, nan=-np.inf, neginf=-np.inf)
            phi = np.where(yes[:, None], proposed, phi)
            log_prior = np.where(yes, new_prior, log_prior)
            log_likelihood = np.where(yes, new_likelihood, log_likelihood)
    return phi


@dataclass(frozen=True)
class Proposal:
    """Half a multivariate t, half a kernel estimate of particles, with t kernels."""

    centres: np.ndarray
    mean: np.ndarray
    root: np.ndarray
    bandwidth: float
    dof: float = 5.0

    @classmethod
    def fitted(cls, particles: np.ndarray, rng: np.random.Generator) -> Proposal:
        """To particles `(particle, dim)`."""
        dim = particles.shape[1]
        covariance = np.cov(particles.T).reshape(dim, dim) + 1e-14 * np.eye(dim)
        centres = particles[rng.choice(len(particles), 400, replace=False)]
        width = 0.9 * (4 / (dim + 2) / 400) ** (1 / (dim + 4))
        return cls(centres, particles.mean(axis=0), np.linalg.cholesky(covariance), width)

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """`(number, dim)`."""
        dim = len(self.mean)
        noise = rng.normal(size=(number, dim)) / np.sqrt(
            rng.chisquare(self.dof, (number, 1)) / self.dof
        )
        broad = self.mean + 1.1 * noise @ self.root.T
        near = self.centres[rng.integers(len(self.centres), size=number)]
        near = near + self.bandwidth * noise @ self.root.T
        return np.where(rng.random((number, 1)) < 0.5, broad, near)

    def log_density(self, phi: np.ndarray) -> np.ndarray:
        """`(draw,)`."""
        dim = len(self.mean)
        z = np.linalg.solve(self.root, (phi - self.mean).T).T
        c = np.linalg.solve(self.root, (self.centres - self.mean).T).T
        shared = gammaln((self.dof + dim) / 2) - gammaln(self.dof / 2)
        shared -= dim / 2 * np.log(self.dof * np.pi) + np.log(np.diag(self.root)).sum()

        def log_t(squares: np.ndarray, scale: float) -> np.ndarray:
            tail = np.log1p(squares / scale**2 / self.dof)
            return shared - dim * np.log(scale) - (self.dof + dim) / 2 * tail

        broad = log_t((z**2).sum(axis=1), 1.1)
        squares = (z**2).sum(1)[:, None] - 2 * z @ c.T + (c**2).sum(1)
        near = logsumexp(log_t(np.maximum(squares, 0), self.bandwidth), axis=1) - np.log(len(c))
        return np.logaddexp(broad, near) - np.log(2)


def exact_posterior(
    coordinates: Coordinates,
    target: Target,
    prior: Target,
    start: np.ndarray,
    truth: np.ndarray,
    rng: np.random.Generator,
) -> Exact:
    """Of one data set.

    Arguments:
        target, prior: Log densities of φ `(draw, dim)`: joint with the data, and prior.
        start: Particles from the prior, φ.
        truth: φ of the truth, `(1, dim)`.
    """
    particles = annealed(target, prior, start, rng)
    for attempt in range(4):
        proposal = Proposal.fitted(particles, rng)
        phi = proposal.draw(DRAWS * (attempt + 1), rng)
        chunks = np.array_split(phi, max(1, len(phi) // 2_000))
        log_joint = np.concatenate([target(chunk) for chunk in chunks])
        log_q = np.concatenate([proposal.log_density(chunk) for chunk in chunks])
        w = np.where(np.isfinite(log_joint), log_joint - log_q, -np.inf)
        log_evidence = float(logsumexp(w) - np.log(len(w)))
        p = np.exp(w - logsumexp(w))
        effective = float(1 / np.sum(p**2))
        if effective >= ENOUGH:
            break
        particles = phi[rng.choice(len(phi), PARTICLES, p=p)]
    theta, _ = coordinates.restored(phi)
    columns = np.concatenate([np.reshape(theta[n], (len(phi), -1)) for n in coordinates.names], 1)
    mean = p @ columns
    sd = np.sqrt(p @ (columns - mean) ** 2)
    _, log_det = coordinates.restored(truth)
    log_truth = float((target(truth) - log_det)[0]) - log_evidence
    return Exact(mean, sd, log_evidence, log_truth, effective, tail_shape(w[np.isfinite(w)]))


@cache
def datasets_of(name: str, number: int = DATASETS) -> tuple[Model, Datasets]:
    """A model of the panel and data sets that posteriors are compared on."""
    model = read_model(SPECS / f"{name}.yaml")
    simulator = model.need_simulator()
    rows = simulator.simulate(seed=SEED, purpose=Purpose.SIMULATE, start=0, stop=number)
    return model, rows


def posterior_of(name: str, row: int, number: int = DATASETS) -> Exact:
    """The exact posterior of one of a model's data sets."""
    model, rows = datasets_of(name, number)
    density = model.judged.density
    assert density is not None
    rng = np.random.default_rng([SEED, row])
    drawn = _from_prior(name)
    coordinates = Coordinates.of(model, drawn)
    truth = {n: np.asarray(rows[n])[row : row + 1] for n in coordinates.names}
    start = coordinates.free(drawn)
    known, _ = next(iter(_row(rows, truth, row)))

    def joint(phi: np.ndarray) -> np.ndarray:
        theta, log_det = coordinates.restored(phi)
        with np.errstate(all="ignore"):
            log_p = density.of_data_set(known, theta, At(row))
        return np.where(np.isfinite(log_p), log_p + log_det, -np.inf)

    def prior(phi: np.ndarray) -> np.ndarray:
        theta, log_det = coordinates.restored(phi)
        with np.errstate(all="ignore"):
            log_p = _log_prior(density, known, theta)
        return np.where(np.isfinite(log_p), log_p + log_det, -np.inf)

    return exact_posterior(coordinates, joint, prior, start, coordinates.free(truth), rng)


def _log_prior(density: LogDensity, known: dict[str, Any], theta: Datasets) -> np.ndarray:
    """Of draws, `(draw,)`."""
    number = len(next(iter(theta.values())))
    if isinstance(density.prior, UserFunction):
        return np.asarray(density.prior.function(**theta))
    assert density.prior is not None
    named = {n: np.broadcast_to(v, (number, *np.shape(v))) for n, v in known.items()}
    return density.prior.log_density({**named, **theta})


@cache
def _from_prior(name: str) -> Datasets:
    """Draws of the parameters from the prior."""
    simulator = read_model(SPECS / f"{name}.yaml").need_simulator()
    return simulator.simulate(seed=SEED + 1, purpose=Purpose.SIMULATE, start=0, stop=PARTICLES)


def _row(rows: Datasets, truth: Datasets, row: int) -> Iterator[tuple[dict, dict]]:
    from abi_cli.variables import take

    one = take(rows, np.array([row]))
    yield from by_data_set({n: v[:, None] for n, v in truth.items()}, one)


def main() -> None:
    """Make the references of the models that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[*CHOOSING, *ASIDE])
    parser.add_argument("--datasets", type=int, default=DATASETS)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    KEPT.mkdir(exist_ok=True)
    for name in options.models:
        work = partial(posterior_of, name, number=DATASETS)
        with ProcessPoolExecutor(options.jobs) as pool:
            found = list(pool.map(work, range(options.datasets), chunksize=4))
        with (KEPT / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            k = len(found[0].mean)
            table.writerow(
                ["row", "log_evidence", "log_truth", "effective", "tail"]
                + [f"mean{i}" for i in range(k)]
                + [f"sd{i}" for i in range(k)]
            )
            for row, one in enumerate(found):
                numbers = [one.log_evidence, one.log_truth, one.effective, one.tail]
                table.writerow([row, *(f"{v:.6g}" for v in [*numbers, *one.mean, *one.sd])])
        effective = np.array([one.effective for one in found])
        tails = np.array([one.tail for one in found])
        print(
            f"{name}: ESS least {effective.min():.0f}, median {np.median(effective):.0f}; "
            f"k at most {tails.max():.2f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
