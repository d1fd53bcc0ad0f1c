"""Named arrays, of whatever file: one entry per data set, members end to end with `row_size`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abi_cli.data.contents import DataSets, EstimateHeader, Kind
from abi_cli.data.draws import (
    DrawHeader,
    Draws,
    Statistics,
    as_float32,
    refuse_absent_in_part,
)
from abi_cli.data.entries import LABEL, SAMPLE_STATS, Asked, Entries, Wanted, check_labels
from abi_cli.data.files import Source
from abi_cli.data.meanings import PLAIN, Meaning
from abi_cli.data.statistics import joined
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import DrawBlock, Ragged, Value, Variable, array_of

ROW_SIZE = "row_size"
SEED = "seed"
SCORE = f"{SAMPLE_STATS}."
"""The beginning of names of arrays with scores of data sets, beside their draws."""
ESTIMATE = "estimate"

Stored = Mapping[str, np.ndarray]
"""Arrays by their names in the file, which may be read only when they are asked for."""


@dataclass(frozen=True)
class Apart:
    """Draws that a file keeps apart from data sets.

    Arguments:
        there: Whether it has some.
        read: Reads them.
    """

    there: Callable[[], bool]
    read: Callable[[], Draws]


@dataclass(frozen=True)
class Arrays:
    """A file of named arrays; see `contents.Carrier`.

    Arguments:
        stored: Reads them.
        apart: Draws, where they are not among them.
    """

    source: Source
    stored: Callable[[], Stored]
    apart: Apart | None = None

    def kind(self) -> Kind:
        """The kind of content, judging by the names.

        Errors:
            DataError: There is nothing but labels.
        """
        if self.apart is not None:
            return Kind.DRAWS if self.apart.there() else Kind.DATA
        arrays = self.stored()
        names = set(arrays) - {LABEL, SEED}
        if not names:
            raise DataError("expected arrays of numbers; got none", place=str(self.source))
        if ESTIMATE in names:
            return Kind.ESTIMATES
        return Kind.DRAWS if SEED in arrays and LABEL in arrays else Kind.DATA

    def shapes(self, asked: Asked) -> dict[str, tuple[int, ...]]:
        """The event shapes of variables, by name.

        Errors:
            DataError: An array of anything but numbers, or words that stand for them.
        """
        stored = self.stored()
        own = _with_sizes(list(stored), asked.naming.renamed(stored))
        arrays = _Renamed(stored, dict(zip(own, stored, strict=True)))
        names = [n for n in arrays if n not in {LABEL, SEED} and not n.startswith(ROW_SIZE)]
        in_words = asked.naming.categories.keys() | asked.naming.times.values()
        shapes = {
            name: (arrays[name] if name in in_words else _numbers(arrays, name, self.source)).shape
            for name in names
        }
        flat = {name for name in names if {ROW_SIZE, f"{ROW_SIZE}_{name}"}.intersection(arrays)}
        return {
            name: shape[1 if name in flat or name not in asked.ragged else 2 :]
            for name, shape in shapes.items()
        }

    def sets(self) -> set[str]:
        """The names of arrays with members of sets or series: those that come with a `row_size`.

        Errors:
            DataError: An array of anything but numbers.
        """
        arrays = self.stored()
        own = {name for name in arrays if f"{ROW_SIZE}_{name}" in arrays}
        if ROW_SIZE not in arrays:
            return own
        members = int(_numbers(arrays, ROW_SIZE, self.source).sum())
        shared = set(arrays) - {LABEL, SEED, ROW_SIZE}
        return own | {n for n in shared if _numbers(arrays, n, self.source).shape[:1] == (members,)}

    def entries(self, wanted: Wanted) -> Entries:
        """The entries, one per data set or per point.

        An observable with a leading axis of members is `(obs, *event)` with `row_size (dataset,)`,
        or `row_size_NAME` where lengths differ between observables; or `(dataset, obs, *event)`
        where all data sets have the same length; or `(obs, *event)` alone, one data set.

        Errors:
            DataError: Arrays of anything but numbers, shapes that don't fit.
        """
        return _entries(self.stored(), wanted, self.source)

    points = entries

    def batches(self, wanted: Wanted, _datasets: int) -> Iterator[Entries]:
        """A single batch of all data sets: they don't come one after the other."""
        yield self.entries(wanted)

    def draws(self) -> Draws:
        """Draws `(dataset, draw, *event)`, with labels.

        Errors:
            DataError: No labels, arrays of another shape; some draws of a data set lack a value.
        """
        if self.apart is not None:
            return self.apart.read()
        arrays, source = self.stored(), self.source
        if LABEL not in arrays:
            raise DataError(f"expected draws, with an array {LABEL}", place=str(source))
        labels = _labels(arrays, source)
        others = [n for n in arrays if n not in {LABEL, SEED}]
        names = [n for n in others if not n.startswith(SCORE)]
        values = {name: as_float32(_numbers(arrays, name, source)) for name in names}
        shapes = {value.shape[:2] for value in values.values()}
        if len(shapes) != 1 or min(map(len, shapes)) < 2 or min(shapes)[0] != len(labels):
            found = ", ".join(f"{name} {value.shape}" for name, value in values.items())
            raise DataError(f"expected draws (dataset, draw, …); got {found}", place=str(source))
        refuse_absent_in_part(values, str(source))
        seed = arrays[SEED] if SEED in arrays else np.zeros(0)
        known = seed.ndim == 0 and seed.dtype.kind in "iu"
        scores = {n.removeprefix(SCORE): arrays[n] for n in arrays if n.startswith(SCORE)}
        return Draws(labels, values, seed=int(seed) if known else None, scores=scores)

    def estimates(self) -> Statistics:
        """Estimates `(dataset, estimate, *event)` of parameters, with labels and names.

        Errors:
            DataError: There are none, or arrays of another shape.
        """
        arrays, source = self.stored(), self.source
        if LABEL not in arrays or ESTIMATE not in arrays:
            raise DataError(
                f"expected estimates, with arrays {LABEL} and {ESTIMATE}", place=str(source)
            )
        labels, names = _labels(arrays, source), tuple(map(str, arrays[ESTIMATE].tolist()))
        values = {}
        for name in arrays:
            if name in (LABEL, ESTIMATE, SEED):
                continue
            value = _numbers(arrays, name, source)
            if value.shape[:2] != (len(labels), len(names)):
                raise DataError(
                    f"expected estimates ({len(labels)}, {len(names)}, …); got {value.shape}",
                    place=f"{source}, {name}",
                )
            values[name] = value.astype(np.float64)
        if not values:
            raise DataError("expected estimates of parameters; got none", place=str(source))
        return Statistics(labels, names, values)


