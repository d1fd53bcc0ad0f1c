"""Killed at random moments, on full disks: what `make soak` shows of trainings that go on."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
from collections import Counter

import numpy as np
import pytest

from abi_cli import run as runs
from abi_cli.errors import OutputError, RunError
from abi_cli.training.checkpoints import (
    Checkpoint,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tests.cli import abi
from tests.interruptions import Training, assert_same, end_all, history, lay_out

KILLS = 25


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("soak")
    lay_out(place)
    return place


@pytest.fixture(autouse=True)
def _leave_nothing_running():
    yield
    end_all()


def options(kind, folder):
    if kind == "stored":
        return folder / "stored.yaml", "--data", folder / "sims.npz"
    return folder / "spec.yaml", "-j", 1 if kind == "two processes" else 0


@pytest.mark.soak
@pytest.mark.parametrize(
    ("kind", "backend"),
    [("two processes", "tensorflow"), ("stored", "tensorflow"), ("one process", "jax")],
)
def test_kill_nine_at_random_moments_changes_nothing(kind, backend, folder, tmp_path, capsys):
    """Each process may live for a random time; whatever it was doing then, the next goes on."""
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)  # noqa: S311  # no secret
    whole, run = tmp_path / "whole", tmp_path / "run"
    arguments, choice = options(kind, folder), ("--backend", backend)
    began = time.monotonic()
    assert Training(whole, *arguments, *choice, "-o", whole).end() == 0
    took = time.monotonic() - began
    start = ("-o", run)
    found: list[str] = []
    finished, resumed = False, 0
    while sum(name != "ended" for name in found) < KILLS:
        if finished or not (run / "manifest.json").exists():
            shutil.rmtree(run, ignore_errors=True)
            begun, start = (*arguments, *choice), ("-o", run)
        else:
            begun, start, resumed = (), ("--resume", run), resumed + 1
        training = Training(run, *begun, *start)
        # Half of the moments while it starts, which is long, and half while it learns.
        if moments.random() < 0.5:
            time.sleep(moments.uniform(0, 1.2 * took))
        else:
            while training.process.poll() is None and training.step() <= training.begun:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.3))
        code = training.end(signal.SIGKILL)
        finished = code == 0
        assert code in (0, -signal.SIGKILL), training.said
        if finished:
            found.append("ended")
        elif has_checkpoint(run / runs.STATE):
            found.append(f"{read_checkpoint(run / runs.STATE).step}")
        else:
            found.append("begun" if run.exists() else "nothing")
    if not finished:
        last = Training(run, *(("--resume", run) if run.exists() else (*arguments, "-o", run)))
        assert last.end() == 0, last.said
    assert_same(run, whole, tmp_path)
    with capsys.disabled():
        print(
            f"\nkill -9, {kind}, {backend}, seed {seed}: {KILLS} kills, {resumed} times gone on; "
            f"steps saved at each: {' '.join(found)}; weights and {len(history(run))} epochs equal "
            "to the uninterrupted run's"
        )


@pytest.mark.soak
def test_a_writer_that_fails_anywhere_leaves_a_state_that_is_whole(tmp_path, capsys):
    """Every call of the operating system that writing a state makes fails in its turn."""
    folder = tmp_path / "state"
    state = lambda step: Checkpoint(step, {"log": [step]}, {"a": np.full(5000, step)})  # noqa: E731
    write_checkpoint(folder, state(1))
    calls = ("open", "fsync", "rename", "replace", "mkdir", "scandir", "listdir", "unlink")
    ends: Counter[str] = Counter()
    step = 1
    for name in calls:
        for nth in range(12):
            last = step
            step += 1
            genuine, count = getattr(os, name), 0

            def failing(*arguments, _genuine=genuine, _nth=nth, **options):
                nonlocal count
                count += 1
                if count > _nth:
                    raise OSError(28, "No space left on device")
                return _genuine(*arguments, **options)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(os, name, failing)
                try:
                    write_checkpoint(folder, state(step))
                except OutputError:
                    ends[f"{name} refused"] += 1
                else:
                    ends[f"{name} passed"] += 1
            read = read_checkpoint(folder)
            assert read.step in (last, step)
            assert read.facts["log"] == [read.step]
            assert (read.arrays["a"] == read.step).all()
            step = max(read.step, step)
            write_checkpoint(folder, state(step := step + 1))
            assert len(list(folder.iterdir())) == 2
    with capsys.disabled():
        print(f"\ninjected failures of writing: {dict(sorted(ends.items()))}; all states whole")


@pytest.mark.soak
def test_limits_of_file_size_end_training_in_words(folder, tmp_path, capsys):
    """RLIMIT_FSIZE, from too small for anything to enough: refused in words, then gone on with."""
    whole = tmp_path / "whole"
    assert Training(whole, *options("stored", folder), "-o", whole).end() == 0
    largest = max(file.stat().st_size for file in whole.rglob("*") if file.is_file())
    ends = []
    for share in (0.01, 0.2, 0.5, 0.9, 0.999, 3.0):
        run = tmp_path / f"run{share}"
        limit = int(share * largest)
        training = Training(
            run,
            *options("stored", folder),
            "-o",
            run,
            prepare=lambda limit=limit: (
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            ),
        )
        code = training.end()
        ends.append(f"{limit} bytes: {code}")
        assert code == (0 if share > 1 else 74), training.said
        assert "Traceback" not in training.said
        if code and run.exists():
            with pytest.raises(RunError):
                runs.open_run(run)
            assert "File too large" in training.said
            resumed = Training(run, "--resume", run)
            assert resumed.end() == 0, resumed.said
            assert_same(run, whole, tmp_path)
    with capsys.disabled():
        print(f"\nlimits of file size, exit codes: {'; '.join(ends)}; each gone on with to the end")


@pytest.mark.soak
def test_a_folder_that_is_removed_while_it_is_trained_in(folder, tmp_path, capsys):
    run = tmp_path / "run"
    training = Training(run, *options("one process", folder), "-o", run).until(100)
    run.rename(tmp_path / "elsewhere")
    assert training.end() == 74
    assert "is no longer there" in training.said
    assert not run.exists()
    moved = tmp_path / "elsewhere"
    assert read_checkpoint(moved / runs.STATE).step >= 100
    assert abi("train", "--resume", run).exit_code == 6
    with capsys.disabled():
        print("\na run removed in mid-training: exit code 74, its state whole where it was moved")
