"""Zip archives that may come from strangers: looked over before any of their members is unpacked.

Nothing is ever unpacked to the name that a member gives itself. What is refused all the same is
what no honest archive of arrays or weights has: such an archive is meant for something else.
"""

from __future__ import annotations

import os
import stat
import zipfile
from typing import BinaryIO

MOST_TIMES = 100
"""Number of times that content may be larger than its file: deflated zeros reach 1,000 times."""

ROOM = 1 << 28
"""Number of bytes up to which content may be any number of times larger."""


def looked_over(archive: zipfile.ZipFile, stream: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive, by name.

    Arguments:
        stream: What the archive is read from.

    Errors:
        ValueError: Names that lead elsewhere or are there twice, links, secrets, unknown
            compressions, members that lie over each other, far more content than there is file.
    """
    size = stream.seek(0, os.SEEK_END)
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if name in found:
            raise ValueError(f"the archive has two members called {name!r}")
        if fault := _fault(member):
            raise ValueError(f"the member {name!r} {fault}")
        found[name] = member
    if sum(member.compress_size for member in found.values()) > size:
        raise ValueError("members of the archive lie over each other, or end beyond it")
    content = sum(member.file_size for member in found.values())
    if content > max(ROOM, MOST_TIMES * size):
        raise ValueError(
            f"the archive of {size:,} bytes would unpack to {content:,}, more than {MOST_TIMES} "
            "times as many"
        )
    return found


def _fault(member: zipfile.ZipInfo) -> str:
    """The fault of a member, as the end of a sentence; empty where there is none."""
    name = member.orig_filename
    if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
        return "has a path out of the archive as its name"
    if "\0" in name:
        return "has a name with a zero byte in it"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.is_dir():
        return "is a folder"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in another way than by deflate"
    return ""
