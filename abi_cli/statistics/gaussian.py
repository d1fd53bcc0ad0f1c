"""The best Gaussian whose mean and log sd are linear in a few of many statistics.

    θ | u ~ N(w · u, exp(v · u)²)

Statistics enter one at a time (orthogonal least squares, Chen, Billings & Luo 1989), for the mean
where the weighted squared residual falls most, for the log sd where that of log |residual| does, as
long as the density of data sets that the fit has not seen gains by it. With hundreds of statistics
and ten thousand data sets all of them together would add a fifth of an sd of noise to the mean.
Everything is done on Gram matrices, so that a statistic costs no pass over the data.

The result is polished by weighted least squares for w in turn with Fisher scoring for v (Smyth
1989, "Generalized linear models with varying dispersion", JRSS B 51:47):

    v ← v + (2 UᵀU)⁻¹ Uᵀ (r² exp(−2 U v) − 1),    r = θ − U w.
"""

from __future__ import annotations

import numpy as np

FITTED = 0.75
"""Share of the data sets that the fit learns from; the rest decides what enters."""

MOST = 80
"""Most statistics that a mean, or a log sd, is made of."""

LEAST = 2e-4
"""Least gain, as a share of the squared error."""

COLLINEAR = 1e-7
"""Least share of a statistic that those which have entered leave unexplained."""

ROWS_EACH = 20
"""Data sets that each statistic needs."""

PATIENCE = 6
"""Statistics that are tried in vain before the search ends."""

ROUNDS = 3
"""Rounds of selection, each with the weights that follow from the one before."""

ENOUGH = 0.05
STRANGERS = 0.8
"""Favour of statistics whose family has gained less than that many nats."""

POLISH = 12
SURPRISE = 20.0
"""Largest squared standardized residual that counts in a scoring step."""

FAR = 20.0
"""Largest residuals that the second Gaussian sees, in sds of the first."""

ODD = 200.0
"""Largest squared standardized residual by which two ways are compared."""

DEGREES = 5.0
RIDGE = 1e-6
OFFSET = 0.635
"""−E log |z| of a standard normal z."""


class Ledger:
    """Gains of families of statistics, in nats of the parameters' log density.

    Statistics of families that have gained are favoured over those of others that would gain hardly
    more, so that few families are needed.

    Arguments:
        owner: Family of each statistic, `(1 + statistic,)`; that of the constant is -1.
        families: Number of families, those that have no statistic included.
    """

    def __init__(self, owner: np.ndarray, families: int):
        self._owner = owner
        self.gains = np.zeros(families)

    def enter(self, statistics: list[int], gains: np.ndarray) -> None:
        """Add the gains of some statistics to those of their families."""
        np.add.at(self.gains, self._owner[statistics], gains)

    def among(self, columns: np.ndarray) -> Ledger:
        """The ledger of some of the statistics, with the same gains."""
        some = Ledger(self._owner[columns], len(self.gains))
        some.gains = self.gains
        return some

    def favour(self) -> np.ndarray:
        """Factors by which statistics are favoured, `(1 + statistic,)`."""
        return np.where(self.gains[self._owner] > ENOUGH, 1.0, STRANGERS)


