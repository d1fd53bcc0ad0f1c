"""Families of statistics that are made of data sets, before any is scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from abi_cli.statistics.chances import Chances
from abi_cli.statistics.emulator import Emulator
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import Group, from_config, to_config, vectors_of
from abi_cli.statistics.members import chunks
from abi_cli.statistics.responses import Responses
from abi_cli.variables import Datasets, Value, take

Surface: TypeAlias = Responses | Chances

_SURFACES: dict[str, type[Responses] | type[Chances]] = {"responses": Responses, "chances": Chances}

DEAR = ("regimes", "waves", "fields")
"""Beginnings of the names of families that take long."""

ALWAYS = ("size", "values")
"""Families that are kept without a gain of their own: what others mean depends on them."""


@dataclass(frozen=True)
class Offer:
    """The families of statistics that are computed from data sets.

    Arguments:
        groups: Of variables, with the names of the families that are made of each.
        emulator: Of vectors, if any.
        surfaces: Of members' responses along their regressors; of choices after all others.
    """

    groups: tuple[tuple[Group, tuple[str, ...]], ...]
    emulator: Emulator | None = None
    surfaces: tuple[Surface, ...] = ()

    @property
    def dear(self) -> np.ndarray:
        """True for families that take long, in the order of `owners`, `(family,)`."""
        named = [name.startswith(DEAR) for _, names in self.groups for name in names]
        others = (self.emulator is not None) + len(self.surfaces)
        return np.array([*named, *[False] * others], bool)

    def raw(self, data: Mapping[str, Value]) -> np.ndarray:
        """Statistics before scaling, `(dataset, statistic)`."""
        parts = []
        for group, names in self.groups:
            families = families_of(group)
            found = [
                np.concatenate([families[name](members) for name in names], axis=1)
                for _, members in chunks(data, group.names)
                if names
            ]
            parts += [np.concatenate(found)] if found else []
        if self.emulator is not None:
            groups = [group for group, _ in self.groups]
            parts.append(self.emulator.statistics(*vectors_of(groups, data)))
        parts += [surface.raw(data) for surface in self.surfaces]
        return np.concatenate(parts, axis=1)

    def owners(self, data: Datasets) -> np.ndarray:
        """The family of each statistic, by its number in the order of `raw`, `(statistic,)`."""
        few = take(dict(data), slice(0, 2))
        width = []
        for group, names in self.groups:
            families = families_of(group)
            _, members = next(chunks(few, group.names))
            width += [families[name](members).shape[1] for name in names]
        if self.emulator is not None:
            width.append(self.emulator.width)
        width += [surface.width for surface in self.surfaces]
        return np.repeat(np.arange(len(width)), width)

    def restricted(self, chosen: np.ndarray) -> Offer:
        """The families that are chosen, in the order of `owners`."""
        at = iter(chosen.tolist())
        groups = tuple(
            (group, tuple(name for name in names if next(at) or name in ALWAYS))
            for group, names in self.groups
        )
        emulator = self.emulator if self.emulator is not None and next(at) else None
        return Offer(groups, emulator, tuple(one for one in self.surfaces if next(at)))

    def to_config(self) -> dict[str, Any]:
        """The offer as plain JSON values."""
        return {
            "groups": [[to_config(group), list(names)] for group, names in self.groups],
            "emulator": self.emulator and self.emulator.to_config(),
            **{
                name: [one.to_config() for one in self.surfaces if isinstance(one, kind)]
                for name, kind in _SURFACES.items()
            },
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Offer:
        """An offer from what `to_config` gave."""
        groups = tuple((from_config(group), tuple(names)) for group, names in config["groups"])
        emulator = config.get("emulator")
        return cls(
            groups,
            None if emulator is None else Emulator.from_config(emulator),
            tuple(
                kind.from_config(one)
                for name, kind in _SURFACES.items()
                for one in config.get(name, ())
            ),
        )
