"""Statistics of steps in their order: what depends on what came before."""

from __future__ import annotations

import numpy as np

from abi_cli.statistics.members import FLOOR, known, mean_of, moments_of

DECAYS = (0.3, 0.6, 0.8, 0.9, 0.96)
LAGS = (1, 2, 3, 4, 5, 7, 10, 20)
ORDER = 8
"""Of the autoregression whose residuals stand for innovations."""


def autocovariances(x: np.ndarray) -> np.ndarray:
    """Log variance and autocorrelations of `x (batch, time)`, NaN in gaps; of differences, too."""
    parts = []
    for values in (x, np.diff(x, axis=1)):
        y, there = known(values)
        mean, variance = moments_of(y, there)
        z = (y - mean[:, None]) * there
        parts.append(np.log(variance + FLOOR))
        for lag in LAGS:
            if lag >= z.shape[1]:
                parts.append(np.zeros(len(x)))
                continue
            both = there[:, lag:] * there[:, :-lag]
            product = mean_of(z[:, lag:] * z[:, :-lag], both)
            parts.append(product / (variance + FLOOR))
    return np.stack(parts, axis=1)


def smoothers(x: np.ndarray) -> np.ndarray:
    """Exponential smoothers at several decays: log mean squared innovation and last level.

    Forward and backward, so that the level at either end is there; gaps are skipped. The mean
    squared innovations are nearly the profile likelihood of a local level model.
    """
    y, there = known(x)
    parts = []
    for values, seen in ((y, there), (y[:, ::-1], there[:, ::-1])):
        first = np.argmax(seen > 0, axis=1)
        start = np.take_along_axis(values, first[:, None], axis=1)
        level = np.repeat(start, len(DECAYS), axis=1)
        keep = np.array(DECAYS)
        weight = np.zeros_like(level)
        squares, number = np.zeros_like(level), np.zeros((len(y), 1))
        for t in range(values.shape[1]):
            now = seen[:, t : t + 1]
            # The first steps count for more: the level begins as their mean.
            weight = np.where(now > 0, keep * weight + 1, weight)
            gain = now / np.maximum(weight, 1.0)
            surprise = values[:, t : t + 1] - level
            squares = squares + now * surprise**2 * (weight > 1)
            number = number + now
            level = level + gain * surprise
        parts += [level, np.log(squares / np.maximum(number - 1, 1) + FLOOR)]
    return np.concatenate(parts, axis=1)


