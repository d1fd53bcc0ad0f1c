"""Trainings that are killed, stopped and limited come to the end of those that were left alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time

import pytest

from abi_cli import run as runs
from abi_cli.training.checkpoints import read_checkpoint
from tests.cli import ANSCOMBE, abi
from tests.interruptions import Training, assert_same, end_all, history, lay_out, manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("interrupted")
    lay_out(place)
    return place


@pytest.fixture(autouse=True)
def _leave_nothing_running():
    yield
    end_all()


@pytest.fixture(scope="module")
def uninterrupted(folder):
    """Left alone, with two processes that simulate."""
    done = Training(folder / "whole", folder / "spec.yaml", "-o", folder / "whole", "-j", 1)
    assert done.end() == 0, done.said
    return folder / "whole"


def test_killed_terminated_told_to_stop_and_gone_on_with(folder, uninterrupted, tmp_path):
    """Validation, early stopping and a falling rate included; the other process has the lock."""
    run = folder / "run"
    killed = Training(run, folder / "spec.yaml", "-o", run, "-j", 1).until(40)
    killed.process.send_signal(signal.SIGSTOP)
    refused = abi("train", "--resume", run)
    assert refused.exit_code == 6
    assert f"is being trained by another process (process {killed.process.pid}" in refused.stderr
    assert "goes on, so it holds no posterior yet" in abi("sample", run, ANSCOMBE).stderr
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL

    unfinished = abi("sample", run, ANSCOMBE)
    assert unfinished.exit_code == 6
    assert f"abi train --resume {run}" in unfinished.stderr
    again = abi("train", folder / "spec.yaml", "-o", run)
    assert again.exit_code == 74
    assert f"abi train --resume {run}" in again.stderr

    terminated = Training(run, "--resume", run).until(40)
    assert terminated.end(signal.SIGTERM) == 143
    assert re.search(
        r"stopped: by SIGTERM, saved after \d+ of 40 epochs.*\nIt goes on with: "
        rf"abi train --resume {re.escape(str(run))}\n$",
        terminated.said,
    )
    told = Training(run, "--resume", run).until(40)
    assert told.end(signal.SIGUSR1) == 75
    assert "stopped: by SIGUSR1" in told.said
    assert Training(run, "--resume", run).end() == 0

    rows = history(run)
    assert len(rows) == 40
    assert float(rows[-1]["learning_rate"]) < 1e-6  # callbacks have lowered it
    assert_same(run, uninterrupted, tmp_path)
    assert len(manifest(run)["resumed"]) == 3


def test_killed_while_it_learned_from_stored_simulations(folder, tmp_path):
    data, whole, run = folder / "sims.npz", folder / "stored", folder / "stored_run"
    spec = folder / "stored.yaml"
    assert Training(whole, spec, "--data", data, "-o", whole).end() == 0
    killed = Training(run, spec, "--data", data, "-o", run).until(400)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    moved = data.rename(tmp_path / "moved.npz")
    gone = abi("train", "--resume", run)
    assert gone.exit_code == 4
    assert f"{data}: the simulations that {run} learns from are not there" in gone.stderr
    shutil.copy(folder / "model.py", data)
    changed = abi("train", "--resume", run)
    assert changed.exit_code == 4
    assert "the file has changed" in changed.stderr
    assert Training(run, "--resume", run, "--data", moved).end() == 0
    assert_same(run, whole, tmp_path)


def test_killed_while_it_learned_from_a_bank_with_fresh_ones_among_its_rows(folder, tmp_path):
    spec, bank, whole, run = folder / "spec.yaml", *(tmp_path / name for name in "abc")
    assert abi("simulate", spec, "-n", 900, "-o", f"{bank}/", "-j", 0).exit_code == 0
    options = ("--data", bank, "--online", "-s", "training.epochs=12", "-j", 1)
    assert Training(whole, spec, *options, "-o", whole).end() == 0
    killed = Training(run, spec, *options, "-o", run).until(300)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert abi("train", "--resume", run, "--online").exit_code == 2
    assert abi("simulate", spec, "-n", 1_200, "-o", f"{bank}/", "-j", 0).exit_code == 0
    resumed = Training(run, "--resume", run)
    assert resumed.end() == 0, resumed.said
    assert_same(run, whole, tmp_path)
    assert len(history(run)) == 12
    assert "online: 0.5" in (run / "spec.yaml").read_text()


def test_a_second_ctrl_c_leaves_at_once_with_the_last_state_whole(folder, tmp_path):
    """While a block waits for a simulation that would take an hour."""
    run = tmp_path / "run"
    training = Training(run, folder / "stuck.yaml", "-o", run, "-j", 0).until(50)
    (folder / "stuck").touch()
    time.sleep(0.5)
    training.process.send_signal(signal.SIGINT)
    heard = next(line for line in training.process.stderr if "Ctrl-C" in line)
    assert "ends with this block, saved; Ctrl-C again leaves at once" in heard
    assert training.process.poll() is None
    training.process.send_signal(signal.SIGINT)
    assert training.end() == 130
    assert "saved after" not in training.said
    assert read_checkpoint(run / runs.STATE).step >= 50


def test_a_run_is_extended_and_then_has_come_to_its_end(uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    ended = abi("train", "--resume", run)
    assert ended.exit_code == 2
    assert "has been trained to its end, 40 epochs" in ended.stderr
    longer = Training(run, "--resume", run, "--extend", 2)
    assert longer.end() == 0, longer.said
    assert "goes on with epoch 41 of 42" in longer.said
    assert len(history(run)) == 42
    assert history(run)[:40] == history(uninterrupted)
    assert manifest(run)["extended"] == [42]
    assert "trained to its end, 42 epochs" in abi("train", "--resume", run).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Expected SPEC, or --resume RUN"),
        (("spec.yaml", "--extend", 3), "Expected SPEC, or --resume RUN with --extend N"),
        (("--resume", "run", "-s", "training.epochs=3"), "without -s"),
        (("--resume", "run", "-o", "other"), "without -o"),
        (("--resume", "run", "--seed", 3), "without --seed"),
        (("--resume", "run", "--force"), "without --force"),
        (("spec.yaml", "--resume", "run"), "without SPEC"),
        (("spec.yaml", "--max-time", "soon"), "a length of time such as 30 s, 5 min, 2 h"),
    ],
)
def test_what_does_not_go_with_resume_is_refused(arguments, said):
    refused = abi("train", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_folder_that_is_read_only_is_told(uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    (run / ".lock").unlink()
    run.chmod(0o500)
    refused = abi("train", "--resume", run, "--extend", 1)
    run.chmod(0o700)
    assert refused.exit_code == 74
    assert "Permission denied" in refused.stderr
