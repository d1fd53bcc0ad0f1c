"""Ending a training before its end: asked for from outside, heeded at the end of a block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from abi_cli.errors import StoppedEarly


class Reason(NamedTuple):
    """The reason why a training ends early.

    Arguments:
        words: Such as `Ctrl-C`, after "stopped by".
        error: What it ends with.
    """

    words: str
    error: type[StoppedEarly]


class Stop:
    """A request to end a training, and its reason. Signals and threads may make it at any time.

    Arguments:
        limit: Seconds from now, after which the training ends with the block that it learns.

    Attributes:
        learns: Whether the training learns now, and heeds it.
    """

    def __init__(self, limit: float | None = None):
        self._deadline = None if limit is None else time.monotonic() + limit
        self._reason: Reason | None = None
        self.learns = False

    @property
    def requested(self) -> bool:
        """True if somebody has asked for the end."""
        return self._reason is not None

    def request(self, reason: Reason) -> bool:
        """Ask for the end of the training.

        Returns:
            Whether the training will end so, with its state saved. If not (it learns nothing now,
            or was asked before), whoever asks has to end it otherwise.
        """
        if not self.learns or self._reason is not None:
            return False
        self._reason = reason
        return True

    def asked(self) -> Reason | None:
        """The reason why the training is to end now, if it is."""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return Reason("--max-time", StoppedEarly) if late and not self.requested else self._reason

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """A context in which somebody looks at `asked` again and again."""
        self.learns = True
        try:
            yield
        finally:
            self.learns = False
