"""The file `model.keras`, read and checked without Keras.

It is a zip archive of three members: config.json, metadata.json and model.weights.h5. The config
names parts of this package's registry and nothing else; its weights are plain arrays.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from abi_cli.data import hdf5
from abi_cli.data.zips import looked_over
from abi_cli.errors import RunError

MODULE, CLASS, NAME = "abi_cli.approximator", "Approximator", "abi>Approximator"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

LARGEST_OPTION = 1_000_000
"""Largest whole number that says how large a network is: no width or length comes near."""

_SIZED = ("inference", "summary", "widths", "buckets")
"""Keys of a config that say how large networks are."""

_LONGEST = 500
"""Most letters of a reason that is shown."""

_DEEPEST = 30
"""Most groups within groups of weights."""


@dataclass(frozen=True)
class ModelFile:
    """Contents of a model.keras.

    Arguments:
        config: Of the approximator.
        weights: HDF5, looked over.
        numbers: How many weights there are.
    """

    config: dict[str, Any]
    weights: bytes
    numbers: int


def read_config(path: Path) -> dict[str, Any]:
    """The approximator's config.

    Errors:
        RunError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, weights=False).config


def read_model_file(path: Path) -> ModelFile:
    """The contents of the whole file.

    Errors:
        RunError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, weights=True)


def damaged(path: Path, why: object) -> RunError:
    """The error to raise for a file that can't be used."""
    if isinstance(why, ValidationError):
        first = why.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    told = str(why).strip().splitlines()
    reason = told[0][:_LONGEST] if told else type(why).__name__
    return RunError(
        f"{path} can't be opened: {reason}",
        hint="Copy the run folder again, or train it again with --force.",
    )


def _read(path: Path, *, weights: bool) -> ModelFile:
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = looked_over(archive, stream)
            if set(members) != {CONFIG, METADATA, WEIGHTS}:
                raise ValueError(
                    f"expected the members {CONFIG}, {METADATA} and {WEIGHTS}; "
                    f"got {', '.join(sorted(members)[:8]) or 'none'}"
                )
            config = _config(archive.read(members[CONFIG]))
            content = archive.read(members[WEIGHTS]) if weights else b""
        return ModelFile(config, content, _looked_over(content) if weights else 0)
    except FileNotFoundError:
        raise RunError(f"No {path}", hint="Has this run been trained to its end?") from None
    except (*hdf5.UNREADABLE, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise damaged(path, error) from error


def _config(text: bytes) -> dict[str, Any]:
    """Config of the approximator in the file, if it is one of ours.

    Errors:
        ValueError: It is something else.
    """
    document = json.loads(text, parse_constant=_no_number)
    named = tuple(map(document.get, ("module", "class_name", "registered_name")))
    if named != (MODULE, CLASS, NAME):
        raise ValueError(
            f"expected an approximator of abi; got {document.get('class_name')!r} of the module "
            f"{document.get('module')!r}, which is not looked up"
        )
    config: dict[str, Any] = document["config"]
    sized = {key: value for key, value in config.items() if key in _SIZED}
    adapter = config.get("adapter")
    _refuse_sizes([sized, adapter.get("event") if isinstance(adapter, dict) else None], "config")
    return config


def _no_number(word: str) -> float:
    raise ValueError(f"expected numbers that JSON has; got {word}")


def _refuse_sizes(value: Any, name: str) -> None:
    """Refuse whole numbers that are too large for the size of anything; seeds may be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "seed":
                _refuse_sizes(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            _refuse_sizes(inner, name)
    elif isinstance(value, int | float) and value > LARGEST_OPTION:
        raise ValueError(f"expected a size up to {LARGEST_OPTION:,} as {name}; got {value:.3g}")


def _looked_over(content: bytes) -> int:
    """The number of weights.

    Errors:
        ValueError: They are not arrays of finite numbers, each stored in this file.
    """
    with hdf5.opened(io.BytesIO(content)) as root:
        return _count(root, set(), depth=0)


def _count(group: Any, seen: set[int], *, depth: int) -> int:
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if depth > _DEEPEST or address in seen:
        raise ValueError(f"the weights are in more than {_DEEPEST} groups, or in circles of them")
    seen.add(address)
    total = 0
    for name, found in hdf5.entries(group):
        if isinstance(found, h5py.Group):
            total += _count(found, seen, depth=depth + 1)
            continue
        array = hdf5.numbers(found)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(
                f"expected finite numbers as weights; got others in {group.name}/{name}"
            )
        total += array.size
    return total
