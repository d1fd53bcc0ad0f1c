"""Temporaries: short names whatever the target's, and none that outlive their process for long."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from abi_cli import placing
from abi_cli.data import DrawHeader, open_draws
from abi_cli.errors import OutputError
from abi_cli.variables import DrawBlock, Variable
from tests.cli import ANSCOMBE, abi


@pytest.fixture(autouse=True)
def _swept_anew():
    placing.sweep.cache_clear()


def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_name_as_long_as_names_may_be_is_written(tmp_path):
    file = tmp_path / f"{'n' * 245}.txt"
    placing.write_text(file, "one")
    placing.write_text(file, "two")
    assert file.read_text() == "two"
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("suffix", ["csv", "nc", "npz", "jsonl"])
def test_draws_are_written_under_such_a_name(suffix, small_run, tmp_path):
    file = tmp_path / f"{'d' * 240}.{suffix}"
    result = abi("sample", small_run, ANSCOMBE, "-n", 2, "-o", file)
    assert result.exit_code == 0, result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path):
    own = placing.mark().rpartition(f"{os.getpid()}-")[0]
    left, folder = tmp_path / f"{own}{dead()}-0a", tmp_path / f"{own}{dead()}-0b"
    left.touch()
    folder.mkdir()
    (folder / "inside").touch()
    stay = [
        tmp_path / f"{own}{os.getppid()}-0c",  # its process lives
        tmp_path / f".abi-00000000-{dead()}-0d",  # of another machine
        tmp_path / f"{own}words-0e",
        tmp_path / ".hidden",
    ]
    for file in stay:
        file.touch()
    placing.write_text(tmp_path / "target", "")
    assert sorted(tmp_path.iterdir()) == sorted([*stay, tmp_path / "target"])


def test_a_disk_that_is_full_as_netcdf_closes_is_said(tmp_path, monkeypatch):
    import h5netcdf

    close = h5netcdf.File.close

    def full(self):
        close(self)
        raise RuntimeError(
            "Can't decrement id ref count (file write failed: time = Mon, errno = 28, error "
            "message = 'No space left on device')"
        )

    monkeypatch.setattr(h5netcdf.File, "close", full)
    header = DrawHeader(("A",), (Variable("mu", "parameter", ragged=False, event=()),), 2, 1)
    file = tmp_path / "draws.nc"
    with pytest.raises(OutputError) as error, open_draws(file, header) as writer:
        writer.write(DrawBlock(0, 0, {"mu": np.zeros((1, 2), np.float32)}))
    assert error.value.exit_code == 74
    assert str(error.value) == (
        f"can't write {file}: No space left on device\n"
        "Free some space, then run it again; or write elsewhere with -o."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(
    small_run, tmp_path, monkeypatch
):
    """The owner of all may write everywhere: so it is the question that is answered otherwise."""
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    target = tmp_path / "draws.csv"
    for command in (("sample", small_run, ANSCOMBE, "-o", target), ("diagnose", small_run)):
        refused = abi(*command)
        assert refused.exit_code == 74
        assert "nothing may be written in " in refused.stderr
        assert "executes" not in refused.stderr
