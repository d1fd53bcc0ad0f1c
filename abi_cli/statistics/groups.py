"""Variables that share an axis, and the families of statistics that can be made of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from abi_cli.statistics import regressions, series, sets
from abi_cli.statistics.breaks import breaks
from abi_cli.statistics.columns import Bent, Column, column_from, column_of, column_to
from abi_cli.statistics.components import components
from abi_cli.statistics.histories import histories
from abi_cli.statistics.members import Members, Statistic, chunks
from abi_cli.statistics.persistence import persistent
from abi_cli.statistics.proportions import proportions
from abi_cli.statistics.regimes import regimes
from abi_cli.statistics.sigmoids import sigmoid
from abi_cli.variables import Ragged, Value, count, event_size

MOST_COLUMNS = 12
"""Most columns; of those beyond, only moments are computed."""

MOST_SQUARED = 3
MOST_DIVIDED = 2
"""Most columns that are looked at as mixtures."""

MOST_CURVES = 2
"""Most regressors along each of which choices are fitted by a curve."""

MOST_CHOICES, MOST_MET = 2, 3
"""Most columns of choices, and of numbers, in order; most others that go with each."""

MOST_VALUES = 128
"""Longest series of one length whose numbers are passed on themselves."""

LONG = 4
"""Longest vectors that are regressed number by number."""

SHORTEST = 3
"""Shortest vectors that are looked at as a set or series."""


@dataclass(frozen=True)
class Group:
    """Variables whose members belong together.

    Arguments:
        names: Variables, in the order of the columns.
        fixed: Whether all data sets have the same number of members.
        ordered: Whether their order counts: of a series, and perhaps of a vector.
        vectors: For each variable of which a member is a vector, its first column and its length.
        columns: Those that vary.
        few: Whether there are too few members to be looked at but one by one: scalars are alone.
        design: Whether what is given at each place is the same in all data sets.
        length: How many members all data sets have, where it is one number; else 0.
    """

    names: tuple[str, ...]
    fixed: bool
    ordered: bool
    vectors: tuple[tuple[int, int], ...]
    columns: tuple[Column, ...]
    few: bool = False
    design: bool = False
    length: int = 0

    def families(self) -> dict[str, Statistic]:
        """Name → statistics of members."""
        if self.few:
            return {"values": partial(_values, columns=self.columns, length=self.length)}
        some = self.columns[:MOST_COLUMNS]
        numbers = [c for c in some if len(c.levels) != 2]
        fine = [c for c in some if not c.levels]
        discrete = [c for c in some if c.levels]
        found: dict[str, Statistic] = {"size": sets.sizes}
        wide = [c for c in self.columns if len(c.levels) != 2]
        if wide:
            found["moments"] = partial(sets.spread, columns=wide)
        if fine:
            found["order"] = partial(sets.ordered, columns=fine)
            for c in fine[:MOST_DIVIDED]:
                found |= self._components(c)
        if discrete:
            found["shares"] = partial(sets.shares, columns=discrete)
            others = [c for c in numbers if c not in discrete or len(c.levels) > 2]
            if len(some) > 1 and others and len(discrete) <= 3:
                found["categories"] = partial(sets.by_category, discrete=discrete, columns=others)
                counted = [c for c in others if c.counts]
                if any(c is not d for c in counted for d in discrete):
                    found["rates"] = partial(sets.rates, discrete=discrete, counts=counted)
        for first, length in self.vectors:
            if length >= SHORTEST:
                its = [c for c in self.columns if first <= c.place < first + length]
                if len(its) == length:
                    found[f"rows{first}"] = partial(sets.positions, columns=its)
        found |= self._regressions(some)
        if self.ordered:
            for c in numbers[:4]:
                found |= self._in_order(c)
            found |= _in_order_with_others(some)
        if self.fixed:
            found["values"] = partial(_values, columns=self.columns, length=self.length)
        return found

    def _components(self, column: Column) -> dict[str, Statistic]:
        found: dict[str, Statistic] = {}
        for bent in (False, True) if column.bends else (False,):
            name = f"components{column.place}" + "bent" * bent
            found[name] = partial(_of_column, of=components, column=column, bent=bent)
        return found

    def _in_order(self, column: Column) -> dict[str, Statistic]:
        found: dict[str, Statistic] = {}
        for counts in (False, True) if column.counts else (False,):
            name = f"breaks{column.place}" + "of_counts" * counts
            found[name] = partial(breaks, column=column, counts=counts)
        for name, of in (
            ("lags", series.autocovariances),
            ("smoothers", series.smoothers),
            ("levels", series.levels),
            ("autoregressions", series.autoregressions),
            ("averages", series.moving_averages),
            ("volatility", series.volatility),
            ("path", series.path),
            ("regimes", regimes),
        ):
            found[f"{name}{column.place}"] = partial(_of_column, of=of, column=column, bent=False)
            if column.bends and name != "volatility":
                found[f"{name}{column.place}bent"] = partial(
                    _of_column, of=of, column=column, bent=True
                )
        return found

    def _regressions(self, columns: Sequence[Column]) -> dict[str, Statistic]:
        """Regressions of each column that the model draws on the others; long vectors as rows."""
        found: dict[str, Statistic] = {}
        long = {
            place
            for first, length in self.vectors
            for place in range(first, first + length)
            if length > LONG and any(c.response for c in self.columns if c.place == place)
        }
        alone = [c for c in columns if c.place not in long]
        for y in alone:
            if not y.response:
                continue
            x = [c for c in alone if c is not y]
            name = str(y.place)
            degrees = {name: False}
            if 1 <= len(x) <= MOST_SQUARED:
                degrees[f"{name}squared"] = True
            for which, squares in degrees.items():
                if x and len(y.levels) != 2:
                    found |= _linear(y, x, which, squares=squares)
                if len(y.levels) == 2 or y.counts:
                    found[f"iterated{which}"] = partial(
                        regressions.iterated, response=y, regressors=x, squares=squares
                    )
                if y.floor is not None and not y.counts and not y.levels:
                    found[f"multiplicative{which}"] = partial(
                        regressions.multiplicative, response=y, regressors=x, squares=squares
                    )
                if y.edge is not None:
                    found[f"proportions{which}"] = partial(
                        proportions, response=y, regressors=x, squares=squares
                    )
                if y.counts and len(y.levels) != 2 and y.floor is not None:
                    found[f"zero_inflated{which}"] = partial(
                        regressions.zero_inflated, response=y, regressors=x, squares=squares
                    )
            if len(y.levels) == 2:
                found |= _sigmoids(y, x, None)
            for m in x if y.counts else ():
                if m.counts:
                    found[f"trials{name}of{m.place}"] = partial(
                        regressions.iterated,
                        response=y,
                        regressors=x,
                        squares=len(x) <= MOST_SQUARED,
                        trials=m,
                    )
                    found |= _sigmoids(y, x, m)
        return found


def _in_order_with_others(columns: Sequence[Column]) -> dict[str, Statistic]:
    """Dependence on steps before and on other columns, of each column that the model draws."""
    found: dict[str, Statistic] = {}
    drawn = [c for c in columns if c.response]
    for c in [c for c in drawn if len(c.levels) == 2][:MOST_CHOICES]:
        others = [o for o in columns if o is not c][:MOST_MET]
        found[f"histories{c.place}"] = partial(histories, response=c, others=others)
    for c in [c for c in drawn if len(c.levels) != 2][:MOST_CHOICES]:
        others = [o for o in columns if o is not c][:MOST_MET]
        for bent in (False, True) if c.bends else (False,):
            found[f"persistent{c.place}" + "bent" * bent] = partial(
                persistent, response=Bent(c) if bent else c, regressors=others
            )
    return found


def _linear(y: Column, x: Sequence[Column], which: str, *, squares: bool) -> dict[str, Statistic]:
    """Regressions of numbers on others, each plain or, where that says more, bent.

    What multiplies is added on the logarithm's scale.
    """
    found: dict[str, Statistic] = {}
    for bend_y, bend_x in ((False, False), (True, False), (False, True), (True, True)):
        if (bend_y and not y.bends) or (bend_x and not any(c.bends for c in x)):
            continue
        response = Bent(y) if bend_y else y
        regressors = [Bent(c) if bend_x and c.bends else c for c in x]
        name = which + "bent" * bend_y + "on_bent" * bend_x
        for family, of in (
            ("least_squares", regressions.least_squares),
            ("bayesian", regressions.bayesian),
        ):
            found[f"{family}{name}"] = partial(
                of, response=response, regressors=regressors, squares=squares
            )
    return found


def _sigmoids(y: Column, x: Sequence[Column], trials: Column | None) -> dict[str, Statistic]:
    """Curves of choices along each regressor that has more than two values."""
    found: dict[str, Statistic] = {}
    along = [c for c in x if c is not trials and len(c.levels) != 2]
    for c in along if len(along) <= MOST_CURVES else ():
        for link in ("normal", "logistic"):
            found[f"{link}{y.place}on{c.place}"] = partial(
                sigmoid, response=y, regressor=c, trials=trials, link=link
            )
    return found


def _values(members: Members, columns: Sequence[Column], length: int) -> np.ndarray:
    """The numbers themselves, and bent where that says more, `(batch, length × column)`."""
    parts = []
    for column in columns:
        parts.append(np.nan_to_num(_of_length(column.scaled(members), length)))
        if column.bends:
            parts.append(np.nan_to_num(_of_length(column.bent(members), length)))
    return np.concatenate(parts, axis=1)


def _of_length(x: np.ndarray, length: int) -> np.ndarray:
    """Columns `x (batch, obs)` filled with gaps, or cut, to the length of the pilot's data sets.

    A data set of another size than all of training is answered, if not well, and that it is of
    another size is told elsewhere.
    """
    if not length or x.shape[1] == length:
        return x
    lacking = max(length - x.shape[1], 0)
    return np.pad(x[:, :length], ((0, 0), (0, lacking)), constant_values=np.nan)


def _of_column(members: Members, of: Any, column: Column, *, bent: bool) -> np.ndarray:
    return of(column.bent(members) if bent else column.scaled(members))


def vectors_of(groups: Sequence[Group], data: Mapping[str, Value]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a fixed place that the model draws, and scalars that it takes as given.

    The first `(dataset, value)`, NaN in gaps, with the logarithm of skewed ones; the second
    `(dataset, scalar)`.
    """
    drawn, taken = [np.zeros((count(dict(data)), 0))], [np.zeros((count(dict(data)), 0))]
    for group in groups:
        if not group.fixed or not (group.few or group.design):
            continue
        pieces = [members for _, members in chunks(data, group.names)]
        for column in group.columns:
            if column.response or group.few:
                of = column.bent if column.bends else column.scaled
                values = np.concatenate([_of_length(of(m), group.length) for m in pieces])
                (drawn if column.response else taken).append(values)
    return np.concatenate(drawn, axis=1), np.nan_to_num(np.concatenate(taken, axis=1))


