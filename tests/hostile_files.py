"""Files as somebody makes them who wants to do harm: name → suffix, content, what is said of it.

Content is made when it is asked for, where it is large.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Content = bytes | Callable[[], bytes]
Into = Callable[[h5py.Group, str], object]
MANY_TIMES = "more than 100 times as many"
LINK, ELSEWHERE = "is a link to something elsewhere", "is stored in other files"


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", how) as archive:
        warnings.simplefilter("ignore")  # of two members of a name
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member


def deflated_npz() -> bytes:
    return zipped(("x.npy", b"\0" * (300 << 20)), how=zipfile.ZIP_DEFLATED)


def declared_larger(content: bytes) -> bytes:
    """An archive whose directory says that its first member is 3 GiB."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 20] + struct.pack("<II", 3 << 30, 3 << 30) + content[at + 28 :]


def _virtual(root: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    root.create_virtual_dataset(name, layout)


def _filtered(root: h5py.Group, name: str) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((10,))
    created.set_filter(31_999, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(root.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=created)


def outside(root: h5py.Group, name: str) -> None:
    root[name] = h5py.ExternalLink("/etc/passwd", "/x")


def _beside(root: h5py.Group, name: str) -> None:
    root[name] = h5py.SoftLink("/somewhere/else")


def _variable(shape: tuple[int, ...], **options: Any) -> Into:
    return lambda root, name: root.create_dataset(name, shape, "f4", **options)


def _deflated(root: h5py.Group, name: str) -> None:
    zeros = np.zeros(1 << 25, "f4")
    root.create_dataset(name, data=zeros, chunks=(1 << 20,), compression="gzip")


IN_HDF5: dict[str, tuple[Into, str]] = {
    "an external link": (outside, LINK),
    "a soft link": (_beside, LINK),
    "external storage": (_variable((10,), external=[("/etc/passwd", 0, 40)]), ELSEWHERE),
    "a virtual variable": (_virtual, ELSEWHERE),
    "a declared variable": (_variable((10**12,), chunks=(1000,)), "is declared as 4,000,000,000,"),
    "a deflated variable": (_deflated, MANY_TIMES),
    "a filter of a plugin": (_filtered, "by a filter that is not known here"),
}
"""What is no variable, weight or parameter: what puts it into a group, and what is said of it."""


def hdf5(into: Into, name: str, **others: Any) -> bytes:
    """A file with what is put into it under a name, such as `group/x`, and other variables."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        for other, value in others.items():
            root[other.replace("__", "/")] = value
        folder, _, own = name.rpartition("/")
        into(root.require_group(folder) if folder else root, own)
    return file.getvalue()


def _array(header: str, content: bytes = b"") -> bytes:
    """An array of NumPy's format, with any header."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def _of(shape: str, descr: str = "'<f8'", content: bytes = b"\0" * 24) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return _array(header, content)


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


_PICKLED = _of("(1,)", "'|O'", pickle.dumps([_Payload()]))
_ARRAYS = {
    "objects": (_PICKLED, "x holds Python objects, which are not read"),
    "a huge shape": (_of("(1000000000000,)"), "8,000,000,000,000 bytes"),
    "a negative shape": (_of("(-1, -3)"), "x is declared as 24 bytes"),
    "a shape in words": (_of("('a',)"), "in NPZ; shape is not valid"),
    "long text": (_of("(3,)", "'<U99999999'"), "x is declared as"),
    "a dtype that is none": (_of("(3,)", "'os.system'"), "descr is not"),
    "code as header": (_array("__import__('os').system('touch executed')"), "of numbers in NPZ"),
    "a header without end": (_array("{'descr': ("), "arrays of numbers"),
    "brackets as header": (_array("(" * 9_000), "arrays of numbers in NPZ"),
    "a long header": (_array(" " * 20_000), "arrays of numbers in NPZ"),
}


def _parquet_bomb() -> bytes:
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    table = pyarrow.table({name: np.zeros(1 << 20) for name in "xy"})
    with parquet.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(table)
    return file.getvalue()


DEEP = "[" * 100_000
Y = ("y.npy", _of("(3,)"))

DATA: dict[str, tuple[str, Content, str]] = {
    **{name: ("npz", zipped(("x.npy", x), Y), said) for name, (x, said) in _ARRAYS.items()},
    "an array alone": ("npz", _of("(3,)"), "named arrays (.npz); got a single one"),
    "a pickle": ("npz", pickle.dumps(_Payload()), "File is not a zip file"),
    "a name upwards": ("npz", zipped(("../x.npy", _of("(3,)")), Y), "a path out of"),
    "an array twice": ("npz", zipped(("x.npy", b""), ("x.npy", b"")), "two members called 'x.npy'"),
    "an array that is a link": ("npz", zipped((link("x.npy"), b"/etc")), "is a link"),
    "an archive bomb": ("npz", deflated_npz, MANY_TIMES),
    **{
        name: ("nc", partial(hdf5, into, "x", y=np.zeros(3)), said)
        for name, (into, said) in IN_HDF5.items()
    },
    "a group elsewhere": ("nc", hdf5(outside, "observed_data"), "'observed_data' is a link"),
    "deep JSON": ("json", DEEP.encode(), "expected JSON"),
    "5,000 digits": ("json", b'{"x": [%s], "y": [1]}' % (b"9" * 5000), "JSON; Exceeds the limit"),
    "400 digits": ("jsonl", b'{"x": [%s], "y": [1]}' % (b"9" * 400), "expected a list of numbers"),
    "a deep line": ("jsonl", DEEP.encode(), "line 1: expected JSON"),
    "zero bytes": ("csv", b"x,y\n1,\x002\n", "expected"),
    "an endless line": ("csv", lambda: b"x,y\n" + b"1" * (1 << 24), "more than 16,777,216 letters"),
    "an enormous field": ("csv", b'x,y\n"%s",2\n' % (b"1" * 200_000), "field larger than"),
    "a million columns": (
        "csv",
        lambda: ",".join(f"c{i}" for i in range(10**6)).encode(),
        "up to 100,000 columns",
    ),
    "a column of many elements": ("csv", b"x[999999999999],y\n1,2\n", "expected the column"),
    "a bomb of Parquet": ("parquet", _parquet_bomb, MANY_TIMES),
}
"""What is no file of data sets that is read."""

_LABELS = {"posterior__dataset": ["a"]}
DRAWS: dict[str, tuple[str, Content, str | None]] = {
    **{
        name: ("nc", partial(hdf5, into, "posterior/beta", **_LABELS), said)
        for name, (into, said) in IN_HDF5.items()
    },
    "a posterior elsewhere": ("nc", hdf5(outside, "posterior"), "'posterior' is a link to some"),
    "a label without end": (
        "nc",
        hdf5(lambda *_: None, "", posterior__dataset=["a" * 20_000] * 3),
        "a text of more than 10,000 letters",
    ),
    "objects": ("npz", zipped(("dataset.npy", _PICKLED)), "holds Python objects"),
    "5,000 digits": ("csv", b"dataset,draw,x[%s]\na,0,1\n" % (b"9" * 5000), None),
}
"""What is no file of draws that is read; None where it is read as what it says."""

ESTIMATES = {
    "a zero byte": ("csv", b"dataset,parameter,mean\na,b,\x00\n"),
    "a cell less": ("csv", b"dataset,parameter,mean\na,b\n"),
    "a cell more": ("csv", b"dataset,parameter,mean\na,b,1,2\n"),
    "other bytes": ("csv", b"dataset,parameter,m\n\xff,b,1\n"),
    "a long cell": ("tsv", b"dataset\tparameter\tm\n" + b"x" * 200_000),
}
"""What is no file of estimates that is read."""

_LAUGHS = ["a0: &a0 [lol, lol, lol]"]
_LAUGHS += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
_SYSTEM = b"name: !!python/object/apply:os.system ['touch executed']"

SPECS: dict[str, tuple[bytes, str]] = {
    "billion laughs": ("\n".join(_LAUGHS).encode(), "more than 20,000 values: too many for a spec"),
    "an anchor within itself": (b"a: &a [*a]", "an anchor contains an alias of itself"),
    "deep lists": (b"a: " + b"[" * 5_000, "more than 40 levels of nesting"),
    "deep mappings": (b"\n".join(b" " * i + b"a:" for i in range(500)), "more than 40 levels"),
    "a megabyte": (b"# " + b"x" * 1_000_000, "Expected a spec; got more than 200 kB"),
    "a tag of Python": (_SYSTEM, "Expected a value without a tag"),
    "a tag of a module": (b"name: !!python/module:os x", "Expected a value without a tag"),
    "a number of 5,000 digits": (b"training: {epochs: " + b"9" * 5000 + b"}", "Expected a number"),
    "escapes": (b'"\\e[31mname": x', "\\x1b[31mname"),
    "zero bytes": (b"name: a\x00b", "Expected printable text; got the character U+0000"),
    "other bytes": (b"name: \xff\xfe", "Expected UTF-8 text"),
}
"""What is no spec that is read."""


def write(folder: Path, name: str, content: Content) -> Path:
    """A file of it."""
    file = folder / name
    file.write_bytes(content() if callable(content) else content)
    return file
