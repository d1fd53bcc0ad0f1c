"""Oddities of data sets, beside the simulations that the networks have learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abi_cli.data.entries import listing
from abi_cli.digits import plural
from abi_cli.precision import RESOLUTION
from abi_cli.variables import Datasets, Layout, Ragged, Value, Variable, array_of, share_missing

_SAME = RESOLUTION / 2
"""Distance from a constant, relative to it, of values that were rounded to single precision."""


def oddities(datasets: Datasets, labels: Sequence[str], layout: Layout) -> dict[str, str]:
    """Sentences on values that the simulations never had, by what each is about.

    Such are values of context, and of given variables, outside the range of the simulations;
    values of any variable other than the one that it always had; and more missing values.

    Arguments:
        datasets: The data sets as read.
        labels: The labels of the data sets.
        layout: The variables of the pilot simulations.
    """
    found = {}
    for variable in layout.of("context", "given", "observable"):
        value = datasets.get(variable.name)
        if value is None:
            continue
        numbers = array_of(value).reshape(len(array_of(value)), -1)
        if sentence := _no_constant(variable, value, numbers, labels):
            found[f"{variable.name}, a constant"] = sentence
        if sentence := _more_missing(variable, value, labels):
            found[f"{variable.name}, missing"] = sentence
        if variable.role != "observable" and (
            sentence := _out_of_range(variable, value, numbers, labels)
        ):
            found[variable.name] = sentence
    return found


def _no_constant(
    variable: Variable, value: Value, numbers: np.ndarray, labels: Sequence[str]
) -> str | None:
    """A sentence on values `(row, element)` that differ from a constant of the simulations."""
    if not variable.constants:
        return None
    places = [place for place, *_ in variable.constants]
    low, high = np.array([bounds for _, *bounds in variable.constants]).T
    found = numbers[:, places]  # NaN is neither below nor above
    differs = (found < low - _SAME * np.abs(low)) | (found > high + _SAME * np.abs(high))
    if not differs.any():
        return None
    elements = np.flatnonzero(differs.any(axis=0))
    first = int(elements[0])
    name = variable.elements()[places[first]]
    more = f"; so of {len(elements) - 1} more elements of it" if len(elements) > 1 else ""
    where = _where(value, differs[:, [first]], labels)
    return (
        f"{name} is {_span(found[differs[:, first], first])} in {where}: "
        f"it was {low[first]:.10g} in all simulations{more}"
    )


def _more_missing(variable: Variable, value: Value, labels: Sequence[str]) -> str | None:
    """A sentence on data sets that lack more values than any of the simulations did."""
    if not variable.missing or variable.most_missing is None:
        return None
    share = share_missing(value)
    more = np.flatnonzero(share > variable.most_missing + 1e-9)
    if not len(more):
        return None
    which = f"{plural('data set', len(more))} {listing([labels[i] for i in more.tolist()])}"
    return (
        f"{variable.name} lacks {_span(np.round(100 * share[more], 1))} % of its values in "
        f"{which}: at most {100 * variable.most_missing:.3g} % were missing in a simulation"
    )


def _out_of_range(
    variable: Variable, value: Value, numbers: np.ndarray, labels: Sequence[str]
) -> str | None:
    """A sentence on values `(row, element)` beyond all that were simulated, but for constants."""
    if variable.low is None or variable.high is None:
        return None
    outside = (numbers < variable.low) | (numbers > variable.high)
    outside[:, [place for place, *_ in variable.constants]] = False
    if not outside.any():
        return None
    return (
        f"{variable.name} is {_span(numbers[outside])} in "
        f"{_where(value, outside, labels)}: outside the simulated "
        f"{variable.low:.10g} to {variable.high:.10g}"
    )


def _span(found: np.ndarray) -> str:
    """The range of numbers, in words."""
    low, high = found.min(), found.max()
    return f"{low:.10g}" + (f" to {high:.10g}" if low < high else "")


def _where(value: Value, outside: np.ndarray, labels: Sequence[str]) -> str:
    """The data sets that rows with anything in `outside (row, element)` belong to."""
    entry = np.flatnonzero(outside.any(axis=1))
    if isinstance(value, Ragged):
        entry = np.unique(np.repeat(np.arange(len(value)), value.row_size)[entry])
    return f"{plural('data set', len(entry))} {listing([labels[i] for i in entry.tolist()])}"
