"""Checkpoints: the state of a training in a folder, which is always whole.

    state/
      latest             the name of the folder that holds the state
      00000384/          one folder for each state, named by the steps that were done
        state.json       numbers, settings, and the SHA-256 of the other file
        arrays.npz       weights, the optimizer's variables, …

A folder is written under another name, flushed to the disk and renamed; then the pointer `latest`
is renamed into its place; only then the folder before it goes. So whenever the process is killed,
`latest` names a folder that is whole. No file holds anything but JSON and arrays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli import placing
from abi_cli.errors import OutputError, RunError
from abi_cli.hashing import digest

SCHEMA = "abi.state/1"
LATEST, FACTS, ARRAYS = "latest", "state.json", "arrays.npz"


@dataclass(frozen=True)
class Checkpoint:
    """The state that is kept of a training.

    Arguments:
        step: Steps that were done, which names it.
        facts: JSON values.
        arrays: Name → array.
    """

    step: int
    facts: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Make a checkpoint the latest of a folder, which is made if the one around it is there.

    Errors:
        OutputError: It can't be written; the one before it is as it was.
    """
    with _telling(folder):
        if not folder.is_dir():
            folder.mkdir()  # never with its parents: a run that was removed stays removed
        place = folder / f".{checkpoint.step:08}.{os.getpid()}"
        try:
            place.mkdir()
            with _flushed(place / ARRAYS) as file, file.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **checkpoint.arrays)
            facts = {
                "schema": SCHEMA,
                "step": checkpoint.step,
                "sha256": digest(place / ARRAYS),
                **checkpoint.facts,
            }
            with _flushed(place / FACTS) as file:
                file.write_text(json.dumps(facts), encoding="utf-8")
            final = _free(folder / f"{checkpoint.step:08}")
            place.rename(final)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        _point(folder, final.name)
        for other in folder.iterdir():
            if other not in (final, folder / LATEST):
                shutil.rmtree(other, ignore_errors=True)


def _free(place: Path) -> Path:
    """A place that is free: the same steps may have been saved before, within the epoch."""
    return next(
        free for letter in ("", "b", "c") if not (free := Path(f"{place}{letter}")).exists()
    )


def _point(folder: Path, name: str) -> None:
    place = folder / f".{LATEST}.{os.getpid()}"
    with _flushed(place):
        place.write_text(name + "\n", encoding="utf-8")
    place.replace(folder / LATEST)
    _flush(folder)


@contextlib.contextmanager
def _flushed(file: Path) -> Iterator[Path]:
    """A file that is on the disk when its writing has ended."""
    yield file
    _flush(file)


def _flush(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        with placing.writing(folder):
            yield
    except OutputError as error:
        run = folder.parent
        if run.is_dir():
            raise
        raise OutputError(
            f"the folder {run} is no longer there, so the state of the training can't be saved",
            hint="Don't move or remove a run while it is being trained.",
        ) from error


def has_checkpoint(folder: Path) -> bool:
    """True if a folder holds a state to go on from."""
    return (folder / LATEST).is_file()


def read_checkpoint(folder: Path) -> Checkpoint:
    """The latest checkpoint of a folder.

    Errors:
        RunError: There is none, or it is damaged.
    """
    hint = "Restore it from a copy of the run, or train anew with --force."
    try:
        place = folder / (folder / LATEST).read_text(encoding="utf-8").strip()
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        if facts.get("schema") != SCHEMA:
            raise RunError(
                f"Expected a state of the schema {SCHEMA} in {place}; got {facts.get('schema')!r}",
                hint="It was saved by another version of abi: resume with that one.",
            )
        if digest(place / ARRAYS) != facts["sha256"]:
            raise RunError(f"{place / ARRAYS} is not what training saved", hint=hint)
        with np.load(place / ARRAYS, allow_pickle=False) as arrays:
            return Checkpoint(int(facts["step"]), facts, dict(arrays))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise RunError(f"the state in {folder} can't be read: {error}", hint=hint) from error


class Writer:
    """A writer of checkpoints off the training thread, one at a time.

    Arguments:
        write: Function that writes.

    Attributes:
        seconds: Seconds that the last one took.
    """

    def __init__(self, write: Callable[[Checkpoint], None]):
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self.seconds = 0.0

    @property
    def busy(self) -> bool:
        """True while a checkpoint is being written."""
        return self._writing is not None and not self._writing.done()

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, after the one that is being written.

        Errors:
            OutputError: The one before could not be written.
        """
        self.wait()
        self._writing = self._thread.submit(self._timed, checkpoint)

    def wait(self) -> None:
        """Wait until nothing is being written.

        Errors:
            OutputError: It could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def look(self) -> None:
        """Raise what has gone wrong with a checkpoint that is done.

        Errors:
            OutputError: It could not be written.
        """
        if not self.busy:
            self.wait()

    def close(self) -> None:
        """End the thread, when it has written what it was given."""
        self._thread.shutdown()

    def _timed(self, checkpoint: Checkpoint) -> None:
        began = time.perf_counter()
        self._write(checkpoint)
        self.seconds = time.perf_counter() - began
