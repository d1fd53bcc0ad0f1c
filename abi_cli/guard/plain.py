"""Plain statistics of data sets: numbers that a person would look at, named as a person would.

They come from no network, and from no person's code. Which ones there are depends on what a
variable is: whole numbers have a dispersion, series an autocorrelation, columns side by side
residuals. Missing values play no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.guard.relations import MOST_OTHERS, quartile_width, relations
from abi_cli.precision import RESOLUTION
from abi_cli.statistics.members import Members, chunks, known, mean_of, moments_of
from abi_cli.variables import Datasets, Layout, Ragged, Value, Variable, count, share_missing

MOST_ELEMENTS = 24
"""Scalars of one variable that are looked at: the first ones of an image or a long vector."""

MOST_TOGETHER = 4
"""Columns side by side, each of which is regressed on the others; of more none is."""

NUMBER_OF = "number of "
"""Beginning of the name of how many members a set has."""

LONG = 8
"""A vector of fixed shape with fewer numbers is not looked at as members."""

_BENT = (
    "sd of",
    "sd /",
    "residual sd",
    "kurtosis",
    "dispersion",
    "roughness",
    "largest studentized",
)
"""Beginnings of the names of statistics whose logarithm is nearer to normal."""

_DECIMALS = 7


@dataclass(frozen=True)
class Table:
    """Numbers of data sets, by name.

    Arguments:
        names: `(column,)`.
        numbers: `(dataset, column)`, float64; NaN where a data set has no such number.
    """

    names: tuple[str, ...]
    numbers: np.ndarray

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], datasets: int) -> Table:
        """Columns side by side, as single precision knows them: a run keeps no more."""
        empty = np.zeros((datasets, 0))
        numbers = np.stack([*columns.values()], axis=1) if columns else empty
        return cls(tuple(columns), numbers.astype(np.float32).astype(np.float64))

    def named(self, names: tuple[str, ...]) -> Table:
        """The columns of these names, in this order; NaN where there is none."""
        if names == self.names:
            return self
        place = {name: k for k, name in enumerate(self.names)}
        none = np.full(len(self.numbers), np.nan)
        columns = [self.numbers[:, place[n]] if n in place else none for n in names]
        return Table(names, np.stack(columns, axis=1) if columns else self.numbers[:, :0])

    def bent(self) -> np.ndarray:
        """Numbers, in logarithms where these are nearer to normal, `(dataset, column)`."""
        bent = [name.startswith(_BENT) for name in self.names]
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(self.numbers, 1e-300))
        return np.where(bent, log, self.numbers)


@dataclass(frozen=True)
class Family:
    """Observables whose members belong together, and what is given beside them.

    Arguments:
        names: Variables, in the order of their columns.
        ordered: Whether the members are steps of a series.
    """

    names: tuple[str, ...]
    ordered: bool


def families_of(layout: Layout, data: Mapping[str, Value], series: Sequence[str]) -> list[Family]:
    """The families of a model, judging by simulated data sets.

    Arguments:
        series: Variables whose members are steps.
    """
    alike: dict[bytes, list[str]] = {}
    for variable in layout.of("context", "given", "observable"):
        value = data[variable.name]
        if isinstance(value, Ragged):
            alike.setdefault(value.row_size.tobytes(), []).append(variable.name)
    found = [Family(tuple(names), bool({*names} & {*series})) for names in alike.values()]
    found += [
        Family((variable.name,), variable.name in series or len(variable.event) == 1)
        for variable in layout.of("observable")
        if not variable.ragged and variable.event and np.prod(variable.event) >= LONG
    ]
    return found


@dataclass(frozen=True)
class Plain:
    """Plain statistics of the data sets of a model.

    Arguments:
        families: From `families_of`.
    """

    layout: Layout
    families: tuple[Family, ...]

    def context(self, data: Datasets) -> Table:
        """Context, what is given, numbers of members and shares missing, of each data set."""
        found: dict[str, np.ndarray] = {}
        for variable in self.layout.of("context", "given"):
            if not variable.ragged:
                found |= _elements(variable, data[variable.name])
        for family in self.families:
            found |= self._sizes(family, data)
            found |= self._of_members(family, data, observed=False)
        for variable in self.layout.of("context", "given", "observable"):
            if variable.missing:
                found[f"share missing of {variable.name}"] = share_missing(data[variable.name])
        return Table.of(found, count(data))

    def _sizes(self, family: Family, data: Datasets) -> dict[str, np.ndarray]:
        """The number of members, where no context counts it."""
        first = data[family.names[0]]
        counted = {name for v in self.layout.of("context") for name in v.length_of}
        if not isinstance(first, Ragged) or counted & {*family.names}:
            return {}
        return {f"{NUMBER_OF}{family.names[0]}": first.row_size.astype(np.float64)}

    def values(self, data: Datasets) -> Table:
        """The smallest and the largest value of each observable, `min of y` and `max of y`."""
        found: dict[str, np.ndarray] = {}
        for variable in self.layout.of("observable"):
            value = data[variable.name]
            if not isinstance(value, Ragged):
                found |= _elements(variable, value)
                continue
            flat = value.values.reshape(len(value.values), -1).astype(np.float64)
            for name, column in zip(variable.elements()[:MOST_ELEMENTS], flat.T, strict=False):
                low, high = _ends(column, value.row_size)
                found |= {f"min of {name}": low, f"max of {name}": high}
        return Table.of(found, count(data))

    def statistics(self, data: Datasets) -> Table:
        """Statistics of the observables, by name."""
        found: dict[str, np.ndarray] = {}
        for variable in self.layout.of("observable"):
            if not variable.ragged:
                found |= _elements(variable, data[variable.name])
        for family in self.families:
            found |= self._of_members(family, data, observed=True)
        return Table.of(found, count(data))

    def _of_members(
        self, family: Family, data: Datasets, *, observed: bool
    ) -> dict[str, np.ndarray]:
        """Statistics of the observables of a family, or else of the covariates beside them."""
        variables = [self.layout[name] for name in family.names]
        if not any((v.role == "observable") == observed for v in variables):
            return {}
        parts: dict[str, list[np.ndarray]] = {}
        flat = {v.name: _as_members(data[v.name]) for v in variables}
        for _, members in chunks(flat, family.names):
            columns = list(_columns(variables, members))
            own = [c for c in columns if (c.variable.role == "observable") == observed]
            for name, value in _described(own, columns, family, observed=observed):
                parts.setdefault(name, []).append(value)
        return {name: np.concatenate(values) for name, values in parts.items()}


@dataclass(frozen=True)
class _Column:
    """One number of each member, `x (batch, obs)`, NaN where nothing is."""

    name: str
    variable: Variable
    x: np.ndarray

    @property
    def binary(self) -> bool:
        return self.variable.integer and (self.variable.low, self.variable.high) == (0, 1)


def _columns(variables: Sequence[Variable], members: Members) -> Iterator[_Column]:
    place = 0
    for variable in variables:
        names = variable.elements() if variable.ragged else (variable.name,)
        for k, name in enumerate(names[:MOST_ELEMENTS]):
            yield _Column(name, variable, members[place + k])
        place += len(names)


def _as_members(value: Value) -> Value:
    """A value of fixed shape as members that are single numbers, `(batch, obs)`."""
    return value if isinstance(value, Ragged) else value.reshape(len(value), -1)


def _described(
    own: Sequence[_Column], columns: Sequence[_Column], family: Family, *, observed: bool
) -> Iterator[tuple[str, np.ndarray]]:
    for column in own:
        yield from _alone(column, observed=observed).items()
        if observed and family.ordered and not column.binary:
            yield from _in_order(column.name, column.x).items()
    if not observed or len(columns) > MOST_TOGETHER:
        return
    for column in own:
        others = [other for other in columns if other is not column][:MOST_OTHERS]
        if others and not column.binary:
            x = np.stack([other.x for other in others], axis=2)
            names = [other.name for other in others]
            drawn = all(other.variable.role == "observable" for other in others)
            yield from relations(column.x, x, column.name, names, drawn=drawn).items()


def _alone(column: _Column, *, observed: bool) -> dict[str, np.ndarray]:
    """Statistics of one column that suit it: binary, whole or real, observed or not."""
    name, x = column.name, column.x
    v, there = known(x)
    n = there.sum(axis=1)
    mean, variance = moments_of(v, there)
    sd = np.sqrt(variance)
    some, two = np.where(n > 0, 1.0, np.nan), np.where(n > 1, 1.0, np.nan)
    size = np.abs(v).max(axis=1, initial=0.0)
    resolved = np.abs(mean) > RESOLUTION * size  # a mean that was taken out leaves rounding
    found = {f"mean of {name}": some * np.where(resolved, mean, 0.0)}
    if column.binary:
        return found
    found[f"sd of {name}"] = two * np.where(_same(x), 0.0, sd)
    if not observed:
        return found
    z = there * (v - mean[:, None]) / np.where(sd > 0, sd, np.nan)[:, None]
    three = np.where(n > 2, 1.0, np.nan)
    found[f"skewness of {name}"] = three * mean_of(z**3, there)
    found[f"kurtosis of {name}"] = three * mean_of(z**4, there)
    width = quartile_width(x)
    found[f"sd / quartile width of {name}"] = three * sd / np.where(width > 0, width, np.nan)
    found[f"(max − mean) / sd of {name}"] = three * np.where(there > 0, z, -np.inf).max(axis=1)
    if column.variable.integer:
        if (column.variable.low or 0) >= 0:
            found[f"dispersion of {name}"] = two * variance / np.where(mean > 0, mean, np.nan)
            found[f"zeros of {name}"] = some * mean_of(x == 0, there)
        return found
    step = _resolution(x)
    width = np.where(sd > 0, sd, np.inf)
    zeros = _surplus((x == 0).sum(axis=1), 0.4 * n * step / width)
    found[f"zeros of {name}"] = some * zeros / np.maximum(n, 1)
    ordered = np.sort(np.where(there > 0, x, np.inf), axis=1)
    ties = (np.diff(np.where(np.isinf(ordered), np.nan, ordered), axis=1) == 0).sum(axis=1)
    pairs = n * (n - 1) / 2 * step / (3.54 * width)
    found[f"ties of {name}"] = two * _surplus(ties, pairs) / np.maximum(n, 1)
    return found


def _same(x: np.ndarray) -> np.ndarray:
    """True where all members are equal, `(batch,)`: rounding can leave their sd above zero."""
    low = np.min(x, axis=1, initial=np.inf, where=np.isfinite(x))
    high = np.max(x, axis=1, initial=-np.inf, where=np.isfinite(x))
    return np.asarray(low == high)


def _surplus(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Number of coincidences beyond what rounding explains, `(batch,)`; one does not count."""
    return np.maximum(found - 1 - 2 * expected - 3 * np.sqrt(2 * expected), 0.0)


