"""What is written of every content in every format, and what is read of it, as it once was.

    python -m tests.frozen_data    # freezes what the code of today does

Formats whose bytes depend on no library's version are frozen byte for byte, by a digest; of the
others some files are kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from abi_cli.data import (
    Asked,
    DrawHeader,
    Draws,
    Loaded,
    Part,
    Style,
    can_stream,
    estimates_of,
    open_draws,
    read_answers,
    read_batches,
    read_datasets,
    read_described,
    read_draws,
    read_kind,
    read_parameters,
    read_shapes,
    read_simulations,
    write_estimates,
    write_replicates,
    write_simulations,
)
from abi_cli.errors import AbiError
from abi_cli.hashing import digest
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Variable, array_of
from tests.data_examples import FIXED, LINE, PARAMETERS, RICH, draw_values, in_blocks, some

FOLDER = Path(__file__).parent / "frozen" / "data-1"
FACTS, FILES = FOLDER / "facts.json", FOLDER / "files"
LABELS = ("A", "=B", 'c, "d"', "\t-e é", "5")
SIZES = [3, 1, 4, 2, 5]
NAMES = ("mean", "sd", "q2.5", "median")
PROVENANCE = {"abi": "0", "run": "frozen", "model_sha256": "ab"}

FORMATS = ("csv", "tsv", "jsonl", "json", "npz", "nc", "parquet", "stan")
EXACT = ("csv", "tsv", "jsonl", "json", "stan")
"""Formats whose bytes depend on no version of a library, nor of Python, as an archive does."""

TWO = Layout(
    (Variable("a", "observable", True, ()), Variable("b", "observable", True, (2,), integer=True))
)
"""Sets of different lengths, which no table holds."""


GAPS = Layout(
    tuple(dataclasses.replace(v, missing=v.name == "y") for v in LINE.variables),
)


def two() -> Datasets:
    datasets = some(TWO, SIZES)
    other = some(TWO, SIZES[::-1], seed=1)["b"]
    return {"a": datasets["a"], "b": other}


def gaps() -> Datasets:
    """Data sets of the line with missing values."""
    datasets = some(LINE, SIZES, seed=2)
    y = datasets["y"]
    assert isinstance(y, Ragged)
    values = y.values.copy()
    values[[0, 5, 14]] = np.nan
    return {**datasets, "y": Ragged(values, y.row_size)}


def header(number: int, draws: int, **fields: object) -> DrawHeader:
    return DrawHeader(LABELS[:number], PARAMETERS, draws, 7, PROVENANCE, **fields)


def of_many(header: DrawHeader) -> Iterator[DrawBlock]:
    values = draw_values(header)
    values["sigma"][0, :2] = np.nan, np.inf
    values["sigma"][-1, 0] = -np.inf
    return in_blocks(values, datasets=2)


def _absent(file: Path, *, long: bool = False) -> None:
    """Draws of which the first data set lacks a parameter, and the third an element of one."""
    known = header(3, 4)
    values = draw_values(known)
    values["sigma"][0], values["beta"][2, :, 1] = np.nan, np.nan
    with open_draws(file, known, long=long) as writer:
        for block in in_blocks(values, datasets=2):
            writer.write(block)


def _drawn(
    file: Path,
    number: int = 5,
    draws: int = 6,
    *,
    cut: int = 0,
    long: bool = False,
    seed: int | None = 7,
    **fields: object,
) -> None:
    known = dataclasses.replace(header(number, draws, **fields), seed=seed)
    blocks = in_blocks(draw_values(known), draws=cut) if cut else of_many(known)
    with open_draws(file, known, long=long) as writer:
        for block in blocks:
            writer.write(block)


def _given(file: Path) -> None:
    """Draws with the data that they are given."""
    data = some(LINE, SIZES)
    known = DrawHeader.of(data, LINE, labels=list(LABELS), draws=4, seed=3, provenance=PROVENANCE)
    with open_draws(file, dataclasses.replace(known, style=Style(base=1))) as writer:
        for block in in_blocks(draw_values(known)):
            writer.write(block)


def _estimated(file: Path, style: Style = Style()) -> None:  # noqa: B008  # it is frozen
    known = header(5, 6, style=style)
    parts = estimates_of(known, of_many(known), NAMES)
    write_estimates(file, NAMES, parts, format=None, style=style)


def _replicated(file: Path) -> None:
    layout = Layout((Variable("draw", "context", False, (), integer=True), *LINE.variables[3:]))
    datasets = {"draw": np.array([0, 1, 0, 1, 2]), **some(layout, SIZES, seed=4)}
    datasets["draw"] = np.array([0, 1, 0, 1, 2])
    write_replicates(file, datasets, layout, ["a", "a", "b", "b", "b"])


CONTENTS: dict[str, Callable[[Path], None]] = {
    "line": lambda file: write_simulations(file, some(LINE, SIZES), LINE, labels=LABELS),
    "rich": lambda file: write_simulations(file, some(RICH, SIZES), RICH),
    "fixed": lambda file: write_simulations(file, some(FIXED, SIZES), FIXED, labels=LABELS),
    "two": lambda file: write_simulations(file, two(), TWO),
    "gaps": lambda file: write_simulations(file, gaps(), LINE, labels=LABELS),
    "replicated": _replicated,
    "draws": _drawn,
    "parts": lambda file: _drawn(file, 2, 7, cut=3),
    "one": lambda file: _drawn(file, 1, 4),
    "seedless": lambda file: _drawn(file, 1, 4, cut=3, seed=None),
    "styled": lambda file: _drawn(file, style=Style(base=1, dotted=True)),
    "given": _given,
    "long": lambda file: _drawn(file, long=True),
    "long parts": lambda file: _drawn(file, 2, 7, cut=3, long=True, style=Style(base=1)),
    "absent": _absent,
    "long absent": lambda file: _absent(file, long=True),
    "estimates": _estimated,
    "styled estimates": lambda file: _estimated(file, Style(base=1, dotted=True)),
}


def write(folder: Path, name: str, format: str) -> Path | str:
    """A file of some content, or why the format has no place for it."""
    file = folder / f"{name}.{format}"
    try:
        CONTENTS[name](file)
    except AbiError as error:
        return str(error).replace(str(folder), "FOLDER")
    return file


KEPT = ("given.nc", "rich.nc", "two.nc", "gaps.parquet", "given.parquet", "estimates.parquet")
"""Files as other versions of their libraries wrote them."""

READERS: dict[str, Callable[[Path], object]] = {
    "kind": lambda file: str(read_kind(file)),
    "shapes": lambda file: read_shapes(file, Asked()),
    "data": lambda file: _loaded(read_datasets(file, _layout(file), truths=True)),
    "simulations": lambda file: _loaded(read_simulations(file, _layout(file))),
    "described": lambda file: _loaded(read_described(file)),
    "batches": lambda file: _streamed(file, grouped=False),
    "grouped": lambda file: _streamed(file, grouped=True),
    "points": lambda file: read_parameters(file, LINE, LABELS),
    "draws": lambda file: _drawn_there(file),
    "answers": lambda file: _answers(file),
}


def read_back(file: Path) -> dict[str, object]:
    """What every reader makes of a file, in short: an object's digest, or why there is none."""
    found = {}
    for name, read in READERS.items():
        try:
            found[name] = short(read(file), file)
        except AbiError as error:
            found[name] = str(error).replace(str(file.parent), "FOLDER")
    return found


