"""What the tests of the model share: models as files, and tasks for worker processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abi_cli import underway
from abi_cli.errors import UserFunctionError
from abi_cli.model.functions import UserFunction
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Ragged

ONE_DRAW = """
import random
import numpy as np

def meta():
    return {"N": np.random.randint(5, 15)}

def prior(rng):
    return {"beta": np.random.normal([2, 0], [3, 1]), "sigma": rng.gamma(1, 1)}

def likelihood(beta, sigma, N):
    x = np.random.normal(size=N)
    return {"y": np.random.normal(beta[0] + beta[1] * x, sigma), "x": x}
"""

BATCHED = """
def meta(rng):
    return {"N": rng.integers(5, 15)}

def prior(batch_size, rng):
    return {"beta": rng.normal(size=(batch_size, 2)), "sigma": rng.gamma(1, 1, size=batch_size)}

def likelihood(beta, sigma, N, batch_size, rng):
    x = rng.normal(size=(batch_size, N))
    return {"y": rng.normal(beta[:, :1] + beta[:, 1:] * x, sigma[:, None]), "x": x}
"""

MIXED = {  # one function of either kind, in both orders
    "prior batched": BATCHED[: BATCHED.index("def likelihood")]
    + "import numpy as np\n"
    + ONE_DRAW[ONE_DRAW.index("def likelihood") :],
    "likelihood batched": ONE_DRAW[: ONE_DRAW.index("def likelihood")]
    + BATCHED[BATCHED.index("def likelihood") :],
    "context by row": BATCHED.replace(
        'def meta(rng):\n    return {"N": rng.integers(5, 15)}',
        'def meta(batch_size, rng):\n    return {"scale": rng.gamma(2, size=batch_size)}',
    )
    .replace("sigma, N, batch_size", "sigma, scale, batch_size")
    .replace("(batch_size, N)", "(batch_size, rng.integers(1, 4))"),
}

STANDARD_RANDOM = """
import random

def meta():
    return {"N": random.randint(5, 14)}

def prior():
    return {"mu": random.gauss(0, 1)}

def likelihood(mu, N):
    return {"x": [random.gauss(mu, 1) for _ in range(N)]}
"""


def simulator(folder: Path, code: str, **options: object) -> Simulator:
    """The simulator of a file with functions meta (if it is there), prior and likelihood."""
    (folder / "model.py").write_text(code)

    def function(name: str) -> UserFunction:
        return UserFunction.load(f"model.py:{name}", folder)

    return Simulator(
        prior=function("prior"),
        likelihood=function("likelihood"),
        meta=function("meta") if "def meta" in code else None,
        **{"chunk": 4, "ragged": frozenset({"x", "y"}), **options},  # type: ignore[arg-type]
    )


def train_rows(model: Simulator, start: int, stop: int, **options: object) -> Datasets:
    """Rows of the training stream of seed 7."""
    return model.simulate(
        seed=7,
        purpose=Purpose.TRAIN,
        start=start,
        stop=stop,
        **options,  # type: ignore[arg-type]
    )


def assert_equal(actual: Datasets, expected: Datasets) -> None:
    """To the last bit, types and order included."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        other = actual[name]
        assert isinstance(other, Ragged) == isinstance(value, Ragged), name
        if isinstance(value, Ragged):
            np.testing.assert_array_equal(other.row_size, value.row_size, name, strict=True)
            np.testing.assert_array_equal(other.values, value.values, name, strict=True)
        else:
            np.testing.assert_array_equal(other, value, name, strict=True)


@dataclass(frozen=True)
class SimulateRows:
    """Simulate rows of the training stream, after using up some global randomness."""

    model: Simulator

    def __call__(self, rows: tuple[int, int]) -> Datasets:
        np.random.normal(size=3)  # noqa: NPY002 (what ran before must not matter)
        return train_rows(self.model, *rows)


def square_slowly(number: int) -> int:
    """Squares; the larger the quicker, so that results come out of order."""
    time.sleep(0.02 / (1 + number))
    return number**2


def fail(number: int) -> int:
    """Raise an error with everything in it."""
    raise UserFunctionError(f"row {number}", hint="a hint", place="a place", frames=("a frame",))


def kill_itself(_number: int) -> None:
    """End as the kernel ends what takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def modules_and_threads(_number: int) -> tuple[list[str], str | None, bool]:
    """What this process has imported, how many threads BLAS may use, whether Ctrl-C is ignored."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return sorted(sys.modules), os.environ.get("OMP_NUM_THREADS"), ignored


def say_and_sleep(folder: str) -> None:
    """Leave this process's id in a folder, then work for an hour."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(3600)


class ForgetsHowItWasMade(Exception):
    """An error that can be sent and not be read."""

    def __init__(self, one: str, two: str):
        super().__init__(f"{one} and {two}")


def raise_what_cannot_travel(_number: int) -> None:
    """Fail in such a way."""
    raise ForgetsHowItWasMade("a", "b")


def exit_without_a_word(_number: int) -> None:
    """End as if all were well."""
    sys.exit(0)


def end_in_c(_number: int) -> None:
    """End this process as Fortran's STOP does."""
    with underway.work("row {} of seed 1, train"):
        underway.here.cell.unit[0] = 3
        ctypes.CDLL(None).exit(0)


def sleep_in_c(_number: int) -> None:
    """Hold the interpreter for ever."""
    with underway.work("row {} of seed 1", rows=2, limit=0.5):
        underway.here.cell.unit[0] = 3
        ctypes.PyDLL(None).sleep(1000)


def start_a_child(_number: int) -> int:
    """Leave a program running; its number."""
    return subprocess.Popen(["sleep", "1000"]).pid
