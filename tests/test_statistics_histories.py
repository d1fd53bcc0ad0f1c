"""Learning from what was met: against loops and an optimizer, and as estimates of what is true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.histories import MOST, PRIOR, RATES, histories
from abi_cli.statistics.members import chunks
from abi_cli.variables import Ragged

RNG = np.random.default_rng(2)
NUMBER, LENGTH = 40, 150
ALPHA, BETA = RNG.beta(2, 2, NUMBER), RNG.gamma(4, 1, NUMBER)


def learner(alpha, beta, rng):
    """Choices between two options whose odds are turned every fifty trials, and rewards."""
    q, choice, reward = np.zeros(2), np.zeros(LENGTH), np.zeros(LENGTH)
    for t in range(LENGTH):
        c = int(rng.random() < 1 / (1 + np.exp(-beta * (q[1] - q[0]))))
        r = float(rng.random() < (0.8 if c == (t // 50) % 2 else 0.2))
        q[c] += alpha * (r - q[c])
        choice[t], reward[t] = c, r
    return choice, reward


PAIRS = [learner(a, b, RNG) for a, b in zip(ALPHA, BETA, strict=True)]
SIZES = np.full(NUMBER, LENGTH)
DATA = {
    "choice": Ragged(np.concatenate([c for c, _ in PAIRS]), SIZES),
    "reward": Ragged(np.concatenate([r for _, r in PAIRS]), SIZES),
}
(GROUP,) = groups_of(DATA, ["choice", "reward"], given=(), series=("choice", "reward"))
MEMBERS = next(chunks(DATA, GROUP.names))[1]
CHOICE, REWARD = GROUP.columns
FOUND = histories(MEMBERS, CHOICE, [REWARD])[:, -len(RATES) - 4 :]  # of the second regression


def negative_log_posterior(b, rate, choice, reward):
    q, total = np.zeros(2), 0.5 * PRIOR * b**2
    for c, r in zip(choice.astype(int), reward / REWARD.scale, strict=True):
        eta = b * (q[1] - q[0])
        total += np.logaddexp(0, -eta if c else eta)
        q[c] += rate * (r - q[c])
    return total


@pytest.mark.parametrize("k", range(3))
def test_the_profile_is_that_of_loops_and_an_optimizer(k):
    best = [
        optimize.minimize_scalar(
            negative_log_posterior, (0.0, 1.0), args=(rate, *PAIRS[k]), options={"xtol": 1e-6}
        )
        for rate in RATES
    ]
    log_p = -np.array([one.fun for one in best])
    below = np.minimum(log_p.max() - log_p, MOST)
    np.testing.assert_allclose(FOUND[k, : len(RATES)] ** 2, below, atol=1e-3)
    weights = np.exp(log_p - log_p.max())
    mean = weights @ np.array([one.x for one in best]) / weights.sum()
    assert FOUND[k, -2] == pytest.approx(mean, rel=1e-3)


def test_rates_and_slopes_are_found():
    logit = np.log(ALPHA) - np.log1p(-ALPHA)
    z = (FOUND[:, -4] - logit) / np.exp(FOUND[:, -3])
    assert 0.4 < np.sqrt(np.mean(z**2)) < 1.6
    z = (FOUND[:, -2] - BETA * REWARD.scale) / np.exp(FOUND[:, -1])
    assert 0.4 < np.sqrt(np.mean(z**2)) < 1.6


def test_they_are_offered_for_choices_in_order_alone():
    assert "histories0" in families_of(GROUP)
    (unordered,) = groups_of(DATA, ["choice", "reward"], given=(), series=())
    assert not any(name.startswith("histories") for name in families_of(unordered))
