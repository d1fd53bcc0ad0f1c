"""The run folder: what training leaves, written so that nothing in it is ever half there.

    spec.yaml          the spec as run: defaults filled in, overrides applied, functions in code/
    spec.orig.yaml     what the user wrote
    code/              the modules that the spec's functions live in
    model.keras        adapter state, networks, weights
    history.csv        one row per epoch
    state/             what training needs to go on
    manifest.json      versions, seed, hashes, command, device, timings, the variables
    diagnostics/       what `abi diagnose` writes

The folder appears under its final name with spec, code and manifest, before training begins; every
file that comes later is written beside its place and renamed into it.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from abi_cli import integrity
from abi_cli.errors import OutputError, RunError, UsageError
from abi_cli.integrity import digest
from abi_cli.variables import Layout

SCHEMA = "abi.run/1"
SPEC, ORIGINAL, CODE, MODEL = "spec.yaml", "spec.orig.yaml", "code", "model.keras"
HISTORY, STATE, MANIFEST = "history.csv", "state", "manifest.json"
DIAGNOSTICS, METRICS = "diagnostics", "metrics.json"


@dataclass(frozen=True)
class Manifest:
    """What a run says of itself.

    Arguments:
        name: The spec's name.
        seed: The seed of simulations and weights.
        command: The command line that made it.
        created: When it was begun, ISO 8601 with the offset from UTC.
        versions: Distribution → version of what its numbers depend on.
        hashes: File → SHA-256 of what the folder holds.
        backend, device: Where it was trained; the device as it was asked for.
        layout: The variables of the model; none until it is trained.
        timings: Part of the work → seconds.
        trained: Whether training came to its end.
        stored: How many stored simulations it learned from, those held out included; 0 where they
            were fresh.
    """

    name: str
    seed: int
    command: tuple[str, ...]
    created: str
    versions: dict[str, str]
    backend: str
    device: str
    hashes: dict[str, str] = field(default_factory=dict)
    layout: Layout = field(default_factory=lambda: Layout(()))
    timings: dict[str, float] = field(default_factory=dict)
    trained: bool = False
    stored: int = 0

    def to_json(self) -> str:
        """As the text of manifest.json."""
        document = {"schema": SCHEMA, **asdict(self), "layout": self.layout.to_config()}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Back from `to_json`.

        Errors:
            NewerFormat: Only a newer version reads it.
            ValueError: It is not a manifest.
        """
        document = integrity.document_of(text, SCHEMA)
        if "layout" in document:
            document["layout"] = {"variables": document["layout"]}
        manifest = integrity.typed(cls, document)
        integrity.refuse_odd(manifest.layout)
        return manifest


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
        """Its spec, trainable in place."""
        return self.path / SPEC

    def trained_spec_file(self) -> Path:
        """Its spec, if it is the one that the networks have learned from.

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
        """Its networks, after a look at whether they are the ones that were written.

        Errors:
            RunError: The file is missing or is not what training wrote.
        """
        file = self.path / MODEL
        if not file.is_file():
            raise RunError(f"{self.path} holds no {MODEL}", hint="Train it again with --force.")
        expected = self.manifest.hashes.get(MODEL)
        if digest(file) != expected:
            raise RunError(
                f"{file} is not the file that training wrote: its SHA-256 differs from the one in "
                f"{MANIFEST}",
                hint="Copy the run folder again, or train it again with --force.",
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
    """Read what a run folder says of itself.

    Errors:
        RunError: It is no run, or one whose training has not come to its end.
    """
    run = look(path)
    if not run.manifest.trained:
        raise RunError(
            f"the training of {path} has not come to its end, so it holds no posterior",
            hint=f"Train it again: abi train {path / SPEC} -o {path} --force",
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


def _where_runs_are(path: Path) -> str:
    """A remedy: the run that was probably meant."""
    if path.is_file() and (path.parent / MANIFEST).is_file():
        return f"The run is the folder: {path.parent}"
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return f"It looks like a spec; make a run of it first: abi train {path}"
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

    Should the work fail before it has saved any state, the folder goes away again and what was
    there before comes back.

    Arguments:
        path: Where; refused where something is, unless `force` moves a run to `NAME.bak`.
        files: Name, relative to the folder → content.

    Errors:
        OutputError: The place is taken, or nothing can be written there.
    """
    refuse_taken(path, force=force)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        backup = back_up(path)
        first = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            first.chmod(0o777 & ~_umask())
            for name, content in files.items():
                (first / name).parent.mkdir(parents=True, exist_ok=True)
                (first / name).write_bytes(content)
            manifest = replace(
                manifest,
                hashes={
                    **{name: digest(first / name) for name in sorted(files)},
                    **integrity.meaning(files.get(SPEC, b"")),
                },
            )
            (first / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            first.rename(path)
        except BaseException:
            shutil.rmtree(first, ignore_errors=True)
            _restore(path, backup)
            raise
    try:
        yield Run(path, manifest)
    except BaseException:
        if not (path / STATE).exists():
            shutil.rmtree(path, ignore_errors=True)
            _restore(path, backup)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _restore(path: Path, backup: Path | None) -> None:
    if backup is not None and not path.exists():
        backup.rename(path)


def finish(
    run: Run,
    *,
    history: Sequence[Mapping[str, float]],
    layout: Layout,
    timings: Mapping[str, float],
) -> Run:
    """Enter into a run, whose model.keras is in place, what its training has shown."""
    write_history(run.path / HISTORY, history)
    manifest = replace(
        run.manifest,
        layout=layout,
        timings=dict(timings),
        trained=True,
        hashes={
            **run.manifest.hashes,
            **{name: digest(run.path / name) for name in (MODEL, HISTORY)},
        },
    )
    write_text(run.path / MANIFEST, manifest.to_json())
    return Run(run.path, manifest)


def write_history(file: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One row per epoch; a figure that an epoch lacks is left empty."""
    names = ["epoch", *dict.fromkeys(name for row in history for name in row if name != "epoch")]
    with replacing(file) as place, place.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows({"epoch": i, **row} for i, row in enumerate(history, start=1))


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


def refuse_taken(target: Path, *, force: bool) -> None:
    """Refuse a place where something is, before any work is done for it.

    Devices and pipes, such as /dev/stdout, are always free.

    Errors:
        OutputError: Something is there and `force` is off.
        UsageError: It is a folder that is not ours, which even `force` leaves alone.
    """
    if target.is_dir():
        ours = any((target / name).is_file() for name in (MANIFEST, METRICS))
        if not ours and any(target.iterdir()):
            raise UsageError(
                f"{target} is a folder that abi did not make, so nothing is written there",
                hint="Name another place with -o.",
            )
        taken = ours
    else:
        taken = target.is_file()
    if taken and not force:
        raise OutputError(
            f"{target} is there already",
            hint=f"--force moves it to {target.name}.bak; -o writes somewhere else.",
        )


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
    except OSError as error:
        raise OutputError(
            f"can't write {target}: {error.strerror or error}",
            hint="Look at the free space and the permissions there, or write elsewhere with -o.",
        ) from error