@dataclass(frozen=True)
class Leaving:
    """Arrays on their way out.

    Arguments:
        grown: Name → shape of those that come in parts, one below the other, float32.
        take: Part of a content → what it has of them.
        others: The others, when all parts have come.
    """

    grown: Mapping[str, tuple[int, ...]]
    take: Callable[[Any], Stored]
    others: Callable[[], Iterable[tuple[str, np.ndarray]]]


def arrays_of(content: EstimateHeader | DrawHeader) -> Leaving:
    """Estimates or draws as arrays that `Arrays` reads."""
    if isinstance(content, EstimateHeader):
        return _estimates_leaving(content)
    known = np.array([] if content.seed is None else content.seed, np.int64)
    # that there is a seed tells draws from data; it is empty where none is known
    facts = {LABEL: np.array(content.labels, dtype="U"), SEED: known}
    shapes = {variable.name: content.shape(variable) for variable in content.parameters}
    certificates = {name: np.full(len(content.labels), np.nan) for name in content.certificates}

    def take(block: DrawBlock) -> Stored:
        for name, known in certificates.items():
            known[block.rows] = block.certificates[name]
        return block.values

    def others() -> Iterator[tuple[str, np.ndarray]]:
        yield from facts.items()
        for name, own in content.scores.items():
            yield f"{SCORE}{name}", np.array(own, "<f8")
        for name, known in certificates.items():
            yield f"{SCORE}{name}", known

    return Leaving(shapes, take, others)


def arrays_of_datasets(content: DataSets) -> Iterator[tuple[str, np.ndarray]]:
    """Data sets as arrays that `Arrays` reads: ragged values flat, everything else as it is."""
    yield LABEL, np.array(content.labels, dtype="U")
    for name, value in content.present().items():
        yield name, array_of(value)


def sizes_of_datasets(content: DataSets) -> dict[str, np.ndarray]:
    """The numbers of members of sets and series, by name, `(dataset,)`."""
    values = content.present()
    return {name: value.row_size for name, value in values.items() if isinstance(value, Ragged)}


