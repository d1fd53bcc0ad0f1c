"""The exact posteriors that networks are compared on are exact."""

import numpy as np
import pytest

from tests.bench.posteriors import TASKS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_truths_rank_uniformly_among_exact_draws(task):
    """Simulation-based calibration: of exact draws by definition."""
    rng = np.random.default_rng(5)
    theta = task.prior(rng, 1_500)
    y = task.data(rng, theta)
    draws = np.stack([task.posterior(rng, one, 99)[0] for one in y])
    assert draws.shape == (1_500, 99, task.dim)
    ranks = ((draws < theta[:, None]).sum(axis=1) + rng.random(theta.shape)) / 100
    for own in ranks.T:
        distance = np.abs(np.sort(own) - (np.arange(1_500) + 0.5) / 1_500).max()
        assert distance < 1.95 / np.sqrt(1_500)
    distance_ranks = (draws.sum(axis=2) < theta.sum(axis=1)[:, None]).sum(axis=1) / 99
    assert distance_ranks.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_log_densities_are_normalized(task):
    """E[f / p] = 1 over exact draws for any density f narrower than p."""
    rng = np.random.default_rng(6)
    y = task.data(rng, task.prior(rng, 3))
    for one in y:
        theta, log_p = task.posterior(rng, one, 40_000)
        centre = theta[log_p.argmax()]
        mode = np.sign(theta[:, 0]) == np.sign(centre[0])
        width = 0.3 * np.median(np.abs(theta[mode] - centre), axis=0)
        off = (theta - centre) / width
        log_f = -0.5 * (off**2).sum(axis=1) - np.log(width * np.sqrt(2 * np.pi)).sum()
        assert np.exp(log_f - log_p).mean() == pytest.approx(1.0, abs=0.12)
