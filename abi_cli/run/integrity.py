"""Integrity of a run: its files are those that training wrote, its manifest is one that we read.

What training writes has its SHA-256 in manifest.json. A file is looked at when a command needs it:

    model.keras     must be the one that was written
    spec.yaml       must say the same but for `data:` and `diagnostics:`, which may be changed in a
                    run: nothing was learned from them
    code/           must be the code that was learned from, where a command executes it; a training
                    goes on with other code, or another `model:`, where somebody accepts it
    the others      are told of by `abi show`; diagnostics/ and state/ are written again and again

Whoever can write manifest.json can write other hashes, too: they find damage and mistakes. What a
stranger's run may do is bounded by how its files are read (`model_file`, `data.hdf5`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from abi_cli import __version__
from abi_cli.errors import RunError, SpecError
from abi_cli.harmless import to_type
from abi_cli.hashing import digest
from abi_cli.spec.problems import Source
from abi_cli.spec.reader import read_document
from abi_cli.variables import Layout

T = TypeVar("T")

FREE = ("data", "diagnostics")
"""Sections of a spec that no network has learned from: how real files call things, and how strict
verdicts are."""

MEANING = "spec.yaml without data and diagnostics"
"""Entry of a manifest: the SHA-256 of a spec's meaning without those sections."""

NETWORKS = "spec.yaml without data, diagnostics and model"
"""Entry of a manifest: the same without the simulated model, for the state of a training."""

_MEANINGS = {MEANING: FREE, NETWORKS: (*FREE, "model")}

MOST_ELEMENTS = 1_000_000
"""Scalars of a variable, far more than any network takes."""


class NewerFormat(ValueError):
    """A file's format that only a newer abi knows."""


def meaning(spec: bytes) -> dict[str, str]:
    """The entries of a manifest for what a spec says; none where it says nothing.

    Arguments:
        spec: The text of spec.yaml.
    """
    try:
        tree = read_document(Source("spec.yaml", spec.decode("utf-8"))).tree
    except (SpecError, UnicodeDecodeError):
        return {}
    if not isinstance(tree, dict):
        return {}
    return {entry: _hashed(tree, without) for entry, without in _MEANINGS.items()}


