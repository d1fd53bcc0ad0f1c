"""The run folder: the files that training leaves, none of which is ever half written.

    spec.yaml          the spec as run: defaults filled in, overrides applied, functions in code/
    spec.orig.yaml     what the user wrote
    code/              the modules that the spec's functions live in
    model.keras        adapter state, networks, weights
    history.csv        one row per epoch
    reference.npz      simulations that nothing was learned from, in numbers, for the guard
    state/             what training needs to go on (`abi_cli.training.checkpoints`)
    manifest.json      versions, seed, hashes, command, device, timings, the variables
    diagnostics/       what `abi diagnose` writes

The folder appears under its final name with spec, code and manifest, before training begins; every
file that comes later is written beside its place and renamed into it.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abi_cli.errors import RunError
from abi_cli.harmless import to_type
from abi_cli.hashing import digest
from abi_cli.placing import mark, replacing, sweep, write_text, writing
from abi_cli.run import integrity
from abi_cli.run.lock import is_locked, locked
from abi_cli.run.manifest import (
    CODE,
    HISTORY,
    MANIFEST,
    MODEL,
    REFERENCE,
    SPEC,
    STATE,
    Accepted,
    Manifest,
)
from abi_cli.run.room import (
    clear,
    give_back,
    make_room,
    refuse_taken,
)
from abi_cli.training.checkpoints import has_checkpoint
from abi_cli.variables import Layout


@dataclass(frozen=True)
class Run:
    """A run folder that exists."""

    path: Path
    manifest: Manifest

    @property
    def layout(self) -> Layout:
        """The variables of its model."""
        return self.manifest.layout

    def spec_file(self) -> Path:
        """The file of the run's spec, trainable in place."""
        return self.path / SPEC

    def trained_spec_file(self) -> Path:
        """The file of the run's spec, if its networks have learned from what it says now.

        Errors:
            RunError: It says something else now, by more than its `data:` or `diagnostics:`.
        """
        integrity.refuse_changed_spec(self.spec_file(), self.manifest.hashes)
        return self.spec_file()

    def refuse_changed_code(self) -> None:
        """Refuse to execute other code than the networks have learned from.

        Errors:
            RunError: A file was changed, is gone, or was added.
        """
        integrity.refuse_changed_code(self.path, self.manifest.hashes, CODE)

    def changed(self) -> tuple[str, ...]:
        """The files that are not as they were written."""
        return integrity.changed(self.path, self.manifest.hashes)

    def model_file(self) -> Path:
        """The file of the networks, checked to be the one that training wrote.

        Errors:
            RunError: The file is missing or is not what training wrote.
        """
        return self._intact(MODEL, "Copy the run folder again, or train it again with --force.")

    def reference_file(self) -> Path | None:
        """The simulations that the guard compares data with; None in older runs without them.

        Errors:
            RunError: The file is missing or is not what training wrote.
        """
        if REFERENCE not in self.manifest.hashes:
            return None
        return self._intact(REFERENCE, "Copy the run folder again, or do without: --guard off.")

    def _intact(self, name: str, remedy: str) -> Path:
        """A file that training wrote, if it is unchanged.

        Errors:
            RunError: It is missing or another.
        """
        file = self.path / name
        if not file.is_file():
            hint = "Train it again with --force." if name == MODEL else remedy
            raise RunError(f"{self.path} holds no {name}", hint=hint)
        if digest(file) != self.manifest.hashes.get(name):
            raise RunError(
                f"{file} is not the file that training wrote: its SHA-256 differs from the one in "
                f"{MANIFEST}",
                hint=remedy,
            )
        return file

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv; empty where there is none.

        Errors:
            RunError: It is damaged.
        """
        file = self.path / HISTORY
        if not file.is_file():
            return []
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                return [
                    {name: float(text) for name, text in row.items() if text}
                    for row in csv.DictReader(lines)
                ]
        except (ValueError, TypeError, csv.Error) as error:
            hint = "Restore it from a copy of the run, or remove it: only reports need it."
            raise RunError(f"{file} can't be read: {error}", hint=hint) from error


def open_run(path: Path) -> Run:
    """Open a run folder by its manifest.

    Errors:
        RunError: It is no run, or one whose training has not come to its end.
    """
    run = look(path)
    if not run.manifest.trained:
        training = is_locked(path)
        raise RunError(
            f"the training of {path} {'goes on' if training else 'has not come to its end'}, "
            "so it holds no posterior yet",
            hint="Wait until it has ended."
            if training
            else f"Let it go on: {to_type('abi', 'train', '--resume', path)}",
        )
    return run


def look(path: Path) -> Run:
    """Like `open_run`, for a run in any condition."""
    if not path.is_dir():
        what = "it is a file" if path.exists() else "there is no such folder"
        raise RunError(f"{path} is not a run: {what}", hint=_where_runs_are(path))
    file = path / MANIFEST
    if not file.is_file():
        raise RunError(f"{path} is not a run: it holds no {MANIFEST}", hint=_where_runs_are(path))
    try:
        return Run(path, Manifest.from_json(file.read_text(encoding="utf-8")))
    except integrity.NewerFormat as error:
        raise RunError(
            f"{file} can't be read: {error}", hint="Upgrade: pip install --upgrade abi-cli"
        ) from error
    except ValueError as error:
        raise RunError(
            f"{file} can't be read: {error}",
            hint="It was damaged, or written by another version of abi; train again with --force.",
        ) from error


_BANK = "bank.json"
"""In the folder of a bank, which may be taken for a run."""


def _where_runs_are(path: Path) -> str:
    """A remedy: the run that was probably meant."""
    if path.is_file() and (path.parent / MANIFEST).is_file():
        return f"The run is the folder: {path.parent}"
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return f"It looks like a spec; make a run of it first: {to_type('abi', 'train', path)}"
    if (path / _BANK).is_file():
        return (
            f"It is a bank of simulations: {to_type('abi', 'bank', 'ls', path)} looks at it, and "
            f"{to_type('abi', 'train', 'SPEC', '--data', path)} learns from it."
        )
    folder = path.parent if path.parent.is_dir() else Path()
    runs = [entry.parent.name for entry in sorted(folder.glob(f"*/{MANIFEST}"))]
    near = difflib.get_close_matches(path.name, runs, n=1)
    if near:
        return f"Did you mean {folder / near[0]}?"
    return "Runs are made by: abi train SPEC"


@contextlib.contextmanager
def begin(
    path: Path, manifest: Manifest, files: Mapping[str, bytes], *, force: bool
) -> Iterator[Run]:
    """A new run folder with its first files, for as long as it takes to train.

    Should the work end before it has saved any state, the folder goes away again and what was there
    before comes back. If it is stopped (KeyboardInterrupt) and nothing was there, the folder stays
    to be resumed.

    Arguments:
        path: Where; refused where something is, unless `force` makes room (`abi_cli.run.room`).
        files: Name, relative to the folder → content.

    Errors:
        OutputError: The place is taken, or nothing can be written there.
    """
    refuse_taken(path, force=force, by_run=True)
    with contextlib.ExitStack() as locks:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, os.getpid())
            first = Path(tempfile.mkdtemp(prefix=mark(), dir=path.parent))
            displaced = False
            try:
                manifest = _write_first(first, manifest, files)
                locks.enter_context(locked(first, called=path))
                with locked(path) if (path / MANIFEST).is_file() else contextlib.nullcontext():
                    displaced = make_room(path)
                first.rename(path)
            except BaseException:
                shutil.rmtree(first, ignore_errors=True)
                if displaced:
                    give_back(path)
                raise
        try:
            yield Run(path, manifest)
        except BaseException as error:
            if has_checkpoint(path / STATE):
                clear(path)
            elif displaced or not isinstance(error, KeyboardInterrupt):
                shutil.rmtree(path, ignore_errors=True)
                if displaced and not path.exists():
                    give_back(path)
            raise
        clear(path)


def _write_first(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write the files that a run begins with; gives its manifest, which has their hashes."""
    folder.chmod(0o777 & ~_umask())
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    own = {name: digest(folder / name) for name in sorted(files)}
    manifest = replace(manifest, hashes={**own, **integrity.meaning(files.get(SPEC, b""))})
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


