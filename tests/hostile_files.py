"""Files as somebody makes them who wants to do harm: name → suffix, content, what is said of it."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Case = tuple[str, bytes, str]


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore")  # of two members of a name
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def named(name: str, **fields: Any) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def _hdf5(change: Callable[[h5py.File], None]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        change(root)
    return file.getvalue()


def outside(root: h5py.Group, name: str) -> None:
    root[name] = h5py.ExternalLink("/etc/passwd", "/x")


def beside(root: h5py.Group, name: str) -> None:
    root[name] = h5py.SoftLink("/somewhere/else")


def stored_outside(root: h5py.Group, name: str) -> None:
    root.create_dataset(name, (10,), "u1", external=[("/etc/passwd", 0, 10)])


def virtual(root: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    root.create_virtual_dataset(name, layout)


def declared(root: h5py.Group, name: str) -> None:
    root.create_dataset(name, (10**12,), "f4", chunks=(1000,))


def deflated(root: h5py.Group, name: str) -> None:
    zeros = np.zeros(1 << 25, "f4")
    root.create_dataset(name, data=zeros, chunks=(1 << 20,), compression="gzip")


def _filtered(root: h5py.Group, name: str) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((10,))
    created.set_filter(31_999, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(root.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=created)


def _both(make: Callable[[h5py.Group, str], None]) -> Callable[[h5py.File], None]:
    def change(root: h5py.File) -> None:
        root["y"] = np.zeros(3)
        make(root, "x")

    return change


def _of_draws(make: Callable[[h5py.Group, str], None]) -> Callable[[h5py.File], None]:
    def change(root: h5py.File) -> None:
        posterior = root.create_group("posterior")
        posterior.create_dataset("dataset", data=["a"])
        make(posterior, "beta")

    return change


def _long_label(root: h5py.File) -> None:
    root["posterior/dataset"] = ["a" * 20_000] * 3


def _of_numpy(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def _header(shape: str, descr: str = "'<f8'") -> bytes:
    return _of_numpy(
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", b"\0" * 24
    )


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch executed",)


def _pickled() -> bytes:
    return _of_numpy(
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([_Payload()])
    )


def _npz(x: bytes, name: str = "x.npy") -> bytes:
    return zipped((name, x), ("y.npy", _header("(3,)")))


def deflated_npz() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * (300 << 20))
    return packed.getvalue()


def declared_larger(content: bytes) -> bytes:
    """An archive whose directory says that its first member is 3 GiB."""
    at = content.index(b"PK\x01\x02")
    sizes = struct.pack("<II", 3 << 30, 3 << 30)
    return content[: at + 20] + sizes + content[at + 28 :]


def _parquet_bomb() -> bytes:
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    values = pyarrow.array(np.zeros(1 << 20))
    schema = pyarrow.schema([("x", pyarrow.float64()), ("y", pyarrow.float64())])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(pyarrow.table([values, values], schema=schema))
    return file.getvalue()


def _laughs() -> bytes:
    lines = ["a0: &a0 [lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join(lines).encode()


DEEP = "[" * 100_000

DATA: dict[str, Callable[[], Case]] = {
    "objects": lambda: ("npz", _npz(_pickled()), "x holds Python objects, which are not read"),
    "a huge shape": lambda: (
        "npz",
        _npz(_header("(1000000000000,)")),
        "declared as 8,000,000,000,000 bytes; there are 24",
    ),
    "a negative shape": lambda: ("npz", _npz(_header("(-1, -3)")), "x is declared as 24 bytes"),
    "a shape in words": lambda: ("npz", _npz(_header("('a',)")), "in NPZ; shape is not valid"),
    "long text": lambda: ("npz", _npz(_header("(3,)", "'<U99999999'")), "x is declared as"),
    "a dtype that is none": lambda: ("npz", _npz(_header("(3,)", "'os.system'")), "descr is not"),
    "code as header": lambda: (
        "npz",
        _npz(_of_numpy("__import__('os').system('touch executed')")),
        "expected arrays of numbers in NPZ",
    ),
    "a header without end": lambda: ("npz", _npz(_of_numpy("{'descr': (")), "arrays of numbers"),
    "brackets as header": lambda: ("npz", _npz(_of_numpy("(" * 9_000)), "arrays of numbers in NPZ"),
    "a long header": lambda: ("npz", _npz(_of_numpy(" " * 20_000)), "arrays of numbers in NPZ"),
    "an array alone": lambda: ("npz", _header("(3,)"), "named arrays (.npz); got a single one"),
    "a pickle": lambda: ("npz", pickle.dumps(_Payload()), "File is not a zip file"),
    "a name upwards": lambda: ("npz", _npz(_header("(3,)"), "../x.npy"), "a path out of"),
    "an array twice": lambda: (
        "npz",
        zipped(("x.npy", b""), ("x.npy", b"")),
        "two members called 'x.npy'",
    ),
    "an array that is a link": lambda: (
        "npz",
        zipped((named("x.npy", external_attr=0o120777 << 16), b"/etc")),
        "is a link",
    ),
    "an archive bomb": lambda: ("npz", deflated_npz(), "more than 100 times as many"),
    "an external link": lambda: ("nc", _hdf5(_both(outside)), "'x' is a link to something else"),
    "a soft link": lambda: ("nc", _hdf5(_both(beside)), "'x' is a link to something elsewhere"),
    "external storage": lambda: ("nc", _hdf5(_both(stored_outside)), "stored in other files"),
    "a virtual variable": lambda: ("nc", _hdf5(_both(virtual)), "/x is stored in other files"),
    "a declared variable": lambda: ("nc", _hdf5(_both(declared)), "/x is declared as 4,000,"),
    "a deflated variable": lambda: ("nc", _hdf5(_both(deflated)), "more than 100 times as many"),
    "a filter of a plugin": lambda: (
        "nc",
        _hdf5(_both(_filtered)),
        "by a filter that is not known here",
    ),
    "a group elsewhere": lambda: (
        "nc",
        _hdf5(lambda root: outside(root, "observed_data")),
        "'observed_data' is a link",
    ),
    "deep JSON": lambda: ("json", DEEP.encode(), "expected JSON"),
    "a number of 5,000 digits": lambda: (
        "json",
        b'{"x": [' + b"9" * 5000 + b'], "y": [1]}',
        "expected JSON; Exceeds the limit",
    ),
    "a number of 400 digits": lambda: (
        "jsonl",
        b'{"x": [' + b"9" * 400 + b'], "y": [1]}',
        "expected a list of numbers",
    ),
    "a deep line": lambda: ("jsonl", DEEP.encode(), "line 1: expected JSON"),
    "zero bytes": lambda: ("csv", b"x,y\n1,\x002\n", "expected"),
    "an endless line": lambda: ("csv", b"x,y\n" + b"1" * (1 << 24), "more than 16,777,216 letters"),
    "an enormous field": lambda: (
        "csv",
        b'x,y\n"' + b"1" * 200_000 + b'",2\n',
        "field larger than",
    ),
    "a million columns": lambda: (
        "csv",
        ",".join(f"c{i}" for i in range(10**6)).encode(),
        "up to 100,000 columns",
    ),
    "a column of many elements": lambda: (
        "csv",
        b"x[999999999999],y\n1,2\n",
        "expected the column",
    ),
    "a bomb of Parquet": lambda: ("parquet", _parquet_bomb(), "more than 100 times as many"),
}
"""What is no file of data sets that is read."""

DRAWS: dict[str, Callable[[], Case]] = {
    "an external link": lambda: ("nc", _hdf5(_of_draws(outside)), "'beta' is a link to something"),
    "external storage": lambda: ("nc", _hdf5(_of_draws(stored_outside)), "stored in other files"),
    "virtual draws": lambda: ("nc", _hdf5(_of_draws(virtual)), "beta is stored in other files"),
    "declared draws": lambda: ("nc", _hdf5(_of_draws(declared)), "beta is declared as 4,000,000"),
    "a posterior elsewhere": lambda: (
        "nc",
        _hdf5(lambda root: outside(root, "posterior")),
        "'posterior' is a link to something",
    ),
    "a label without end": lambda: ("nc", _hdf5(_long_label), "a text of more than 10,000 letters"),
    "objects": lambda: ("npz", zipped(("dataset.npy", _pickled())), "holds Python objects"),
    "an element of 5,000 digits": lambda: (
        "csv",
        b"dataset,draw,x[" + b"9" * 5000 + b"]\na,0,1\n",
        None,
    ),
}
"""What is no file of draws that is read; None where it is read as what it says."""

SPECS: dict[str, tuple[bytes, str]] = {
    "billion laughs": (_laughs(), "more than 20,000 values: too many for a spec"),
    "an anchor within itself": (b"a: &a [*a]", "an anchor contains an alias of itself"),
    "deep lists": (b"a: " + b"[" * 5_000, "more than 40 levels of nesting"),
    "deep mappings": (b"\n".join(b" " * i + b"a:" for i in range(500)), "more than 40 levels"),
    "a megabyte": (b"# " + b"x" * 1_000_000, "Expected a spec; got more than 200 kB"),
    "a tag of Python": (
        b"name: !!python/object/apply:os.system ['touch executed']",
        "Expected a value without a tag",
    ),
    "a tag of a module": (b"name: !!python/module:os x", "Expected a value without a tag"),
    "a number of 5,000 digits": (b"training: {epochs: " + b"9" * 5000 + b"}", "Expected a number"),
    "escapes": (b'"\\e[31mname": x', "\\x1b[31mname"),
    "zero bytes": (b"name: a\x00b", "Expected printable text; got the character U+0000"),
    "other bytes": (b"name: \xff\xfe", "Expected UTF-8 text"),
}
"""What is no spec that is read."""


def write(folder: Path, name: str, content: bytes) -> Path:
    """A file of it."""
    file = folder / name
    file.write_bytes(content)
    return file
