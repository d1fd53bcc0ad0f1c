"""Objects of JSON in text: parsed, and made of data sets, draws and estimates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from abi_cli.data.contents import Content, DataSets, EstimateHeader
from abi_cli.data.draws import DrawHeader, Draws, Statistics, float32_text, gathering
from abi_cli.data.entries import LABEL, SAMPLE_STATS, half_character
from abi_cli.errors import DataError
from abi_cli.variables import DrawBlock, Ragged

Record = tuple[str, dict[str, Any]]
"""The place of an object, and the object."""

SCORES = SAMPLE_STATS
"""The key of scores of a data set, beside its draws."""

EXPECTED = 'Expected an object for each data set, such as {"dataset": "A", "x": [1.5, 2.5]}.'


def parse(text: bytes, place: str) -> Any:
    """The value that UTF-8 text holds as JSON.

    Errors:
        DataError: It is neither; an object has a key twice; text has half a character, which
            nobody could write again.
    """
    try:
        value = json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique)
        if b"\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeDecodeError:
        raise DataError("expected UTF-8 text; got other bytes", place=place) from None
    except UnicodeEncodeError as error:
        raise DataError(half_character(error), place=place) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected JSON; {error}", place=place, hint=EXPECTED) from None


def record(value: Any, place: str) -> Record:
    """An object and its place.

    Errors:
        DataError: It is none.
    """
    if not isinstance(value, dict):
        raise DataError(f"expected an object; got {excerpt(value)}", place=place, hint=EXPECTED)
    return place, value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of JSON of these pairs, whose keys must differ.

    Errors:
        ValueError: A key is there twice.
    """
    entry = dict(pairs)
    if len(entry) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"got the key {twice!r} twice")
    return entry


def excerpt(value: Any) -> str:
    """The value in short, for a message."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def texts_of(content: Content) -> Callable[[Any], Iterable[str]]:
    """A function from a part of a content to an object per data set: its label and variables."""
    if isinstance(content, DataSets):
        return _of_datasets
    return _of_estimates if isinstance(content, EstimateHeader) else _of_draws(content)


def _of_datasets(content: DataSets) -> Iterator[str]:
    """The objects of data sets: variables as numbers and lists."""
    columns: dict[str, list[Any]] = {LABEL: list(content.labels)}
    for name, value in content.present().items():
        if isinstance(value, Ragged):
            members = np.split(value.values, np.cumsum(value.row_size)[:-1])
            columns[name] = [_plain(array) for array in members]
        else:
            columns[name] = _plain(value)
    for entry in zip(*columns.values(), strict=True):
        yield _in_json(dict(zip(columns, entry, strict=True)))


def _of_draws(header: DrawHeader) -> Callable[[DrawBlock], Iterator[str]]:
    """The objects of draws: parameters as lists over draws, after its last one has come."""
    add = gathering(header)

    def texts(block: DrawBlock) -> Iterator[str]:
        if draws := add(block):
            values: dict[str, Iterable[str]]
            values = {name: map(_list, _in_text(v)) for name, v in draws.values.items()}
            if draws.scores or draws.certificates:
                values[SCORES] = map(_in_json, _known_beside(draws))
            yield from _objects(draws.labels, values)

    return texts


def _known_beside(draws: Draws) -> Iterator[dict[str, float | None]]:
    """The scores of each data set, and the facts known of its posterior."""
    for row in range(len(draws.labels)):
        both = {**draws.scores, **draws.certificates}
        known = {name: float(value[row]) for name, value in both.items()}
        yield {name: value if math.isfinite(value) else None for name, value in known.items()}


def _of_estimates(part: Statistics) -> Iterator[str]:
    """The objects of estimates: parameters as objects of their estimates."""

    def inside(items: Any) -> str:
        return _object(dict(zip(part.names, map(_list, items), strict=True)))

    values = {name: map(inside, _in_text(value)) for name, value in part.values.items()}
    return _objects(part.labels, values)


def _objects(labels: Iterable[str], values: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The objects of data sets, one each.

    Arguments:
        values: Key → what an object has there, as JSON, data set after data set.
    """
    for label, *own in zip(labels, *values.values(), strict=True):
        yield _object({LABEL: _in_json(label), **dict(zip(values, own, strict=True))})


def _object(values: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{_in_json(name)}: {text}' for name, text in values.items())}}}"


def _in_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _in_text(values: np.ndarray) -> list[Any]:
    """The numbers of `float32_text`, in words that JSON has: null is none, 1e999 is infinite."""
    finite = np.isfinite(values)
    if finite.all():
        return float32_text(values)
    texts = np.array(float32_text(values), dtype=object)
    texts[np.isnan(values)] = "null"
    texts[np.isposinf(values)], texts[np.isneginf(values)] = "1e999", "-1e999"
    text: list[Any] = texts.tolist()
    return text


def _plain(array: np.ndarray) -> list[Any]:
    """The array as lists of numbers, with null where one is missing."""
    missing = np.isnan(array)
    if missing.any():
        array = array.astype(object)
        array[missing] = None
    plain: list[Any] = array.tolist()
    return plain


def _list(items: Any) -> str:
    """The JSON of nested lists of the texts of numbers."""
    if isinstance(items, str):
        return items
    return f"[{', '.join(items if isinstance(items[0], str) else map(_list, items))}]"