def named_sizes(sizes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sizes by the names that files have for them: one `row_size` where all are the same."""
    common = len({size.tobytes() for size in sizes.values()}) <= 1
    return {
        ROW_SIZE if common else f"{ROW_SIZE}_{name}": size
        for name, size in list(sizes.items())[: 1 if common else None]
    }


def _estimates_leaving(header: EstimateHeader) -> Leaving:
    """Estimates `(dataset, estimate, *event)` by parameter, and arrays of names of either axis."""
    parts: list[Statistics] = []

    def take(part: Statistics) -> Stored:
        if ESTIMATE in part.values:
            raise UsageError(
                f"expected no parameter called {ESTIMATE}, as NPZ calls the names of estimates",
                hint="Choose another --format: csv and jsonl hold it.",
            )
        parts.append(part)
        return {}

    def others() -> Iterator[tuple[str, np.ndarray]]:
        yield LABEL, np.array([label for part in parts for label in part.labels], dtype="U")
        yield ESTIMATE, np.array(header.names, dtype="U")
        for name, value in (joined(parts).values if parts else {}).items():
            yield name, np.ascontiguousarray(value, "<f4")

    return Leaving({}, take, others)


def _entries(stored: Stored, wanted: Wanted, source: Source) -> Entries:
    def spell(variable: Variable) -> tuple[str, ...]:
        return (variable.name,)

    names = _with_sizes(
        list(stored), wanted.translated(list(stored), spell=spell, place=str(source))
    )
    arrays = _Renamed(stored, dict(zip(names, stored, strict=True)))
    meanings = wanted.meanings(spell)
    variables = wanted.found(names, noun="array", spell=spell, place=str(source))
    values = {v.name: _value(arrays, v, wanted, meanings[v.name], source) for v in variables}
    labels = None if LABEL not in arrays else _labels(arrays, source)
    sizes = {name: len(value) for name, value in values.items()}
    if labels is not None:
        sizes[LABEL] = len(labels)
    first = next(iter(sizes), None)
    for name, size in sizes.items():
        if first is not None and size != sizes[first]:
            raise DataError(
                f"expected as many data sets in every array; "
                f"got {sizes[first]} in {first} and {size} in {name}",
                place=str(source),
            )
    used = {LABEL, SEED, ROW_SIZE, *values, *(f"{ROW_SIZE}_{name}" for name in values)}
    return Entries(
        labels=labels,
        values=values,
        unused=tuple(name for name in names if name not in used),
        noun="array",
        place=lambda dataset: f"{source}, data set at index {dataset}",
        cell=lambda name, at: _cell(name, values[name], at, source),
    )


def _with_sizes(originals: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names, in which `row_size_NAME` follows the new name of NAME."""
    became = {f"{ROW_SIZE}_{o}": f"{ROW_SIZE}_{n}" for o, n in zip(originals, names, strict=True)}
    return [became.get(name, name) for name in names]


def _cell(name: str, value: Value, at: tuple[int, ...], source: Source) -> str:
    """The place of the number at an index of a value, such as `data.npz, y[3]`."""
    if not isinstance(value, Ragged):
        return f"{source}, {name}{list(at)}"
    entry = value.dataset_of(at[0])
    within = [at[0] - int(value.starts()[entry]), *at[1:]]
    return f"{source}, data set at index {entry}, {name}{within}"


class _Renamed(Mapping[str, np.ndarray]):
    """Arrays under other names, each read when it is asked for."""

    def __init__(self, arrays: Mapping[str, np.ndarray], originals: Mapping[str, str]) -> None:
        self._arrays, self._originals = arrays, originals

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[self._originals[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._originals)

    def __len__(self) -> int:
        return len(self._originals)


def _value(
    arrays: Stored, variable: Variable, wanted: Wanted, meaning: Meaning, source: Source
) -> Value:
    name = variable.name
    array = _numbers(arrays, name, source, meaning)
    array = wanted.checked(array, variable, lambda at: f"{source}, {name}{list(at) or ''}")
    rank = array.ndim - len(variable.event)
    fits = array.shape[rank:] == variable.event if rank >= 0 else False
    if not variable.ragged:
        if fits and rank == 1:
            return array
        if fits and rank == 0:
            return array[np.newaxis]
        raise _misfit(array, variable, "(dataset", source)
    if fits and rank == 2:
        return Ragged(
            array.reshape(-1, *variable.event), np.full(len(array), array.shape[1], np.int64)
        )
    if not fits or rank != 1:
        raise _misfit(array, variable, "(obs", source)
    key = next((k for k in (f"{ROW_SIZE}_{name}", ROW_SIZE) if k in arrays), None)
    if key is None:
        return Ragged(array, np.array([len(array)]))
    sizes = _numbers(arrays, key, source)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise DataError(f"expected whole numbers (dataset,); got {sizes}", place=f"{source}, {key}")
    if int(sizes.sum()) != len(array):
        raise DataError(
            f"expected as many members as {key} sums to, {int(sizes.sum())}; got {len(array)}",
            place=f"{source}, {name}",
        )
    return Ragged(array, sizes.astype(np.int64))


def _numbers(arrays: Stored, name: str, source: Source, meaning: Meaning = PLAIN) -> np.ndarray:
    array = arrays[name]
    if array.dtype.kind == "U" and not meaning.is_plain:
        said = np.array([meaning.number(text) for text in array.ravel().tolist()], dtype=object)
        try:
            array = said.astype(np.float64).reshape(array.shape)
        except ValueError:
            word = next(item for item in said if not isinstance(item, int | float))
            raise DataError(f"expected a number; got {word!r}", place=f"{source}, {name}") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"expected numbers; got {array.dtype}", place=f"{source}, {name}")
    return array


def _misfit(array: np.ndarray, variable: Variable, axes: str, source: Source) -> DataError:
    expected = ", ".join([axes, *map(str, variable.event)]) + (")" if variable.event else ",)")
    return DataError(
        f"expected shape {expected}; got {array.shape}", place=f"{source}, {variable.name}"
    )


def _labels(arrays: Mapping[str, np.ndarray], source: Source) -> tuple[str, ...]:
    labels = arrays[LABEL]
    if labels.ndim != 1 or labels.dtype.kind not in "Uiu":
        raise DataError(
            f"expected one text or whole number per data set; got {labels.dtype} {labels.shape}",
            place=f"{source}, {LABEL}",
        )
    texts: list[str] = labels.astype("U").tolist()
    check_labels(texts, lambda row: f"{source}, {LABEL}[{row}]")
    return tuple(texts)
