"""Functions that misbehave: what a person is told of them, to the letter, and with which exit code.

`python -m tests.test_boxing` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.cli import ROOT, abi, abi_process

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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        lay_out(Path(scratch))
        GOLDEN.write_text("\n".join(map(transcript, CALLS)))
