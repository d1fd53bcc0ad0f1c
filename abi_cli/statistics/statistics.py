"""Statistics of data sets without any weights to learn, chosen on pilot simulations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from abi_cli.statistics import gaussian
from abi_cli.statistics.chances import Chances
from abi_cli.statistics.each import fit_each
from abi_cli.statistics.emulator import MOST_INPUTS, Emulator
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import Group, groups_of, vectors_of
from abi_cli.statistics.members import tamed
from abi_cli.statistics.offer import Offer, Surface
from abi_cli.statistics.prediction import Prediction
from abi_cli.statistics.response_learning import LONG, STEPS, PilotMembers
from abi_cli.statistics.responses import Responses
from abi_cli.variables import Datasets, Value, count, take

PILOT = 20_000
"""Most pilot data sets on which statistics are chosen and fitted."""

LINEAR = 10.0
"""Units up to which a statistic is passed on as it is; beyond, in logarithms."""

MOST_PREDICTED = 40
"""Most parameters with predictions: of more there would be thousands of statistics."""

ROUNDS = 2
"""Rounds of predictions, each of which reads the one before."""

SCREENED = 4_096
"""Data sets on which families are chosen."""

FIRST_SCREENED = 1_024
"""Data sets on which families that take long must add half as much to be looked at further."""

INSIDE = 0.995
"""Share of the pilot that is within the linear range of a statistic with heavy tails."""

LEAST_GAIN = 0.02
"""Least gain of a family in the log density of the parameters, in nats."""

LEAST_SHARE = 0.01
"""Least gain of a family, as a share of what all families gain."""

LEAST_OF_DEAR = 0.05
"""Least gain of a family that takes as long as all others together, as a share of all gains.

Regimes are such. They add 2 % of what is known of an ARMA(1,1), 6 % of stochastic volatility, and
62 % of a hidden Markov chain.
"""

LEAST_OF_SURFACES = 0.05
"""Least gain of surfaces of responses, as a share of what all families gain.

