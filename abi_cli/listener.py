"""How long work tells whoever started it what it is doing, without printing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A piece of long work in progress."""

    def advance(self, amount: int = 1, **figures: float) -> None:
        """So much more is done; `figures` (such as loss=0.3) are shown beside it."""


class Listener:
    """Hears what a workflow does. This one is silent; the console overrides it."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Something that may not be what was meant."""

    @contextmanager
    def task(
        self,
        title: str,  # noqa: ARG002  # the contract; a silent listener shows nothing
        total: int | None = None,  # noqa: ARG002  # as above
        unit: str = "",  # noqa: ARG002  # as above
    ) -> Iterator[Progress]:
        """A piece of work of `total` units (None where unknown), as a context."""
        yield _Silent()


class _Silent:
    def advance(self, amount: int = 1, **figures: float) -> None:
        pass


SILENT = Listener()
"""Whom commands talk to that were told of no other."""


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 12 s, 2 min 5 s, 1 h 3 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def weight(size: float) -> str:
    """Bytes as people say them: 512 B, 3.4 MB, 200 GB."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = 0
    while size >= 999.5 and power < len(units) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {units[power]}"
