"""Ways to damage a file: bits, spans, numbers, words, members of archives."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np

Mutate = Callable[[bytes, np.random.Generator], bytes]


def _place(content: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(0, max(1, len(content))))


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bits the other way."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if changed else 0):
        changed[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    """Its beginning, or its end."""
    at = _place(content, rng)
    return content[:at] if rng.random() < 0.8 else content[at:]


def spliced(content: bytes, rng: np.random.Generator) -> bytes:
    """A span of it over another one."""
    start, to = _place(content, rng), _place(content, rng)
    span = content[start : start + int(rng.choice([1, 4, 8, 64, 1024]))]
    return content[:to] + span + content[to + len(span) :]


def repeated(content: bytes, rng: np.random.Generator) -> bytes:
    """A span of it many times."""
    start = _place(content, rng)
    span = content[start : start + int(rng.choice([1, 3, 16, 256]))]
    return content[:start] + span * int(rng.choice([2, 7, 200])) + content[start:]


def removed(content: bytes, rng: np.random.Generator) -> bytes:
    """Without a span."""
    start = _place(content, rng)
    return content[:start] + content[start + int(rng.choice([1, 2, 8, 100])) :]


NUMBERS = (0, 1, 2, 127, 255, 256, 65_535, 65_536, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 62)


def renumbered(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number where one may be: a size, a count, an offset."""
    width = int(rng.choice([1, 2, 4, 8]))
    number = int(rng.choice(NUMBERS)) % (1 << (8 * width))
    at = _place(content, rng)
    return content[:at] + number.to_bytes(width, "little") + content[at + width :]


WORDS = (
    *(b"-1", b"0", b"1e999", b"NaN", b"null", b"true", b"1" * 400, b"9" * 20, b"", b'"', b"'"),
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b"[" * 500,
        b":",
        b"\n",
        b"\x00",
        b"\xff",
        b"\r",
        b"=1+1",
        b"\x1b[",
        b",",
    ),
    *(b"dataset", b"x[999999999]", b"beta[0]", b"N", b"__import__('os')", b"../../x", b"&a", b"*a"),
)


def reworded(content: bytes, rng: np.random.Generator) -> bytes:
    """Another word in place of some letters."""
    at = _place(content, rng)
    word = WORDS[int(rng.integers(len(WORDS)))]
    return content[:at] + word + content[at + int(rng.choice([0, 1, len(word)])) :]


BINARY = (flipped, truncated, spliced, repeated, removed, renumbered)
TEXT = (*BINARY, reworded, reworded, reworded)


def damaged(content: bytes, rng: np.random.Generator, ways: tuple[Mutate, ...]) -> bytes:
    """After one to three of the ways, mostly one."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        content = ways[int(rng.integers(len(ways)))](content, rng)
    return content


def damaged_archive(content: bytes, rng: np.random.Generator) -> bytes:
    """As it is, or unpacked, damaged within and packed again with sums that are right."""
    if rng.random() < 0.3:
        return damaged(content, rng, BINARY)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    at = int(rng.integers(len(members)))
    name, inside = members[at]
    kind = rng.random()
    if kind < 0.75:
        members[at] = name, damaged(inside, rng, TEXT if name.endswith(".json") else BINARY)
    elif kind < 0.85:
        members[at] = name, members[int(rng.integers(len(members)))][1]
    elif kind < 0.92:
        del members[at]
    else:
        members.append((damaged(name.encode(), rng, TEXT).decode("latin-1") or "x", inside))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, inside in members:
            archive.writestr(zipfile.ZipInfo(name), inside)
    return packed.getvalue()
