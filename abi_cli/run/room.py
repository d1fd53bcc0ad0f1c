"""Room for a new run where another may be: only a trained run replaces anything.

    NAME               the run
    NAME.bak           the last whole run that `--force` has moved
    .NAME.old          while another is trained: an unfinished run that was in the way
    .NAME.bak.old      while another is trained: the backup before this one

Only a whole run is kept as a backup. The last two are there until the new training ends: if it has
saved a state by then, they go; if not, all have their names back. A process that is killed leaves
them to the next one that makes room, since names alone tell what is to be done.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from abi_cli.errors import OutputError, UsageError
from abi_cli.harmless import to_type
from abi_cli.run.lock import LOCK
from abi_cli.run.manifest import CODE, MANIFEST, METRICS, MODEL, ORIGINAL, SPEC, STATE, Manifest
from abi_cli.training.checkpoints import has_checkpoint


def refuse_taken(target: Path, *, force: bool, by_run: bool = False) -> None:
    """Refuse a place where something is, before it is written to.

    Devices and pipes, such as /dev/stdout, are always free.

    Arguments:
        by_run: Whether it is a run that is to be there.

    Errors:
        OutputError: Something is there and `force` is off.
        UsageError: Something is there that even `force` leaves alone: a folder that is not ours, a
            run in the way of anything else, or a backup that would have to go.
    """
    folder = target.is_dir()
    if folder and not _is_ours(target) and any(target.iterdir()):
        raise UsageError(
            f"{target} is a folder that abi did not make, so nothing is written there",
            hint=_ELSEWHERE,
        )
    is_run = (target / MANIFEST).is_file()
    if is_run and not by_run:
        raise UsageError(
            f"{target} is a run, and nothing else is written in its place", hint=_ELSEWHERE
        )
    taken = target.is_file() or (folder and _is_ours(target) and not is_only_begun(target))
    if not taken:
        return
    if force:
        _refuse_lost_backup(target, is_run=is_run)
        return
    ways = f"--force moves it to {target.name}.bak; -o writes somewhere else."
    if is_unfinished(target):
        ways = "--force drops it; -o writes somewhere else."
        if has_checkpoint(target / STATE):
            ways = f"{to_type('abi', 'train', '--resume', target)} lets its training go on. {ways}"
    raise OutputError(f"{target} is there already", hint=ways)


def refuse_nowhere(target: Path) -> None:
    """Refuse a target in a folder that is not there.

    Errors:
        OutputError: It isn't.
    """
    if not target.parent.is_dir():
        raise OutputError(
            f"can't write {target}: there is no folder {target.parent}",
            hint=to_type("mkdir", "-p", target.parent),
        )


_ELSEWHERE = "Name another place with -o."


def _is_ours(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (MANIFEST, METRICS))


def _refuse_lost_backup(target: Path, *, is_run: bool) -> None:
    """Refuse to replace a backup by something less, or something that is no backup.

    Errors:
        UsageError: It would be.
    """
    backup = _names(target)[0]
    if (backup / MANIFEST).is_file() and not is_run:
        raise UsageError(f"{target} can't be moved to {backup}, which is a run", hint=_ELSEWHERE)
    if backup.is_dir() and not _is_ours(backup) and any(backup.iterdir()):
        raise UsageError(
            f"{target} can't be moved to {backup}, a folder that abi did not make",
            hint=_ELSEWHERE,
        )


def is_only_begun(path: Path) -> bool:
    """True if a run holds nothing but the files that it began with: nothing was learned yet."""
    if not (path / MANIFEST).is_file() or has_checkpoint(path / STATE):
        return False
    own = {SPEC, ORIGINAL, CODE, MANIFEST, LOCK, STATE}
    return _says_untrained(path) and {one.name for one in path.iterdir()} <= own


def is_whole(path: Path) -> bool:
    """True if a folder is a run whose training has once come to its end."""
    return (path / MODEL).is_file() and not _says_untrained(path)


def is_unfinished(path: Path) -> bool:
    """True if a folder is a run whose training has not ended, so that another may replace it."""
    return (path / MANIFEST).is_file() and not is_whole(path)


def _says_untrained(path: Path) -> bool:
    """True if the manifest says that the run is untrained; False if the manifest is unreadable."""
    with contextlib.suppress(OSError, ValueError):
        return not Manifest.from_json((path / MANIFEST).read_text(encoding="utf-8")).trained
    return False


def make_room(path: Path) -> bool:
    """Give what is in the way of a new run another name.

    Returns:
        Whether anything was: `give_back` gives it its name again, `clear` lets it go.
    """
    backup, old, old_backup = _names(path)
    if is_only_begun(path):  # as if it had never been
        shutil.rmtree(path)
        give_back(path)
    elif not path.exists() and (old.exists() or old_backup.exists()):
        give_back(path)
    clear(path)
    if not path.exists():
        return False
    if not any(path.iterdir()):
        path.rmdir()
        return False
    if is_unfinished(path):
        path.rename(old)
        return True
    if backup.exists():
        backup.rename(old_backup)
    path.rename(backup)
    return True


def give_back(path: Path) -> None:
    """Undo `make_room`, if it was done; nothing is at `path` now."""
    backup, old, old_backup = _names(path)
    if old.exists():
        old.rename(path)
    elif backup.exists():
        backup.rename(path)
        if old_backup.exists():
            old_backup.rename(backup)


def clear(path: Path) -> None:
    """Remove what a run has replaced, but for its backup."""
    backup, old, old_backup = _names(path)
    if old_backup.exists() and not backup.exists():  # killed between two renames
        old_backup.rename(backup)
    for place in (old, old_backup):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _names(path: Path) -> tuple[Path, Path, Path]:
    """Paths of the backup; of an unfinished run, and of an older backup, for a while."""
    backup = f"{path.name}.bak"
    names = (backup, f".{path.name}.old", f".{backup}.old")
    first, second, third = (path.with_name(name) for name in names)
    return first, second, third
