"""Variables of data sets: named, and ragged where sets and series are.

A collection of data sets is a dict from variable name to

- an array `(dataset, *event)` for what has one shape in every data set, or
- a `Ragged`: the members of all sets (or steps of all series) laid end to end.

Nothing between the simulator and the networks ever sees padding. A `Layout` is the description of
such a dict that a run keeps, so that later commands can read data without the user's code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal, get_args

import numpy as np

from abi_cli.precision import almost_constant

Role = Literal["context", "given", "parameter", "nuisance", "observable"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The roles of variables, in the order in which variables are drawn and shown."""


@dataclass(frozen=True)
class Ragged:
    """The members of all data sets, end to end.

    Arguments:
        values: `(obs, *event)`, the members of data set 0, then those of data set 1, and so on.
        row_size: `(dataset,)`, int64, how many members each data set has; sums to `obs`.
    """

    values: np.ndarray
    row_size: np.ndarray

    def __post_init__(self) -> None:
        if int(self.row_size.sum()) != len(self.values):
            raise ValueError(
                f"Expected as many values as row_size sums to, {int(self.row_size.sum())}; "
                f"got {len(self.values)}"
            )

    def __len__(self) -> int:
        return len(self.row_size)

    def starts(self) -> np.ndarray:
        """The position in `values` where each data set begins, `(dataset,)`; counted once."""
        return self._starts

    @cached_property
    def _starts(self) -> np.ndarray:
        starts = np.cumsum(self.row_size) - self.row_size
        starts.flags.writeable = False
        return starts

    def __getstate__(self) -> dict[str, np.ndarray]:
        return {"values": self.values, "row_size": self.row_size}

    def dataset_of(self, member: int) -> int:
        """The data set that a position in `values` belongs to."""
        return int(np.searchsorted(np.cumsum(self.row_size), member, side="right"))

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Positions in `values` of the members of data sets `index`, in that order, `(obs,)`."""
        size = self.row_size[index]
        within = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
        return np.repeat(self.starts()[index], size) + within


Value = np.ndarray | Ragged
Datasets = dict[str, Value]


def array_of(value: Value) -> np.ndarray:
    """All numbers of a value: `(obs, *event)` where ragged, else `(dataset, *event)`."""
    return value.values if isinstance(value, Ragged) else value


def count(datasets: Mapping[str, Value]) -> int:
    """The number of data sets; 0 for an empty dict."""
    return len(next(iter(datasets.values()))) if datasets else 0


def take(datasets: Mapping[str, Value], index: np.ndarray | slice) -> Datasets:
    """The data sets `index` (integers or a slice), in that order."""
    if isinstance(index, slice):
        index = np.arange(count(datasets))[index]
    index = np.asarray(index, dtype=np.int64)
    return {
        name: Ragged(value.values[value.rows(index)], value.row_size[index])
        if isinstance(value, Ragged)
        else value[index]
        for name, value in datasets.items()
    }


def concatenate(parts: Iterable[Mapping[str, Value]]) -> Datasets:
    """The data sets of all parts, one after the other; every part has the same variables."""
    parts = list(parts)
    joined: Datasets = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        ragged = [value for value in values if isinstance(value, Ragged)]
        if ragged:
            joined[name] = Ragged(
                np.concatenate([value.values for value in ragged]),
                np.concatenate([value.row_size for value in ragged]),
            )
        else:
            joined[name] = np.concatenate([np.asarray(value) for value in values])
    return joined


@dataclass(frozen=True)
class Variable:
    """One variable of a model.

    Arguments:
        name: Its name in the user's functions.
        role: What it is in the model.
        ragged: Whether its leading axis is that of members or steps.
        event: Shape of one member where ragged, else of the whole value; () is a scalar.
        integer: Whether its values are whole numbers.
        length_of: Observables whose number of members it always equals (a context such as N).
        low, high: Smallest and largest value seen in the pilot simulations.
        missing: Whether its values may be missing (NaN).
        constants: Elements of an event, by their place in C order, that were the same in all pilot
            simulations as far as single precision tells, each with its smallest and largest value.
        most_missing: The largest share of its values that a pilot simulation lacks; None in runs of
            before this was kept.
        ranges: Of a parameter the smallest and largest value of each element of an event, in C
            order; empty in runs of before this was kept.
    """

    name: str
    role: Role
    ragged: bool
    event: tuple[int, ...]
    integer: bool = False
    length_of: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    missing: bool = False
    constants: tuple[tuple[int, float, float], ...] = ()
    most_missing: float | None = None
    ranges: tuple[tuple[float, float], ...] = ()

    def elements(self) -> tuple[str, ...]:
        """Names of the scalar elements of one event: `sigma`, or `beta[0]`, `beta[1]`, …"""
        return element_names(self.name, self.event)


def element_names(
    name: str, event: tuple[int, ...], *, base: int = 0, dotted: bool = False
) -> tuple[str, ...]:
    """Names of the scalars of an event, C order: `name`, `name[0]`, `name[0,1]`.

    Arguments:
        base: The first index.
        dotted: `name.0.1` instead, which R and Stan take for a name.
    """
    if not event:
        return (name,)
    shape = "{}.{}" if dotted else "{}[{}]"
    mark = "." if dotted else ","
    return tuple(
        shape.format(name, mark.join(str(i + base) for i in index))
        for index in product(*(range(size) for size in event))
    )


@dataclass(frozen=True)
class Layout:
    """The variables of a model, in the order of `ROLES`."""

    variables: tuple[Variable, ...]

    def __getitem__(self, name: str) -> Variable:
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(variable.name == name for variable in self.variables)

    @property
    def missing(self) -> frozenset[str]:
        """Names of the variables whose values may be missing."""
        return frozenset(variable.name for variable in self.variables if variable.missing)

    def of(self, *roles: Role) -> tuple[Variable, ...]:
        """The variables of these roles, in order."""
        return tuple(variable for variable in self.variables if variable.role in roles)

    @classmethod
    def of_values(
        cls, datasets: Datasets, roles: Mapping[str, Role], *, missing: Collection[str]
    ) -> Layout:
        """The layout of variables, judging by their values in some data sets.

        Arguments:
            roles: Variable → what it is in the model.
            missing: Variables whose values may be missing.
        """
        variables = [
            _judged(name, value, role=roles[name], datasets=datasets, missing=name in missing)
            for name, value in datasets.items()
        ]
        return cls(tuple(sorted(variables, key=lambda variable: ROLES.index(variable.role))))

    def reaching(self, values: Mapping[str, Value]) -> Layout:
        """The same layout, its ranges widened to these values, which training goes on to see."""
        return Layout(
            tuple(
                replace(
                    variable,
                    low=float(np.nanmin([np.nan if variable.low is None else variable.low, *own])),
                    high=float(
                        np.nanmax([np.nan if variable.high is None else variable.high, *own])
                    ),
                )
                if variable.name in values and len(own := _ends(values[variable.name]))
                else variable
                for variable in self.variables
            )
        )

    def parameters_of(
        self, values: Mapping[str, Value], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """The parameters among `values (row, *event)`, `(*shape, *event)` each, float32."""
        return {
            variable.name: np.asarray(values[variable.name], np.float32).reshape(
                *shape, *variable.event
            )
            for variable in self.of("parameter")
        }

    def to_config(self) -> list[dict[str, Any]]:
        """The layout as plain JSON values."""
        return [asdict(variable) for variable in self.variables]

    @classmethod
    def from_config(cls, config: Iterable[Mapping[str, Any]]) -> Layout:
        """The layout that `to_config` described; its description may have been JSON in between."""
        return cls(
            tuple(
                Variable(
                    **{
                        **entry,
                        "event": tuple(entry["event"]),
                        "length_of": tuple(entry["length_of"]),
                        "constants": tuple(
                            (int(place), float(low), float(high))
                            for place, low, high in entry.get("constants", ())
                        ),
                        "ranges": tuple(
                            (float(low), float(high)) for low, high in entry.get("ranges", ())
                        ),
                    }
                )
                for entry in config
            )
        )


def _judged(name: str, value: Value, *, role: Role, datasets: Datasets, missing: bool) -> Variable:
    values = array_of(value)
    integer = values.dtype.kind == "i"
    counts = role == "context" and integer and isinstance(value, np.ndarray) and value.ndim == 1
    lengths = tuple(
        other
        for other, members in datasets.items()
        if counts and isinstance(members, Ragged) and np.array_equal(members.row_size, values)
    )
    return Variable(
        name=name,
        role=role,
        ragged=isinstance(value, Ragged),
        event=values.shape[1:],
        integer=integer,
        length_of=lengths,
        low=float(np.nanmin(values)) if values.size else None,
        high=float(np.nanmax(values)) if values.size else None,
        missing=missing,
        constants=_constants(values),
        most_missing=float(share_missing(value).max(initial=0.0)),
        ranges=_ranges(values) if role == "parameter" else (),
    )


def _ends(value: Value) -> list[float]:
    """The smallest and the largest number of a value; none where all are missing."""
    numbers = array_of(value).astype(np.float64)
    there = numbers[~np.isnan(numbers)]
    return [float(there.min()), float(there.max())] if there.size else []


def _ranges(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Smallest and largest of `(row, *event)`, element after element."""
    flat = values.reshape(len(values), -1)
    if not len(flat):
        return ()
    return tuple(zip(*(map(float, f(flat, axis=0)) for f in (np.min, np.max)), strict=True))


