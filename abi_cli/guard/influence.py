"""Influence of each member of a set on the posterior: members are left out in turn.

With mean m and sd s of a parameter given the whole set, and m_−i given all but member i, the shift
is (m_−i − m) / s. The largest shift that chance gives depends on the model and on the size of
the set, so the largest one is compared with the largest ones of simulated sets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from abi_cli.variables import Datasets, Layout, Ragged


@dataclass(frozen=True)
class Influence:
    """Influence of the members of one set on its posterior.

    Arguments:
        names: Elements of the parameters.
        shifts: `(element, member)`, in posterior sds; NaN where the rest is unlike simulated sets.
        usual: The largest shift of each simulated set, `(set,)`.
        unlike: Members without which the rest is unlike the simulations, and what is odd then.
    """

    names: tuple[str, ...]
    shifts: np.ndarray
    usual: np.ndarray
    unlike: dict[int, str]

    @property
    def by_member(self) -> np.ndarray:
        """The largest absolute shift of each member, `(member,)`; 0 where it is not known."""
        return np.asarray(np.nan_to_num(np.abs(self.shifts)).max(axis=0))

    @property
    def p(self) -> float:
        """Share of the simulated sets with as large a shift."""
        return float((1 + (self.usual >= self.by_member.max()).sum()) / (1 + len(self.usual)))

    def first(self, most: int) -> list[int]:
        """The most influential members that are beyond what is usual; the first one always."""
        order = np.argsort(-self.by_member, kind="stable")[:most].tolist()
        limit = float(np.quantile(self.usual, 0.95)) if len(self.usual) else np.inf
        return [i for k, i in enumerate(order) if k == 0 or self.by_member[i] > limit]

    def most_moved(self, member: int) -> tuple[str, float]:
        """The parameter that moves most without a member, and its shift."""
        k = int(np.nan_to_num(np.abs(self.shifts[:, member])).argmax())
        return self.names[k], float(self.shifts[k, member])


def members_of(layout: Layout, data: Datasets, series: Collection[str]) -> tuple[str, ...]:
    """Variables whose members belong together and have no order; empty where there are none.

    Where a model has several sets of other sizes, they are those of the first.
    """
    names: list[str] = []
    for variable in layout.of("given", "observable"):
        value = data[variable.name]
        if not isinstance(value, Ragged) or variable.name in series:
            continue
        if not names or np.array_equal(value.row_size, _sizes(data, names[0])):
            names.append(variable.name)
    observed = {variable.name for variable in layout.of("observable")}
    return tuple(names) if observed.intersection(names) else ()


def _sizes(data: Datasets, name: str) -> np.ndarray:
    value = data[name]
    if not isinstance(value, Ragged):
        raise TypeError(f"Expected members of {name}; got one value")
    return value.row_size


def without_each(layout: Layout, one: Datasets, names: Collection[str]) -> Datasets:
    """A set without each of its members in turn: as many data sets as it has members.

    Arguments:
        one: A single data set.
        names: Whose members these are; counts of them become one less.
    """
    size = int(_sizes(one, next(iter(names)))[0])
    kept = ~np.eye(size, dtype=bool)
    index = np.nonzero(kept)[1]
    made: Datasets = {}
    for name, value in one.items():
        if name in names and isinstance(value, Ragged):
            made[name] = Ragged(value.values[index], np.full(size, size - 1))
        elif isinstance(value, Ragged):
            made[name] = Ragged(
                np.concatenate([value.values] * size), np.repeat(value.row_size, size)
            )
        else:
            made[name] = np.repeat(value, size, axis=0)
    for variable in layout.of("context"):
        value = made[variable.name]
        if set(variable.length_of).intersection(names) and isinstance(value, np.ndarray):
            made[variable.name] = np.asarray(value - 1)
    return made
