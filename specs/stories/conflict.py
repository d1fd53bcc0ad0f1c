"""Reaction times and choices: a Wiener process between two bounds, its drift by condition."""

import numpy as np

STEP = 0.01  # seconds
LONGEST = 12.0


def likelihood(v, a, t0, conflict, batch_size, rng):
    """Of each trial: when the process, begun half way, comes to a bound, and to which."""
    trials = conflict.shape[1]
    drift = np.take_along_axis(v, conflict.astype(int), axis=1).ravel()
    # Looked at every STEP seconds, a path has overshot a bound by 0.58 √STEP on average
    # (Siegmund 1985): the bounds are drawn in by as much.
    shift = 0.5826 * np.sqrt(STEP)
    upper = np.repeat(a, trials) - shift
    x, going = np.repeat(a, trials) / 2, np.arange(drift.size)
    rt, response = np.full(drift.size, LONGEST), np.zeros(drift.size)
    for step in range(int(LONGEST / STEP)):
        x = x + drift * STEP + np.sqrt(STEP) * rng.normal(size=x.size)
        done = (x >= upper) | (x <= shift)
        rt[going[done]] = (step + rng.random(done.sum())) * STEP
        response[going[done]] = x[done] >= upper[done]
        left = ~done
        x, drift, upper, going = x[left], drift[left], upper[left], going[left]
        if not going.size:
            break
    shape = (batch_size, trials)
    return {"rt": recorded(rt.reshape(shape) + t0[:, None]), "response": response.reshape(shape)}


def recorded(seconds):
    """Three digits, as the file has them."""
    return np.where(seconds < 1, np.round(seconds, 3), np.round(seconds, 2))


def slowing(v, batch_size):
    """How much lower the drift rate is where there is conflict."""
    return v[:, 0] - v[:, 1]
