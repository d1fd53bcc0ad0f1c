"""Random bits that follow from what they are for, many at a time."""

from __future__ import annotations

import numpy as np


def scattered(bits: np.ndarray) -> np.ndarray:
    """uint64 → uint64, one to one: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).

    Inputs that differ in one bit differ in about half of the bits afterwards.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(bits: np.ndarray) -> np.ndarray:
    """Scattered uint64 → float64 from 0 on, below 1."""
    return (bits >> np.uint64(11)) * 2.0**-53
