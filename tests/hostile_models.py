"""`model.keras` as somebody makes it who wants to do harm: name → content, what is said of it."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from typing import Any

import h5py
import numpy as np

from tests.hostile_files import (
    DEEP,
    IN_HDF5,
    MANY_TIMES,
    Content,
    Into,
    declared_larger,
    deflated_npz,
    link,
    zipped,
)
from tests.mutations import FROZEN

with zipfile.ZipFile(FROZEN / "coupling_flow" / "model.keras") as _archive:
    _MEMBERS = {member.filename: _archive.read(member) for member in _archive.infolist()}


def _and(name: str | zipfile.ZipInfo, content: bytes = b"") -> bytes:
    """A model.keras with one more member."""
    return zipped(*_MEMBERS.items(), (name, content))


def _instead(name: str, content: bytes) -> bytes:
    """A model.keras with another member of a name."""
    return zipped(*{**_MEMBERS, name: content}.items())


def _with(*path: str, **fields: Any) -> bytes:
    """A model.keras with other fields somewhere in its config."""
    document = json.loads(_MEMBERS["config.json"])
    inside = document
    for key in path:
        inside = inside[key]
    inside.update(fields)
    return _instead("config.json", json.dumps(document).encode())


_networks = partial(_with, "config")


def _weights(into: Into) -> bytes:
    """A model.keras with other weights."""
    file = io.BytesIO(_MEMBERS["model.weights.h5"])
    with h5py.File(file, "r+") as root:
        into(root, "x")
    return _instead("model.weights.h5", file.getvalue())


def _circle(root: h5py.Group, name: str) -> None:
    root[name] = root["/"]


def _not_finite(root: h5py.Group, _name: str) -> None:
    root["inference_network/vars/0"][0] = np.nan


def _more(root: h5py.Group, name: str) -> None:
    root[name] = np.zeros(3)


_LAMBDA = {"module": "keras.layers", "class_name": "Lambda"}
_CODE = "__import__('os').system('touch executed')"
_BZIP2 = zipfile.ZipInfo("config.json")
_BZIP2.compress_type = zipfile.ZIP_BZIP2
_OURS = "expected an approximator of abi; got 'Lambda' of the module 'keras.layers'"


def _flow(**options: Any) -> bytes:
    return _networks(inference={"coupling_flow": options})


MODELS: dict[str, tuple[Content, str]] = {
    "nothing": (b"", "File is not a zip file"),
    "text": (b"import os", "File is not a zip file"),
    "Lambda": (_with(**_LAMBDA, registered_name=None), _OURS),
    "a function of os": (_with(module="os", class_name="system"), "got 'system' of the"),
    "a name of another's": (_with(registered_name="x>Approximator"), "expected an appr"),
    "code as a name": (_networks(inference={_CODE: {}}), "unknown inference network"),
    "Keras's own config": (_networks(summary={**_LAMBDA, "config": {}}), "too many values to"),
    "no such package": (_networks(summary={"os.system": {}}), "unknown summary network"),
    "10^9 units": (_flow(width=10**9), "a size up to 1,000,000 as width; got 1e+09"),
    "a million units": (_flow(width=10**6), "expected networks of"),
    "10^5 layers": (_flow(depth=10**5), "less than or equal to 1000"),
    "10^12 parameters": (_with("config", "adapter", event=[10**12]), "a size up to"),
    "a set of 10^9 members": (_networks(buckets=[10**9]), "as buckets; got 1e+09"),
    "an infinite size": (_networks(buckets=[float("inf")]), "got Infinity"),
    "deep JSON": (_instead("config.json", DEEP.encode()), "maximum recursion"),
    "no object": (_instead("config.json", b"[]"), "list"),
    "another layout": (_networks(layout=[{"name": "x"}]), "can't be opened: 'event'"),
    "absolute path": (_and("/evil"), "'/evil' has a path out of the archive"),
    "path upwards": (_and("../evil"), "a path out of"),
    "path of Windows": (_and("..\\evil"), "a path out of"),
    "a link": (_and(link("link"), b"/etc"), "'link' is a link"),
    "an extra member": (_and("x.py"), "got config.json, "),
    "a member twice": (_and("config.json", b"{}"), "two members called 'config.json'"),
    "a member less": (zipped(("config.json", b"{}")), "expected the members"),
    "another compression": (zipped((_BZIP2, b"{}")), "by deflate"),
    "a bomb": (deflated_npz, MANY_TIMES),
    "members over each other": (
        declared_larger(zipped(*_MEMBERS.items())),
        "lie over each other, or end beyond it",
    ),
    **{name: (partial(_weights, into), said) for name, (into, said) in IN_HDF5.items()},
    "circle of groups": (partial(_weights, _circle), "circles of them"),
    "weights that are no numbers": (partial(_weights, _not_finite), "expected finite numbers as"),
    "more weights": (partial(_weights, _more), "weights; got"),
    "no HDF5": (_instead("model.weights.h5", b"x"), "can't be opened"),
}
"""What is no model.keras that is read."""
