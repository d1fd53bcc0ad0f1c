r"""Predictive checks that are calibrated: how far data lie from what posteriors would generate.

The plain posterior predictive p-value is not uniform for data of the model, but nearer to ½, since
the data have been used twice (Meng 1994, Annals of Statistics 22). So it is not judged by itself.
Of a statistic T, data y and data y'₁ … y'ₙ that are replicated from their posterior,

    z = (T(y) − mean T(y')) / sd T(y'),

is computed for simulated data sets, too, and where z of the data lies among theirs is a p-value
that is uniform (the conditional predictive p-value of Robins, van der Vaart & Ventura 2000, JASA
95, by simulation). The smallest of those of all statistics is held against its own distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abi_cli.guard.distance import Distance
from abi_cli.guard.guarding import Context, Folds, surprise
from abi_cli.guard.plain import Table
from abi_cli.guard.tails import Tails, TwoSided

STRANGE = 0.05
"""The p-value below which one data set is called other than what the model would generate."""


def departures(own: Table, replicated: Table) -> np.ndarray:
    """Departures z of statistics from replications, `(dataset, statistic)`; NaN where unknown.

    Arguments:
        own: Statistics of data sets.
        replicated: Statistics of replications, the same number for each data set, in its order.
    """
    data, made = own.bent(), replicated.bent()
    made = made.reshape(len(data), -1, data.shape[1])
    known = np.isfinite(made)
    n = known.sum(axis=1)
    made = np.where(known, made, 0.0)
    mean = made.sum(axis=1) / np.maximum(n, 1)
    off = np.where(known, made - mean[:, None], 0.0)
    sd = np.sqrt(np.square(off).sum(axis=1) / np.maximum(n - 1, 1))
    tiny = 1e-9 * (1e-3 + np.abs(mean))
    z = (data - mean) / np.where(sd > tiny, sd, 1.0)
    return np.where(n > 1, z, np.nan)


@dataclass(frozen=True)
class Strangeness:
    """p-values of statistics of data sets.

    Arguments:
        each: p-value of each statistic, `(dataset, statistic)`.
        adjusted: The probability that any statistic is as surprising, `(dataset, statistic)`.
    """

    each: np.ndarray
    adjusted: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """p-value of each data set as a whole, `(dataset,)`."""
        return self.adjusted.min(axis=1, initial=1.0)


@dataclass(frozen=True)
class Calibration:
    """Distribution of z in data sets that were simulated."""

    context: Context
    distance: Distance
    one: Folds
    least: Tails

    @classmethod
    def of(cls, context: Table, z: np.ndarray) -> Calibration:
        """Learn from simulated data sets.

        Arguments:
            context: Context of the data sets.
            z: From `departures`.
        """
        known = Context.of(context)
        distance = Distance.fit(known.features(known.own), z)
        one = Folds.of(TwoSided.of, distance.z, np.arange(len(z)))
        return cls(known, distance, one, Tails.of(surprise(one.own)))

    def __call__(self, context: Table, z: np.ndarray) -> Strangeness:
        """p-values of the statistics of data sets."""
        own, _ = self.distance(self.context.features(self.context(context)), z)
        each = self.one.p(own)
        adjusted = np.stack([self.least(-np.log(p)[:, None])[:, 0] for p in each.T], axis=1)
        return Strangeness(each, adjusted)
