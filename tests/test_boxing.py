"""Functions that misbehave: what a person is told of them, to the letter, and with which exit code.

`python -m tests.test_boxing` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from abi_cli import underway
from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.failures import SLOW_ATTEMPTS, drawn_again
from abi_cli.model.stage import Origin
from abi_cli.model.streams import Purpose, Streams
from abi_cli.model.workers import Workers
from abi_cli.training.blocks import Ahead
from tests.cli import ROOT, abi, abi_process
from tests.model_tasks import (
    ForgetsHowItWasMade,
    end_in_c,
    exit_without_a_word,
    raise_what_cannot_travel,
    simulator,
    sleep_in_c,
    start_a_child,
)
from tests.test_model_workers import alive, wait_for

GOLDEN = Path(__file__).parent / "golden" / "functions.txt"

MODEL = """import ctypes, multiprocessing, os, sys, time

class Odd(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no str")

def stubborn():
    while True:
        try:
            time.sleep(0.1)
        except BaseException:
            pass

def prior(rng):
    return {"mu": rng.normal()}

def likelihood(mu, rng):
    y = rng.normal(mu, 1, size=5)
    CODE
    return {"y": y}
"""

CODE = {
    "late": "if mu > 3.5: raise ValueError('late')",
    "latenan": "if mu > 3.5: y[:] = float('nan')",
    "osexit_first": "os._exit(0)",
    "sysexit": "if mu > 1.5: sys.exit()",
    "baseexc": "if mu > 1.5: raise Odd('odd')",
    "exc_badstr": "if mu > 1.5: raise Mute",
    "cexit": "if mu > 1.5: ctypes.CDLL(None).exit(0)",
    "loop": "while mu > 1.5: pass",
    "stubborn": "if mu > 1.5: stubborn()",
    "fd1": "os.write(1, b'RAW\\n'); os.system('echo CHILD'); print('PRINTED')",
    "loop_elsewhere": "while multiprocessing.parent_process(): pass",
    "quiet": "pass",
}

EXTRA = {
    "late": "training: {epochs: 4, num_batches: 16, batch_size: 32}\nseed: 30\n"
    "networks: {inference: {coupling_flow: {size: small}}}\n",
    "latenan": "training: {epochs: 4, num_batches: 16, batch_size: 32}\nseed: 30\n"
    "networks: {inference: {coupling_flow: {size: small}}}\n",
}
"""With this seed a row of training is the first whose mu is above 3.5, after two epochs."""

POOL = """import multiprocessing as mp
import numpy as np
from helpers import one

mp.set_start_method(METHOD, force=True)

def prior(rng, batch_size):
    return {"mu": rng.normal(size=batch_size)}

def two(args):
    return one(args) + 1

def likelihood(mu, rng, batch_size):
    seeds = rng.integers(0, 2**31, size=batch_size)
    with mp.Pool(2) as pool:
        return {name: np.array(pool.map(f, list(zip(mu, seeds)))) for name, f in FUNCTIONS}
""".replace("FUNCTIONS", '(("y", one), ("z", two))')

HELPERS = """import numpy as np

def one(args):
    mu, seed = args
    return np.random.default_rng(seed).normal(mu, 1, size=5)
"""

CALLS = {  # in this order: the second goes on with what the first has left
    "an error in mid-training": ("train", "late.yaml", "-o", "late", "-j", 1),
    "the same when the training is resumed": ("train", "--resume", "late", "-j", 0),
    "not a number in mid-training": ("train", "latenan.yaml", "-o", "latenan", "-j", 0),
    "os._exit in check": ("check", "osexit_first.yaml"),
    "os._exit in simulate": ("simulate", "osexit_first.yaml"),
    "os._exit in train": ("train", "osexit_first.yaml"),
    "sys.exit in check": ("check", "sysexit.yaml"),
    "sys.exit in simulate": ("simulate", "sysexit.yaml"),
    "a BaseException": ("check", "baseexc.yaml"),
    "an error without a text": ("check", "exc_badstr.yaml"),
    "a simulation that takes too long": ("check", "loop.yaml", "-s", "model.timeout=1 s"),
    "a timeout that is none": ("check", "loop.yaml", "-s", "model.timeout=soon"),
}


def lay_out(folder: Path) -> None:
    for name, code in CODE.items():
        (folder / f"{name}.py").write_text(MODEL.replace("CODE", code))
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\nmodel: {{prior: {name}.py:prior, likelihood: {name}.py:likelihood}}\n"
            + EXTRA.get(name, "")
        )


def transcript(name: str) -> str:
    arguments = [*map(str, CALLS[name])]
    result = abi(*arguments, "--progress", "none")
    said = "".join(
        f"{line}\n" for line in result.stderr.splitlines() if not line.startswith("note: ")
    )
    assert result.stdout == ""
    return f"# {name}\n$ abi {' '.join(arguments)}\n{said}exit code {result.exit_code}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("functions")
    lay_out(path)
    return path


def golden() -> dict[str, str]:
    parts = GOLDEN.read_text().split("# ")[1:]
    return {part.partition("\n")[0]: f"# {part.rstrip()}\n" for part in parts}


@pytest.mark.parametrize("name", CALLS)
def test_a_function_that_misbehaves_is_told(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert transcript(name) == golden()[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cexit", "error: a function ended the process (row 3 of seed 1, pilot)\n"),
        ("stubborn", "error: row 3 of seed 1, pilot, took more than 1 s, model.timeout\n"),
    ],
)
def test_what_no_exception_can_end_ends_the_command(name, message, folder):
    result = abi_process("check", f"{name}.yaml", "-s", "model.timeout=1 s", cwd=folder)
    assert result.returncode == 5
    assert result.stderr.startswith(message)
    assert result.stdout == ""


def test_what_takes_too_long_in_another_process_alone_is_no_finding(folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = abi("check", "loop_elsewhere.yaml", "-s", "model.timeout=1 s")
    assert result.exit_code == 5, result.output
    assert "likelihood took more than 1 s, model.timeout (row " in result.stderr


def test_what_c_and_children_write_is_no_data(folder):
    usual = abi_process("simulate", "quiet.yaml", "-n", 3, "-q", cwd=folder)
    loud = abi_process("simulate", "fd1.yaml", "-n", 3, "-q", cwd=folder)
    assert loud.returncode == 0
    assert loud.stdout == usual.stdout
    assert len(loud.stdout.splitlines()) == 4
    said = Counter(loud.stderr.split())  # by rows that are simulated again, too
    assert said.keys() == {"RAW", "CHILD", "PRINTED"}
    assert len(set(said.values())) == 1
    named = abi_process("simulate", "fd1.yaml", "-n", 3, "-o", "/dev/stdout", cwd=folder)
    assert named.stdout == usual.stdout


@pytest.mark.parametrize("closed", ["2>&-", "</dev/null"])
def test_streams_may_be_closed(closed):
    line = f'exec python -c "from abi_cli.cli import main; main()" list distributions {closed}'
    home = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{home}:{os.environ['PATH']}"}
    shell = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert shell.returncode == 0
    assert "normal" in shell.stdout


def installed(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as the script that an installer makes, which does not look in `cwd`."""
    (cwd / "bin").mkdir(exist_ok=True)
    script = cwd / "bin" / "abi"
    script.write_text(
        f"import sys\nsys.path[0] = {str(ROOT)!r}\nfrom abi_cli.cli import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("method", [None, "spawn"])
def test_functions_may_use_processes(method, tmp_path):
    """Also beside files that are called like modules which Python needs to begin."""
    (tmp_path / "pool2.py").write_text(POOL.replace("METHOD", repr(method)))
    (tmp_path / "helpers.py").write_text(HELPERS)
    for name in ("types", "signal", "queue"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not the one that you need')\n")
    (tmp_path / "pool2.yaml").write_text(
        "name: pool2\nmodel: {prior: pool2.py:prior, likelihood: pool2.py:likelihood, chunk: 2}\n"
    )
    rows = ("simulate", "pool2.yaml", "-n", 3, "-q")
    result = installed(*rows, "-s", "model.timeout=60 s", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 4
    if method is None:
        checked = installed("check", "pool2.yaml", "-s", "model.timeout=60 s", cwd=tmp_path)
        assert checked.returncode == 0, checked.stderr
    assert not list(tmp_path.rglob("__pycache__"))


def test_errors_of_the_feeder_leave_as_themselves():
    own = UserFunctionError("own")

    def blocks():
        raise own
        yield {}

    ahead = Ahead(blocks())

    def backend():
        try:
            next(iter(ahead))
        except UserFunctionError as error:
            raise RuntimeError(f"a backend's words for {error}") from None

    with pytest.raises(UserFunctionError) as caught, ahead.own_errors():
        backend()
    assert caught.value is own
    with pytest.raises(UserFunctionError), ahead.own_errors():
        pass  # a backend that takes the error for the end of the data
    with pytest.raises(KeyError), Ahead(iter(())).own_errors():
        raise KeyError


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


def test_what_takes_too_long_is_drawn_again_a_few_times():
    asked = []

    def run(origin, *_rows):
        asked.append(origin.attempt)
        raise (TookTooLong if origin.attempt else UserFunctionError)("no")

    with pytest.raises(UserFunctionError, match=r"^no; drawn again 10 times"):
        drawn_again(run, Origin(1, Purpose.TRAIN, {}), 0, 1, 1)
    assert asked == list(range(SLOW_ATTEMPTS + 1))


def test_a_unit_that_takes_long_is_told_at_ever_longer_intervals():
    cell, heard = underway.Cell(), []
    post = underway._Post(cell, lambda text, _hint: heard.append(text), None, None)
    cell.begin("row {} of seed 1", rows=32, limit=None)
    for now in range(100):
        cell.unit[0] = 0 if now < 50 else 7
        post.look(float(now))
    assert heard == [
        "still at row 0 of seed 1, after 10 s",
        "still at row 0 of seed 1, after 20 s",
        "still at row 0 of seed 1, after 40 s",
    ]  # 49 s are as long as others took before
    cell.end()
    post.look(100.0)
    cell.begin("row {} of seed 2", rows=1, limit=None)
    for now in range(101, 310):
        post.look(float(now))
    assert heard[3:] == ["still at row 0 of seed 2, after 200 s"]


def test_a_unit_is_stopped_at_its_limit_and_ended_later():
    cell, events = underway.Cell(), []
    post = underway._Post(
        cell,
        lambda *_: events.append("told"),
        lambda seen: events.append(("stop", seen.unit)),
        lambda seen: events.append(("kill", seen.unit)),
    )
    cell.begin("row {}", rows=1, limit=3.0)
    for now in (0.0, 2.9, 3.0, 4.9, 5.0):
        post.look(now)
    assert events == [("stop", 0), ("stop", 0), ("kill", 0)]


def test_a_unit_that_is_done_again_has_all_its_time_again():
    cell, events = underway.Cell(), []
    post = underway._Post(cell, None, lambda seen: events.append(seen.unit), None)
    cell.again()
    assert cell.look() is None
    cell.begin("row {}", rows=1, limit=3.0)
    for now in (0.0, 2.0):
        post.look(now)
    cell.again()
    for now in (4.0, 6.0, 7.0):
        post.look(now)
    assert events == [0]


TELLS_WHERE = """import random
SEEN = []

def prior(rng):
    return {"mu": rng.normal()}

def likelihood(mu, rng):
    from abi_cli import underway
    SEEN.append(underway.here.cell.look()[:3])
    return {"y": NOISE + rng.normal(mu, 1, size=5)}
"""


@pytest.mark.parametrize("noise", ["0", "random.random()"])
def test_rows_that_are_simulated_again_are_other_work(noise, tmp_path, monkeypatch):
    monkeypatch.setattr(Streams, "_seeds_random", False)
    model = simulator(tmp_path, TELLS_WHERE.replace("NOISE", noise), ragged=frozenset())
    model.simulate(seed=1, purpose=Purpose.SIMULATE, start=0, stop=2)
    seen = model.likelihood.function.__globals__["SEEN"]
    assert len(seen) == (4 if noise == "0" else 3 + 4)  # a row that differs ends the first go
    assert len(set(seen)) == len(seen)
    model.drawn_apart(3, seed=1, apart={"observable": 1 << 40})
    assert seen[-1][1:] == (3, "row 3 of seed 1, pilot")


def test_ends_of_forks_and_other_threads_stay_ends():
    with underway.at_hand():
        with pytest.raises(underway.EndsProcess):
            os._exit(0)
        child = os.fork()
        if not child:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


ENDED_AT_ONCE = """
import os, signal
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
from abi_cli import ending, underway
from abi_cli.model import children
children.prepare()
signal.signal(signal.SIGTERM, ending._terminate)
with underway.at_hand():
    child = os.fork()
    if not child:
        underway.leave(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    print(signal.SIGTERM in held)
"""


def test_a_fork_that_is_ended_before_it_has_begun_ends():
    result = subprocess.run(
        [sys.executable, "-c", ENDED_AT_ONCE], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert (result.stdout, result.stderr) == (f"{-signal.SIGTERM}\nFalse\n", "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        lay_out(Path(scratch))
        GOLDEN.write_text("\n".join(map(transcript, CALLS)))
