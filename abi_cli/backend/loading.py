"""The import of Keras and its backend, without their chatter and without what nobody asked for."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

_OPTIONAL = {
    "tensorflow": ("jax", "pandas", "matplotlib"),
    "jax": ("tensorflow", "pandas", "matplotlib"),
    "torch": ("tensorflow", "jax", "pandas", "matplotlib"),
}
"""Backend → packages that Keras or the backend imports if they happen to be there.

They serve data frames, pictures and conversions between backends, of which there are none here.
"""


class _Absent:
    """A finder of modules that refuses some packages."""

    def __init__(self, packages: Sequence[str]):
        self._packages = packages

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse a module of these packages; other modules are left to the next finder.

        The signature is that of `importlib.abc.MetaPathFinder`.
        """
        if fullname in self._packages:
            raise ModuleNotFoundError(f"No module named {fullname!r} for now", name=fullname)


@contextmanager
def lean(backend: str) -> Iterator[None]:
    """Leave out packages that a backend can do without, while it is imported.

    `import keras` on TensorFlow takes 3.6 s of processor time instead of 4.8 s (medians of three,
    with the extra `jax` installed). Letting TensorFlow's own interface (`tf.compat`, feature
    columns) wait until it is used gained nothing more. Afterwards everything can be imported.
    """
    finder = _Absent(_OPTIONAL[backend])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off the error stream what libraries write past Python, unless loading them fails.

    TensorFlow logs which processors it found whatever its log level is.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        shown = os.dup(2)
        own = sys.stderr
        sys.stderr = os.fdopen(
            os.dup(shown), "w", buffering=1, encoding="utf-8", errors="backslashreplace"
        )
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            meanwhile, sys.stderr = sys.stderr, own
            _hand_over(meanwhile, own)
            meanwhile.close()
            logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _hand_over(meanwhile: TextIO, own: TextIO) -> None:
    """Let loggers that were made while libraries were loaded write to the stream that stays."""
    loggers = [logging.getLogger(name) for name in (None, "absl", "tensorflow", "jax")]
    for handler in [handler for logger in loggers for handler in logger.handlers]:
        if isinstance(handler, logging.StreamHandler) and handler.stream is meanwhile:
            handler.setStream(own)
