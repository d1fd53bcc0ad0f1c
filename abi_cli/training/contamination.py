r"""Errors of measurement in simulated data, while they are learned.

A network that has never seen a wild value follows it wherever it goes. So some of the data sets of
a training are contaminated: each number y of them is learned from as

    y + s τ e with probability share,  else as it is,    e ~ Cauchy, |e| ≤ `FARTHEST`,

where s is the sd of the observable over the pilot (of heavy tails that of the quartiles, as in
standardize) and τ the scale that the spec asks for. It is the noisy neural posterior estimation of
Ward et al. (2022, "Robust neural posterior estimation and statistical model criticism",
arXiv:2210.06564), whose errors are a spike and a slab; the spike here is a point, so that data
without errors stay exactly what the model makes, and so are all numbers of most data sets, by which
the network can tell that they are fine.

What is learned is the posterior under the model with errors: robust, and of data without errors
wider than the model's own. Only what is learned from has errors, and the pilot to which scales and
statistics are fitted, so that statistics are chosen that bear them. Data sets that validate, those
of the guard and those of diagnose are the model's own: they show what the robustness costs.

What is never negative stays so, and what is between 0 and 1: it is folded back at that end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.adapter.parts_standardize import Scale
from abi_cli.errors import SpecError
from abi_cli.model.streams import Lots, Purpose
from abi_cli.precision import almost_constant
from abi_cli.spec import NoiseSection
from abi_cli.spec.noise_section import Errors
from abi_cli.variables import Datasets, Layout, Ragged, Value, array_of

FARTHEST = 100.0
"""Scales that an error has at most: 0.6 % of a Cauchy distribution lies beyond."""

_INSIDE = 2 * math.atan(FARTHEST) / math.pi
"""Share of a Cauchy distribution that is not farther than that."""

_ANY, _SIZE = np.uint64(2**63), np.uint64(2**63 + 1)
"""Places that no member has: of the lot whether a data set has errors, and of their sizes."""


def asked_of(noise: Errors | None, data: Datasets, layout: Layout) -> dict[str, NoiseSection]:
    """The errors of each observable that is to have some.

    Arguments:
        data: Simulated ones, which show what is continuous.

    Errors:
        SpecError: One that is named is no observable, or has whole numbers; or none is continuous.
    """
    if noise is None:
        return {}
    observables = {
        variable.name: _whole(data[variable.name]) for variable in layout.of("observable")
    }
    if not isinstance(noise, Mapping):
        continuous = [name for name, whole in observables.items() if not whole]
        if not continuous:
            raise SpecError(
                "Expected an observable that is continuous, to have errors; all have whole numbers",
                hint="Let the likelihood draw errors such as these data have.",
                place="training.noise",
            )
        return {name: NoiseSection(scale=noise) for name in continuous}
    for name in noise:
        place = f"training.noise.{name}"
        if name not in observables:
            raise SpecError(
                f"Expected an observable, to have errors ({', '.join(observables)}); got {name}",
                hint="What data sets come with is taken as it is.",
                place=place,
            )
        if observables[name]:
            raise SpecError(
                f"Expected an observable that is continuous, to have errors; {name} has whole "
                "numbers",
                hint="Counts and categories have errors of another kind: let the likelihood draw "
                "them.",
                place=place,
            )
    return {
        name: errors if isinstance(errors, NoiseSection) else NoiseSection(scale=errors)
        for name, errors in noise.items()
    }


def _whole(value: Value) -> bool:
    """True if all numbers that are there are whole; the type can't tell where some are missing."""
    array = array_of(value)
    return array.dtype.kind != "f" or bool(np.all(np.isnan(array) | (array == np.round(array))))


