"""Settings of the whole suite, and what is dear enough to be made once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# As in commands: beside other work, threads that wait for each other take longer than one alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How long an example takes says more about the machine than about the code.
settings.register_profile("abi", deadline=None)
settings.load_profile("abi")

LONGEST = [
    "interruptions",
    "networks",
    "starting",
    "resume",
    "exact",
    "comparing",
    "weighing",
    "refining",
    "findings",
    "missing",
    "boxing",
    "model_failures",
    "density",
    "devices",
    "cli_work",
    "streaming",
    "model_declared",
    "pipes",
    "nn_laws",
    "frozen",
]
"""Files that take longest: begun first, they leave no core idle in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; `--no-loadscope-reorder` keeps the order that they get here."""
    place = {f"test_{name}": k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


# Shells start what runs in the background deaf to Ctrl-C, and its children with it, so that tests
# which interrupt a command would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty one for all tests: none depends on where they are run, or on what is there.

    Whatever a test has left there fails the last of them.
    """
    before, folder = Path.cwd(), tmp_path_factory.mktemp("working")
    os.chdir(folder)
    yield folder
    os.chdir(before)
    assert [entry.name for entry in folder.iterdir()] == []


@pytest.fixture(scope="session")
def small_training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of the regression spec that was trained for a moment, and what was said about it."""
    from tests.cli import SMALL, SPECS, abi

    path = tmp_path_factory.mktemp("runs") / "regression"
    result = abi("train", SPECS / "regression.yaml", "-o", path, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    return path, result.stderr


@pytest.fixture(scope="session")
def small_run(small_training: tuple[Path, str]) -> Path:
    """The folder of that run."""
    return small_training[0]
