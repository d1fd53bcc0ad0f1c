"""The formats, by the name that is also their extension: the only place that names them.

To add one, write its codec in a file of its own and name it here. Nothing else has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from abi_cli import placing
from abi_cli.data import delimited, json_files, netcdf, npz, parquet, stan
from abi_cli.data.contents import Append, Carrier, Content, Kind
from abi_cli.data.files import Source, is_pipe, output, peek, scratch_folder
from abi_cli.errors import UsageError

_HELD = frozenset({Kind.DATA, Kind.REPLICATES, Kind.DRAWS, Kind.ESTIMATES})


@dataclass(frozen=True)
class Codec:
    """A format's functions that read and write its files.

    Arguments:
        name: Name for `--format`, and extension of files.
        read: A file → what it is, once it is opened; None for what is only written.
        write: A stream, which is written from front to back only; what will be in it; and a folder
            for temporary files → a function that takes its parts.
        holds: What can be written.
        table: Whether names and numbers of draws can be had in another style.
        counts_first: Whether it must know how many data sets there are before the first one.
        streams: Whether data sets are read as they come.
        groups: The same, where the rows of each data set follow each other.
    """

    name: str
    read: Callable[[Source], AbstractContextManager[Carrier]] | None
    write: Callable[[BinaryIO, Content, Path | None], AbstractContextManager[Append]]
    holds: frozenset[Kind] = _HELD
    table: bool = False
    counts_first: bool = False
    streams: bool = False
    groups: bool = False

    def open(self, source: Source) -> AbstractContextManager[Carrier]:
        """The carrier of a file, to be read once."""
        assert self.read is not None  # noqa: S101  # only what has one is chosen for reading
        return self.read(source)


def _delimited(name: str, delimiter: str) -> Codec:
    return Codec(
        name,
        partial(delimited.read, delimiter=delimiter),
        partial(delimited.write, delimiter=delimiter),
        holds=_HELD | {Kind.LONG_DRAWS},
        table=True,
        groups=True,
    )


FORMATS = (
    _delimited("csv", ","),
    _delimited("tsv", "\t"),
    Codec("jsonl", json_files.read_lines, json_files.write_lines, streams=True),
    Codec("json", json_files.read_list, json_files.write_list),
    Codec("npz", npz.read, npz.write, counts_first=True),
    Codec(
        "nc",
        netcdf.read,
        netcdf.write,
        holds=frozenset({Kind.DATA, Kind.DRAWS}),
        counts_first=True,
    ),
    Codec("parquet", parquet.read, parquet.write, table=True),
    Codec("stan", None, stan.write, holds=frozenset({Kind.DRAWS}), counts_first=True),
)
"""All formats; the first is that of standard input and output unless another is named."""


def choose(path: Path | None, name: str | None, able: Callable[[Codec], object]) -> Codec:
    """The format named by `--format`, else by the extension of `path`.

    Arguments:
        path: None is a standard stream.
        name: Name of the format; None where the extension decides.
        able: Whether a format can do what is needed.

    Errors:
        UsageError: There is no such format, or it can't do this.
    """
    codecs = {codec.name: codec for codec in FORMATS if able(codec)}
    if name is None:
        named = path is not None and (path.suffix or not is_pipe(path))
        name = path.suffix.lower().removeprefix(".") if path and named else next(iter(codecs))
    if name in codecs:
        return codecs[name]
    raise UsageError(
        f"expected one of the formats {', '.join(codecs)}; got {name or 'no extension'!r}",
        place=None if path is None else str(path),
        hint="The extension of a file says its format; --format says that of the output.",
    )


def for_writing(path: Path | None, name: str | None, kind: Kind) -> Codec:
    """The format of a file that will hold this kind of content.

    Errors:
        UsageError: There is no such format, or it has no place for it.
    """
    return choose(path, name, lambda codec: kind in codec.holds)


def _readable(codec: Codec) -> bool:
    return codec.read is not None


def for_reading(
    path: Path | None, name: str | None, able: Callable[[Codec], bool] = _readable
) -> Codec:
    """The format of a file; what comes through a pipe is known by its first bytes.

    Errors:
        UsageError: There is no such format, or it can't do this.
    """
    if path is not None and name is None and not path.suffix and not _by_its_bytes(path):
        known = ", ".join(codec.name for codec in FORMATS if able(codec))
        raise UsageError(
            f"expected one of the formats {known}; got 'no extension'",
            place=str(path),
            hint="A file's extension says its format. What comes through a pipe is read as -, and "
            "known by its first bytes.",
        )
    return choose(path, sniff(path) if name is None and _by_its_bytes(path) else name, able)


@contextmanager
def opened(path: Path | None, format: str | None = None) -> Iterator[Carrier]:
    """The carrier of a file, to be read once.

    Arguments:
        path: None is standard input.
        format: A format's name; by default that of the extension, CSV for standard input.

    Errors:
        UsageError: No such format.
        DataError: The file is not there, or is damaged.
    """
    with for_reading(path, format).open(Source(path)) as carrier:
        yield carrier


@contextmanager
def writing(target: Path | None, codec: Codec, content: Content) -> Iterator[Append]:
    """A function that writes parts of a content; the file appears whole when the context ends well.

    Arguments:
        target: None is standard output.

    Errors:
        OutputError: The file can't be written.
        UsageError: The format has no place for this content.
    """
    with output(target) as stream, ExitStack() as stack:
        with placing.writing(target):
            append = stack.enter_context(codec.write(stream, content, scratch_folder(target)))

        def checked(part: object) -> None:
            with placing.writing(target):
                append(part)

        yield checked
        with placing.writing(target):
            stack.close()


def _by_its_bytes(path: Path | None) -> bool:
    """True if a format is known by the first bytes, as that of a pipe: no name tells it."""
    return path is None or (not path.suffix and (is_pipe(path) or path.is_relative_to("/dev")))


def sniff(path: Path | None) -> str:
    """The name of the format of a file: by its extension, or by the first bytes that are piped."""
    if _by_its_bytes(path):
        return sniffed(peek(path))
    return path.suffix.lower().removeprefix(".") if path else ""


def sniffed(start: bytes) -> str:
    """The format of a file that begins so; CSV where nothing speaks for another one."""
    for mark, name in ((b"PK", "npz"), (b"\x89HDF", "nc"), (b"PAR1", "parquet")):
        if start.startswith(mark):
            return name
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        line, more, rest = text.partition(b"\n")
        alone = line.rstrip().endswith(b"}") and (not rest.strip() or rest.lstrip()[:1] == b"{")
        return "jsonl" if alone or not more else "json"
    header = text.partition(b"\n")[0]
    return "tsv" if b"\t" in header and b"," not in header else "csv"
