"""Worker processes: the same results in the same order, whatever becomes of the processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.workers import Workers
from abi_cli.variables import concatenate
from tests.model_tasks import (
    BATCHED,
    ONE_DRAW,
    ForgetsHowItWasMade,
    SimulateRows,
    assert_equal,
    end_in_c,
    exit_without_a_word,
    fail,
    kill_itself,
    modules_and_threads,
    raise_what_cannot_travel,
    simulator,
    sleep_in_c,
    square_slowly,
    start_a_child,
    train_rows,
)

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0
"""Seconds after which something hangs: no measure of how long it should take."""
HEAVY = ("keras", "tensorflow", "jax", "torch", "typer", "rich", "matplotlib")


@pytest.fixture(scope="module")
def workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        with Workers(2) as workers:
            yield workers


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_rows_do_not_depend_on_who_simulates_them(workers, tmp_path, code):
    model = simulator(tmp_path, code)
    ranges = [(start, start + 7) for start in range(0, 70, 7)]
    expected = train_rows(model, 0, 70)
    for pool in (workers, Workers(0)):
        parts = list(pool.imap(SimulateRows(model), ranges, ahead=3))
        assert_equal(concatenate(parts), expected)


def test_results_come_in_order_and_tasks_may_be_endless(workers):
    assert list(islice(workers.imap(square_slowly, count(), ahead=5), 8)) == [
        number**2 for number in range(8)
    ]


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_files_called_like_modules_of_python_harm_no_process(code, tmp_path, monkeypatch):
    """What is beside the spec, where commands are called, comes after the standard library."""
    model = simulator(tmp_path, code)
    expected = train_rows(model, 0, 4)
    for name in ("types", "signal", "random", "queue", "multiprocessing", "numpy", "code"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for another')\n")
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        (found,) = workers.imap(SimulateRows(model), [(0, 4)], ahead=1)
    assert_equal(found, expected)


@pytest.mark.parametrize("ahead", [1, 4])
def test_no_more_is_begun_than_asked_for(workers, ahead):
    drawn = []

    def tasks():
        for number in range(10):
            drawn.append(number)
            yield number

    results = workers.imap(square_slowly, tasks(), ahead=ahead)
    assert len(drawn) == ahead  # already before the first is asked for
    for taken in range(1, 4):
        next(results)
        assert len(drawn) == ahead + taken
    results.close()


def test_nothing_is_begun_ahead_without_processes():
    drawn = []
    with Workers(0) as none:
        results = none.imap(square_slowly, (drawn.append(n) or n for n in range(3)), ahead=5)
        assert drawn == []
        assert list(results) == [0, 1, 4]


def test_errors_come_back_as_they_were(workers):
    with pytest.raises(UserFunctionError) as caught:
        list(workers.imap(fail, [3, 4], ahead=2))
    error = caught.value
    assert (error.message, error.hint, error.place, error.frames) == (
        "row 3",
        "a hint",
        "a place",
        ("a frame",),
    )
    assert list(workers.imap(square_slowly, [3], ahead=1)) == [9]


def test_processes_are_light(workers):
    names, threads, deaf = next(workers.imap(modules_and_threads, [0], ahead=1))
    assert not [name for name in names if name.partition(".")[0] in HEAVY]
    assert "abi_cli.cli" not in names
    assert threads == "1"
    assert deaf
    assert os.environ["OMP_NUM_THREADS"] == "3"  # as it was


def test_processes_may_be_ended_while_they_send():
    before = threading.enumerate()
    for _ in range(3):
        with Workers(2) as started:
            results = started.imap(np.ones, iter([1, *[20_000_000] * 10]), ahead=6)
            assert next(results) == 1
            time.sleep(0.1)  # by now they send, or wait until somebody reads
        assert threading.enumerate() == before


def test_what_goes_wrong_in_a_process_is_traced_to_it(workers):
    with pytest.raises(TypeError) as caught:
        next(workers.imap(square_slowly, ["3"], ahead=1))
    assert "in square_slowly" in caught.value.__notes__[0]


def test_a_process_that_dies_is_told():
    with Workers(1) as mortal, pytest.raises(UserFunctionError) as caught:
        list(mortal.imap(kill_itself, [1], ahead=1))
    assert "SIGKILL" in caught.value.message
    assert "--jobs 1" in caught.value.hint


SCRIPT = """
import signal, sys
sys.path.insert(0, {root!r})
from abi_cli.model.workers import Workers
from tests.model_tasks import say_and_sleep

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    with Workers(2) as workers:  # no guard: it must not begin anew in each process
        print("begun", flush=True)
        list(workers.imap(say_and_sleep, [{folder!r}] * 2, ahead=2))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_processes_end_with_their_parent(tmp_path, end, code):
    script = tmp_path / "script.py"
    folder = tmp_path / "ids"
    folder.mkdir()
    script.write_text(SCRIPT.format(root=str(ROOT), folder=str(folder)))
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = wait_for(lambda: [int(path.name) for path in folder.iterdir()], length=2)
    if end is signal.SIGINT:
        os.killpg(parent.pid, end)  # as a terminal does it
    else:
        parent.send_signal(end)
    out, err = parent.communicate(timeout=PATIENCE)
    assert parent.returncode == code
    assert out == "begun\n"
    if end is not signal.SIGKILL:
        assert err == ""
    wait_for(lambda: [child for child in children if alive(child)], length=0)


