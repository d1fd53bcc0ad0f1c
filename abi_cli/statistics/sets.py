"""Statistics of members as a set: moments, order statistics, and both by category.

Each function gives `(batch, statistic)` of `Members`; what lies in gaps never enters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from abi_cli.statistics.columns import Column
from abi_cli.statistics.members import FLOOR, Members, known, mean_of, moments_of

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FEWER = (0.1, 0.3, 0.5, 0.7, 0.9)


def sizes(members: Members) -> np.ndarray:
    """Log N, and of columns with gaps the log number that is known and the share that isn't."""
    n = members.size.astype(np.float64)
    parts = [np.log(n + 1)[:, None]]
    there = np.isfinite(members.columns).sum(axis=1)
    parts += [np.log(there + 1), 1 - there / np.maximum(n, 1)[:, None]]
    return np.concatenate(parts, axis=1)


def spread(members: Members, columns: Sequence[Column]) -> np.ndarray:
    """Mean, log variance, log standard error, skewness and kurtosis of each column."""
    parts = []
    for column in columns:
        for x in (column.scaled(members), *([column.bent(members)] if column.bends else [])):
            parts += _shape(*known(x))
    return np.stack(parts, axis=1)


def _shape(x: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    mean, variance = moments_of(x, there)
    log_variance = np.log(variance + FLOOR)
    z = (x - mean[:, None]) / np.sqrt(variance + FLOOR)[:, None]
    square = z * z
    skew, kurtosis = mean_of(square * z, there), mean_of(square * square, there)
    error = 0.5 * (log_variance - np.log(np.maximum(there.sum(axis=1), 1)))
    return [mean, log_variance, np.exp(0.5 * log_variance), error, skew, np.log1p(kurtosis)]


def order(x: np.ndarray, *, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Two least and two largest numbers, quantiles, and the same in units of their own spread.

    Arguments:
        x: `(batch, obs)`, NaN where nothing is.
    """
    n = np.isfinite(x).sum(axis=1)
    ordered = np.sort(np.where(np.isfinite(x), x, np.inf), axis=1)
    ordered = np.where(np.arange(x.shape[1]) < n[:, None], ordered, 0.0)
    at = np.array(levels) * (np.maximum(n, 1) - 1)[:, None]
    low = np.floor(at).astype(np.int64)
    first = np.take_along_axis(ordered, low, axis=1)
    second = np.take_along_axis(ordered, np.minimum(low + 1, np.maximum(n - 1, 0)[:, None]), axis=1)
    inner = first + (second - first) * (at - low)
    ends = np.stack([np.zeros_like(n), np.minimum(1, n - 1), np.maximum(n - 2, 0), n - 1], axis=1)
    outer = np.take_along_axis(ordered, np.maximum(ends, 0), axis=1)
    raw = np.concatenate([outer[:, :2], inner, outer[:, 2:]], axis=1)
    raw = np.where(n[:, None] > 0, raw, 0.0)
    middle = raw[:, raw.shape[1] // 2]
    width = inner[:, -2] - inner[:, 1] if len(levels) > 5 else inner[:, -1] - inner[:, 0]
    width = np.where(n > 0, width, 0.0) + FLOOR
    own = (raw - middle[:, None]) / width[:, None]
    gaps = np.log(np.abs(np.diff(raw, axis=1)) + 1e-6)
    return np.concatenate([raw, np.clip(own, -1e3, 1e3), np.log(width)[:, None], gaps], axis=1)


def ordered(members: Members, columns: Sequence[Column]) -> np.ndarray:
    """Order statistics of each column."""
    return np.concatenate([order(column.scaled(members)) for column in columns], axis=1)


def shares(members: Members, columns: Sequence[Column]) -> np.ndarray:
    """Shares of members at each level of discrete columns, and their logits."""
    parts = []
    for column in columns:
        x = members[column.place]
        n = np.isfinite(x).sum(axis=1)
        for level in column.levels:
            k = (x == level).sum(axis=1)
            parts += [k / np.maximum(n, 1), np.log((k + 0.5) / (n - k + 0.5))]
    return np.stack(parts, axis=1)


def by_category(
    members: Members, discrete: Sequence[Column], columns: Sequence[Column]
) -> np.ndarray:
    """Mean, log variance and, where there are at most three levels, order statistics by level."""
    parts = []
    for category, column, chosen in _of_levels(members, discrete, columns):
        x = np.where(chosen, column.scaled(members), np.nan)
        values, there = known(x)
        mean, variance = moments_of(values, there)
        parts.append(np.stack([mean, np.log(variance + 1e-6)], axis=1))
        if column.bends:
            bent = np.where(chosen, column.bent(members), np.nan)
            parts.append(mean_of(*known(bent))[:, None])
        if len(category.levels) <= 3:
            parts.append(order(x, levels=FEWER))
    return np.concatenate(parts, axis=1)


def _of_levels(
    members: Members, discrete: Sequence[Column], columns: Sequence[Column]
) -> Iterator[tuple[Column, Column, np.ndarray]]:
    """Each level of a category with each other column, and where it is, `(batch, obs)` bool."""
    for category in discrete:
        for level in category.levels:
            chosen = members[category.place] == level
            for column in columns:
                if column.place != category.place:
                    yield category, column, chosen


def rates(members: Members, discrete: Sequence[Column], counts: Sequence[Column]) -> np.ndarray:
    """Counts by category: log mean, its log error, and log dispersion, of each level.

    With n counts of sum S and mean square deviation V, and half a count more, these are

        log (S + ½) / n,    −½ log (S + ½),    log (V + ½/n) n / (S + ½).
    """
    parts = []
    for _, column, chosen in _of_levels(members, discrete, counts):
        values, there = known(np.where(chosen, members[column.place], np.nan))
        n, total = np.maximum(there.sum(axis=1), 1.0), (values * there).sum(axis=1) + 0.5
        _, variance = moments_of(values, there)
        rate = np.log(np.maximum(total, 0.5) / n)
        parts += [rate, -0.5 * np.log(np.maximum(total, 0.5))]
        parts.append(np.log(variance + 0.5 / n) - rate)
    return np.stack(parts, axis=1)


def positions(members: Members, columns: Sequence[Column]) -> np.ndarray:
    """Members that are vectors, as rows of one table: within rows and between them.

    With y_ij the entry j of row i, a line over places within rows is fitted to all that is known,

        y_ij = a_i + b (j − mean of j in the row) + e_ij,

    and so are rows' own slopes. Given are b, the log residual variance within rows, mean and log
    variance of the rows' levels at the middle place and of their slopes, their correlation, how
    many cells there are, and the mean of 1/n_i, by which sampling adds to the variance between
    rows.
    """
    places = [column.place for column in columns]
    location, scale = columns[0].location, columns[0].scale
    y, there = known((members.columns[:, :, places] - location) / scale)
    j = np.linspace(-1, 1, len(places))
    n = there.sum(axis=2)
    some = np.maximum(n, 1)
    middle, mean = (there * j).sum(axis=2) / some, (y * there).sum(axis=2) / some
    x = (j - middle[:, :, None]) * there
    r = (y - mean[:, :, None]) * there
    sxx, sxy = (x**2).sum(axis=2), (x * r).sum(axis=2)
    slope = sxy.sum(axis=1) / np.maximum(sxx.sum(axis=1), FLOOR)
    within = ((r - slope[:, None, None] * x) ** 2).sum(axis=(1, 2))
    free = np.maximum((n - 1).clip(0).sum(axis=1) - 1, 1)
    level = mean - slope[:, None] * middle
    rows = (n > 0).astype(np.float64)
    centre, between = moments_of(level, rows)
    lines = ((n > 2) & (sxx > 1e-6)).astype(np.float64)
    own = np.clip(sxy / np.maximum(sxx, 1e-6), -1e3, 1e3) * lines
    own_mean, own_variance = moments_of(own, lines)
    apart = ((r - own[:, :, None] * x) ** 2 * lines[:, :, None]).sum(axis=(1, 2))
    left = np.maximum(((n - 2) * lines).sum(axis=1), 1)
    both = mean_of((own - own_mean[:, None]) * (level - centre[:, None]), lines)
    both = both / np.sqrt(own_variance * between + FLOOR)
    log_within, log_between = np.log(within / free + FLOOR), np.log(between + FLOOR)
    inverse = mean_of(1 / some, rows)
    excess = np.log(np.maximum(between - inverse * within / free, 0.02 * between) + FLOOR)
    return np.stack(
        [
            slope,
            log_within,
            centre,
            log_between,
            excess,
            inverse,
            np.log(n.sum(axis=1) + 1),
            np.log(rows.sum(axis=1) + 1),
            own_mean,
            np.log(own_variance + FLOOR),
            np.log(apart / left + FLOOR),
            np.log(mean_of(1 / np.maximum(sxx, 1e-2), lines) + FLOOR),
            both,
            0.5 * np.log(within / free / np.maximum(sxx.sum(axis=1), FLOOR) + FLOOR),
        ],
        axis=1,
    )
