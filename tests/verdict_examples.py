"""Posteriors whose faults, or whose exactness, are known by formula; draws are made by them.

Each is a function of (rng, datasets, draws) and gives draws, truths and data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import stats

from abi_cli.variables import Ragged, Value


class Case(NamedTuple):
    """Parameter → draws `(dataset, draw)`, → truths `(dataset,)`, the data and their context."""

    draws: dict[str, np.ndarray]
    truths: dict[str, np.ndarray]
    data: dict[str, Value]
    context: Mapping[str, np.ndarray] = MappingProxyType({})


Maker = Callable[[np.random.Generator, int, int], Case]


def _normal(rng, mean, sd, draws):
    return mean[:, None] + sd[:, None] * rng.standard_normal((len(mean), draws))


# ---- two parameters, seen with noise: θ ~ N(0, I), y = θ + 0.5 e


def _pair(rng, datasets):
    theta = rng.standard_normal((datasets, 2))
    y = theta + 0.5 * rng.standard_normal(theta.shape)
    return y, 0.8 * y, np.sqrt(0.2)


def banana(rng, datasets, draws, *, independent=False):
    """a | y normal, b = (a's residual squared − 1) / √2 + 0.3 e: or drawn as if independent."""
    y, mean, sd = _pair(rng, datasets)
    e, f = rng.standard_normal((2, datasets, 1 + draws))
    curve = (e**2 - 1) / np.sqrt(2) + 0.3 * f
    if independent:
        e[:, 1:] = rng.standard_normal((datasets, draws))
    a, b = mean[:, :1] + sd * e, mean[:, 1:] + sd * curve
    return Case({"a": a[:, 1:], "b": b[:, 1:]}, {"a": a[:, 0], "b": b[:, 0]}, {"y": y})


def correlated(rng, datasets, draws, *, independent=False):
    """Residuals with a correlation of ±0.9 by the sign of y₀: or drawn without any."""
    y, mean, sd = _pair(rng, datasets)
    e, f = rng.standard_normal((2, datasets, 1 + draws))
    rho = 0.9 * np.sign(y[:, :1])
    both = rho * e + np.sqrt(1 - 0.81) * f
    if independent:
        both[:, 1:] = f[:, 1:]
    a, b = mean[:, :1] + sd * e, mean[:, 1:] + sd * both
    return Case({"a": a[:, 1:], "b": b[:, 1:]}, {"a": a[:, 0], "b": b[:, 0]}, {"y": y})


# ---- one parameter, whose residual has a shape


def _shaped(rng, datasets, draws, law, drawn):
    y = rng.standard_normal(datasets)
    truth, rest = y + 0.5 * law(rng, datasets), drawn(rng, (datasets, draws))
    return Case({"theta": y[:, None] + 0.5 * rest}, {"theta": truth}, {"y": y})


def _student(rng, size):
    return rng.standard_t(3, size) / np.sqrt(3)


def _two_modes(rng, size):
    return 0.9 * rng.choice([-1.0, 1.0], size) + np.sqrt(0.19) * rng.standard_normal(size)


def _round(rng, size):
    return rng.standard_normal(size)


def student(rng, datasets, draws, *, as_normal=False):
    """Student's t with 3 degrees of freedom: or a normal of its sd."""
    return _shaped(rng, datasets, draws, _student, _round if as_normal else _student)


def two_modes(rng, datasets, draws, *, as_one=False):
    """Two modes: or a normal of the same moments."""
    return _shaped(rng, datasets, draws, _two_modes, _round if as_one else _two_modes)


# ---- members of a set: θ ~ N(0, 1), y_i ~ N(θ, 1)


def _segments(sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


def members(rng, datasets, draws, *, half=False, widened=1.0):
    """The mean of members: of the first half alone, or too wide where there are most members."""
    theta, sizes = rng.normal(size=datasets), rng.integers(3, 21, size=datasets)
    owner = _segments(sizes)
    y = theta[owner] + rng.normal(size=len(owner))
    place = np.arange(len(y)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    seen = (place < (sizes[owner] + 1) // 2) if half else np.ones(len(y), bool)
    number = np.bincount(owner, seen, minlength=datasets)
    mean = np.bincount(owner, y * seen, minlength=datasets) / (number + 1)
    sd = 1 / np.sqrt(number + 1)
    sd = np.where(sizes >= 19, widened, 1.0) * sd  # 19 and 20: the narrowest ninth
    made = _normal(rng, mean, sd, draws)
    return Case({"theta": made}, {"theta": theta}, {"y": Ragged(y, sizes)}, {"N": 1.0 * sizes})


def narrowest(rng, datasets, draws, *, widened=1.6):
    """The noise differs from set to set and is in the data: the narrowest tenth is too wide."""
    theta, noise = rng.standard_normal(datasets), rng.uniform(0.1, 1.1, datasets)
    y = theta + noise * rng.standard_normal(datasets)
    precision = 1 + 1 / noise**2
    sd = 1 / np.sqrt(precision)
    mean = y / noise**2 / precision
    sd = np.where(noise < 0.2, widened, 1.0) * sd
    made = _normal(rng, mean, sd, draws)
    return Case({"theta": made}, {"theta": theta}, {"y": y, "noise": noise})


# ---- the least order statistic: y_i = shift + exponential, as the t0 of reaction times


def shifted(rng, datasets, draws, *, by_mean=False):
    """shift ~ N(0, 1), y_i = shift + Exp(1): exactly by the least, or by the mean of members."""
    n = 20
    theta = rng.standard_normal(datasets)
    y = theta[:, None] + rng.exponential(size=(datasets, n))
    if by_mean:
        # mean − shift is Gamma(n) / n: the posterior given the mean alone, on a grid
        grid = np.linspace(-3, 0, 1_501)[None] + y.mean(axis=1, keepdims=True)
        gap = y.mean(axis=1, keepdims=True) - grid
        log_p = stats.gamma.logpdf(gap, n, scale=1 / n) - 0.5 * grid**2
    else:
        # n shift − shift²/2 below the least of y
        grid = np.linspace(-1, 0, 2_001)[None] + y.min(axis=1, keepdims=True)
        log_p = n * grid - 0.5 * grid**2
    made = _from_grid(rng, grid, log_p, draws)
    rows = Ragged(y.reshape(-1), np.full(datasets, n))
    return Case({"shift": made}, {"shift": theta}, {"y": rows})


def _from_grid(rng, grid, log_p, draws):
    p = np.exp(log_p - np.nanmax(log_p, axis=1, keepdims=True))
    p = np.nan_to_num(p)
    step = 0.5 * (p[:, 1:] + p[:, :-1])
    total = np.concatenate([np.zeros((len(p), 1)), np.cumsum(step, axis=1)], axis=1)
    total /= total[:, -1:]
    u = rng.random((len(p), draws))
    made = np.empty_like(u)
    for row in range(len(p)):
        made[row] = np.interp(u[row], total[row], grid[row])
    return made


# ---- a coarsened data set: y = θ + 0.5 e, read with further noise, 1.3 times wider


def coarsened(rng, datasets, draws, *, read=True):
    """Ten values y_i ~ N(θ, 2²); read are they with further noise: exact for those, 1.3 wider."""
    n, noise = 10, 2.0
    theta = rng.standard_normal(datasets)
    y = theta[:, None] + noise * rng.standard_normal((datasets, n))
    exact = 1 / (1 + n / noise**2)
    wanted = 1.69 * exact if read else exact
    variance = n / (1 / wanted - 1)
    seen = y + np.sqrt(variance - noise**2) * rng.standard_normal(y.shape)
    mean = seen.sum(axis=1) / variance * wanted
    made = _normal(rng, mean, np.full(datasets, np.sqrt(wanted)), draws)
    return Case({"theta": made}, {"theta": theta}, {"y": y})


# ---- further exact ones


def beta_binomial(rng, datasets, draws):
    """p ~ Beta(2, 2), k of 12."""
    p = rng.beta(2, 2, datasets)
    k = rng.binomial(12, p)
    made = rng.beta(2 + k[:, None], 14 - k[:, None], (datasets, draws))
    return Case({"p": made}, {"p": p}, {"k": k})


def prior_only(rng, datasets, draws):
    """Five parameters of which the data say nothing."""
    truth, made = rng.standard_normal((datasets, 5)), rng.standard_normal((datasets, draws, 5))
    names = "abcde"
    return Case(
        {name: made[:, :, k] for k, name in enumerate(names)},
        {name: truth[:, k] for k, name in enumerate(names)},
        {"y": rng.standard_normal((datasets, 3))},
    )


FAULTS: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "banana as independent": (
        lambda r, n, s: banana(r, n, s, independent=True),
        ("dependence",),
    ),
    "correlation ±0.9 by the sign of the data, drawn as none": (
        lambda r, n, s: correlated(r, n, s, independent=True),
        ("dependence",),
    ),
    "t₃ as a normal of the same sd": (
        lambda r, n, s: student(r, n, s, as_normal=True),
        ("light tails",),
    ),
    "two modes as one": (lambda r, n, s: two_modes(r, n, s, as_one=True), ("two modes",)),
    "the narrowest tenth 1.6 times too wide": (narrowest, ("too wide where",)),
    "half of the data unread": (lambda r, n, s: members(r, n, s, half=True), ("less informed",)),
    "the least order statistic unread": (
        lambda r, n, s: shifted(r, n, s, by_mean=True),
        ("less informed",),
    ),
    "exact for a coarsened data set, 1.3 times wider": (coarsened, ("less informed",)),
}
"""Title → what makes it, and words that the verdict must have."""

EXACT: dict[str, Maker] = {
    "banana": banana,
    "correlation by sign": correlated,
    "t₃": student,
    "two modes": two_modes,
    "members": members,
    "shifted exponential": shifted,
    "binomial": beta_binomial,
    "nothing told": prior_only,
}
