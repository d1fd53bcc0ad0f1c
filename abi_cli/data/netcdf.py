"""netCDF in the layout of ArviZ's InferenceData: draws with the data they are given.

posterior       beta (chain, draw, dataset, beta_dim_0), …; draws are independent: one chain
observed_data   x (obs, …) and row_size (dataset), CF's contiguous ragged arrays
constant_data   N (dataset), …
sample_stats    guard (dataset), khat (dataset), …: what is said of data sets beside the draws
parameters      beta (dataset, beta_dim_0), …: what simulations come from

Data sets are read from the last three and from the file's own root, from any program's files.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from abi_cli import placing
from abi_cli.data import hdf5
from abi_cli.data.arrays import ROW_SIZE, Apart, Arrays
from abi_cli.data.contents import Append, Content, DataSets
from abi_cli.data.draws import DrawHeader, Draws, as_float32, refuse_absent_in_part
from abi_cli.data.entries import LABEL, SAMPLE_STATS
from abi_cli.data.files import Source
from abi_cli.data.growing import Grown
from abi_cli.errors import DataError
from abi_cli.variables import DrawBlock, Ragged, Value, array_of

if TYPE_CHECKING:
    import h5netcdf

_CHUNK = 1 << 18
"""Draws of a variable that are stored together: 1 MiB of float32, the size of HDF5's cache."""

_DATA = ("observed_data", "constant_data", "parameters")
"""Groups that hold data sets."""


PROVENANCE = ("abi", "run", "model_sha256", "labels")
"""Names of attributes that say where draws come from, and what people call them."""


