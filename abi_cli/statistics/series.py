"""Statistics of steps in their order: the dependence of steps on those before."""

from __future__ import annotations

import numpy as np

from abi_cli.statistics.members import FLOOR, known, mean_of, mixed, moments_of

DECAYS = (0.05, 0.2, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94, 0.98)
LAGS = (1, 2, 3, 4, 5, 7, 10, 20)
AVERAGES = (-0.95, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
LEAST_WEIGHT = 1e-6
"""Least information on a level, left of it after a long gap."""

RATIOS = np.geomspace(1e-4, 1e2, 13)
"""Variances of a level's steps, in units of the variance around the level."""

BLURRED = 1e-2
"""Variance of log sds between the places of that grid."""

ORDERS = (1, 2, 3, 8)
"""Orders of autoregressions."""


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
    """Exponential smoothers at several decays: last level, and likelihood of the innovations.

    A smoother is the Kalman filter of a level that walks, whose information decays by δ a step
    (West & Harrison 1997, Bayesian forecasting and dynamic models, section 2.4):

        w_t = δ w_{t−1} + 1,    e_t = y_t − m_{t−1},    m_t = m_{t−1} + e_t / w_t,
        var e_t ∝ v_t = 1 + 1 / (δ w_{t−1}),

    in a gap w_t = δ w_{t−1}. The log of the mean of e² / v, plus the mean of log v, is −2/n times
    the profile log likelihood. Forward and backward, so that the level at either end is there.
    """
    y, there = known(x)
    both, seen = np.stack([y, y[:, ::-1]], axis=1), np.stack([there, there[:, ::-1]], axis=1)
    first = np.argmax(seen > 0, axis=2)
    keep = np.array(DECAYS)
    level = np.repeat(np.take_along_axis(both, first[:, :, None], axis=2), len(keep), axis=2)
    weight, squares, logs = np.zeros_like(level), np.zeros_like(level), np.zeros_like(level)
    for t in range(y.shape[1]):
        now = seen[:, :, t, None]
        weight = keep * weight
        v = 1 + 1 / np.maximum(weight, LEAST_WEIGHT)
        surprise = (both[:, :, t, None] - level) * now
        told = now * (weight > 0)
        squares += surprise * surprise / v * told
        logs += np.log(v) * told
        weight = weight + now
        level += surprise / np.maximum(weight, LEAST_WEIGHT)
    number = np.maximum(there.sum(axis=1) - 1, 1)
    mean_squares = squares / number[:, None, None]
    log_squares = np.log(mean_squares + FLOOR) + logs / number[:, None, None]
    parts = [level.reshape(len(y), -1), log_squares[:, 1], np.log(mean_squares[:, 0] + FLOOR)]
    parts.append(_profile(np.log(keep / (1 - keep)), log_squares[:, 0], number))
    return np.concatenate(parts, axis=1)


def levels(x: np.ndarray) -> np.ndarray:
    """Local level model: profile likelihood of the ratio of its variances, and both ends.

        level_t = level_{t−1} + η_t,    y_t = level_t + ε_t,    λ = var η / var ε.

    Given λ the Kalman filter says how far each innovation is from 0, in units of var ε (Durbin &
    Koopman 2012, Time series analysis by state space methods, chapter 2):

        P ← P + λ,    F = P + 1,    level ← level + (P / F) e,    P ← P / F,

    from the first value on, where P = 1; in a gap only P grows, so that gaps cost nothing of what
    is known. The mean of e² / F is the best var ε, and the log of it plus the mean of log F is
    −2/n times the profile log likelihood. Means over that likelihood, on the grid of λ: of the log
    sds of ε and η with their spreads, of the level at the last value and, filtered backwards, at
    the first, with their log sds.
    """
    y, there = known(x)
    both, seen = np.stack([y, y[:, ::-1]], axis=2), np.stack([there, there[:, ::-1]], axis=2)
    level, variance, sure, squares, logs = np.zeros((5, len(y), 2, len(RATIOS)))
    begun = np.zeros((len(y), 2, 1), bool)
    for t in range(y.shape[1]):
        now = seen[:, t, :, None] > 0
        variance = variance + RATIOS
        f = variance + 1
        surprise = both[:, t, :, None] - level
        told = now & begun
        squares += np.where(told, surprise * surprise / f, 0.0)
        logs += np.where(told, np.log(f), 0.0)
        gain = np.where(begun, variance / f, 1.0)
        level += np.where(now, gain * surprise, 0.0)
        variance = np.where(now, gain, variance)
        sure = np.where(now, gain, sure)
        begun = begun | now
    number = np.maximum(there.sum(axis=1) - 1, 1)
    mean_squares = squares[:, 0] / number[:, None] + FLOOR
    log_squares = np.log(mean_squares) + logs[:, 0] / number[:, None]
    weight = np.exp(-0.5 * number[:, None] * (log_squares - log_squares.min(axis=1)[:, None]))
    weight /= weight.sum(axis=1, keepdims=True)
    noise = 0.5 * np.log(mean_squares)
    walk = noise + 0.5 * np.log(RATIOS)
    parts = [*mixed(weight, noise, BLURRED), *mixed(weight, walk, BLURRED)]
    ends = sure * mean_squares[:, None]
    for end in (0, 1):
        parts += mixed(weight, level[:, end], ends[:, end])
    profile = _profile(np.log(RATIOS), log_squares, number)
    return np.concatenate([np.stack(parts, axis=1), profile], axis=1)


def _profile(grid: np.ndarray, log_squares: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Place and width of a profile likelihood's maximum, and the likelihood on the grid.

    Arguments:
        grid: `(place,)`.
        log_squares: Log mean squared innovations, `(batch, place)`.
        number: Of innovations, `(batch,)`.
    """
    lowest = log_squares.min(axis=1, keepdims=True)
    loss = 0.5 * number[:, None] * (log_squares - lowest)
    weight = np.exp(-loss)
    weight /= weight.sum(axis=1, keepdims=True)
    best = weight @ grid
    spread = np.sqrt((weight * (grid - best[:, None]) ** 2).sum(axis=1) + 1e-4)
    told = np.stack([best, np.log(spread), lowest[:, 0], np.log(number)], axis=1)
    return np.concatenate([told, log_squares, np.sqrt(loss), np.exp(-loss)], axis=1)


def moving_averages(x: np.ndarray) -> np.ndarray:
    """Profile likelihood of an ARMA(1,1), at several coefficients θ of the moving average.

        f_t = z_t − θ f_{t−1},    e_t = f_t − φ f_{t−1}

    Given θ the sum of squared innovations e is quadratic in φ. For each θ there are the best φ, the
    log of the mean square there, and that at φ = 1, which is exponential smoothing.
    """
    y, there = known(x)
    mean, variance = moments_of(y, there)
    sd = np.sqrt(variance + FLOOR)
    z = (y - mean[:, None]) / sd[:, None] * there
    theta = np.array(AVERAGES)
    f, before = np.zeros((len(z), len(theta))), np.zeros((len(z), 1))
    here, cross, past = np.zeros_like(f), np.zeros_like(f), np.zeros_like(f)
    for t in range(z.shape[1]):
        now = there[:, t, None]
        new = (z[:, t, None] - theta * f) * now
        both = now * before
        here += new * new * both
        cross += new * f * both
        past += f * f * both
        f, before = new, now
    number = np.maximum((there[:, 1:] * there[:, :-1]).sum(axis=1), 1)[:, None]
    here, cross, past = here / number + 1e-6, cross / number, past / number + 1e-6
    phi = np.clip(cross / past, -2, 2)
    least = np.log(np.maximum(here - phi * cross, 1e-6))
    walking = np.log(np.maximum(here - 2 * cross + past, 1e-6))
    weight = np.exp(-0.5 * number * (least - least.min(axis=1, keepdims=True)))
    its_phi = (weight * phi).sum(axis=1) / weight.sum(axis=1)
    parts = [np.stack([its_phi, mean, np.log(sd)], axis=1), phi, walking]
    return np.concatenate([*parts, _profile(theta, least, number[:, 0])], axis=1)


def autoregressions(x: np.ndarray) -> np.ndarray:
    """Regressions on one to three steps before, and on eight: coefficients, errors, log sds."""
    y, there = known(x)
    mean, variance = moments_of(y, there)
    sd = np.sqrt(variance + FLOOR)
    z = (y - mean[:, None]) / sd[:, None] * there
    parts = []
    for order in ORDERS:
        lags = range(1, order + 1)
        told, residual, seen = _regressed(
            z, there, [_lagged(z, k) for k in lags], [_lagged(there, k) for k in lags]
        )
        parts.append(told)
    _, spread = moments_of(residual, seen)
    u = residual / np.sqrt(spread + FLOOR)[:, None]
    third, fourth = mean_of(u * u * u, seen), mean_of(u * u * u * u, seen)
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
    """Dependence of squares on earlier ones: autocorrelations, smoothers and regressions."""
    y, there = known(x)
    mean, variance = moments_of(y, there)
    z = (y - mean[:, None]) / np.sqrt(variance + FLOOR)[:, None]
    squares = np.where(there > 0, z**2, np.nan)
    logs = np.where(there > 0, np.log(z**2 + 1e-2), np.nan)
    bounded = np.minimum(squares, 20.0)
    parts = [autocovariances(bounded), moving_averages(bounded)]
    parts += [autocovariances(logs), _predicted(np.nan_to_num(squares), there, y)]
    return np.concatenate(parts, axis=1)


def _predicted(squares: np.ndarray, there: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean log density of normals whose variances are smoothers of squares, and what follows.

    That is, of the variances that fit, the decay and the share, and the mean of `y` weighted by
    what they say of its precision, with its log standard error.
    """
    keep = np.array(DECAYS)
    share = np.array([0.3, 0.6, 0.9])
    level = np.ones((len(squares), len(DECAYS)))
    total = np.zeros((len(squares), len(DECAYS), len(share)))
    precision, weighted = np.zeros_like(total), np.zeros_like(total)
    for t in range(squares.shape[1]):
        now = there[:, t, None, None]
        inverse = now / (1 - share + share * level[:, :, None])
        total += 0.5 * (np.log(inverse + (1 - now)) - squares[:, t, None, None] * inverse)
        precision += inverse
        weighted += y[:, t, None, None] * inverse
        moved = keep * level + (1 - keep) * squares[:, t, None]
        level = np.where(there[:, t, None] > 0, moved, level)
    number = np.maximum(there.sum(axis=1), 1)[:, None, None]
    p = np.exp(total - total.max(axis=(1, 2), keepdims=True))
    p = p / p.sum(axis=(1, 2), keepdims=True)

    def over(values: np.ndarray) -> np.ndarray:
        return (p * values).sum(axis=(1, 2))

    told = [
        over(weighted / np.maximum(precision, 1e-9)),
        over(-0.5 * np.log(precision + 1e-9)),
        over(np.log(keep / (1 - keep))[None, :, None]),
        over(share[None, None, :]),
        over(level[:, :, None]),
        over(share[None, None, :] * np.log(level[:, :, None] + 1e-6)),
    ]
    return np.concatenate(
        [(total / number).reshape(len(squares), -1), np.stack(told, axis=1)], axis=1
    )


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
