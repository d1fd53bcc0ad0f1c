r"""Relations between columns of members: each regressed on the others, in every data set.

    y = Xβ + e,    H = X (XᵀX)⁻¹ Xᵀ,    tᵢ = eᵢ / (s₍ᵢ₎ √(1 − hᵢᵢ)),

where s₍ᵢ₎ is the residual sd without member i (Cook & Weisberg 1982, Residuals and influence in
regression, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_OTHERS = 5
"""Columns that one is regressed on: the first ones."""

_RIDGE = 1e-10
"""Ridge added to XᵀX, relative to its diagonal: columns may be constant, or the same."""


def relations(
    y: np.ndarray, others: np.ndarray, name: str, names: Sequence[str], *, drawn: bool
) -> dict[str, np.ndarray]:
    """Name of a statistic → its values `(batch,)`, NaN where there are too few members.

    Arguments:
        y: The response, `(batch, obs)`, NaN where nothing is.
        others: Regressors, `(batch, obs, column)`, NaN where nothing is.
        name, names: Of y and of the others.
        drawn: Whether the model draws the others, too, so that their leverage is of interest.
    """
    there = np.isfinite(y) & np.isfinite(others).all(axis=2)
    n, p = there.sum(axis=1), others.shape[2]
    weight = there.astype(np.float64)
    y, _, own = _standard(np.where(there, y, 0.0)[:, :, None], weight)
    x, _, sd = _standard(np.where(there[:, :, None], others, 0.0), weight)
    y, scale = y[:, :, 0] * weight, own[:, 0]
    x = np.concatenate([np.ones_like(y)[:, :, None], x], axis=2) * weight[:, :, None]
    beta, leverage, e = _fitted(x, y)
    left = n - p - 1
    rss = np.square(e).sum(axis=1)
    enough = np.where(left >= 2, 1.0, np.nan)
    given = f"{name} given {', '.join(names)}"
    found = {f"residual sd of {given}": enough * scale * np.sqrt(rss / np.maximum(left, 1))}
    for j, other in enumerate(names):
        found[f"slope of {name} on {other}"] = _ratio(enough * beta[:, j + 1] * scale, sd[:, j])
    away = np.maximum(1 - leverage, 1e-9)
    inside = there & (leverage < 1 - 1e-6)
    t2 = np.where(inside, _ratio(e**2 / away, (rss / np.maximum(left, 1))[:, None]), 0.0)
    rest = np.maximum(left[:, None] - t2, 1e-9) / np.maximum(left - 1, 1)[:, None]
    found[f"largest studentized residual of {given}"] = enough * np.sqrt(t2 / rest).max(axis=1)
    if drawn:
        found[f"largest leverage of {', '.join(names)}"] = enough * leverage.max(axis=1)
    width = quartile_width(np.where(there, e, np.nan))
    tails = _ratio(np.sqrt(rss / np.maximum(n, 1)), width)
    found[f"sd / quartile width of the residuals of {given}"] = enough * tails
    square = (x[:, :, 1:] ** 2 - 1) * weight[:, :, None]
    _, _, bent = _fitted(np.concatenate([x, square], axis=2), y)
    gain = 1 - _ratio(np.square(bent).sum(axis=1), rss)
    found[f"curvature of {given}"] = np.where(left - p >= 2, np.clip(gain, 0, 1), np.nan)
    size = np.abs(e) / np.sqrt(away) * weight
    for j, other in enumerate(names):
        growth = _correlation(size, x[:, :, j + 1], weight)
        found[f"growth of the residuals of {name} with {other}"] = enough * growth
    return found


def quartile_width(x: np.ndarray) -> np.ndarray:
    """Upper less lower quartile of each row of `x (batch, obs)`, over 1.349: of a normal, its sd.

    NaN plays no part; 0 where there is nothing.
    """
    there = np.isfinite(x)
    last = np.maximum(there.sum(axis=1) - 1, 0)
    ordered = np.sort(np.where(there, x, np.inf), axis=1)
    ends = []
    for share in (0.25, 0.75):
        low = np.floor(share * last).astype(np.int64)
        first, second = (
            np.take_along_axis(ordered, at[:, None], axis=1)[:, 0]
            for at in (low, np.minimum(low + 1, last))
        )
        some = np.isfinite(first)
        first, second = np.where(some, first, 0.0), np.where(some, second, 0.0)
        ends.append(first + (second - first) * (share * last - low))
    return (ends[1] - ends[0]) / 1.349


def _standard(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns standardized to mean 0 and sd 1; their mean and sd, `(batch, column)`."""
    n = np.maximum(weight.sum(axis=1), 1.0)[:, None]
    mean = np.einsum("bok,bo->bk", x, weight) / n
    off = (x - mean[:, None]) * weight[:, :, None]
    sd = np.sqrt(np.square(off).sum(axis=1) / n)
    tiny = 1e-12 * np.abs(mean)
    return off / np.where(sd > tiny, sd, np.inf)[:, None], mean, np.where(sd > tiny, sd, 0.0)


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """β `(batch, column)`, leverages and residuals `(batch, obs)`; zeros where nothing is."""
    gram = np.einsum("boi,boj->bij", x, x)
    ridge = _RIDGE * np.maximum(np.einsum("bii->b", gram), 1.0)
    inverse = np.linalg.inv(gram + ridge[:, None, None] * np.eye(x.shape[2]))
    beta = np.einsum("bij,boj,bo->bi", inverse, x, y, optimize=True)
    leverage = np.einsum("boi,boi->bo", x @ inverse, x)
    return beta, leverage, y - np.einsum("boi,bi->bo", x, beta)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The ratio a / b; NaN where b is not above 0."""
    return np.asarray(a / np.where(b > 0, b, np.nan))


def _correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    a, _, _ = _standard(a[:, :, None], weight)
    b, _, _ = _standard(b[:, :, None], weight)
    n = np.maximum(weight.sum(axis=1), 1.0)
    return np.einsum("bok,bok->b", a, b) / n