@dataclass(frozen=True)
class Wild:
    """The errors of an observable, in its own unit.

    Arguments:
        scale: Of each number of an event, `event`.
        share, datasets: As the spec has them.
        low, high: What numbers stay within; infinite but for 0, and 1 above it.
    """

    scale: np.ndarray
    share: float
    datasets: float
    low: float
    high: float

    @classmethod
    def of(cls, value: Value, errors: NoiseSection) -> Wild:
        """Errors in the unit of an observable, as the pilot has it."""
        array = array_of(value).astype(np.float64)
        sd = np.where(almost_constant(array), 0.0, Scale.of(array, array.shape[1:]).scale)
        low = 0.0 if np.nanmin(array) >= 0 else -math.inf
        high = 1.0 if low == 0 and np.nanmax(array) <= 1 else math.inf
        return cls(sd * errors.scale, errors.share, errors.datasets, low, high)

    def __call__(self, value: Value, lots: Lots, places: np.ndarray) -> Value:
        """The observable with errors; what is missing stays so.

        Arguments:
            places: Of each data set, `(dataset,)`.
        """
        array = array_of(value)
        if isinstance(value, Ragged):
            row = np.repeat(places, value.row_size)
            member = np.arange(len(array)) - np.repeat(value.starts(), value.row_size)
        else:
            row, member = places, np.zeros(len(array), np.int64)
        element = np.arange(array[:1].size or 1)
        at = (row[:, None], member[:, None], element[None, :])
        chosen = (lots(row, _ANY) < self.datasets)[:, None] & (lots(*at) < self.share)
        errors = np.tan(math.pi * _INSIDE * (lots(*at, _SIZE) - 0.5))
        wild = array + (self.scale * errors.reshape(array.shape))
        wild = np.where(chosen.reshape(array.shape), self._folded(wild), array)
        return Ragged(wild, value.row_size) if isinstance(value, Ragged) else wild

    def _folded(self, wild: np.ndarray) -> np.ndarray:
        if math.isinf(self.low):
            return wild
        wild = np.abs(wild)
        return wild if math.isinf(self.high) else 1 - np.abs(1 - wild % 2)


@dataclass(frozen=True)
class Contamination:
    """Errors of all observables that have some. It can cross processes.

    Arguments:
        wild: Observable → its errors.
        seed: Of the run.
    """

    wild: Mapping[str, Wild]
    seed: int

    @classmethod
    def of(
        cls, noise: Errors | None, pilot: Datasets, layout: Layout, *, seed: int
    ) -> Contamination | None:
        """Errors as a spec asks for them, in the units of the pilot; None where it asks for none.

        Errors:
            SpecError: As `asked_of`.
        """
        asked = asked_of(noise, pilot, layout)
        wild = {name: Wild.of(pilot[name], errors) for name, errors in asked.items()}
        return cls(wild, seed) if wild else None

    def __call__(
        self, datasets: Datasets, places: np.ndarray, purpose: Purpose = Purpose.TRAIN
    ) -> Datasets:
        """Data sets as they are learned from: errors follow from seed and place alone.

        Arguments:
            places: Of each in the training, `(dataset,)`.
        """
        return {
            name: self.wild[name](value, Lots(f"errors of {name}", self.seed, purpose), places)
            if name in self.wild
            else value
            for name, value in datasets.items()
        }

    def told(self, layout: Layout) -> str:
        """A clause on it, with the observables that stay as they are."""
        others = [v.name for v in layout.of("observable") if v.name not in self.wild]
        left = f", not of {', '.join(others)}" if others else ""
        return f"learns from data with errors of {', '.join(self.wild)}{left}"

    def to_config(self) -> dict[str, Any]:
        """Plain JSON values."""
        own = {
            name: {
                "scale": wild.scale.tolist(),
                "share": wild.share,
                "datasets": wild.datasets,
                "folded": [math.isfinite(wild.low), math.isfinite(wild.high)],
            }
            for name, wild in self.wild.items()
        }
        return {"wild": own, "seed": self.seed}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Contamination:
        """The errors that `to_config` told of."""

        def wild(one: Mapping[str, Any]) -> Wild:
            below, above = one["folded"]
            low, high = 0.0 if below else -math.inf, 1.0 if above else math.inf
            return Wild(np.asarray(one["scale"]), one["share"], one["datasets"], low, high)

        own = {name: wild(one) for name, one in config["wild"].items()}
        return cls(own, int(config["seed"]))
