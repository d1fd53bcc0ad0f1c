"""The best Gaussian of each of several parameters, within a bounded amount of work.

Of few parameters each is fitted to all data sets and all statistics. Hundreds of them, with a
thousand statistics, would take an hour: then fewer data sets are looked at, and of the statistics
those that go with the parameter most.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from abi_cli.statistics import gaussian

SETS = 400_000
FEWEST_SETS = 2_000
"""Data sets that all parameters together are fitted to, and each at least."""

WORK = 6e10
"""Products that the weighted Gram matrices of one round may take, of all parameters together: some
seconds. Where parameters are so many that it is more, each looks at fewer statistics."""

MANY = 20
"""Parameters of which each looks at no more statistics than `ROWS_EACH` allows."""


def fit_each(
    u: np.ndarray, theta: np.ndarray, ledger: gaussian.Ledger | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`fit` of every column of `theta (dataset, dim)`: mean and log sd, `(1 + statistic, dim)`."""
    u, theta = _rows_of(u, theta)
    plain = gaussian.grams(u)
    mean, log_sd = np.zeros((2, u.shape[1], theta.shape[1]))
    for k, columns in enumerate(_looked_at(u, theta)):
        some = None if ledger is None else ledger.among(columns)
        own = _among(plain, columns)
        mean[columns, k], log_sd[columns, k] = gaussian.fit(
            u[:, columns], theta[:, k], some, plain=own
        )
    return mean, log_sd


def fit_each_twice(
    u: np.ndarray, theta: np.ndarray, simple: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`fit_twice` of every column of `theta (dataset, dim)`, `(2, 1 + statistic, dim)` each."""
    u, theta = _rows_of(u, theta)
    plain = gaussian.grams(u)
    mean, log_sd = np.zeros((2, 2, u.shape[1], theta.shape[1]))
    for k, columns in enumerate(_looked_at(u, theta)):
        mean[:, columns, k], log_sd[:, columns, k] = gaussian.fit_twice(
            u[:, columns], theta[:, k], simple[columns], plain=_among(plain, columns)
        )
    return mean, log_sd


def _rows_of(u: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The data sets that so many parameters are fitted to."""
    most = max(FEWEST_SETS, SETS // max(theta.shape[1], 1))
    return u[:most], theta[:most]


def _among(grams: gaussian.Grams, columns: np.ndarray) -> gaussian.Grams:
    some, rest = (gram[np.ix_(columns, columns)] for gram in grams)
    return some, rest


def _looked_at(u: np.ndarray, theta: np.ndarray) -> Iterator[np.ndarray]:
    """The statistics that each parameter looks at: all of them, or those that go with it most.

    Two thirds go with the parameter, one third with how far the former leave it off.
    """
    (rows, statistics), dim = u.shape, theta.shape[1]
    most = int((WORK / (rows * max(dim, 1))) ** 0.5)
    if dim > MANY:
        most = min(most, rows // gaussian.ROWS_EACH)
    if most >= statistics:
        yield from [np.arange(statistics)] * dim
        return
    z = (u - u.mean(axis=0)) / np.maximum(u.std(axis=0), 1e-12)
    for y in theta.T:
        place = _largest(z.T @ (y - y.mean()), most * 2 // 3)
        some = np.concatenate([[0], place])
        left = y - u[:, some] @ gaussian.weighted(u[:, some], y, np.ones(rows))
        far = np.log(np.abs(left) + 1e-9 * (1e-300 + y.std()) + 1e-300)
        spread = _largest(z.T @ (far - far.mean()), most - len(some))
        yield np.unique(np.concatenate([some, spread]))


def _largest(values: np.ndarray, number: int) -> np.ndarray:
    return np.argsort(-np.abs(values), kind="stable")[:number]
