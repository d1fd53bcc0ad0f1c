"""Digests, by which files are told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