They cost as much as these together. On a survival model, where they add 3 % in the pilot, means
were as near without them (worst 0.12 sds off, 0.10 with them; KL per parameter 0.020, 0.029),
and the whole process took 218 s instead of 319 s. They add 6 % on psychometric curves, 80 % on
`decay`.
"""

HEAVY = 3.0
"""The sd, in units of what the interquartile range suggests, from where on tails are heavy."""


@dataclass(frozen=True)
class Statistics:
    """Fitted statistics of data sets.

    Arguments:
        offer: What is made of the data.
        location, scale: Of each statistic, `(statistic,)`.
        kept: Which are passed on, `(statistic,)` bool: not those constant over the pilot.
        predictions: Of the parameters, each of the statistics and of what the one before says;
            what the last says is passed on, too.
    """

    offer: Offer
    location: np.ndarray
    scale: np.ndarray
    kept: np.ndarray
    predictions: tuple[Prediction, ...] = ()

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
        pilot, theta = _few(pilot, names, theta)
        groups = groups_of(pilot, names, given=given, series=series)
        if not groups:
            return None
        few, some = take(pilot, slice(0, SCREENED)), theta[:SCREENED]
        offered = Offer(_families(groups), _emulator(groups, pilot, theta))
        offered = cls._without_idle(offered, few, some)
        gains = cls._gains(offered, few, some)
        share = np.where(offered.dear, LEAST_OF_DEAR, LEAST_SHARE)
        offer = offered.restricted(_enough(gains, share))
        members = _members(groups, pilot, theta)
        if surfaces := _surfaces(members, steps=STEPS):
            gains = cls._gains(replace(offer, surfaces=surfaces), few, some)
            before = cls._gains(offer, few, some).sum()
            if gains.sum() - before > LEAST_OF_SURFACES * before:
                # What is exact stays beside a surface whose noise is an approximation. A surface
                # of choices has theirs: of other families those stay that still add something.
                if any(isinstance(one, Chances) for one in surfaces):
                    offer = offer.restricted(_enough(gains, LEAST_SHARE))
                offer = replace(offer, surfaces=_surfaces(members, steps=LONG))
        return cls._predicting(offer, pilot, theta)

    @classmethod
    def _without_idle(cls, offer: Offer, data: Datasets, theta: np.ndarray) -> Offer:
        """The offer without families that take long and add nothing to the first data sets."""
        if not offer.dear.any():
            return offer
        gains = cls._gains(offer, take(data, slice(0, FIRST_SCREENED)), theta[:FIRST_SCREENED])
        return offer.restricted(~offer.dear | _enough(gains, LEAST_OF_DEAR / 2))

    @classmethod
    def whole(
        cls,
        pilot: Datasets,
        names: Sequence[str],
        theta: np.ndarray,
        *,
        given: Collection[str] = (),
        series: Collection[str] = (),
    ) -> Statistics | None:
        """Statistics of all families that need no learning, whatever they add (see `fit`)."""
        pilot, theta = _few(pilot, names, theta)
        groups = groups_of(pilot, names, given=given, series=series)
        return cls._predicting(Offer(_families(groups)), pilot, theta) if groups else None

    @classmethod
    def _predicting(cls, offer: Offer, pilot: Datasets, theta: np.ndarray) -> Statistics:
        """Statistics of these families, with predictions of the parameters."""
        raw = offer.raw(pilot)
        fitted = cls._scaled(offer, raw)
        u = said = fitted._units(raw)
        for _ in range(ROUNDS if theta.shape[1] <= MOST_PREDICTED else 0):
            prediction = Prediction.fit(said, u.shape[1], theta)
            fitted = replace(fitted, predictions=(*fitted.predictions, prediction))
            said = np.concatenate([u, prediction.bent(said)], axis=1)
        return fitted

    @classmethod
    def every(
        cls,
        data: Datasets,
        *,
        given: Collection[str] = (),
        series: Collection[str] = (),
    ) -> np.ndarray:
        """All statistics that can be computed, in units, `(dataset, statistic)`: nothing is chosen.

        Arguments:
            data: Variables, without parameters.
        """
        groups = groups_of(data, list(data), given=given, series=series)
        if not groups:
            return np.zeros((count(data), 0))
        offer = Offer(_families(groups))
        raw = np.nan_to_num(offer.raw(data))
        return cls._scaled(offer, raw)._units(raw)

    @classmethod
    def _scaled(cls, offer: Offer, raw: np.ndarray) -> Statistics:
        """Statistics of the families of an offer, scaled, without a prediction."""
        lower, middle, upper = np.quantile(raw, (0.25, 0.5, 0.75), axis=0)
        sd, typical = raw.std(axis=0), (upper - lower) / 1.349
        heavy = (sd > HEAVY * typical) & (typical > 1e-9)
        location = np.where(heavy, middle, raw.mean(axis=0))
        far = np.quantile(np.abs(raw - location), INSIDE, axis=0) / LINEAR
        scale = np.where(heavy, np.maximum(typical, far), sd)
        kept = scale > 1e-9 * (1 + np.abs(location))
        scale = np.where(kept, scale, 1.0)
        kept &= _different(tamed((raw - location) / scale, LINEAR))
        return cls(offer, location, scale, kept)

    def _units(self, raw: np.ndarray) -> np.ndarray:
        return tamed((raw - self.location) / self.scale, LINEAR)[:, self.kept]

    @classmethod
    def _gains(cls, offer: Offer, data: Datasets, theta: np.ndarray) -> np.ndarray:
        """Gain of each family in the log density of the parameters, `(family,)`, in nats."""
        raw = offer.raw(data)
        fitted = cls._scaled(offer, raw)
        u = fitted._units(raw)
        u = np.concatenate([np.ones((len(u), 1)), u], axis=1)
        owners = np.concatenate([[-1], offer.owners(data)[fitted.kept]])
        ledger = gaussian.Ledger(owners, len(offer.dear))
        fit_each(u, theta, ledger)
        return ledger.gains

    def of(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics of data sets, `(dataset, statistic)`, float64."""
        u = said = self._units(self.offer.raw(data))
        for prediction in self.predictions:
            said = np.concatenate([u, prediction.bent(said)], axis=1)
        return said

    @property
    def simple(self) -> np.ndarray:
        """True for statistics of the data alone, not of predictions, `(statistic,)`."""
        own = int(self.kept.sum())
        said = self.predictions[-1].width if self.predictions else 0
        return np.arange(own + said) < own

    def to_config(self) -> dict[str, Any]:
        """The statistics as plain JSON values."""
        return {
            **self.offer.to_config(),
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "predictions": [prediction.to_config() for prediction in self.predictions],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Statistics:
        """Statistics from what `to_config` gave."""
        # A run from before predictions had rounds holds one, among its own arrays.
        predictions = config.get("predictions", [config])
        return cls(
            Offer.from_config(config),
            **{name: np.array(config[name]) for name in _ARRAYS},
            predictions=tuple(Prediction.from_config(one) for one in predictions),
        )


_ARRAYS = ("location", "scale", "kept")


def _few(pilot: Datasets, names: Sequence[str], theta: np.ndarray) -> tuple[Datasets, np.ndarray]:
    """The data sets that decide, and their parameters."""
    rows = slice(0, min(count(pilot), PILOT))
    return take({name: pilot[name] for name in names}, rows), theta[rows].astype(np.float64)


def _families(groups: Sequence[Group]) -> tuple[tuple[Group, tuple[Any, ...]], ...]:
    """Each group with all that can be said of it."""
    return tuple((group, tuple(families_of(group))) for group in groups)


def _emulator(groups: Sequence[Group], data: Datasets, theta: np.ndarray) -> Emulator | None:
    """An emulator of vectors; None where there are none, or many parameters."""
    y, scalars = vectors_of(groups, data)
    inputs = theta.shape[1] + scalars.shape[1]
    return Emulator.fit(y, scalars, theta) if y.shape[1] and inputs <= MOST_INPUTS else None


def _members(
    groups: Sequence[Group], data: Datasets, theta: np.ndarray
) -> tuple[PilotMembers, ...]:
    """Members of groups whose places differ between data sets, for few parameters."""
    if theta.shape[1] > MOST_INPUTS:
        return ()
    found = [
        PilotMembers.of(group.names, group.columns, data, theta)
        for group in groups
        if not (group.few or group.design)
    ]
    return tuple(one for one in found if one is not None)


def _surfaces(members: Sequence[PilotMembers], *, steps: int) -> tuple[Surface, ...]:
    """Surfaces of these members; those of choices come last."""
    responses = [Responses.fit(one, steps=steps) for one in members if one.choice is None]
    chances = [Chances.fit(one, one.choice, steps=steps) for one in members if one.choice]
    return (*(one for one in responses if one is not None), *chances)


def _enough(gains: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """True for families whose gain is worth their while, `(family,)`."""
    return np.asarray(gains > np.maximum(LEAST_GAIN, share * gains.clip(0).sum()))


def _different(u: np.ndarray) -> np.ndarray:
    """The first of each set of statistics that always agree, `(statistic,)` bool."""
    z = u - u.mean(axis=0)
    z = z / np.maximum(np.sqrt((z**2).sum(axis=0)), 1e-12)
    same = np.abs(z.T @ z) > 1 - 1e-9
    return ~np.triu(same, 1).any(axis=0)
