"""Cells of delimited text as numbers and labels, or one message with their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abi_cli.data.files import Source
from abi_cli.data.meanings import Meaning
from abi_cli.errors import DataError
from abi_cli.harmless import label


def numbers_of(
    texts: Sequence[str], number: np.ndarray, column: str, source: Source, meaning: Meaning
) -> np.ndarray:
    """Numbers `(row,)`, float64, finite; NaN, too, where values may be missing.

    Arguments:
        number: `(row,)`, which rows of the file they stand in.
        column: The file's name of the column.
        meaning: What the texts may say beside numbers.

    Errors:
        DataError: A cell is no number.
    """
    texts = meaning.texts(texts)
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        values = np.empty(0)
    # Python reads 1_000 as a number, a person may have meant anything
    right = np.isfinite(values) | (np.isnan(values) & meaning.gaps)
    if right.all() and len(values) == len(texts) and "_" not in "".join(texts):
        return values
    gap = "nan" if meaning.gaps else None
    row = next(i for i, text in enumerate(texts) if not (_is_number(text) or text == gap))
    text = texts[row].strip()
    found = repr(text)
    if meaning.missing.says(text):
        found = f"{text!r}, a missing value" if text else "an empty cell"
    raise DataError(
        f"expected a number; got {found}",
        place=f"{source}, row {number[row]}, column {column}",
        hint=meaning.remedy(text, texts),
    )


def comma_numbers_of(
    texts: Sequence[str], number: np.ndarray, column: str, source: Source, meaning: Meaning
) -> np.ndarray:
    """Numbers, in the way of `numbers_of`, of texts in which 1,5 is a number."""
    with_points = [text if "." in text else text.replace(",", ".") for text in texts]
    return numbers_of(with_points, number, column, source, meaning)


def labels_of(texts: Sequence[str], number: np.ndarray, column: str, source: Source) -> list[str]:
    """Labels of data sets, without the mark that keeps spreadsheets from running them.

    Errors:
        DataError: A label is empty.
    """
    labels = unmarked_labels_of(texts, number, column, source)
    return [label(name) if name[:1] == "'" else name for name in labels]


def unmarked_labels_of(
    texts: Sequence[str], number: np.ndarray, column: str, source: Source
) -> list[str]:
    """Labels of data sets as they stand there.

    Errors:
        DataError: A label is empty.
    """
    labels = list(map(str.strip, texts))
    if "" in labels:
        raise DataError(
            "expected the label of a data set; got an empty cell",
            place=f"{source}, row {number[labels.index('')]}, column {column}",
        )
    return labels


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False
