"""Variables that share an axis, and the kinds of their columns, by the pilot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from abi_cli.statistics.columns import Column, column_from, column_of, column_to
from abi_cli.statistics.members import chunks
from abi_cli.variables import Ragged, Value, count, event_size

MOST_VALUES = 128
"""Longest series of one length whose numbers are passed on themselves."""

SHORTEST = 3
"""Shortest axes that are looked at as a set or series."""


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


def of_length(x: np.ndarray, length: int) -> np.ndarray:
    """Columns `x (batch, obs)` filled with gaps, or cut, to the length of the pilot's data sets.

    A data set of another size than all of training is answered, if not well, and that it is of
    another size is told elsewhere.
    """
    if not length or x.shape[1] == length:
        return x
    lacking = max(length - x.shape[1], 0)
    return np.pad(x[:, :length], ((0, 0), (0, lacking)), constant_values=np.nan)


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
                values = np.concatenate([of_length(of(m), group.length) for m in pieces])
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
