"""Tables in memory, read by the same carrier and the same rules as tables in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from abi_cli.data.datasets import Loaded, loaded_of, wanted_of
from abi_cli.data.delimited import table_of_rows
from abi_cli.data.entries import Naming, Wanted
from abi_cli.data.files import Source
from abi_cli.data.points import rows_for
from abi_cli.data.tables import Table
from abi_cli.data.text_rows import Rows
from abi_cli.errors import DataError
from abi_cli.variables import Datasets, Layout

Frame = Mapping[str, Sequence[Any]]
"""A table by columns; a pandas DataFrame serves, too."""

DATA = Source(None, called="the table")
PARAMETERS = Source(None, called="the table of parameters")


def read_frame(frame: Frame, layout: Layout, *, naming: Naming | None = None) -> Loaded:
    """Data sets of a table in memory, as `read_datasets` reads them of a file.

    Errors:
        DataError: It is not data of this model.
    """
    naming = naming or Naming()
    entries = _table(frame, DATA).entries(wanted_of(layout, naming))
    return loaded_of(entries, layout, naming, DATA)


def read_frame_of_parameters(
    frame: Frame, layout: Layout, labels: Sequence[str], *, naming: Naming | None = None
) -> tuple[np.ndarray, Datasets]:
    """Values of parameters of a table in memory, as `read_parameters` reads them of a file.

    Errors:
        DataError: It is not values of these parameters, or for other data.
    """
    wanted = Wanted(layout.of("parameter"), optional=(), naming=naming or Naming())
    return rows_for(_table(frame, PARAMETERS).points(wanted), labels, PARAMETERS)


def _table(frame: Frame, source: Source) -> Table:
    """The table that these columns would be in a file.

    Numbers are read as the shortest decimals that stand for them, so that 0.1 in single precision
    is 0.1.

    Errors:
        DataError: Its columns differ in length.
    """
    names = [str(name) for name in frame]
    cells = [list(frame[name]) for name in frame]
    lengths = {name: len(own) for name, own in zip(names, cells, strict=True)}
    if len(set(lengths.values())) > 1:
        columns = ", ".join(f"{name} with {length}" for name, length in lengths.items())
        raise DataError(f"expected columns of one length; got {columns}", place=str(source))
    return table_of_rows(Rows(_texts(names, cells), ","), source)


def _texts(names: Sequence[str], cells: Sequence[Sequence[Any]]) -> Iterator[list[str]]:
    yield list(names)
    for row in zip(*cells, strict=True):
        yield ["" if value is None else str(value) for value in row]
