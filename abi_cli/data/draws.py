"""Posterior draws: what is known before the first one, all of them, and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from abi_cli.errors import DataError
from abi_cli.variables import Datasets, DrawBlock, Layout, Variable, element_names


@dataclass(frozen=True)
class Style:
    """Names and numbers of draws and elements in tables; everything else counts from 0.

    Arguments:
        base: The first index: 0, or 1 as R, Julia and Stan count.
        dotted: `beta.1` instead of `beta[1]`: names that R's `read.csv` keeps.
    """

    base: int = 0
    dotted: bool = False

    def elements(self, name: str, event: tuple[int, ...]) -> tuple[str, ...]:
        """Names of the scalars of a variable's event."""
        return element_names(name, event, base=self.base, dotted=self.dotted)

    def scalars(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The scalars of variables `(dataset, row, *event)`, by name, `(dataset, row)`."""
        return {
            element: flat[..., i]
            for name, value in values.items()
            for flat in [value.reshape(*value.shape[:2], -1)]
            for i, element in enumerate(self.elements(name, value.shape[2:]))
        }


USUAL_STYLE = Style()


@dataclass(frozen=True)
class DrawHeader:
    """The header of draws, known before the first one is made.

    Arguments:
        labels: Labels of the data sets, in order; of a stream, of those read so far.
        parameters: What is drawn, in order.
        draws: How many per data set.
        seed: The seed that they are made from; None where that is not known.
        provenance: Attributes of formats that take some, such as run and version.
        style: Style of names and numbers in tables, and of indices in netCDF.
        observed: The observables of the data sets, for formats that carry them.
        constant: Their context, likewise.
        long: Whether a table has a row for each element of a draw.
        certificates: Their names, of refined posteriors, for formats with a place for them.
        scores: What is said of data sets, beside the draws, by name: a number of each, in the order
            of labels; of a stream, of those that have been read so far.
    """

    labels: Sequence[str]
    parameters: tuple[Variable, ...]
    draws: int
    seed: int | None
    provenance: dict[str, str] = field(default_factory=dict)
    style: Style = USUAL_STYLE
    observed: Datasets | None = None
    constant: Datasets | None = None
    long: bool = False
    certificates: tuple[str, ...] = ()
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        datasets: Datasets,
        layout: Layout,
        *,
        labels: Sequence[str],
        draws: int,
        seed: int,
        provenance: dict[str, str] | None = None,
        more: Iterable[Variable] = (),
        style: Style = USUAL_STYLE,
        scores: Mapping[str, Sequence[float]] | None = None,
    ) -> DrawHeader:
        """The header of draws given `datasets`, which it carries.

        Arguments:
            labels: A list stays what it is, and may grow, as may those of scores.
            more: What there is beside the parameters.
        """

        def given(variables: Iterable[Variable]) -> Datasets:
            return {v.name: datasets[v.name] for v in variables if v.name in datasets}

        return cls(
            labels=labels,
            parameters=(*layout.of("parameter"), *more),
            draws=draws,
            seed=seed,
            provenance=provenance or {},
            style=style,
            observed=given(layout.of("observable")),
            constant=given(layout.of("context", "given")),
            scores=scores or {},
        )

    def elements(self) -> tuple[str, ...]:
        """Names of all scalars of a draw, in order: `beta[0]`, `beta[1]`, `sigma`."""
        return tuple(name for v in self.parameters for name in self.style.elements(v.name, v.event))

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """The shape of all draws of a parameter, `(dataset, draw, *event)`."""
        return (len(self.labels), self.draws, *variable.event)


@dataclass(frozen=True)
class Draws:
    """All draws of all data sets.

    Arguments:
        labels: Labels of the data sets.
        values: Parameter name → `(dataset, draw, *event)`, float32. What a data set does not have
            (a quantity with a value for each of its groups) is NaN, in all of its draws.
        disagreement: Of an ensemble: name of a scalar → the share of its posterior variance that
            lies between members, `(dataset,)`; see `data.disagreement`.
        seed, provenance: What a file says of where they come from.
        chains: How many Markov chains they are, laid end to end; 0 for independent draws.
        certificates: Of refined posteriors, name → `(dataset,)`, such as k-hat.
        scores: What is said of data sets, by name, `(dataset,)`: `guard`, the p-value by which they
            are like the simulations.
    """

    labels: tuple[str, ...]
    values: dict[str, np.ndarray]
    disagreement: dict[str, np.ndarray] = field(default_factory=dict)
    seed: int | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    chains: int = 0
    certificates: Mapping[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    def elements(self) -> dict[str, np.ndarray]:
        """The draws `(dataset, draw)` by name of a scalar: `beta[0]`, `beta[1]`, `sigma`."""
        return USUAL_STYLE.scalars(self.values)


@dataclass(frozen=True)
class Statistics:
    """Statistics of posteriors: of draws, or as a network estimates them.

    Arguments:
        labels: Labels of the data sets.
        names: Names of the statistics: `mean`, `sd`, `q5`, `median`, ….
        values: Parameter name → `(dataset, statistic, *event)`, on the user's scale; float32 where
            they are written to a file, float64 for people.
        titles: Name of a scalar → what the spec wants people to read instead, if anything.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: dict[str, np.ndarray]
    titles: Mapping[str, str] = field(default_factory=dict)

    def elements(self, style: Style = USUAL_STYLE) -> dict[str, np.ndarray]:
        """The statistics `(dataset, statistic)` by name of a scalar: `beta[0]`, `sigma`."""
        return style.scalars(self.values)

    def rows(self) -> Iterator[tuple[str, str, dict[str, float]]]:
        """The label, the scalar and its statistics; scalar after scalar, data set after data set.

        Scalars that a data set does not have, of which all statistics are NaN, are left out.
        """
        elements = self.elements()
        for i, label in enumerate(self.labels):
            for element, values in elements.items():
                if not np.isnan(values[i]).all():
                    yield label, element, dict(zip(self.names, values[i].tolist(), strict=True))


def gathering(header: DrawHeader) -> Callable[[DrawBlock], Draws | None]:
    """A function that takes the next block and returns the draws of its data sets.

    Of one whose draws come in parts it gives all of them with the last part, and None before that.
    """
    held: list[DrawBlock] = []

    def add(block: DrawBlock) -> Draws | None:
        held.append(block)
        datasets, draws = block.shape
        if block.first_draw + draws < header.draws:
            return None
        own = slice(block.first_dataset, block.first_dataset + datasets)
        labels = tuple(header.labels[own])
        scores = {name: np.array(values[own]) for name, values in header.scores.items()}
        names = [variable.name for variable in header.parameters]
        values = {n: np.concatenate([part.values[n] for part in held], axis=1) for n in names}
        certificates = held[-1].certificates
        held.clear()
        return Draws(labels, values, scores=scores, certificates=certificates)

    return add


def whole_datasets(header: DrawHeader, blocks: Iterable[DrawBlock]) -> Iterator[Draws]:
    """The draws of a block's data sets at a time; of a data set in several blocks, all of them."""
    return filter(None, map(gathering(header), blocks))


def collect(header: DrawHeader, blocks: Iterable[DrawBlock]) -> Draws:
    """The draws of all blocks, in memory."""
    values = {v.name: np.empty(header.shape(v), np.float32) for v in header.parameters}
    certificates = {name: np.empty(len(header.labels)) for name in header.certificates}
    for block in blocks:
        for name, whole in values.items():
            part = block.values[name]
            whole[block.rows, block.first_draw : block.first_draw + part.shape[1]] = part
        for name, known in certificates.items():
            known[block.rows] = block.certificates[name]
    scores = {name: np.array(own) for name, own in header.scores.items()}
    return Draws(tuple(header.labels), values, scores=scores, certificates=certificates)


def absent_in_part(values: np.ndarray, *, axis: int) -> np.ndarray:
    """True where some draws lack a value that others have: the shape of `values` without its axis.

    Arguments:
        axis: The axis of draws.
    """
    gone = np.isnan(values)
    return np.asarray(gone.any(axis=axis) & ~gone.all(axis=axis))


def refuse_absent_in_part(values: Mapping[str, np.ndarray], place: str) -> None:
    """Refuse draws `(dataset, draw, *event)`, by name, of which some lack a value that others have.

    Errors:
        DataError: There are some.
    """
    for name, value in values.items():
        gaps = absent_in_part(value, axis=1)
        if gaps.any():
            dataset, *element = map(int, np.argwhere(gaps)[0])
            draws = np.isnan(np.moveaxis(value, 1, -1)[(dataset, *element)])
            at = [dataset, int(draws.argmax()), *element]
            raise DataError(
                "expected a number; got none, where other draws of this data set have one",
                place=f"{place}, {name}{at}",
            )


def as_float32(values: np.ndarray) -> np.ndarray:
    """Draws as they are held; what lies beyond float32 is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def float32_text(values: np.ndarray) -> list[list[str]]:
    """The shortest decimals that are read back as the same float32, as lists of `values`' shape."""
    text: list[list[str]] = as_float32(values).astype("U").tolist()
    return text
