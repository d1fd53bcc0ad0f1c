"""Series that switch between two levels: a hidden Markov model of each, by Baum and Welch.

    y_t | s_t ~ N(m_s, σ²),    P(s_t = s_{t−1}) = a of each state

Expectation and maximization (Baum et al. 1970, Annals of Mathematical Statistics 41:164), begun
with rounds that ignore the order of steps, which is a mixture of two normals. Gaps say nothing of
the state, and the chain goes through them.
"""

from __future__ import annotations

import numpy as np

from abi_cli.statistics.members import FLOOR, known, mean_of, moments_of

UNORDERED = 4
"""Rounds of the mixture."""

ORDERED = 6
"""Rounds of the hidden Markov model."""

WEAK = 2.0
"""Steps that are believed to have stayed, and half as many to have moved, before any is seen."""

SMALL = 0.05
"""Least sd, in units of the data set's own."""

FAR = 30.0
"""Largest log ratio of densities."""


def regimes(x: np.ndarray) -> np.ndarray:
    """Both levels, log sd, log odds to stay in each, and how sure all of that is.

    Arguments:
        x: `(batch, time)`, NaN in gaps.
    """
    y, there = known(x)
    centre, variance = moments_of(y, there)
    unit = np.sqrt(variance + FLOOR)
    z = np.ascontiguousarray(((y - centre[:, None]) / unit[:, None] * there).T)
    there = np.ascontiguousarray(there.T)
    n = np.maximum(there.sum(axis=0), 1.0)
    seen = np.maximum.accumulate(there[::-1], axis=0)[::-1][1:]
    pairs = there[1:] * there[:-1]
    low, high, sd = -np.ones(len(x)), np.ones(len(x)), np.full(len(x), 0.6)
    stay = [np.full(len(x), 0.5), np.full(len(x), 0.5)]
    for number in range(UNORDERED + ORDERED):
        ratio = (high - low) / sd**2 * (z - 0.5 * (high + low))
        ratio = np.exp(np.clip(ratio, -FAR, FAR) * there)
        if number < UNORDERED:
            share = ratio / (1 + ratio)
            moves = _moves(share[:-1], share[1:], pairs)
        else:
            share, moves, fit = _smoothed(ratio, seen, *stay)
        upper = share * there
        lower = there - upper
        high_size, low_size = upper.sum(axis=0) + 1e-3, lower.sum(axis=0) + 1e-3
        high, low = (upper * z).sum(axis=0) / high_size, (lower * z).sum(axis=0) / low_size
        squares = (upper * (z - high) ** 2 + lower * (z - low) ** 2).sum(axis=0)
        sd = np.maximum(np.sqrt(squares / n), SMALL)
        stay = [(kept + WEAK) / (kept + left + 1.5 * WEAK) for kept, left in moves]
    density = (-0.5 * (z - low) ** 2 / sd**2 * there).sum(axis=0)
    likelihood = (fit + density) / n - np.log(sd)
    gap = high - low
    doubt = mean_of(-np.log(np.maximum(share, 1 - share) + 1e-9).T, there.T)
    kept, left = (moves[0][i] + moves[1][i] for i in (0, 1))
    told = [
        centre + unit * low,
        centre + unit * high,
        np.log(unit * sd),
        *(np.log(a / (1 - a)) for a in stay),
        np.log((kept + WEAK) / (left + 0.5 * WEAK)),
        np.log(left + 1.0),
        unit * gap,
        np.log(np.abs(gap) + 1e-3) + np.log(unit),
        gap / sd,
        np.log(low_size),
        np.log(high_size),
        likelihood,
        doubt,
        np.log(n),
    ]
    return np.stack(told, axis=1)


Moves = list[tuple[np.ndarray, np.ndarray]]
"""Expected steps from the lower and from the upper state that stay there, and that don't."""


def _moves(before: np.ndarray, after: np.ndarray, pairs: np.ndarray) -> Moves:
    """Moves between states of independent steps, by the share of the upper state."""
    from_low, from_high = (1 - before) * pairs, before * pairs
    return [
        ((from_low * (1 - after)).sum(axis=0), (from_low * after).sum(axis=0)),
        ((from_high * after).sum(axis=0), (from_high * (1 - after)).sum(axis=0)),
    ]


def _smoothed(
    ratio: np.ndarray, seen: np.ndarray, stay_low: np.ndarray, stay_high: np.ndarray
) -> tuple[np.ndarray, Moves, np.ndarray]:
    """Probability of the upper state `(time, batch)`, moves, and the log likelihood `(batch,)`.

    The likelihood is relative to that of the lower state throughout.

    Arguments:
        ratio: Of the densities in the upper and the lower state, `(time, batch)`.
        seen: Whether anything is known from a step on, `(time − 1, batch)`, from the second on.
    """
    predicted, filtered = np.empty_like(ratio), np.empty_like(ratio)
    ahead = np.full(ratio.shape[1], 0.5)
    rise = 1 - stay_low
    both = stay_high - rise
    for t, r in enumerate(ratio):
        predicted[t] = ahead
        up = ahead * r
        here = up / (1 - ahead + up)
        filtered[t] = here
        ahead = rise + both * here
    fit = np.log1p(predicted * (ratio - 1)).sum(axis=0)
    smoothed = np.empty_like(ratio)
    now = smoothed[-1] = filtered[-1]
    for t in range(len(ratio) - 2, -1, -1):
        up, down = now / predicted[t + 1], (1 - now) / (1 - predicted[t + 1])
        now = smoothed[t] = filtered[t] * (stay_high * up + (1 - stay_high) * down)
    up, down = smoothed[1:] / predicted[1:], (1 - smoothed[1:]) / (1 - predicted[1:])
    from_low, from_high = (1 - filtered[:-1]) * seen, filtered[:-1] * seen
    moves = [
        ((from_low * stay_low * down).sum(axis=0), (from_low * rise * up).sum(axis=0)),
        (
            (from_high * stay_high * up).sum(axis=0),
            (from_high * (1 - stay_high) * down).sum(axis=0),
        ),
    ]
    return smoothed, moves, fit
