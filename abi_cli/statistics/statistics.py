"""What is said of a data set without any weights to learn, chosen on pilot simulations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from abi_cli.statistics import gaussian
from abi_cli.statistics.groups import Group, from_config, groups_of, to_config
from abi_cli.statistics.members import chunks, tamed
from abi_cli.variables import Datasets, Value, count, take

PILOT = 10_000
"""Data sets that decide."""

LINEAR = 10.0
"""So many units of a statistic are passed on as they are; beyond, their logarithm."""

KNOTS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
MOST_PRODUCTS = 8
"""Parameters whose predictions are multiplied with each other."""


SCREENED = 4_096
"""Data sets on which families are chosen."""

INSIDE = 0.995
"""Share of the pilot that is within the linear range of a statistic with heavy tails."""

LEAST_GAIN = 0.02
"""What a family has to add to the log density of the parameters, in nats."""

LEAST_SHARE = 0.03
"""And that as a share of what all families add."""

HEAVY = 3.0
"""The sd, in units of what the interquartile range suggests, from where on tails are heavy."""

Families = tuple[tuple[Group, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Statistics:
    """Fitted statistics of data sets.

    Arguments:
        groups: Of variables, with the names of the families that are made of each.
        location, scale: Of each statistic, `(statistic,)`.
        kept: Which are passed on, `(statistic,)` bool: not those constant over the pilot.
        mean: Coefficients of a first prediction of the parameters, `(1 + kept, dim)`; squares,
            products and splines of it are passed on, too.
        knots: Of the splines, `(knot, dim)`.
    """

    groups: Families
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
        few = take(pilot, slice(0, SCREENED))
        screened = cls._scaled(chosen, _raw(chosen, few))
        families = screened._telling(few, theta[:SCREENED])
        raw = _raw(families, pilot)
        scaled = cls._scaled(families, raw)
        u = scaled._units(raw)
        u = np.concatenate([np.ones((len(u), 1)), u], axis=1)
        plain = gaussian.grams(u)
        mean = np.stack([gaussian.fit(u, t, plain=plain)[0] for t in theta.T], axis=1)
        return replace(scaled, mean=mean, knots=np.quantile(u @ mean, KNOTS, axis=0))

    @classmethod
    def _scaled(cls, families: Families, raw: np.ndarray) -> Statistics:
        """Of these families, without a prediction."""
        lower, middle, upper = np.quantile(raw, (0.25, 0.5, 0.75), axis=0)
        sd, typical = raw.std(axis=0), (upper - lower) / 1.349
        heavy = (sd > HEAVY * typical) & (typical > 1e-9)
        location = np.where(heavy, middle, raw.mean(axis=0))
        far = np.quantile(np.abs(raw - location), INSIDE, axis=0) / LINEAR
        scale = np.where(heavy, np.maximum(typical, far), sd)
        kept = scale > 1e-9 * (1 + np.abs(location))
        scale = np.where(kept, scale, 1.0)
        kept &= _different(tamed((raw - location) / scale, LINEAR))
        return cls(families, location, scale, kept, np.zeros((0, 0)), np.zeros((0, 0)))

    def _units(self, raw: np.ndarray) -> np.ndarray:
        return tamed((raw - self.location) / self.scale, LINEAR)[:, self.kept]

    def _telling(self, data: Datasets, theta: np.ndarray) -> Families:
        """The families that predict parameters."""
        owner = _owners(self.groups, data)[self.kept]
        u = self._units(_raw(self.groups, data))
        u = np.concatenate([np.ones((len(u), 1)), u], axis=1)
        ledger = gaussian.Ledger(np.concatenate([[-1], owner]))
        plain = gaussian.grams(u)
        for t in theta.T:
            gaussian.fit(u, t, ledger, plain=plain)
        least = max(LEAST_GAIN, LEAST_SHARE * ledger.gains.clip(0).sum())
        told = dict(zip(_places(self.groups), ledger.gains, strict=False))
        return tuple(
            (group, tuple(n for n in names if n == "size" or told.get((g, n), 0.0) > least))
            for g, (group, names) in enumerate(self.groups)
        )

    def of(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of data sets, `(dataset, statistic)`, float64."""
        u = self._units(_raw(self.groups, data))
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
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Statistics:
        """Back from `to_config`."""
        groups = tuple((from_config(group), tuple(names)) for group, names in config["groups"])
        return cls(groups, **{name: np.array(config[name]) for name in _ARRAYS})


_ARRAYS = ("location", "scale", "kept", "mean", "knots")


def _places(groups: Families) -> list[tuple[int, str]]:
    return [(g, name) for g, (_, names) in enumerate(groups) for name in names]


def _owners(groups: Families, data: Mapping[str, Value]) -> np.ndarray:
    """Which family each statistic is of, `(statistic,)`."""
    few = take(dict(data), slice(0, 2))
    width = []
    for group, names in groups:
        families = group.families()
        _, members = next(chunks(few, group.names))
        width += [families[name](members).shape[1] for name in names]
    return np.repeat(np.arange(len(width)), width)


def _raw(groups: Families, data: Mapping[str, Value]) -> np.ndarray:
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