def innovations(x: np.ndarray) -> np.ndarray:
    """ARMA by regression (Hannan & Rissanen 1982): first a long autoregression, then on residuals.

    Given are coefficients on x and residuals at lags 1 and 2, log residual variances, those of the
    autoregressions of order 1, 2 and long, and the shape of residuals.
    """
    y, there = known(x)
    mean, variance = moments_of(y, there)
    sd = np.sqrt(variance + FLOOR)
    z = (y - mean[:, None]) / sd[:, None] * there
    order = min(ORDER, max(1, z.shape[1] // 4))
    parts = []
    long, residual, seen = _regressed(
        z,
        there,
        [_lagged(z, k) for k in range(1, order + 1)],
        [_lagged(there, k) for k in range(1, order + 1)],
    )
    parts += [long]
    for lags in (1, 2):
        short, _, _ = _regressed(
            z,
            there,
            [_lagged(z, k) for k in range(1, lags + 1)],
            [_lagged(there, k) for k in range(1, lags + 1)],
        )
        parts.append(short)
    for lags in (1, 2):
        columns = [_lagged(v, k) for v in (z, residual) for k in range(1, lags + 1)]
        masks = [_lagged(v, k) for v in (there, seen) for k in range(1, lags + 1)]
        both, last, its = _regressed(z, there, columns, masks)
        parts.append(both)
    _, spread = moments_of(last, its)
    u = last / np.sqrt(spread + FLOOR)[:, None]
    third, fourth = mean_of(u * u * u, its), mean_of(u * u * u * u, its)
    parts.append(np.stack([third, np.log1p(fourth), np.log(sd)], axis=1))
    return np.concatenate(parts, axis=1)


def _lagged(x: np.ndarray, lag: int) -> np.ndarray:
    out = np.zeros_like(x)
    if lag < x.shape[1]:
        out[:, lag:] = x[:, :-lag]
    return out


def _regressed(
    y: np.ndarray, there: np.ndarray, columns: list[np.ndarray], masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, log errors and log residual variance; residuals, and where they are."""
    seen = there.copy()
    for mask in masks:
        seen = seen * mask
    x = np.stack(columns, axis=2) * seen[:, :, None]
    transposed = x.transpose(0, 2, 1)
    n = np.maximum(seen.sum(axis=1), 1)
    gram = transposed @ x + (1e-4 * n)[:, None, None] * np.eye(x.shape[2])
    inverse = np.linalg.inv(gram)
    b = (inverse @ (transposed @ (y * seen)[:, :, None]))[:, :, 0]
    residual = (y - (x @ b[:, :, None])[:, :, 0]) * seen
    variance = (residual**2).sum(axis=1) / n + FLOOR
    errors = 0.5 * np.log(np.diagonal(inverse, axis1=1, axis2=2) * variance[:, None])
    return np.concatenate([b, errors, 0.5 * np.log(variance)[:, None]], axis=1), residual, seen


def volatility(x: np.ndarray) -> np.ndarray:
    """How squares depend on squares before: their autocorrelations, smoothers and regressions."""
    y, there = known(x)
    mean, variance = moments_of(y, there)
    z = (y - mean[:, None]) / np.sqrt(variance + FLOOR)[:, None]
    squares = np.where(there > 0, z**2, np.nan)
    logs = np.where(there > 0, np.log(z**2 + 1e-2), np.nan)
    parts = [autocovariances(np.minimum(squares, 20.0)), innovations(np.minimum(squares, 20.0))]
    parts += [autocovariances(logs), _predicted(np.nan_to_num(squares), there)]
    return np.concatenate(parts, axis=1)


def _predicted(squares: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean log density of normals whose variances are smoothers of squares."""
    keep = np.array(DECAYS)
    share = np.array([0.3, 0.6, 0.9])
    level = np.ones((len(squares), len(DECAYS)))
    total = np.zeros((len(squares), len(DECAYS), len(share)))
    number = np.zeros((len(squares), 1, 1))
    for t in range(squares.shape[1]):
        now = there[:, t, None, None]
        variance = 1 - share + share * level[:, :, None]
        density = np.log(variance) + squares[:, t, None, None] / variance
        total = total - 0.5 * now * density
        number = number + now
        moved = keep * level + (1 - keep) * squares[:, t, None]
        level = np.where(there[:, t, None] > 0, moved, level)
    return (total / np.maximum(number, 1)).reshape(len(squares), -1)


def path(x: np.ndarray) -> np.ndarray:
    """First and last numbers, where the largest is, differences' signs, and slopes over time."""
    y, there = known(x)
    n = np.maximum(there.sum(axis=1), 1)
    high = np.where(there > 0, y, -np.inf)
    low = np.where(there > 0, y, np.inf)
    length = np.maximum((np.arange(y.shape[1]) * (there > 0)).max(axis=1), 1)
    at = np.argmax(high, axis=1) / length
    bottom = np.argmin(low, axis=1) / length
    t = np.arange(y.shape[1])[None, :] / length[:, None]
    mean, variance = moments_of(y, there)
    centred = t - mean_of(t, there)[:, None]
    z = (y - mean[:, None]) / np.sqrt(variance + FLOOR)[:, None]
    slope = mean_of(centred * z, there)
    bow = mean_of((centred**2 - mean_of(centred**2, there)[:, None]) * z, there)
    crossings = mean_of(z[:, 1:] * z[:, :-1] < 0, there[:, 1:] * there[:, :-1])
    some = there > 0
    first = np.take_along_axis(y, np.argmax(some, axis=1)[:, None], axis=1)[:, 0]
    last = np.take_along_axis(
        y, (y.shape[1] - 1 - np.argmax(some[:, ::-1], axis=1))[:, None], axis=1
    )[:, 0]
    high, low = (np.where(np.isfinite(v), v, 0.0) for v in (high.max(axis=1), low.min(axis=1)))
    return np.stack([first, last, high, low, at, bottom, slope, bow, crossings, np.log(n)], axis=1)
