"""Posterior draws: what is known before the first one, and all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from abi_cli.variables import Datasets, DrawBlock, Layout, Variable, element_names


@dataclass(frozen=True)
class Style:
    """How tables name and number draws and elements; everything else counts from 0.

    Arguments:
        base: The first index: 0, or 1 as R, Julia and Stan count.
        dotted: `beta.1` instead of `beta[1]`: names that R's `read.csv` keeps.
    """

    base: int = 0
    dotted: bool = False

    def elements(self, name: str, event: tuple[int, ...]) -> tuple[str, ...]:
        """Names of the scalars of a variable's event."""
        return element_names(name, event, base=self.base, dotted=self.dotted)


USUAL_STYLE = Style()


@dataclass(frozen=True)
class DrawHeader:
    """What is known about draws before the first one is made.

    Arguments:
        labels: Of the data sets, in order; of a stream, those that have been read so far.
        parameters: What is drawn, in order.
        draws: How many per data set.
        seed: That they are made from; None where that is not known.
        provenance: Attributes of formats that take some, such as run and version.
        style: Of names and numbers, in formats that are tables, and of indices in netCDF.
        observed: The observables of the data sets, for formats that carry them.
        constant: Their context, likewise.
    """

    labels: Sequence[str]
    parameters: tuple[Variable, ...]
    draws: int
    seed: int | None
    provenance: dict[str, str] = field(default_factory=dict)
    style: Style = USUAL_STYLE
    observed: Datasets | None = None
    constant: Datasets | None = None

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
    ) -> DrawHeader:
        """The header of draws given `datasets`, which it carries.

        Arguments:
            labels: A list stays what it is, and may grow.
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
        )

    def elements(self) -> tuple[str, ...]:
        """Names of all scalars of a draw, in order: `beta[0]`, `beta[1]`, `sigma`."""
        return tuple(name for v in self.parameters for name in self.style.elements(v.name, v.event))

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """Of all draws of a parameter, `(dataset, draw, *event)`."""
        return (len(self.labels), self.draws, *variable.event)


@dataclass(frozen=True)
class Draws:
    """All draws of all data sets.

    Arguments:
        labels: Of the data sets.
        values: Parameter name → `(dataset, draw, *event)`, float32. What a data set does not have
            (a quantity with a value for each of its groups) is NaN, in all of its draws.
        disagreement: Of an ensemble: name of a scalar → the share of its posterior variance that
            lies between members, `(dataset,)`; see `diagnostics.disagreement`.
        seed, provenance: What a file says of where they come from.
        chains: How many Markov chains they are, laid end to end; 0 for independent draws.
    """

    labels: tuple[str, ...]
    values: dict[str, np.ndarray]
    disagreement: dict[str, np.ndarray] = field(default_factory=dict)
    seed: int | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    chains: int = 0

    def elements(self) -> dict[str, np.ndarray]:
        """Name of a scalar → its draws `(dataset, draw)`: `beta[0]`, `beta[1]`, `sigma`."""
        return {
            element: flat[..., i]
            for name, value in self.values.items()
            for flat in [value.reshape(*value.shape[:2], -1)]
            for i, element in enumerate(element_names(name, value.shape[2:]))
        }


@dataclass(frozen=True)
class Estimates:
    """Of every parameter in every data set.

    Arguments:
        labels: Of the data sets.
        names: Of what is estimated: `mean`, `sd`, `q5`, `median`, ….
        values: Parameter name → `(dataset, estimate, *event)`, float32, on the user's scale.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: dict[str, np.ndarray]

    def elements(self, style: Style = USUAL_STYLE) -> dict[str, np.ndarray]:
        """Name of a scalar → its estimates `(dataset, estimate)`: `beta[0]`, `beta[1]`, `sigma`."""
        return {
            element: flat[..., i]
            for name, value in self.values.items()
            for flat in [value.reshape(*value.shape[:2], -1)]
            for i, element in enumerate(style.elements(name, value.shape[2:]))
        }

    def rows(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Label, scalar and its estimates `(estimate,)`; data set after data set."""
        elements = self.elements()
        for i, label in enumerate(self.labels):
            for element, values in elements.items():
                yield label, element, values[i]


def whole_datasets(header: DrawHeader, blocks: Iterable[DrawBlock]) -> Iterator[Draws]:
    """The draws of a block's data sets at a time; of one whose draws come in parts, all of them."""
    held: list[DrawBlock] = []
    for block in blocks:
        held.append(block)
        datasets, draws = block.shape
        if block.first_draw + draws < header.draws:
            continue
        labels = tuple(header.labels[block.first_dataset : block.first_dataset + datasets])
        names = [variable.name for variable in header.parameters]
        yield Draws(
            labels, {n: np.concatenate([part.values[n] for part in held], axis=1) for n in names}
        )
        held = []


def collect(header: DrawHeader, blocks: Iterable[DrawBlock]) -> Draws:
    """All blocks in memory."""
    values = {v.name: np.empty(header.shape(v), np.float32) for v in header.parameters}
    for block in blocks:
        for name, whole in values.items():
            part = block.values[name]
            datasets = slice(block.first_dataset, block.first_dataset + part.shape[0])
            draws = slice(block.first_draw, block.first_draw + part.shape[1])
            whole[datasets, draws] = part
    return Draws(tuple(header.labels), values)


def absent_in_part(values: np.ndarray, *, axis: int) -> np.ndarray:
    """Where some draws lack a value that others have, in the shape of `values` without its axis.

    Arguments:
        axis: Of draws.
    """
    gone = np.isnan(values)
    return np.asarray(gone.any(axis=axis) & ~gone.all(axis=axis))


def as_float32(values: np.ndarray) -> np.ndarray:
    """Draws as they are held; what lies beyond float32 is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def float32_text(values: np.ndarray) -> list[list[str]]:
    """The shortest decimals that are read back as the same float32, as lists of `values`' shape."""
    text: list[list[str]] = as_float32(values).astype("U").tolist()
    return text
