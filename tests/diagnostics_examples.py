"""Posteriors whose faults are known: of θ ~ N(0, 1) seen through y ~ N(θ, 0.5²)."""

from __future__ import annotations

import numpy as np

from abi_cli.diagnostics import Metrics, Scalars, Summary, flatten, measure, summarize
from abi_cli.listener import Listener

PRECISION = 1 + 1 / 0.5**2
SD = PRECISION**-0.5
CONTRACTION = 1 - 1 / PRECISION


def posterior(
    *, datasets: int, draws: int, width: float = 1.0, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws `(dataset, draw)` with sds off by `width` and means off by `shift` sds; the truths."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(datasets)
    data = truth + 0.5 * rng.standard_normal(datasets)
    noise = rng.standard_normal((datasets, draws), dtype=np.float32)
    centre = data / 0.5**2 / PRECISION + shift * SD
    return (centre[:, None] + width * SD * noise).astype(np.float32), truth


def prior_as_posterior(*, datasets: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws `(dataset, draw)` of a network that doesn't read its data; the truths."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((datasets, draws)), rng.standard_normal(datasets)


def student_as_normal(*, datasets: int = 2_000, draws: int = 200, seed: int = 0):
    """Normal draws `(dataset, draw)` of the sd of their truths, which are Student's t with 3."""
    rng = np.random.default_rng([seed, 3])
    truth = rng.standard_t(3, datasets) / np.sqrt(3)
    return rng.standard_normal((datasets, draws)), truth


def modes_as_one(*, datasets: int = 2_000, draws: int = 200, seed: int = 0):
    """Normal draws `(dataset, draw)` of the mean and sd of truths that have two modes."""
    rng = np.random.default_rng([seed, 4])
    truth = 0.9 * rng.choice([-1, 1], datasets) + np.sqrt(1 - 0.81) * rng.standard_normal(datasets)
    return rng.standard_normal((datasets, draws)), truth


def read(scalars: Scalars) -> Summary:
    with Listener().task("reading") as progress:
        return summarize(scalars, seed=1, progress=progress)


def metrics_of(estimates: dict[str, np.ndarray], truths: dict[str, np.ndarray]) -> Metrics:
    scalars = flatten(estimates, truths, labels={})
    return measure(scalars, read(scalars))


def metrics_of_one(draws: np.ndarray, truth: np.ndarray) -> Metrics:
    return metrics_of({"theta": draws}, {"theta": truth})
