"""A hidden Markov model of two states, 60 to 150 steps."""

import numpy as np


def likelihood(stay, low, gap, sd, T, batch_size, rng):
    state = (rng.random(batch_size) < 0.5).astype(float)
    steps = []
    for _ in range(T):
        steps.append(low + gap * state + sd * rng.normal(size=batch_size))
        state = np.where(rng.random(batch_size) < stay, state, 1 - state)
    return {"y": np.stack(steps, axis=1)}


def log_likelihood(stay, low, gap, sd, y, batch_size):
    """By the forward algorithm."""
    p = np.full((len(stay), 2), 0.5)
    means = np.stack([low, low + gap], axis=1)
    total = np.zeros(len(stay))
    for value in np.reshape(y, -1):
        log_density = -0.5 * ((value - means) / sd[:, None]) ** 2
        most = log_density.max(axis=1)
        joint = p * np.exp(log_density - most[:, None])
        mass = joint.sum(axis=1)
        total += np.log(mass) + most - np.log(sd) - 0.5 * np.log(2 * np.pi)
        p = joint / mass[:, None]
        p = stay[:, None] * p + (1 - stay[:, None]) * p[:, ::-1]
    return total