def wait_for(look, *, length):
    """What `look` sees as soon as it has a length, however long that takes on a busy machine."""
    for _ in range(int(PATIENCE / 0.02)):
        if len(seen := look()) == length:
            return seen
        time.sleep(0.02)
    raise AssertionError(seen)


def alive(process):
    """Whether a process runs, zombies not counted."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_command_ends_though_an_error_left_workers_behind(tmp_path):
    """A generator that holds workers is in the error's own traceback: nothing closes it."""
    script = tmp_path / "command.py"
    script.write_text(
        "import abi_cli.cli as cli\nfrom abi_cli.model.workers import Workers\n"
        "def results():\n"
        "    with Workers(1) as workers:\n"
        "        yield from workers.imap(abs, [-1, -2], ahead=1)\n"
        "held = []\n"
        "def app(prog_name):\n"
        "    held.append(results())\n    next(held[0])\n    raise SystemExit(3)\n"
        "if __name__ == '__main__':\n    cli.app = app\n    cli.main()\n"
    )
    assert subprocess.run([sys.executable, script], timeout=120).returncode == 3


@pytest.fixture
def worker():
    with Workers(1) as workers:
        yield workers


def test_an_end_of_a_process_is_no_lack_of_memory(worker):
    with pytest.raises(UserFunctionError, match="ended the process that simulated, with exit") as e:
        list(worker.imap(end_in_c, [0], ahead=1))
    assert "exit code 0 (row 3 of seed 1, train)" in e.value.message
    assert "memory" not in str(e.value)


def test_errors_that_cannot_travel_arrive_as_their_text(worker):
    with pytest.raises(RuntimeError, match=r"^ForgetsHowItWasMade: a and b") as caught:
        list(worker.imap(raise_what_cannot_travel, [0], ahead=1))
    assert not isinstance(caught.value, ForgetsHowItWasMade)
    assert "raise_what_cannot_travel" in caught.value.__notes__[0]
    with pytest.raises(UserFunctionError, match="raised SystemExit: 0"):
        list(worker.imap(exit_without_a_word, [0], ahead=1))


def test_compiled_code_that_is_stuck_is_ended(worker):
    with pytest.raises(TookTooLong, match=r"^row 6 of seed 1, took more than 0.5 s"):
        list(worker.imap(sleep_in_c, [0], ahead=1))


def test_what_a_process_has_started_ends_with_it():
    with Workers(1) as workers:
        child = next(workers.imap(start_a_child, [0], ahead=1))
        assert alive(child)
    wait_for(lambda: [child] * alive(child), length=0)
