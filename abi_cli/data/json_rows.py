"""JSON whose objects are rows of a table, as R and pandas write data frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from abi_cli.data.entries import Wanted
from abi_cli.data.files import Source
from abi_cli.data.long_tables import Tables
from abi_cli.data.meanings import Meaning
from abi_cli.data.records import Record
from abi_cli.data.tables import Columns, Table, check_header


def are_rows(objects: Sequence[Record], wanted: Wanted) -> bool:
    """Whether objects are rows: where a set or series is looked for, none of them has a list."""
    ragged = any(variable.ragged for variable in (*wanted.required, *wanted.optional))
    return ragged and not any(
        isinstance(value, list | dict) for _place, entry in objects for value in entry.values()
    )


def tables(objects: Sequence[Record]) -> Tables:
    """Rows as a table, to be read as any other."""
    names = list(dict.fromkeys(name for _place, entry in objects for name in entry))
    rows = [tuple(_text(entry.get(name)) for name in names) for _place, entry in objects]
    number = np.arange(1, len(rows) + 1)
    return Tables(
        partial(_read_table, names, rows, number),
        lambda _source: names,
        lambda _source: (names, rows, number),
    )


def _read_table(
    names: list[str],
    rows: list[tuple[str, ...]],
    number: np.ndarray,
    source: Source,
    choose: Callable[[Sequence[str]], Sequence[str]],
    *,
    translate: Callable[[Sequence[str]], list[str]] = list,
    meanings: Mapping[str, Meaning] = MappingProxyType({}),
) -> Table:
    """As `tables.read_table`; a row may lack what is missing, as R leaves it out."""
    check_header(names, source)
    header = translate(names)
    columns = Columns(source, header, names, tuple(choose(header)), meanings)
    return columns.table([columns.read(list(zip(*rows, strict=True)), number)])


def _text(value: Any) -> str:
    """A cell as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else repr(value)