def short(value: object, file: Path) -> str:
    """A value in letters, with a digest where it is long."""
    text = repr(_plain(value)).replace(str(file.parent), "FOLDER")
    return text if len(text) < 80 else hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """Values of nothing but Python's own types, with the kinds of arrays."""
    if isinstance(value, Ragged):
        return _plain((value.values, value.row_size))
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.ravel().tolist()
    if isinstance(value, dict):
        return [(name, _plain(inside)) for name, inside in value.items()]
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def _layout(file: Path) -> Layout:
    return {"rich": RICH, "fixed": FIXED, "two": TWO, "gaps": GAPS}.get(file.stem, LINE)


def _loaded(loaded: Loaded) -> object:
    cells = [
        loaded.cell(name, (0,) * array_of(value).ndim) for name, value in loaded.datasets.items()
    ]
    return loaded.labels, loaded.datasets, loaded.notes, loaded.place(0), cells


def _streamed(file: Path, *, grouped: bool) -> object:
    part = Part(file)
    if not can_stream(part, grouped=grouped):
        return None
    return [_loaded(loaded) for loaded in read_batches(part, _layout(file))]


def _drawn_there(file: Path) -> object:
    draws = vars(read_draws(file))
    # what came when the others had been frozen
    later = {name: draws.pop(name) for name in ("chains", "scores", "certificates")}
    return draws | {name: value for name, value in later.items() if value}


def _answers(file: Path) -> object:
    found = read_answers(file)
    return list(found.elements().items()) if isinstance(found, Draws) else list(found.rows())


def _bytes(file: Path, format: str) -> dict[str, str]:
    """The digest of what is written: of an archive, of what it holds and not how it is packed."""
    if format == "npz":
        with zipfile.ZipFile(file) as archive:
            held = b"".join(name.encode() + archive.read(name) for name in archive.namelist())
        return {"members": hashlib.sha256(held).hexdigest()[:16]}
    return {"bytes": digest(file)[:16]} if format in EXACT else {}


def written(
    folder: Path, names: Iterable[str] = CONTENTS
) -> Iterator[tuple[str, dict[str, object]]]:
    """Name of a file → what is written, or why not, and what is read of it."""
    for name in names:
        for format in FORMATS:
            told = write(folder, name, format)
            if isinstance(told, str):
                yield f"{name}.{format}", {"refused": told}
                continue
            yield (
                told.name,
                {**_bytes(told, format), **({} if format == "stan" else read_back(told))},
            )


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    entries = dict(written(FILES))
    FACTS.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    for file in FILES.iterdir():
        if file.name not in KEPT:
            file.unlink()
