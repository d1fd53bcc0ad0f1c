"""`model.keras` as somebody makes it who wants to do harm: name → content, what is said of it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.hostile_files import (
    DEEP,
    beside,
    declared,
    declared_larger,
    deflated,
    deflated_npz,
    named,
    outside,
    stored_outside,
    virtual,
    zipped,
)
from tests.mutations import FROZEN

MODEL = FROZEN / "coupling_flow" / "model.keras"


def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(MODEL) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def _model(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A model.keras with another config."""
    members = _members()
    document = json.loads(members["config.json"])
    change(document)
    members["config.json"] = json.dumps(document).encode()
    return zipped(*members.items())


def _with(**fields: Any) -> bytes:
    return _model(lambda document: document.update(fields))


def _networks(**fields: Any) -> bytes:
    return _model(lambda document: document["config"].update(fields))


def _width(**options: Any) -> bytes:
    return _networks(inference={"coupling_flow": options})


def _weights(change: Callable[[h5py.File], None]) -> bytes:
    """A model.keras with other weights."""
    members = _members()
    file = io.BytesIO(members["model.weights.h5"])
    with h5py.File(file, "r+") as root:
        change(root)
    members["model.weights.h5"] = file.getvalue()
    return zipped(*members.items())


def _circle(root: h5py.Group, _name: str) -> None:
    root["circle"] = root["/"]


def _not_finite(root: h5py.Group, _name: str) -> None:
    root["inference_network/vars/0"][0] = np.nan


MODELS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "nothing": lambda: (b"", "File is not a zip file"),
    "text": lambda: (b"import os", "File is not a zip file"),
    "Lambda": lambda: (
        _with(module="keras.layers", class_name="Lambda", registered_name=None),
        "expected an approximator of abi; got 'Lambda' of the module 'keras.layers'",
    ),
    "a function of os": lambda: (_with(module="os", class_name="system"), "got 'system' of the"),
    "a name of another's": lambda: (_with(registered_name="x>Approximator"), "expected an appr"),
    "code as a name": lambda: (
        _networks(inference={"__import__('os').system('touch executed')": {}}),
        "unknown inference network",
    ),
    "Keras's own config within": lambda: (
        _networks(summary={"module": "keras.layers", "class_name": "Lambda", "config": {}}),
        "too many values to unpack",
    ),
    "a package that is not there": lambda: (
        _networks(summary={"os.system": {}}),
        "unknown summary network",
    ),
    "10^9 units": lambda: (_width(width=10**9), "a size up to 1,000,000 as width; got 1e+09"),
    "a million units": lambda: (_width(width=10**6), "expected networks of"),
    "10^5 layers": lambda: (_width(depth=10**5), "less than or equal to 1000"),
    "10^12 parameters": lambda: (
        _model(lambda d: d["config"]["adapter"].update(event=[10**12])),
        "a size up to",
    ),
    "a set of 10^9 members": lambda: (_networks(buckets=[10**9]), "as buckets; got 1e+09"),
    "an infinite size": lambda: (_networks(buckets=[float("inf")]), "got Infinity"),
    "deep JSON": lambda: (
        zipped(*{**_members(), "config.json": DEEP.encode()}.items()),
        "maximum recursion",
    ),
    "no object": lambda: (zipped(*{**_members(), "config.json": b"[]"}.items()), "list"),
    "another layout": lambda: (_networks(layout=[{"name": "x"}]), "can't be opened: 'event'"),
    "absolute path": lambda: (
        zipped(*_members().items(), ("/evil", b"")),
        "'/evil' has a path out of the archive",
    ),
    "path upwards": lambda: (zipped(*_members().items(), ("../evil", b"")), "a path out of"),
    "path of Windows": lambda: (zipped(*_members().items(), ("..\\evil", b"")), "a path out of"),
    "a link": lambda: (
        zipped(*_members().items(), (named("link", external_attr=0o120777 << 16), b"/etc")),
        "'link' is a link",
    ),
    "an extra member": lambda: (zipped(*_members().items(), ("x.py", b"")), "got config.json, "),
    "a member twice": lambda: (
        zipped(*_members().items(), ("config.json", b"{}")),
        "two members called 'config.json'",
    ),
    "a member less": lambda: (zipped(("config.json", b"{}")), "expected the members"),
    "another compression": lambda: (
        zipped((named("config.json", compress_type=zipfile.ZIP_BZIP2), b"{}")),
        "by deflate",
    ),
    "a bomb": lambda: (deflated_npz(), "more than 100 times as many"),
    "members over each other": lambda: (
        declared_larger(zipped(*_members().items())),
        "lie over each other, or end beyond it",
    ),
    "external link": lambda: (
        _weights(lambda root: outside(root, "x")),
        "'x' is a link to something elsewhere",
    ),
    "soft link": lambda: (_weights(lambda root: beside(root, "x")), "is a link to something"),
    "external storage": lambda: (
        _weights(lambda root: stored_outside(root, "x")),
        "/x is stored in other files",
    ),
    "virtual weights": lambda: (
        _weights(lambda root: virtual(root, "x")),
        "stored in other files",
    ),
    "declared weights": lambda: (
        _weights(lambda root: declared(root, "x")),
        "/x is declared as 4,000,000,000,000 bytes",
    ),
    "deflated weights": lambda: (
        _weights(lambda root: deflated(root, "x")),
        "more than 100 times as many",
    ),
    "circle of groups": lambda: (_weights(lambda root: _circle(root, "x")), "circles of them"),
    "weights that are no numbers": lambda: (
        _weights(lambda root: _not_finite(root, "x")),
        "expected finite numbers as weights",
    ),
    "more weights": lambda: (
        _weights(lambda root: root.create_dataset("x", data=np.zeros(3))),
        "weights; got",
    ),
    "no HDF5": lambda: (
        zipped(*{**_members(), "model.weights.h5": b"x"}.items()),
        "can't be opened",
    ),
}
"""What is no model.keras that is read."""
