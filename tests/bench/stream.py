"""`abi stream`: how soon a data set is answered, and how many a second when many wait.

    python -m tests.bench.stream

The process is started and answers its first data set, which includes loading and compiling. Then
data sets are sent one by one, each after the answer to the one before, which gives the latency; and
all at once, which gives the throughput. The run is that of `specs/regression_vectorised.yaml`,
trained for a moment: how well it has learned makes no difference here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.bench.measure import REPOSITORY

ABI = [sys.executable, "-c", "from abi_cli.cli import main; main()"]
ONE_BY_ONE, AT_ONCE = 300, 5_000


def abi(*words: object) -> None:
    """Run a command to its end."""
    subprocess.run([*ABI, *map(str, words)], cwd=REPOSITORY, check=True)


class Stream:
    """A process of `abi stream`."""

    def __init__(self, run: Path, options: list[str]):
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [*ABI, "stream", str(run), "-q", *options],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._began = began

    def first(self, line: bytes) -> float:
        """Seconds from the start of the process to its first answer."""
        self.ask(line)
        return time.perf_counter() - self._began

    def ask(self, line: bytes) -> float:
        """Seconds from sending a data set to its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        began = time.perf_counter()
        self._process.stdin.write(line)
        self._process.stdin.flush()
        assert self._process.stdout.readline()
        return time.perf_counter() - began

    def pour(self, lines: list[bytes]) -> float:
        """Seconds from sending data sets, as fast as they are taken, to the last answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None

        def send() -> None:
            stdin.write(b"".join(lines))
            stdin.flush()

        began = time.perf_counter()
        sender = threading.Thread(target=send)
        sender.start()
        for _ in lines:
            assert stdout.readline()
        sender.join()
        return time.perf_counter() - began

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait() == 0


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stream", description=__doc__)
    parser.add_argument("--backend", default="tensorflow")
    backend = ["--backend", parser.parse_args().backend]
    spec = "specs/regression_vectorised.yaml"
    with TemporaryDirectory() as folder:
        run, data = Path(folder) / "run", Path(folder) / "data.jsonl"
        abi("train", spec, "-o", run, "-q", *backend, "-s", "training.epochs=2")
        abi("simulate", spec, "-n", AT_ONCE, "-o", data, "-q")
        lines = data.read_bytes().splitlines(keepends=True)
        print("| answered with | first, s | median, ms | 95 % | 99 % | at once, a second |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for options in (["--points", "mean,sd,q5,q95"], ["-n", "1000"], ["-n", "100"]):
            stream = Stream(run, [*options, *backend])
            first = stream.first(lines[0])
            for line in lines[1:20]:  # each size of sets is compiled when it first comes
                stream.ask(line)
            took = np.array([stream.ask(line) for line in lines[20 : 20 + ONE_BY_ONE]]) * 1_000
            middle, most, nearly_all = np.quantile(took, (0.5, 0.95, 0.99))
            rate = AT_ONCE / stream.pour(lines)
            stream.close()
            print(
                f"| `{' '.join(options)}` | {first:.1f} | {middle:.1f} | {most:.1f} | "
                f"{nearly_all:.1f} | {rate:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
