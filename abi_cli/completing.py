"""Completion in shells, when a person presses tab: runs, specs, files, fields of specs, names.

Nothing here may raise or take long: no backend is imported, no function of a spec is called.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_RUNS = Path("runs")
_SPECS = (".yaml", ".yml")
_LINES = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Environment variables that hold the command line: of bash, of zsh and fish."""


def runs(incomplete: str) -> list[str]:
    """Run folders: those in `runs/` by name, and what can be a path to one."""
    near = [str(path) for path in _entries(_RUNS) if _is_run(path)]
    below = [text for text in _paths(incomplete) if text.endswith("/")]
    return [text for text in dict.fromkeys([*near, *below]) if text.startswith(incomplete)]


def specs(incomplete: str) -> list[str]:
    """Specs, folders on the way to them, and runs."""
    found = [text for text in _paths(incomplete) if text.endswith(("/", *_SPECS))]
    return list(dict.fromkeys([*found, *runs(incomplete)]))


def files(incomplete: str) -> list[str]:
    """Files and folders, also after `NAME=`."""
    name, equals, path = incomplete.rpartition("=")
    return [f"{name}{equals}{text}" for text in _paths(path)]


def keys(incomplete: str) -> list[tuple[str, str]]:
    """Fields of specs for `-s`, with what they mean, and those of the spec that is named before."""
    found: list[tuple[str, str]] = []
    with suppress(Exception):
        found = [(f"{key}=", text) for key, text in {**_fields(), **_written()}.items()]
    return [(key, text) for key, text in found if key.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Kinds of parts."""
    from abi_cli import registry

    return [kind for kind in registry.HOMES if kind.startswith(incomplete)]


def words(incomplete: str) -> list[str]:
    """Topics, names of parts and fields, codes of problems."""
    known: list[str] = []
    with suppress(Exception):
        from abi_cli import registry
        from abi_cli.spec.problems import Code
        from abi_cli.workflow.manual import topics

        names = [name for kind in registry.HOMES for name in registry.names(kind)]
        known = [*topics(), *names, *_fields(), *(code.value for code in Code)]
    return [word for word in dict.fromkeys(known) if word.startswith(incomplete)]


def _fields() -> dict[str, str]:
    """Sections of a spec and their fields → what each is."""
    from abi_cli.workflow.explaining import spec_fields

    return {path: told.partition("\n")[0] for path, told in spec_fields().items()}


def _written() -> dict[str, str]:
    """Values in the spec that the command line names: path of a field → its value."""
    file = next(filter(None, map(_spec_file, _typed())), None)
    if file is None:
        return {}
    from abi_cli.spec import read_source
    from abi_cli.spec.reader import read_document

    return {path: f"now {value}" for path, value in _leaves(read_document(read_source(file)).tree)}


def _typed() -> list[str]:
    """The words on the command line so far, as shells hand them over."""
    line = next((os.environ[name] for name in _LINES if name in os.environ), "")
    with suppress(ValueError):  # a quote that is still open
        return shlex.split(line)
    return line.split()


def _spec_file(word: str) -> Path | None:
    path = Path(word)
    file = path / "spec.yaml" if path.is_dir() else path
    return file if file.suffix in _SPECS and file.is_file() else None


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, list | tuple) and any(isinstance(item, Mapping) for item in tree):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{path}.{number}")
    else:
        yield path, tree


def _paths(incomplete: str) -> list[str]:
    """Files and folders whose path begins with `incomplete`; folders end with a slash."""
    folder, slash, start = incomplete.rpartition("/")
    place = Path(folder + slash) if slash else Path()
    hidden = start.startswith(".")
    return [
        f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in _entries(place)
        if entry.name.startswith(start) and (hidden or not entry.name.startswith("."))
    ]


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _is_run(path: Path) -> bool:
    return (path / "manifest.json").is_file()
