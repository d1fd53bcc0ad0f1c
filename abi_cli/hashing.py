"""Hashes: of files, which tell them apart; of counters (SplitMix64), as pseudorandom bits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def scattered(bits: np.ndarray) -> np.ndarray:
    """The scattered bits, uint64 → uint64: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).

    It is one to one, and inputs that differ in one bit differ in about half of the bits afterwards.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(bits: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1), float64, of scattered uint64."""
    return (bits >> np.uint64(11)) * 2.0**-53
