"""Cells of delimited text as numbers and labels, or one message with their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from abi_cli.data.entries import LABEL, MISSING
from abi_cli.data.files import Source
from abi_cli.errors import DataError
from abi_cli.harmless import label


def in_numbers(texts: Sequence[str], words: Mapping[str, int]) -> list[str]:
    """Words as the numbers that they stand for."""
    return [str(words.get(text.strip(), text)) for text in texts]


def numbers_of(
    texts: Sequence[str],
    number: np.ndarray,
    column: str,
    source: Source,
    words: Mapping[str, int] | None,
    *,
    gaps: bool,
) -> np.ndarray:
    """Numbers `(row,)`, float64, finite; with `gaps` NaN, too.

    Arguments:
        number: `(row,)`, which rows of the file they stand in.
        column: As the file calls it.
        words: What stands for numbers in the column, to be named where a cell is none.

    Errors:
        DataError: A cell is no number.
    """
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        values = np.array([np.nan])
    # Python reads 1_000 as a number, a person may have meant anything
    right = np.isfinite(values) | (np.isnan(values) & gaps)
    if right.all() and len(values) == len(texts) and "_" not in "".join(texts):
        return values
    row = next(i for i, t in enumerate(texts) if not (_is_number(t) or (gaps and t == "nan")))
    text = texts[row].strip()
    if text.lower() in MISSING:
        found = f"{text!r}, a missing value" if text else "an empty cell"
        hint = "This model has no place for missing values: fill it in, or leave the row out."
    else:
        found = repr(text)
        hint = "Correct the cell, or leave the row out."
        if _is_number(text.replace(",", ".")):
            hint = "Write decimals with a point."
        elif words:
            hint = f"The words of this column are {', '.join(words)}."
    raise DataError(
        f"expected a number; got {found}",
        place=f"{source}, row {number[row]}, column {column}",
        hint=hint,
    )


def labels_of(texts: Sequence[str], number: np.ndarray, source: Source) -> list[str]:
    """Labels of data sets, without the mark that keeps spreadsheets from running them.

    Errors:
        DataError: One is empty.
    """
    labels = [label(name) if name[:1] == "'" else name for name in map(str.strip, texts)]
    if "" in labels:
        raise DataError(
            "expected the label of a data set; got an empty cell",
            place=f"{source}, row {number[labels.index('')]}, column {LABEL}",
        )
    return labels


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False