def groups_of(
    data: Mapping[str, Value],
    names: Sequence[str],
    *,
    given: Collection[str],
    series: Collection[str],
) -> list[Group]:
    """Groups of variables in pilot data sets.

    Arguments:
        names: Variables that are looked at.
        given: Those of them that the model takes and does not draw.
        series: Those of them whose members have an order.
    """
    shared: dict[Any, list[str]] = {}
    for name in names:
        value = data[name]
        if isinstance(value, Ragged):
            if value.values.ndim <= 2:
                shared.setdefault(value.row_size.tobytes(), []).append(name)
        elif value.ndim <= 2:
            shared.setdefault(value.shape[1] if value.ndim == 2 else 1, []).append(name)
    groups = []
    for key, members in shared.items():
        ragged = isinstance(key, bytes)
        group = _group(data, members, ragged=ragged, given=given, series=series)
        if group.columns:
            groups.append(group)
    return groups


def _group(
    data: Mapping[str, Value],
    names: list[str],
    *,
    ragged: bool,
    given: Collection[str],
    series: Collection[str],
) -> Group:
    width = [1 if not isinstance(data[n], Ragged) else event_size(data[n]) for n in names]
    first = np.cumsum([0, *width])
    pooled: list[list[np.ndarray]] = [[] for _ in range(int(first[-1]))]
    lengths = set()
    for _, members in chunks(data, names):
        for place, column in enumerate(np.moveaxis(members.columns, 2, 0)):
            pooled[place].append(column[np.isfinite(column)])
        lengths.update(np.unique(members.size).tolist())
    drawn = [name not in given for name, w in zip(names, width, strict=True) for _ in range(w)]
    columns = [
        column_of(place, np.concatenate(parts), response=drawn[place])
        for place, parts in enumerate(pooled)
    ]
    numbers = max(lengths) * int(first[-1])
    return Group(
        tuple(names),
        len(lengths) == 1 and numbers <= MOST_VALUES,
        not ragged or bool(set(names) & set(series)),
        tuple((int(f), w) for f, w in zip(first, width, strict=False) if w > 1),
        tuple(c for c in columns if c is not None),
        not ragged and max(lengths) < SHORTEST,
        len(lengths) == 1 and _designed(data, names, [c for c in columns if c is not None]),
        max(lengths) if len(lengths) == 1 else 0,
    )


def _designed(data: Mapping[str, Value], names: list[str], columns: Sequence[Column]) -> bool:
    """True if given columns are the same in all data sets."""
    places = [c.place for c in columns if not c.response]
    least, most = np.inf, -np.inf
    for _, members in chunks(data, names):
        given = members.columns[:, :, places]
        least, most = np.minimum(least, given.min(axis=0)), np.maximum(most, given.max(axis=0))
    return bool(np.all(least == most))


def to_config(group: Group) -> dict[str, Any]:
    """A group as plain JSON values."""
    return {**asdict(group), "columns": [column_to(column) for column in group.columns]}


def from_config(config: Mapping[str, Any]) -> Group:
    """A group from what `to_config` gave."""
    columns = tuple(column_from(c) for c in config["columns"])
    return Group(
        tuple(config["names"]),
        config["fixed"],
        config["ordered"],
        tuple((int(a), int(b)) for a, b in config["vectors"]),
        columns,
        config.get("few", False),
        config.get("design", False),
        config.get("length", 0),
    )
