"""Files and folders that appear whole, in places where something may be."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from abi_cli.errors import OutputError


def write_text(file: Path, text: str) -> None:
    """Write a text file so that it appears whole."""
    with replacing(file) as place:
        place.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A place beside `target`, of the same suffix, that takes its name when the work is done.

    `target` may be a file or a folder; what was there is replaced, and stays where the work fails.
    """
    place = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        with writing(target):
            yield place
            if place.is_dir() and target.exists():
                shutil.rmtree(target)
            place.replace(target)
    finally:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def back_up(target: Path) -> Path | None:
    """Give what is at `target` the name `NAME.bak`; a file keeps its own name too, until replaced.

    Returns:
        The backup of a folder, None if there was none.
    """
    backup = target.with_name(f"{target.name}.bak")
    if target.is_dir():
        if not any(target.iterdir()):
            target.rmdir()
            return None
        if backup.exists():
            shutil.rmtree(backup)
        target.rename(backup)
        return backup
    if target.is_file():
        place = backup.with_name(f".{backup.name}.{os.getpid()}")
        shutil.copy2(target, place)
        place.replace(backup)
    return None


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say of a failed write where it was to go.

    Errors:
        OutputError: For every `OSError`.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except FileNotFoundError as error:
        raise OutputError(
            f"can't write {target}: the folder {target.parent} is no longer there",
            hint="Was it moved, or removed? Name another place with -o.",
        ) from error
    except OSError as error:
        raise OutputError(
            f"can't write {target}: {error.strerror or error}",
            hint="Look at the free space and the permissions there, or write elsewhere with -o.",
        ) from error