@contextlib.contextmanager
def resume(path: Path) -> Iterator[Run]:
    """A run folder that is there, for as long as it takes to train on.

    Errors:
        RunError: It is no run, or somebody else trains it.
        OutputError: Nothing can be written there.
    """
    look(path)
    with locked(path):
        yield look(path)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def noted(
    run: Run, *, extended: tuple[int, ...] | None = None, resumed: tuple[str, ...] | None = None
) -> Run:
    """Note in a run that it is trained longer, or again.

    Arguments:
        extended, resumed: As in the manifest; None to leave them as they are.
    """
    before = run.manifest
    manifest = replace(
        before,
        extended=before.extended if extended is None else extended,
        resumed=before.resumed if resumed is None else resumed,
    )
    write_text(run.path / MANIFEST, manifest.to_json())
    return Run(run.path, manifest)


def accepted(run: Run, *, when: str) -> Run:
    """The run with the code, and `model:`, that it has now; with `noted` its folder says so, too.

    Arguments:
        when: ISO 8601 with the offset from UTC.

    Errors:
        RunError: Its spec says something else by more than its `model:`.
    """
    before = run.manifest
    hashes = integrity.accepted(run.path, before.hashes, spec=SPEC, code=CODE)
    change = Accepted(when, integrity.differing(before.hashes, hashes))
    return replace(
        run, manifest=replace(before, hashes=hashes, accepted=(*before.accepted, change))
    )


def finish(
    run: Run,
    *,
    history: Sequence[Mapping[str, float]],
    layout: Layout,
    timings: Mapping[str, float],
) -> Run:
    """Note the results of training in a run whose model.keras is in place."""
    write_history(run.path / HISTORY, history)
    manifest = replace(
        run.manifest,
        layout=layout,
        timings=dict(timings),
        trained=True,
        hashes={
            **run.manifest.hashes,
            **{
                name: digest(run.path / name)
                for name in (MODEL, HISTORY, REFERENCE)
                if name != REFERENCE or (run.path / name).is_file()
            },
        },
    )
    write_text(run.path / MANIFEST, manifest.to_json())
    return Run(run.path, manifest)


def write_history(file: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write one row per epoch; a figure that an epoch lacks is left empty."""
    names = ["epoch", *dict.fromkeys(name for row in history for name in row if name != "epoch")]
    with replacing(file) as place, place.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows({"epoch": i, **row} for i, row in enumerate(history, start=1))
