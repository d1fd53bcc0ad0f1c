"""Data sets, draws and estimates as objects of JSON, in text: what `records` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from abi_cli.data.draws import DrawHeader, Estimates, float32_text
from abi_cli.data.entries import LABEL
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged


def datasets_in_text(datasets: Datasets, layout: Layout, labels: Sequence[str]) -> Iterator[str]:
    """One object per data set, its variables as numbers and lists."""
    columns: dict[str, list[Any]] = {LABEL: list(labels)}
    for variable in layout.variables:
        value = datasets.get(variable.name)
        if isinstance(value, Ragged):
            members = np.split(value.values, np.cumsum(value.row_size)[:-1])
            columns[variable.name] = [_plain(array) for array in members]
        elif value is not None:
            columns[variable.name] = _plain(value)
    for entry in zip(*columns.values(), strict=True):
        yield json.dumps(dict(zip(columns, entry, strict=True)), ensure_ascii=False)


def draws_in_text(header: DrawHeader, write: Callable[[str], None]) -> Callable[[DrawBlock], None]:
    """A function of blocks that writes one object per data set: label, lists over draws."""
    held: list[DrawBlock] = []  # parts of the draws of one data set

    def append(block: DrawBlock) -> None:
        held.append(block)
        datasets, draws = block.shape
        if block.first_draw + draws < header.draws:
            return
        texts = [
            _in_text(np.concatenate([part.values[v.name] for part in held], axis=1))
            for v in header.parameters
        ]
        held.clear()
        names = [json.dumps(v.name, ensure_ascii=False) for v in header.parameters]
        for i in range(datasets):
            label = json.dumps(header.labels[block.first_dataset + i], ensure_ascii=False)
            fields = [f"{name}: {_list(text[i])}" for name, text in zip(names, texts, strict=True)]
            write(f'{{"{LABEL}": {", ".join([label, *fields])}}}')

    return append


def estimates_in_text(estimates: Estimates) -> Iterator[str]:
    """One object per data set: its label, and per parameter an object of its estimates."""
    texts = {
        json.dumps(name, ensure_ascii=False): _in_text(value)
        for name, value in estimates.values.items()
    }
    for i, label in enumerate(estimates.labels):
        fields = [f'"{LABEL}": {json.dumps(label, ensure_ascii=False)}']
        for key, text in texts.items():
            pairs = zip(estimates.names, text[i], strict=True)
            inside = ", ".join(f'"{name}": {_list(items)}' for name, items in pairs)
            fields.append(f"{key}: {{{inside}}}")
        yield f"{{{', '.join(fields)}}}"


def _in_text(values: np.ndarray) -> list[Any]:
    """Numbers as `float32_text`, in words that JSON has: null is none, 1e999 is infinite."""
    finite = np.isfinite(values)
    if finite.all():
        return float32_text(values)
    texts = np.array(float32_text(values), dtype=object)
    texts[np.isnan(values)] = "null"
    texts[np.isposinf(values)], texts[np.isneginf(values)] = "1e999", "-1e999"
    text: list[Any] = texts.tolist()
    return text


def _plain(array: np.ndarray) -> list[Any]:
    """As lists of numbers, with null where one is missing."""
    missing = np.isnan(array)
    if missing.any():
        array = array.astype(object)
        array[missing] = None
    plain: list[Any] = array.tolist()
    return plain


def _list(items: Any) -> str:
    """Nested lists of the texts of numbers, as JSON."""
    if isinstance(items, str):
        return items
    return f"[{', '.join(items if isinstance(items[0], str) else map(_list, items))}]"
