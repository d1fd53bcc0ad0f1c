"""Listeners, whom long work tells what it is doing, without printing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A piece of long work in progress."""

    def advance(self, amount: int = 1, **figures: float) -> None:
        """Add to the amount that is done; `figures` (such as loss=0.3) are shown beside it."""


class Listener:
    """A listener to a workflow. This one is silent; the console overrides it."""

    def note(self, text: str) -> None:
        """Hear something worth knowing."""

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Hear of something that may not be what was meant."""

    @contextmanager
    def task(
        self,
        title: str,  # noqa: ARG002  # the contract; a silent listener shows nothing
        total: int | None = None,  # noqa: ARG002  # as above
        unit: str = "",  # noqa: ARG002  # as above
    ) -> Iterator[Progress]:
        """Hear of work of `total` units (None where unknown), while the context lasts."""
        yield _Silent()


class _Silent:
    def advance(self, amount: int = 1, **figures: float) -> None:
        pass


SILENT = Listener()
"""The listener of commands that were given no other."""
