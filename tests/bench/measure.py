"""Whole processes: how long they take, how large they grow, and the Pythons to run them with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

NEWEST = (3, 14)
"""The first Python that neither side has wheels for."""

MANAGERS = (
    "~/.local/share/uv/python/*/bin/python3",
    "~/.pyenv/versions/*/bin/python3",
    "~/.asdf/installs/python/*/bin/python3",
    "~/.local/share/mise/installs/python/*/bin/python3",
    "~/miniconda3/envs/*/bin/python3",
    "~/miniforge3/envs/*/bin/python3",
    "/opt/homebrew/bin/python3.*",
    "/opt/python/*/bin/python3",
)
"""Where version managers keep their Pythons."""


@dataclass(frozen=True)
class Measured:
    """A process that has ended well.

    Arguments:
        seconds: From start to end.
        peak: Bytes held at most by its largest process.
        answer: The last line of its standard output, as JSON; None if that was empty.
    """

    seconds: float
    peak: int
    answer: Any


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Measured:
    """Run a command from the repository's root.

    Errors:
        RuntimeError: It failed; ends with what it wrote to standard error.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdout is not None
        with process.stdout as stream:
            output = stream.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            text = errors.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {status}:\n{text}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(seconds, usage.ru_maxrss * unit, _answer(output.decode()))


def read_files(python: Path, module: str, backend: str) -> None:
    """Import what is about to be timed once before, so that no disk plays a part.

    Machines forget files that nobody has read for minutes; then starting `abi train` took 8 to 10 s
    instead of 4, and three trainings 24.0, 16.2 and 24.8 s instead of 17.7, 17.5 and 15.2.
    """
    run([python, "-c", f"import {module}"], env={"KERAS_BACKEND": backend})


def _answer(output: str) -> Any:
    """The JSON on the last line of what a command printed, if it is that."""
    lines = output.strip().splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None


@contextmanager
def cold() -> Iterator[dict[str, str]]:
    """The environment in which abi finds no compiled code of earlier runs; the peer keeps none."""
    with tempfile.TemporaryDirectory() as cache:
        yield {"JAX_COMPILATION_CACHE_DIR": cache}


def version_of(python: str | Path) -> tuple[int, int]:
    """Major and minor version of a Python; (0, 0) if it doesn't run."""
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    major, minor = answer.stdout.split()
    return (int(major), int(minor))


def candidates() -> Iterator[str]:
    """This Python, those on the PATH, those of version managers."""
    yield sys.executable
    for name in ("python3", "python3.13", "python3.12"):
        if found := shutil.which(name):
            yield found
    own = (
        [f"{os.environ['PYENV_ROOT']}/versions/*/bin/python3"] if "PYENV_ROOT" in os.environ else []
    )
    for pattern in (*own, *MANAGERS):
        place = Path(pattern).expanduser()
        yield from sorted(map(str, Path("/").glob(str(place.relative_to("/")))), reverse=True)


def find_python(oldest: tuple[int, int]) -> str | None:
    """A Python of at least this version that both sides have wheels for."""
    return next((p for p in candidates() if oldest <= version_of(p) < NEWEST), None)


def environment(folder: Path, python: str, requirements: Sequence[str]) -> Path:
    """The Python of a virtual environment with these requirements, made if it is not there.

    Arguments:
        folder: Of the environment. It is made anew if the requirements have changed.
    """
    binary = folder / "bin" / "python"
    stamp = folder / "requirements.json"
    wanted = json.dumps([python, *requirements])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Setting up {folder.name}: {' '.join(requirements)}", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(binary), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        subprocess.run([*pip, *requirements], check=True, cwd=REPOSITORY)
        stamp.write_text(wanted)
    return binary
