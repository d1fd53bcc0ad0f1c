"""Seeded damage to files of every format that `abi` reads, in processes of their own.

A worker reads one damaged file after the other and says how each ended: `read`, or `refused` by an
error of ours with one message. What else happens (another exception, code that is executed, 10 s,
2 GB, a crash of a library) is a failure that names format and seed:

    python -m tests.mutations FORMAT FIRST LAST    # what the worker runs; seeds as in the failure
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from tests.damage import BINARY, TEXT, Mutate, damaged, damaged_archive

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "tests" / "frozen" / "abi.run-1"
SECONDS = 10
"""Of computing, whatever else the machine does meanwhile."""
MEMORY = 2 << 30


@dataclass(frozen=True)
class Format:
    """Files of a format, how they are damaged and read.

    Arguments:
        suffix: Of the files.
        contents: Makes whole ones.
        read: Reads one, which may raise our errors.
        damage: Makes another one of one.
    """

    suffix: str
    contents: Callable[[], list[bytes]]
    read: Callable[[Path, int], object]
    damage: Mutate


def _data(suffix: str) -> list[bytes]:
    """Two files of simulations, two of draws; of tables, with and without labels that need care."""
    from abi_cli.data import open_draws, write_simulations
    from tests.data_examples import LINE, RICH, draw_header, draw_values, in_blocks, some

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"file.{suffix}"
        contents = []
        for layout in (LINE, RICH):
            write_simulations(file, some(layout, [3, 2, 4]), layout)
            contents.append(file.read_bytes())
        header = draw_header(2, 5)
        with open_draws(file, header) as writer:
            for block in in_blocks(draw_values(header)):
                writer.write(block)
        return [*contents, file.read_bytes(), file.read_bytes()]


def _read_data(file: Path, which: int) -> None:
    from abi_cli.data import read_datasets, read_draws, read_simulations
    from abi_cli.data.chains import read_independent
    from tests.data_examples import LINE, RICH

    if which < 2:
        layout = (LINE, RICH)[which]
        read_simulations(file, layout)
        read_datasets(file, layout)
    elif which == 2:
        read_draws(file)
    else:
        read_independent([file], seed=1)


def _specs() -> list[bytes]:
    return [file.read_bytes() for file in sorted((ROOT / "specs").glob("*.yaml"))]


def _read_spec(file: Path, _which: int) -> None:
    from abi_cli.spec import dump_spec, parse_spec, read_spec

    spec = read_spec(file)
    assert parse_spec(dump_spec(spec)) == spec


RUNS = ("coupling_flow", "spline", "flow_matching")


def _models() -> list[bytes]:
    return [(FROZEN / name / "model.keras").read_bytes() for name in RUNS]


def _weights() -> list[bytes]:
    contents = []
    for model in _models():
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            contents.append(archive.read("model.weights.h5"))
    return contents


def _with_weights(weights: Path, which: int) -> bytes:
    """The model of a frozen run with other weights."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(FROZEN / RUNS[which] / "model.keras") as whole,
        zipfile.ZipFile(packed, "w") as archive,
    ):
        for member in whole.infolist():
            own = member.filename == "model.weights.h5"
            archive.writestr(member, weights.read_bytes() if own else whole.read(member))
    return packed.getvalue()


def _read_model(file: Path, _which: int) -> None:
    from abi_cli import backend

    backend.select("tensorflow", device="cpu")
    from abi_cli.run.archive import load_approximator

    load_approximator(file)


def _read_weights(file: Path, which: int) -> None:
    model = file.with_suffix(".keras")
    model.write_bytes(_with_weights(file, which))
    _read_model(model, which)


def _sample(file: Path, which: int) -> None:
    """Sample from a run whose model was exchanged, with a hash that fits."""
    import hashlib

    from abi_cli import workflow

    run = file.parent / "run"
    shutil.copytree(FROZEN / RUNS[which], run, dirs_exist_ok=True)
    shutil.copy(file, run / "model.keras")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["hashes"]["model.keras"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(manifest))
    workflow.show(run)
    compute = workflow.Compute("tensorflow", "cpu")
    data = ROOT / "specs" / "data" / "anscombe.csv"
    workflow.sample(run, data, draws=2, compute=compute).summary()


def _manifests() -> list[bytes]:
    return [(FROZEN / name / "manifest.json").read_bytes() for name in RUNS]


