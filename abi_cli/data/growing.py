"""Arrays that come in parts and are larger than memory, on their way into a file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

_AT_ONCE = 1 << 17
"""Number of numbers that are read at a time."""


class Grown:
    """An array that comes in parts, in a temporary file.

    Arguments:
        event: Shape of a row.
    """

    def __init__(self, file: IO[bytes], event: tuple[int, ...]):
        self._file, self._event = file, event
        self._parts: list[tuple[np.dtype[Any], int]] = []

    @classmethod
    def begun(cls, stack: ExitStack, scratch: Path | None, event: tuple[int, ...]) -> Grown:
        """A new array, which goes when the stack is closed.

        Arguments:
            scratch: The folder of the temporary file.
        """
        return cls(stack.enter_context(tempfile.TemporaryFile(dir=scratch)), event)

    def add(self, part: np.ndarray) -> None:
        """Take more rows."""
        self._file.write(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
        self._parts.append((part.dtype, len(part)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds every part."""
        return np.result_type(*(kind for kind, _ in self._parts))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole array."""
        return (sum(number for _, number in self._parts), *self._event)

    def pieces(self) -> Iterator[np.ndarray]:
        """The whole array, some rows at a time."""
        dtype, numbers = self.dtype, math.prod(self._event)
        at_once = max(1, _AT_ONCE // max(numbers, 1))
        self._file.seek(0)
        for kind, left in self._parts:
            for start in range(0, left, at_once):
                rows = min(at_once, left - start)
                content = self._file.read(rows * numbers * kind.itemsize)
                yield np.frombuffer(content, kind).astype(dtype).reshape(rows, *self._event)
