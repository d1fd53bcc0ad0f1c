"""What is said of a data set without any weights to learn, chosen on pilot simulations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abi_cli.statistics import gaussian
from abi_cli.statistics.groups import Group, from_config, groups_of, to_config
from abi_cli.statistics.members import chunks, tamed
from abi_cli.variables import Datasets, Ragged, Value, count, take

PILOT = 10_000
"""Data sets that decide."""

LINEAR = 10.0
"""So many units of a statistic are passed on as they are; beyond, their logarithm."""

KNOTS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
MOST_PRODUCTS = 8
"""Parameters whose predictions are multiplied with each other."""


@dataclass(frozen=True)
class Statistics:
    """Fitted statistics of data sets.

    Arguments:
        groups: Of variables, with the names of the families that are made of each.
        location, scale: Of each statistic, `(statistic,)`.
        kept: Which are passed on, `(statistic,)` bool: not those constant over the pilot.
        mean: Coefficients of a first prediction of the parameters, `(1 + kept, dim)`, which bends in
            what is passed on: squares, products and splines of it.
        knots: Of the splines, `(knot, dim)`.
    """

    groups: tuple[tuple[Group, tuple[str, ...]], ...]
    location: np.ndarray
    scale: np.ndarray
    kept: np.ndarray
    mean: np.ndarray
    knots: np.ndarray

    @classmethod
    def fit(
        cls,
        pilot: Datasets,
        names: Sequence[str],
        theta: np.ndarray,
        *,
        given: Collection[str] = (),
        series: Collection[str] = (),
    ) -> Statistics | None:
        """Learn from pilot data sets; None where there is nothing to look at.

        Arguments:
            names: Variables that the networks are told of.
            theta: Adapted parameters, `(dataset, dim)`.
        """
        rows = slice(0, min(count(pilot), PILOT))
        pilot, theta = take({n: pilot[n] for n in names}, rows), theta[rows].astype(np.float64)
        groups = groups_of(pilot, names, given=given, series=series)
        if not groups:
            return None
        chosen = tuple((group, tuple(group.families())) for group in groups)
        raw = _raw(chosen, pilot)
        lower, middle, upper = np.quantile(raw, (0.25, 0.5, 0.75), axis=0)
        sd, typical = raw.std(axis=0), (upper - lower) / 1.349
        heavy = (sd > 3 * typical) & (typical > 1e-9)
        location = np.where(heavy, middle, raw.mean(axis=0))
        scale = np.where(heavy, typical, sd)
        kept = scale > 1e-9 * (1 + np.abs(location))
        scale = np.where(kept, scale, 1.0)
        u = tamed((raw - location) / scale, LINEAR)
        kept = kept & _different(u)
        empty = np.zeros((0, theta.shape[1]))
        first = cls(chosen, location, scale, kept, empty, empty)
        u = np.concatenate([np.ones((len(u), 1)), u[:, kept]], axis=1)
        mean = np.stack([gaussian.fit(u, t)[0] for t in theta.T], axis=1)
        knots = np.quantile(u @ mean, KNOTS, axis=0)
        return cls(chosen, location, scale, kept, mean, knots)

    def of(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of data sets, `(dataset, statistic)`, float64."""
        u = tamed((_raw(self.groups, data) - self.location) / self.scale, LINEAR)[:, self.kept]
        return np.concatenate([u, self._bent(u)], axis=1)

    def _bent(self, u: np.ndarray) -> np.ndarray:
        m = np.concatenate([np.ones((len(u), 1)), u], axis=1) @ self.mean
        width = np.maximum(self.knots[-1] - self.knots[0], 1e-9)
        t = (m - self.knots[len(KNOTS) // 2]) / width * 2
        t = np.clip(t, -5, 5)
        at = (self.knots - self.knots[len(KNOTS) // 2]) / width * 2
        parts = [t, t**2, *(np.maximum(t - knot, 0) ** 3 for knot in at)]
        if t.shape[1] <= MOST_PRODUCTS:
            i, j = np.triu_indices(t.shape[1], 1)
            parts.append(t[:, i] * t[:, j])
        return np.concatenate(parts, axis=1)

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "groups": [[to_config(group), list(names)] for group, names in self.groups],
            **{n: getattr(self, n).tolist() for n in ("location", "scale", "kept", "mean", "knots")},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Statistics:
        """Back from `to_config`."""
        groups = tuple((from_config(group), tuple(names)) for group, names in config["groups"])
        arrays = {n: np.array(config[n], float) for n in ("location", "scale", "mean", "knots")}
        return cls(groups, kept=np.array(config["kept"], bool), **arrays)


def _raw(groups: Sequence[tuple[Group, tuple[str, ...]]], data: Mapping[str, Value]) -> np.ndarray:
    parts = []
    for group, names in groups:
        families = group.families()
        found = [
            np.concatenate([families[name](members) for name in names], axis=1)
            for _, members in chunks(data, group.names)
        ]
        parts.append(np.concatenate(found))
    return np.concatenate(parts, axis=1)


def _different(u: np.ndarray) -> np.ndarray:
    """The first of each set of statistics that always agree, `(statistic,)` bool."""
    z = u - u.mean(axis=0)
    z = z / np.maximum(np.sqrt((z**2).sum(axis=0)), 1e-12)
    same = np.abs(z.T @ z) > 1 - 1e-9
    return ~np.triu(same, 1).any(axis=0)