def _read_manifest(file: Path, which: int) -> None:
    from abi_cli import workflow
    from abi_cli.data import read_datasets
    from abi_cli.run import open_run

    run = file.parent / "run"
    shutil.copytree(FROZEN / RUNS[which], run, dirs_exist_ok=True)
    shutil.copy(file, run / "manifest.json")
    workflow.show(run)
    read_datasets(ROOT / "specs" / "data" / "anscombe.csv", open_run(run).layout)


def _of_data(suffix: str, damage: Mutate) -> Format:
    return Format(suffix, partial(_data, suffix), _read_data, damage)


_binary = partial(damaged, ways=BINARY)
_text = partial(damaged, ways=TEXT)

FORMATS = {
    "model.keras": Format("keras", _models, _read_model, damaged_archive),
    "HDF5": Format("h5", _weights, _read_weights, _binary),
    "NPZ": _of_data("npz", damaged_archive),
    "netCDF": _of_data("nc", _binary),
    "YAML": Format("yaml", _specs, _read_spec, _text),
    "CSV": _of_data("csv", _text),
    "JSONL": _of_data("jsonl", _text),
    "JSON": _of_data("json", _text),
    "Parquet": _of_data("parquet", _binary),
    "manifest": Format("json", _manifests, _read_manifest, _text),
    "run": Format("keras", _models, _sample, damaged_archive),
}

FORBIDDEN = {
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen"),
    *("pickle.find_class", "socket.connect", "ctypes.dlopen", "code.__new__"),
}
"""What Python tells of (audit events) and no reader of files does."""


def _watch() -> list[str]:
    """The list that grows when something forbidden happens."""
    seen: list[str] = []

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            seen.append(event)

    sys.addaudithook(hook)
    return seen


def work(name: str, first: int, last: int) -> None:
    """Read damaged files, and say of each how it ended, a line of JSON before and after."""
    from abi_cli.errors import AbiError

    fmt = FORMATS[name]
    contents = fmt.contents()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"file.{fmt.suffix}"
        for which, content in enumerate(contents):  # whole ones are read, which imports everything
            file.write_bytes(content)
            fmt.read(file, which)
        room = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
        forbidden = _watch()
        for seed in range(first, last):
            rng = np.random.default_rng([seed, 8])
            which = seed % len(contents)
            file.write_bytes(fmt.damage(contents[which], rng))
            _tell(seed=seed)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            began = time.process_time()
            try:
                fmt.read(file, which)
                end = "read"
            except AbiError as error:
                end = "refused" if error.exit_code != 70 and str(error).strip() else repr(error)
            except (Exception, RecursionError) as error:
                end = f"{type(error).__name__}: {str(error)[:300]}"
            took = time.process_time() - began
            signal.setitimer(signal.ITIMER_PROF, 0)
            if forbidden:
                end = f"executes: {forbidden.pop()}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - room
            _tell(seed=seed, end=end, seconds=took, mebibytes=peak / 1024)


def _tell(**fields: object) -> None:
    os.write(1, (json.dumps(fields) + "\n").encode())


@dataclass
class Outcome:
    """Of many damaged files of a format."""

    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    mebibytes: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def mutations(self) -> int:
        """How many there were."""
        return self.read + self.refused + len(self.failures)


def sweep(name: str, first: int, last: int, *, at_once: int = 500) -> Outcome:
    """Read the damaged files of some seeds, some hundred in a process."""
    outcome = Outcome()
    while first < last:
        first = _part(name, first, min(first + at_once, last), outcome)
    return outcome


def _part(name: str, first: int, last: int, outcome: Outcome) -> int:
    """One process; where it died, the seed after that is the next one's first."""
    command = [sys.executable, "-m", "tests.mutations", name, str(first), str(last)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False)
    seed, ended = first - 1, True
    for told in _lines(done.stdout):
        seed, ended = int(told["seed"]), "end" in told
        if not ended:
            continue
        outcome.seconds = max(outcome.seconds, float(told["seconds"]))
        outcome.mebibytes = max(outcome.mebibytes, float(told["mebibytes"]))
        if told["end"] == "read":
            outcome.read += 1
        elif told["end"] == "refused":
            outcome.refused += 1
        else:
            outcome.failures.append(f"{name} {seed}: {told['end']}")
    if done.returncode == 0:
        return last
    if ended:  # before the first one, or in between
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[-2000:]}")
    how = "more than 10 s" if done.returncode == -signal.SIGPROF else f"died: {done.returncode}"
    outcome.failures.append(f"{name} {seed}: {how}")
    return seed + 1


def _lines(output: bytes) -> Iterator[dict[str, object]]:
    for line in output.splitlines():
        if line.startswith(b'{"seed"'):
            yield json.loads(line)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