def _constants(values: np.ndarray) -> tuple[tuple[int, float, float], ...]:
    """The elements that do not differ in `(row, *event)`: place, smallest and largest value."""
    if len(values) < 2:  # one value says nothing
        return ()
    flat = values.reshape(len(values), -1)
    places = np.flatnonzero(almost_constant(flat))
    low, high = (f(flat[:, places], axis=0) for f in (np.nanmin, np.nanmax))
    return tuple(zip(places.tolist(), map(float, low), map(float, high), strict=True))


def share_missing(value: Value) -> np.ndarray:
    """The share of NaN among the numbers of each data set, `(dataset,)`."""
    array = array_of(value)
    if array.dtype.kind != "f":
        return np.zeros(len(value))
    gaps = np.isnan(array).reshape(len(array), -1).mean(axis=1)
    if not isinstance(value, Ragged):
        return gaps
    total = np.concatenate([[0.0], np.cumsum(gaps)])
    ends = np.cumsum(value.row_size)
    return (total[ends] - total[ends - value.row_size]) / np.maximum(value.row_size, 1)


@dataclass(frozen=True)
class DrawBlock:
    """Posterior draws of some data sets, on their way out.

    Blocks come data set after data set and, within one, draw after draw. A block either spans all
    draws of several data sets, or a part of the draws of one.

    Arguments:
        first_dataset: Index of its first data set among those asked for.
        first_draw: Index of its first draw.
        values: Parameter name → `(dataset, draw, *event)`, float32, on the user's scale.
        member: Which member of an ensemble made each draw, `(dataset, draw)`; None without one.
        certificates: Of refined posteriors, name → `(dataset,)`, such as k-hat.
    """

    first_dataset: int
    first_draw: int
    values: dict[str, np.ndarray]
    member: np.ndarray | None = None
    certificates: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of data sets, and of draws of each."""
        datasets, draws = next(iter(self.values.values())).shape[:2]
        return datasets, draws

    @property
    def rows(self) -> slice:
        """The places of its data sets among those asked for."""
        return slice(self.first_dataset, self.first_dataset + self.shape[0])


def event_size(value: Value) -> int:
    """The number of numbers of a member of a set, or of a data set."""
    return int(np.prod(array_of(value).shape[1:], dtype=np.int64))
