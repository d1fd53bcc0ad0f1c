"""Draws in tables, a row for each: those of ours, and Markov chains with a column `chain`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abi_cli.data.draws import Draws, absent_in_part, as_float32
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.meanings import Meaning
from abi_cli.data.sheets import Columns, Sheet, read_columns
from abi_cli.data.spelling import shapes_among
from abi_cli.data.table_rows import DRAW
from abi_cli.errors import DataError

CHAIN = "chain"
"""Column with the number of the chain that a draw is of, where it holds whole numbers."""


def draws_of(sheet: Sheet) -> Draws:
    """The draws in the rows of a table, which may have any order.

    Errors:
        DataError: No columns dataset and draw; unequal numbers of draws; a value that some draws of
            a data set lack.
    """
    header, place = sheet.header, str(sheet.source)
    if LABEL not in header or DRAW not in header:
        raise DataError(
            f"expected draws, with columns {LABEL} and {DRAW}; got {', '.join(header)}",
            place=f"{place}, row 1",
        )
    names = [name for name in header if name != LABEL and name not in ROW_NAMES]
    meanings = {name: Meaning(gaps=True) for name in names if name != DRAW}
    columns = read_columns(sheet, names, meanings=meanings)
    values = dict(columns.values)
    draw = values.pop(DRAW)
    chained = CHAIN in values and bool((values[CHAIN] % 1 == 0).all())
    chain = values.pop(CHAIN) if chained else np.zeros(len(draw))
    order = _order(draw, chain, columns)
    found = {}
    for name, (event, elements) in shapes_among(list(values), (), place).items():
        stacked = np.stack([as_float32(values[e])[order] for e in elements], axis=-1)
        _refuse_absent_in_part(stacked, order, elements, columns)
        found[name] = stacked.reshape(*order.shape, *event)
    number = _chains(chain[order], columns) if chained else 0
    return Draws(columns.labels or (), found, chains=number)


def _refuse_absent_in_part(
    values: np.ndarray, order: np.ndarray, elements: Sequence[str], columns: Columns
) -> None:
    """Refuse numbers that a draw lacks and others have, in `values (dataset, draw, element)`."""
    gaps = absent_in_part(values, axis=1)
    if gaps.any():
        dataset, element = map(int, np.argwhere(gaps)[0])
        draw = int(np.isnan(values[dataset, :, element]).argmax())
        raise DataError(
            "expected a number; got none, where other draws of this data set have one",
            place=columns.place(int(order[dataset, draw]), elements[element]),
            hint="Leave out the draw, or the whole column.",
        )


def _order(draw: np.ndarray, chain: np.ndarray, columns: Columns) -> np.ndarray:
    """Rows of the table, `(dataset, draw)`, chain after chain.

    Errors:
        DataError: A data set has more draws than another, or one twice.
    """
    labels, sizes = columns.labels or (), np.bincount(columns.codes)
    if (sizes != sizes[0]).any():
        at = int(np.argmax(sizes != sizes[0]))
        raise DataError(
            f"expected {sizes[0]} draws of data set {labels[at]}, as of {labels[0]}; "
            f"got {sizes[at]}",
            place=str(columns.source),
        )
    order = np.lexsort((draw, chain, columns.codes)).reshape(len(sizes), sizes[0])
    same = (np.diff(draw[order], axis=1) == 0) & (np.diff(chain[order], axis=1) == 0)
    again = np.argwhere(same)
    if len(again):
        row = int(order[tuple(again[0])])
        raise DataError(
            f"expected each draw of a data set once; got draw {draw[row]:g} of "
            f"{labels[columns.codes[row]]} again",
            place=columns.place(row),
            hint="Replicated data have a row for each member: they are no draws.",
        )
    return order


def _chains(chain: np.ndarray, columns: Columns) -> int:
    """The number of chains of draws, `chain (dataset, draw)` being that of each draw's.

    Errors:
        DataError: Chains differ in length, or between data sets.
    """
    numbers = np.unique(chain)
    even = np.repeat(numbers, chain.shape[1] // len(numbers))
    if len(even) != chain.shape[1] or (chain != even).any():
        raise DataError(
            f"expected as many draws of each of {len(numbers)} chains, in every data set",
            place=f"{columns.source}, column {CHAIN}",
            hint="Leave out those that are more. Draws that are independent need no such column.",
        )
    return len(numbers)