def _resolution(x: np.ndarray) -> np.ndarray:
    """The step of numbers that were rounded to so many decimals, `(batch,)`; 0 of others."""
    step = np.zeros(len(x))
    left = np.arange(len(x))
    values = np.where(np.isfinite(x), x, 0.0)
    for decimals in range(_DECIMALS, -1, -1):
        scaled = values[left] * 10.0**decimals
        off = np.abs(scaled - np.round(scaled)) <= 1e-6 + 1e-15 * np.abs(scaled)
        left = left[off.all(axis=1)]
        if not len(left):
            break
        step[left] = 10.0**-decimals
    return step


def _in_order(name: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of steps in their order, of `x (batch, time)` with NaN in gaps."""
    v, there = known(x)
    n = there.sum(axis=1)
    mean, variance = moments_of(v, there)
    z = there * (v - mean[:, None])
    safe = np.where(variance > 0, variance, np.nan)
    four = np.where(n >= 4, 1.0, np.nan)
    found = {}
    for lag in (1, 2):
        both = there[:, lag:] * there[:, :-lag]
        product = mean_of(z[:, lag:] * z[:, :-lag], both)
        found[f"autocorrelation of {name} at lag {lag}"] = four * product / safe
    both = there[:, 1:] * there[:, :-1]
    steps = mean_of(np.square(np.diff(v, axis=1)), both)
    found[f"roughness of {name}"] = four * np.sqrt(steps / safe)
    found[f"longest run of {name}"] = four * _longest_run(z, there) / np.maximum(n, 1)
    peak = np.argmax(np.where(there > 0, v, -np.inf), axis=1) if v.shape[1] else np.zeros(len(v))
    size = np.maximum(there.shape[1] - np.argmax(there[:, ::-1] > 0, axis=1), 1)
    found[f"time of the peak of {name}"] = four * peak / size
    return found


def _longest_run(z: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Most steps in a row on one side of the mean, `(batch,)`."""
    longest = run = np.zeros(len(z))
    before = np.zeros(len(z))
    for now, here in zip(np.sign(z).T, there.T, strict=True):
        run = np.where(here > 0, np.where(now == before, run + 1, 1.0), run)
        before = np.where(here > 0, now, before)
        longest = np.maximum(longest, run)
    return longest


def _elements(variable: Variable, value: Value) -> dict[str, np.ndarray]:
    """Each number of a variable of fixed shape, by its name."""
    flat = np.asarray(value, np.float64).reshape(len(value), -1)
    names = variable.elements()[:MOST_ELEMENTS]
    return dict(zip(names, flat.T, strict=False))


def _ends(column: np.ndarray, row_size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of each data set, `(dataset,)` each; NaN where it has none."""
    low, high = np.full(len(row_size), np.nan), np.full(len(row_size), np.nan)
    some = row_size > 0
    starts = (np.cumsum(row_size) - row_size)[some]
    if len(starts):
        low[some] = np.fmin.reduceat(column, starts)
        high[some] = np.fmax.reduceat(column, starts)
    return low, high
