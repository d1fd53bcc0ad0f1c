"""Drift diffusion: reaction times and choices of a Wiener process between two bounds."""

import numpy as np

GRID = 0.005


def likelihood(v, a, t0, N, batch_size, rng):
    total = batch_size * N
    shift = 0.5826 * np.sqrt(GRID)
    drift, upper = np.repeat(v, N), np.repeat(a, N)
    x, t = upper / 2, 0.0
    time, choice = np.zeros(total), np.zeros(total)
    going = np.arange(total)
    while len(going) and t < 10:
        t += GRID
        x = x + drift * GRID + np.sqrt(GRID) * rng.normal(size=len(going))
        above, below = x >= upper - shift, x <= shift
        done = above | below
        if done.any():
            time[going[done]], choice[going[above]] = t - GRID / 2, 1
            left = ~done
            going, x, drift, upper = going[left], x[left], drift[left], upper[left]
    time[going] = t
    time, choice = time.reshape(batch_size, N), choice.reshape(batch_size, N)
    return {"rt": time + t0[:, None], "choice": choice}


def log_likelihood(v, a, t0, rt, choice, batch_size):
    """First-passage densities (Navarro & Fuss 2009), large- and small-time series."""
    v, a, t0 = (np.reshape(p, (-1, 1)) for p in (v, a, t0))
    t = rt - t0
    ok = t > 1e-4
    u = np.where(ok, t, 1.0) / a**2
    k = np.arange(1, 12).reshape(-1, 1, 1)
    sine = np.sin(k * np.pi / 2)
    large = np.pi * np.sum(k * np.exp(-(k**2) * np.pi**2 * u / 2) * sine, axis=0)
    j = np.arange(-5, 6).reshape(-1, 1, 1)
    w = 0.5 + 2 * j
    small = np.sum(w * np.exp(-(w**2) / (2 * u)), axis=0) / np.sqrt(2 * np.pi * u**3)
    density = np.maximum(np.where(u > 0.25, large, small), 1e-300)
    start = np.where(choice > 0, 1.0, -1.0) * v * a / 2
    log_p = np.log(density) - 2 * np.log(a) + start - v**2 * np.where(ok, t, 1.0) / 2
    return np.where(ok, log_p, -np.inf)