def fit(
    u: np.ndarray,
    theta: np.ndarray,
    ledger: Ledger | None = None,
    *,
    plain: Grams | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of mean and log sd of `theta (dataset,)` given `u (dataset, 1 + statistic)`.

    They are zero, which leaves a parameter as it is, unless they predict data sets that the fit has
    not seen better than a constant mean and sd, by more than twice the standard error of that.

    Arguments:
        u: The first column is one; the others are of about unit scale.
        ledger: Of families, where those that gain most are looked for.
        plain: `grams(u)`, where several parameters are fitted to the same statistics.
    """
    first = int(len(theta) * FITTED)
    y, centre, unit = _standardized(theta, first)
    chosen = _chosen(u, y, first, plain or grams(u), ledger)
    if chosen is None:
        return np.zeros(u.shape[1]), np.zeros(u.shape[1])
    mean, log_sd = _polished(u, y, *chosen)
    mean = mean * unit
    mean[0] += centre
    log_sd[0] += np.log(unit)
    return mean, log_sd


def fit_twice(
    u: np.ndarray, theta: np.ndarray, simple: np.ndarray, *, plain: Grams | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of two Gaussians, `(2, 1 + statistic)` each; the second is of what is left.

        θ | u ~ N(w₁ · u + exp(v₁ · u) w₂ · u,  exp(v₁ · u + v₂ · u)²)

    Corrections are made in units of the sd that the first Gaussian predicts, so they never take a
    precise posterior far from its place. That matters where widths differ a thousandfold: few of
    the pilot's data sets are as precise as the most precise ones, and a product of statistics that
    is right within 0.01 for all others puts those ten sds off. (Of the regression's
    slopes 1 in 1,000 were; the mean KL fell from 0.079 to 0.020.) In most other models there is
    nothing so precise, and the first Gaussian is better off with all statistics: held-out data sets
    decide, by a density that minds distant ones.

    Arguments:
        simple: Which statistics the first Gaussian may be restricted to, `(1 + statistic,)` bool.
    """
    first = int(len(theta) * FITTED)
    all_grams = plain or grams(u)
    y, centre, unit = _standardized(theta, first)
    found = []
    for columns in [np.arange(u.shape[1])] + ([] if simple.all() else [np.flatnonzero(simple)]):
        some, rest = (gram[np.ix_(columns, columns)] for gram in all_grams)
        chosen = _chosen(u[:, columns], y, first, (some, rest), None)
        kept = None if chosen is None else (columns[chosen[0]], columns[chosen[1]])
        w, v = _coefficients(u[:first], y[:first], kept)
        z = _left(u, y, w, v)
        further = _chosen(u, z, first, all_grams, None)
        w2, v2 = _coefficients(u[:first], z[:first], further)
        seen = u[first:]
        odd = np.minimum(((z[first:] - seen @ w2) * np.exp(-seen @ v2)) ** 2, ODD)
        found.append((float(np.mean(0.5 * odd + seen @ (v + v2))), kept, further))
    _, kept, further = min(found, key=lambda one: one[0])
    w, v = _coefficients(u, y, kept)
    w2, v2 = _coefficients(u, _left(u, y, w, v), further)
    w, w[0], v[0] = w * unit, w[0] * unit + centre, v[0] + np.log(unit)
    return np.stack([w, w2]), np.stack([v, v2])


Chosen = tuple[np.ndarray, np.ndarray]
"""Statistics that a mean, and a log sd, are made of."""


def _standardized(theta: np.ndarray, first: int) -> tuple[np.ndarray, float, float]:
    unit, centre = float(theta[:first].std()) + 1e-300, float(theta[:first].mean())
    return (theta - centre) / unit, centre, unit


def _left(u: np.ndarray, y: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Standardized residuals of a Gaussian, clipped to `FAR`."""
    return np.clip((y - u @ w) * np.exp(-u @ v), -FAR, FAR)


def _coefficients(
    u: np.ndarray, y: np.ndarray, chosen: Chosen | None
) -> tuple[np.ndarray, np.ndarray]:
    if chosen is None:
        return np.zeros(u.shape[1]), np.zeros(u.shape[1])
    return _polished(u, y, *chosen)


def _chosen(
    u: np.ndarray, y: np.ndarray, first: int, grams: Grams, ledger: Ledger | None
) -> Chosen | None:
    """Statistics that predict data sets which were not fitted; None where none do."""
    log_sd, z = np.zeros(len(y)), np.zeros(len(y))
    kept_mean, kept_sd = np.array([0]), np.array([0])
    for number in range(ROUNDS):
        told = ledger if number == ROUNDS - 1 else None
        weight = np.exp(-2 * log_sd) * _trust(z)
        relative = np.minimum(weight / np.mean(weight[:first]), 1e4)
        products = _grams(u, relative, first) if number else grams
        kept_mean = _pursuit(u, y, relative, products, told, log_loss=True)
        w = weighted(u[:first, kept_mean], y[:first], weight[:first])
        distance = np.log(np.abs(y - u[:, kept_mean] @ w) + 1e-9) + OFFSET
        distance = np.maximum(distance, np.quantile(distance[:first], 0.02))
        kept_sd = _pursuit(u, distance, np.ones(len(y)), grams, told, log_loss=False)
        v = weighted(u[:first, kept_sd], distance[:first], np.ones(first))
        log_sd = _within(u[:, kept_sd] @ v, first)
        z = (y - u[:, kept_mean] @ w) * np.exp(-log_sd)
    mean, spread = _polished(u[:first], y[:first], kept_mean, kept_sd)
    spread_seen = np.clip(u[first:] @ spread, log_sd.min() - 1, log_sd.max() + 1)
    gain = _log_density(y[first:], u[first:] @ mean, spread_seen) - _log_density(
        y[first:], 0.0, 0.0
    )
    # Of few data sets the standard error itself is not known well.
    if not gain.mean() > (2 + 20 / len(gain)) * gain.std() / np.sqrt(len(gain)):
        return None
    return kept_mean, kept_sd


def _within(log_sd: np.ndarray, first: int) -> np.ndarray:
    low, high = np.quantile(log_sd[:first], (0.001, 0.999))
    return np.clip(log_sd, low, high)


def weighted(u: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Coefficients by weighted least squares with a slight ridge."""
    scaled = u * weight[:, None]
    gram = scaled.T @ u
    gram += (1e-9 * np.trace(gram) + 1e-12) * np.eye(u.shape[1])
    return np.linalg.solve(gram, scaled.T @ y)


Grams = tuple[np.ndarray, np.ndarray]
"""Mean products of statistics, over data sets that are fitted and over those that decide."""


def grams(u: np.ndarray) -> Grams:
    """Mean products of statistics `u (dataset, 1 + statistic)`, `(statistic, statistic)` each."""
    return _grams(u, np.ones(len(u)), int(len(u) * FITTED))


def _grams(u: np.ndarray, weight: np.ndarray, first: int) -> Grams:
    some, rest = slice(0, first), slice(first, None)
    return tuple((u[k] * weight[k, None]).T @ u[k] / weight[k].sum() for k in (some, rest))


def _pursuit(
    u: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    grams: Grams,
    ledger: Ledger | None,
    *,
    log_loss: bool,
) -> np.ndarray:
    """Places of the statistics that predict y, `(kept,)`, the constant among them.

    The matrix of mean products, y among them, is swept (Goodnight 1979, The American Statistician
    33:149) by one statistic after the other: then its last column holds the coefficients of those
    that have entered, and for the others the mean product with the residual.

    Arguments:
        ledger: As in `fit`.
        log_loss: Whether a gain is half that of the logarithm of the squared error, as for means,
            or that of the squared error itself, as for log sds.
    """
    first = int(len(y) * FITTED)
    gram, seen_gram = grams
    k = len(gram)
    swept = np.zeros((k + 1, k + 1))
    swept[:k, :k] = gram
    scaled = weight[:first] * y[:first] / weight[:first].sum()
    swept[:k, k] = swept[k, :k] = u[:first].T @ scaled
    swept[k, k] = scaled @ y[:first]
    scaled = weight[first:] * y[first:] / weight[first:].sum()
    seen_cross, seen_square = u[first:].T @ scaled, float(scaled @ y[first:])
    size = np.diagonal(gram).copy()
    kept: list[int] = []
    best, best_loss, waited = 1, np.inf, 0
    losses = []
    new = 0
    while True:
        _sweep(swept, new)
        kept.append(new)
        b = swept[kept, k]
        loss = seen_square - 2 * b @ seen_cross[kept] + b @ seen_gram[np.ix_(kept, kept)] @ b
        losses.append(0.5 * np.log(max(loss, 1e-300)) if log_loss else loss)
        if loss < best_loss * (1 - LEAST):
            best, best_loss, waited = len(kept), loss, 0
        else:
            waited += 1
        left = np.diagonal(swept)[:k].copy()
        free = left > COLLINEAR * size
        free[kept] = False
        if waited > PATIENCE or len(kept) > min(MOST, first // ROWS_EACH) or not free.any():
            if ledger is not None:
                ledger.enter(kept[1:best], -np.diff(losses[:best]))
            return np.array(kept[:best])
        gain = np.where(free, swept[:k, k] ** 2 / np.where(free, left, 1.0), -1.0)
        if ledger is not None:
            gain = gain * ledger.favour() ** 2
        new = int(gain.argmax())


def _sweep(matrix: np.ndarray, at: int) -> None:
    """Enter one variable, in place."""
    pivot = matrix[at, at]
    row, column = matrix[at] / pivot, matrix[:, at].copy()
    matrix -= np.outer(column, row)
    matrix[at], matrix[:, at] = row, -column / pivot
    matrix[at, at] = 1 / pivot


def _polished(
    u: np.ndarray, y: np.ndarray, kept_mean: np.ndarray, kept_sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of all statistics, zero for those that are not kept."""
    a, b = u[:, kept_mean], u[:, kept_sd]
    scoring = np.linalg.inv(2 * b.T @ b + RIDGE * len(u) * np.eye(b.shape[1]))
    w = weighted(a, y, np.ones(len(y)))
    distance = np.log(np.abs(y - a @ w) + 1e-9) + OFFSET
    v = weighted(b, np.maximum(distance, np.quantile(distance, 0.02)), np.ones(len(y)))
    for _ in range(POLISH):
        log_weight = -2 * (b @ v)
        odd = (y - a @ w) * np.exp(np.clip(0.5 * log_weight, -30, 30))
        w = weighted(a, y, np.exp(log_weight - log_weight.max()) * _trust(odd))
        surprise = (y - a @ w) ** 2 * np.exp(np.clip(log_weight, -60, 60))
        v = v + scoring @ (b.T @ (np.minimum(surprise, SURPRISE) - 1))
    mean, spread = np.zeros((2, u.shape[1]))
    mean[kept_mean], spread[kept_sd] = w, v
    return mean, spread


def _trust(z: np.ndarray) -> np.ndarray:
    """Weights under which least squares are the maximum likelihood of Student's t.

    Where a posterior has two modes, or a search has ended at the wrong one, a few data sets are
    tens of sds off, and would rule the coefficients of all others: 0.04 to 0.07 nats of the t
    density on `peak` and `dose`, nothing lost on `zeros`, `arma` and `psychometric`.
    """
    return (DEGREES + 1) / (DEGREES + z**2)


def _log_density(
    theta: np.ndarray, mean: np.ndarray | float, log_sd: np.ndarray | float
) -> np.ndarray:
    """Log density of Student's t but for a constant: one odd data set decides nothing."""
    z = (theta - mean) * np.exp(-np.asarray(log_sd))
    return np.asarray(-0.5 * (DEGREES + 1) * np.log1p(z**2 / DEGREES) - log_sd)
