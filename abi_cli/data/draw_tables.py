"""Draws in tables, a row for each: those of ours, and Markov chains with a column `chain`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abi_cli.data.draws import Draws, absent_in_part, as_float32
from abi_cli.data.entries import LABEL, ROW_NAMES
from abi_cli.data.files import Source
from abi_cli.data.long_tables import DRAW, Tables
from abi_cli.data.meanings import Meaning
from abi_cli.data.spelling import shapes_among
from abi_cli.data.tables import Table
from abi_cli.errors import DataError

CHAIN = "chain"
"""Column with the number of the chain that a draw is of, where it holds whole numbers."""


def read_draws(source: Source, *, tables: Tables) -> Draws:
    """Draws as `write_draws` leaves them, their rows in any order.

    Errors:
        DataError: As `Tables.read`; no columns dataset and draw; unequal numbers of draws; a value
            that some draws of a data set lack.
    """
    meanings: dict[str, Meaning] = {}

    def choose(header: Sequence[str]) -> list[str]:
        if LABEL not in header or DRAW not in header:
            raise DataError(
                f"expected draws, with columns {LABEL} and {DRAW}; got {', '.join(header)}",
                place=f"{source}, row 1",
            )
        names = [name for name in header if name != LABEL and name not in ROW_NAMES]
        meanings.update({name: Meaning(gaps=True) for name in names if name != DRAW})
        return names

    table = tables.read(source, choose, meanings=meanings)
    columns = dict(table.columns)
    draw = columns.pop(DRAW)
    chained = CHAIN in columns and bool((columns[CHAIN] % 1 == 0).all())
    chain = columns.pop(CHAIN) if chained else np.zeros(len(draw))
    order = _order(draw, chain, table, source)
    values = {}
    for name, (event, elements) in shapes_among(list(columns), (), str(source)).items():
        stacked = np.stack([as_float32(columns[e])[order] for e in elements], axis=-1)
        if (gaps := absent_in_part(stacked, axis=1)).any():
            dataset, element = map(int, np.argwhere(gaps)[0])
            draw_of = int(np.isnan(stacked[dataset, :, element]).argmax())
            raise DataError(
                "expected a number; got none, where other draws of this data set have one",
                place=table.place(int(order[dataset, draw_of]), elements[element]),
            )
        values[name] = stacked.reshape(*order.shape, *event)
    number = _chains(chain[order], source) if chained else 0
    return Draws(table.labels or (), values, chains=number)


def _order(draw: np.ndarray, chain: np.ndarray, table: Table, source: Source) -> np.ndarray:
    """Rows of the table, `(dataset, draw)`, chain after chain.

    Errors:
        DataError: A data set has more draws than another, or one twice.
    """
    labels, sizes = table.labels or (), np.bincount(table.codes)
    if (sizes != sizes[0]).any():
        at = int(np.argmax(sizes != sizes[0]))
        raise DataError(
            f"expected {sizes[0]} draws of data set {labels[at]}, as of {labels[0]}; "
            f"got {sizes[at]}",
            place=str(source),
        )
    order = np.lexsort((draw, chain, table.codes)).reshape(len(sizes), sizes[0])
    same = (np.diff(draw[order], axis=1) == 0) & (np.diff(chain[order], axis=1) == 0)
    again = np.argwhere(same)
    if len(again):
        row = int(order[tuple(again[0])])
        raise DataError(
            f"expected each draw of a data set once; got draw {draw[row]:g} of "
            f"{labels[table.codes[row]]} again",
            place=table.place(row),
            hint="Replicated data have a row for each member: they are no draws.",
        )
    return order


def _chains(chain: np.ndarray, source: Source) -> int:
    """How many chains draws are, `chain (dataset, draw)` being the number of each one's.

    Errors:
        DataError: Chains differ in length, or between data sets.
    """
    numbers = np.unique(chain)
    even = np.repeat(numbers, chain.shape[1] // len(numbers))
    if len(even) != chain.shape[1] or (chain != even).any():
        raise DataError(
            f"expected as many draws of each of {len(numbers)} chains, in every data set",
            place=f"{source}, column {CHAIN}",
        )
    return len(numbers)