def _hashed(tree: Mapping[str, Any], without: Sequence[str]) -> str:
    said = {name: value for name, value in tree.items() if name not in without}
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def changed(folder: Path, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """The files that are not there any more, or not as they were written."""
    return tuple(
        name
        for name, expected in hashes.items()
        if name not in _MEANINGS and not _is_intact(folder / name, expected)
    )


def _is_intact(file: Path, expected: str) -> bool:
    return file.is_file() and digest(file) == expected


def _says_the_same(spec: Path, hashes: Mapping[str, str], entry: str) -> bool:
    """True if a spec says what it said, as far as an entry of `meaning` goes."""
    content = spec.read_bytes() if spec.is_file() else b""
    if hashlib.sha256(content).hexdigest() == hashes.get(spec.name):
        return True
    return entry in hashes and meaning(content).get(entry) == hashes[entry]


def refuse_changed_spec(spec: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a spec that says anything else than when it was trained, but for what is `FREE`.

    Errors:
        RunError: It does, or is not there.
    """
    if not spec.is_file():
        raise RunError(f"{spec.parent} holds no {spec.name}", hint=_RESTORE)
    if _says_the_same(spec, hashes, MEANING):
        return
    raise RunError(
        f"{spec} is not the spec that this run was trained with: its SHA-256 differs from the one "
        "in manifest.json, and by more than its `data:` or `diagnostics:`",
        hint=f"{_RESTORE} To train what it says now: "
        + to_type("abi", "train", spec, "-o", "ANOTHER"),
    )


def refuse_changed_code(folder: Path, hashes: Mapping[str, str], code: str) -> None:
    """Refuse modules that are not those that the run was trained with.

    Arguments:
        folder: The run.
        code: Where in it they are.

    Errors:
        RunError: One was changed, is gone, or was added.
    """
    own = {name: known for name, known in hashes.items() if name.startswith(f"{code}/")}
    for name in changed(folder, own):
        raise RunError(
            f"{folder / name} is not the code that this run was trained with: its SHA-256 differs "
            "from the one in manifest.json",
            hint=f"{_RESTORE} To train with it: {to_type('abi', 'train', folder, '-o', 'ANOTHER')}",
        )
    for file in sorted((folder / code).rglob("*.py")):
        if file.relative_to(folder).as_posix() not in own:
            raise RunError(
                f"{file} is no part of this run: somebody has put it there",
                hint="Look at it, and take it away.",
            )


def accepted(folder: Path, hashes: Mapping[str, str], *, spec: str, code: str) -> dict[str, str]:
    """The hashes of a run once the present code, or spec under `model:`, is accepted.

    Arguments:
        folder: The run.
        spec, code: Where in it they are.

    Errors:
        RunError: The spec says something else by more than its `model:`, on which the state hangs.
    """
    said: dict[str, str] = {}
    if not _says_the_same(folder / spec, hashes, MEANING):
        if not _says_the_same(folder / spec, hashes, NETWORKS):
            raise RunError(
                f"{folder / spec} is not the spec that this run was trained with, by more than its "
                "`data:`, `diagnostics:` or `model:`",
                hint="Only other code, or another `model:`, can be accepted: the state of the "
                f"training is that of other networks. {_RESTORE} To train what it says now: "
                + to_type("abi", "train", folder / spec, "-o", "ANOTHER"),
            )
        content = (folder / spec).read_bytes()
        said = {spec: hashlib.sha256(content).hexdigest(), **meaning(content)}
    kept = {name: known for name, known in hashes.items() if not name.startswith(f"{code}/")}
    there = {file.relative_to(folder).as_posix() for file in (folder / code).rglob("*.py")}
    there |= {name for name in hashes.keys() - kept.keys() if (folder / name).is_file()}
    return {**kept, **said, **{name: digest(folder / name) for name in sorted(there)}}


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The files whose hashes are others → the hash before; empty where there was none."""
    names = sorted({*before, *now} - _MEANINGS.keys())
    return {name: before.get(name, "") for name in names if before.get(name) != now.get(name)}


_RESTORE = "Restore it from a copy of the run."


def document_of(text: str, schema: str) -> dict[str, Any]:
    """A JSON document of a schema such as `abi.run/1`, or of an older version of it.

    Errors:
        NewerFormat: It is of a newer version.
        ValueError: It is none.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("expected JSON; got brackets without end") from None
    kind, _, newest = schema.partition("/")
    found = document.pop("schema", None) if isinstance(document, dict) else None
    name, _, number = str(found).partition("/")
    if name != kind or not number.isdecimal() or len(number) > 9:
        raise ValueError(f"expected a JSON object with schema {schema!r}")
    if int(number) > int(newest):
        versions = document.get("versions")
        maker = versions.get("abi") if isinstance(versions, dict) else None
        raise NewerFormat(
            f"it was made by a newer abi ({maker or 'of an unknown version'}), in the format "
            f"{found}; this is abi {__version__}, which reads up to {schema}"
        )
    return document


def typed(kind: type[T], document: Mapping[str, Any]) -> T:
    """A dataclass of what JSON holds for it, each value of the type that it must have.

    Errors:
        ValueError: Values of other types, names that are unknown or missing.
    """
    unknown = sorted(document.keys() - {field.name for field in fields(kind)})  # type: ignore[arg-type]  # it is a dataclass
    if unknown:
        raise ValueError(f"expected other names than {', '.join(unknown[:5])}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}") from None


def refuse_odd(layout: Layout) -> None:
    """Refuse variables that no model has.

    Errors:
        ValueError: Names that are no names, or are there twice; shapes of no size.
    """
    names = [variable.name for variable in layout.variables]
    for variable in layout.variables:
        sizes = variable.event
        if not set(variable.length_of) <= set(names):
            raise ValueError(f"{variable.name} counts a variable that is not there")
        if not variable.name.isidentifier() or names.count(variable.name) > 1:
            raise ValueError(f"expected each variable once, by a name; got {variable.name!r}")
        if min(sizes, default=0) < 0 or math.prod(sizes) > MOST_ELEMENTS:
            raise ValueError(f"expected the shape of {variable.name}; got {_in_words(sizes)}")
        if len(variable.ranges) not in (0, math.prod(sizes)):
            raise ValueError(f"expected a range for each element of {variable.name}")


def _in_words(sizes: Iterable[int]) -> str:
    return " × ".join(f"{size:.6g}" for size in sizes)