@contextmanager
def _full_disk_said() -> Iterator[None]:
    """Raise an OSError where HDF5 tells of a full disk by a RuntimeError, as the file is closed.

    Errors:
        OSError: The disk is full.
    """
    try:
        yield
    except RuntimeError as error:
        found = re.search(r"errno = (\d+)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


@contextmanager
def write(stream: BinaryIO, content: Content, scratch: Path | None) -> Iterator[Append]:
    """Write draws with what they are given, or data sets; of both, memory holds one part.

    HDF5 writes here and there, so the file grows in a temporary one and is then copied.
    """
    import h5netcdf

    with tempfile.NamedTemporaryFile(dir=scratch, prefix=placing.mark(), suffix=".nc") as file:
        with _full_disk_said():
            if isinstance(content, DrawHeader):
                with h5netcdf.File(file.name, "w") as root:
                    yield _draws_into(root, content)
            else:
                with ExitStack() as stack:
                    coming = _Coming(stack, scratch)
                    yield coming.append
                    with h5netcdf.File(file.name, "w") as root:
                        coming.write(root)
        file.seek(0)
        shutil.copyfileobj(file, stream, 1 << 20)


def _draws_into(root: h5netcdf.File, header: DrawHeader) -> Append:
    """Write groups observed_data, constant_data and posterior, which grows block by block."""
    root.attrs.update(header.provenance)
    if header.seed is not None:
        root.attrs["seed"] = header.seed
    base = header.style.base
    for name, given in (("observed_data", header.observed), ("constant_data", header.constant)):
        columns = {variable: _Column.of(value) for variable, value in (given or {}).items()}
        _write_given(root, name, columns, header.labels, base=base)
    posterior = _group(root, "posterior", header.labels)
    _index(posterior, "chain", range(1))
    _index(posterior, "draw", range(header.draws))
    for variable in header.parameters:
        shape = (1, header.draws, len(header.labels), *variable.event)
        dimensions = _event_dimensions(posterior, variable.name, variable.event, base)
        posterior.create_variable(
            variable.name,
            ("chain", "draw", LABEL, *dimensions),
            np.dtype("<f4"),
            chunks=_chunks(shape),
        )

    stats = _write_scores(root, header)

    def append(block: DrawBlock) -> None:
        for name in header.certificates:
            stats[name][block.rows] = block.certificates[name]
        at = 0, slice(block.first_draw, block.first_draw + block.shape[1]), block.rows
        for name, values in block.values.items():
            posterior[name][at] = np.swapaxes(values, 0, 1)

    return append


def _write_scores(root: h5netcdf.File, header: DrawHeader) -> Any:
    """Write the group sample_stats, if needed, with room for facts that come with the draws."""
    if not (header.scores or header.certificates):
        return None
    group = _group(root, SAMPLE_STATS, header.labels)
    for name, own in header.scores.items():
        group.create_variable(name, (LABEL,), data=np.array(own, "<f8"))
    for name in header.certificates:
        group.create_variable(name, (LABEL,), np.dtype("<f8"))
    return group


@dataclass(frozen=True)
class _Column:
    """A variable of data sets, in memory or in a temporary file.

    Arguments:
        values: The numbers, `(dataset, *event)`; of sets and series `(obs, *event)`.
        row_size: Numbers of members, `(dataset,)`; None where it is no set or series.
    """

    values: np.ndarray | Grown
    row_size: np.ndarray | None

    @classmethod
    def of(cls, value: Value) -> _Column:
        """A variable in memory."""
        return cls(array_of(value), value.row_size if isinstance(value, Ragged) else None)

    def write(self, group: h5netcdf.Group, name: str, dimensions: tuple[str, ...]) -> None:
        """Write the variable into a group, piece by piece."""
        if isinstance(self.values, np.ndarray) or not math.prod(self.values.shape):
            whole = np.zeros(self.values.shape, self.values.dtype)
            whole = self.values if isinstance(self.values, np.ndarray) else whole
            group.create_variable(name, dimensions, data=whole)
            return
        variable = group.create_variable(name, dimensions, self.values.dtype)
        at = 0
        for piece in self.values.pieces():
            variable[at : at + len(piece)] = piece
            at += len(piece)


class _Coming:
    """Data sets that come in parts; which dimensions they share is known when all have come.

    Memory holds a part of them, their labels, and how many members all have.
    """

    def __init__(self, stack: ExitStack, scratch: Path | None):
        self._stack, self._scratch = stack, scratch
        self._groups: dict[str, dict[str, Grown]] = {name: {} for name in _DATA}
        self._sizes: dict[str, list[np.ndarray]] = {}
        self._labels: list[str] = []

    def append(self, part: DataSets) -> None:
        """Take more data sets."""
        for name, value in part.present().items():
            role = {"observable": 0, "context": 1, "given": 1}.get(part.layout[name].role, 2)
            group, array = self._groups[_DATA[role]], array_of(value)
            if name not in group:
                group[name] = Grown.begun(self._stack, self._scratch, array.shape[1:])
            group[name].add(array)
            if isinstance(value, Ragged):
                self._sizes.setdefault(name, []).append(value.row_size)
        self._labels += part.labels

    def write(self, root: h5netcdf.File) -> None:
        """Write groups observed_data, constant_data and parameters."""
        for group, grown in self._groups.items():
            columns = {
                name: _Column(
                    values, np.concatenate(self._sizes[name]) if name in self._sizes else None
                )
                for name, values in grown.items()
            }
            _write_given(root, group, columns, self._labels)


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of chunks: all draws of a few data sets, or a part of the draws of one."""
    _, draws, datasets, *event = shape
    room = max(1, _CHUNK // int(np.prod(event, dtype=np.int64)))
    per_chunk = min(draws, room)
    return (1, per_chunk, min(datasets, max(1, room // per_chunk)), *event)


def _group(root: h5netcdf.File, name: str, labels: Sequence[str]) -> h5netcdf.Group:
    import h5py

    group = root.create_group(name)
    group.dimensions[LABEL] = len(labels)
    texts = np.array(labels, dtype=object)
    group.create_variable(LABEL, (LABEL,), h5py.string_dtype(), data=texts)
    return group


def _index(group: h5netcdf.Group, name: str, values: Sequence[int]) -> None:
    group.dimensions[name] = len(values)
    group.create_variable(name, (name,), data=np.array(values, dtype=np.int64))


def _event_dimensions(
    group: h5netcdf.Group, name: str, event: tuple[int, ...], base: int
) -> tuple[str, ...]:
    names = tuple(f"{name}_dim_{axis}" for axis in range(len(event)))
    for dimension, size in zip(names, event, strict=True):
        _index(group, dimension, range(base, base + size))
    return names


def _write_given(
    root: h5netcdf.File,
    name: str,
    columns: Mapping[str, _Column],
    labels: Sequence[str],
    *,
    base: int = 0,
) -> None:
    """Write a group of what the posteriors are given, if there is any."""
    if not columns:
        return
    group = _group(root, name, labels)
    sizes = [column.row_size for column in columns.values() if column.row_size is not None]
    common = all(np.array_equal(size, sizes[0]) for size in sizes)
    for variable, column in columns.items():
        first, values = LABEL, column.values
        if column.row_size is not None:
            suffix = "" if common else f"_{variable}"
            first = f"obs{suffix}"
            if first not in group.dimensions:
                group.dimensions[first] = values.shape[0]
                sized = group.create_variable(f"row_size{suffix}", (LABEL,), data=column.row_size)
                sized.attrs["sample_dimension"] = first
        dimensions = _event_dimensions(group, variable, values.shape[1:], base)
        column.write(group, variable, (first, *dimensions))


@contextmanager
def read(source: Source) -> Iterator[Arrays]:
    """The arrays that data sets consist of, and draws apart from them."""
    with source.open_seekable() as stream:

        @contextmanager
        def opened(expected: str) -> Iterator[Any]:
            try:
                with hdf5.opened(stream) as root:  # h5netcdf prints a traceback on other files
                    yield root
            except hdf5.UNREADABLE as error:
                raise DataError(f"expected {expected}; {error}", place=str(source)) from None

        def stored() -> dict[str, np.ndarray]:
            with opened("data in netCDF") as root:
                found = _data_in(root)
            if not set(found) - {LABEL}:
                raise DataError(
                    "expected data in netCDF: variables at its root, or in a group observed_data; "
                    "got none",
                    place=str(source),
                )
            return found

        def has_draws() -> bool:
            with opened("netCDF") as root:
                return hdf5.entry(root, "posterior") is not None

        def draws() -> Draws:
            with opened("draws in netCDF, in a group posterior") as root:
                return _draws_in(root, source)

        yield Arrays(source, stored, Apart(has_draws, draws))


def _data_in(root: Any) -> dict[str, np.ndarray]:
    """The arrays of data sets by name, with `row_size` as in NPZ."""
    found: dict[str, np.ndarray] = {}
    for group in (root, *(hdf5.entry(root, name) for name in _DATA)):
        found |= {} if group is None else _arrays_of_group(group)
    return found


def _arrays_of_group(group: Any) -> dict[str, np.ndarray]:
    """The variables that are no coordinates; a contiguous ragged one gets its own `row_size`."""
    import h5py

    arrays: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {}
    first_dimension: dict[str, str] = {}
    for name, variable in hdf5.entries(group):
        if not isinstance(variable, h5py.Dataset):
            continue
        if name == LABEL:
            arrays[LABEL] = np.asarray(hdf5.texts(variable), dtype="U")
        elif "sample_dimension" in variable.attrs:
            dimension = variable.attrs["sample_dimension"]
            counts[dimension.decode() if isinstance(dimension, bytes) else str(dimension)] = (
                hdf5.numbers(variable)
            )
        elif not variable.is_scale:
            arrays[name] = hdf5.numbers(variable)
            attached = variable.dims[0].values() if variable.ndim else []
            first_dimension[name] = attached[0].name.rpartition("/")[2] if attached else ""
    for name, dimension in first_dimension.items():
        if dimension in counts:
            arrays[f"{ROW_SIZE}_{name}"] = counts[dimension]
    return arrays


def _draws_in(root: Any, source: Source) -> Draws:
    """The draws as `write` leaves them.

    Errors:
        DataError: Another layout; some draws of a data set lack a value.
        ValueError: There are none.
    """
    posterior = hdf5.entry(root, "posterior")
    if posterior is None:
        raise ValueError("there is none")
    _refuse_chains(posterior, source)
    seed = np.ravel(root.attrs.get("seed", ()))
    attributes = {name: str(root.attrs[name]) for name in PROVENANCE if name in root.attrs}
    labels = tuple(hdf5.texts(posterior[LABEL]).tolist())
    values = {
        name: np.ascontiguousarray(as_float32(np.swapaxes(hdf5.numbers(variable)[0], 0, 1)))
        for name, variable in hdf5.entries(posterior)
        if not variable.is_scale  # the coordinates are
    }
    if any(value.shape[:1] != (len(labels),) for value in values.values()) or not values:
        raise DataError("expected draws (chain, draw, dataset, …)", place=str(source))
    refuse_absent_in_part(values, f"{source}, group posterior")
    known = int(seed[0]) if seed.size and seed.dtype.kind in "iu" else None
    said = hdf5.entry(root, SAMPLE_STATS)
    scores = {
        name: hdf5.numbers(variable)
        for name, variable in (() if said is None else hdf5.entries(said))
        if not variable.is_scale and variable.shape == (len(labels),)
    }
    return Draws(labels, values, seed=known, provenance=attributes, scores=scores)


def _refuse_chains(posterior: Any, source: Source) -> None:
    """Refuse draws of several chains, which are not independent."""
    chain = hdf5.entry(posterior, "chain")
    if chain is not None and len(chain) > 1:
        raise DataError(
            f"expected draws that are independent, as one chain; got {len(chain)} chains",
            place=str(source),
            hint="abi diagnose --draws reads draws of other tools; ArviZ summarizes chains.",
        )
