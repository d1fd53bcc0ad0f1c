"""Killed at any moment, the main process or those that simulate: the same command goes on.

What comes out in the end are the rows of a work that was left alone, each of them once. `make soak`
kills twenty times; the quick tests do it a few times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from abi_cli.bank import Bank
from abi_cli.bank.shards import span_of
from abi_cli.model.making import Work
from abi_cli.model.streams import Purpose
from abi_cli.variables import concatenate
from abi_cli.workflow.request import read_model
from tests.cli import ROOT
from tests.model_tasks import assert_equal
from tests.test_bank import MODEL, SPEC

FILL = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from abi_cli import workflow
from abi_cli.workflow import banking, simulating

banking.SHARD_SECONDS = 0.1       # many shards
simulating.WORTH_WORKERS = 0.0    # two processes simulate, however short the work is
banking.fill_bank(
    Path("spec.yaml"),
    banking.Order({rows}),
    workflow.Target(Path("bank")),
    compute=workflow.Compute(jobs=2),
)
"""
KILLS = 20


class Filling:
    """A bank that is filled in a process of its own, which is begun again when it has ended.

    Arguments:
        pause: Seconds that a row takes.
    """

    def __init__(self, folder: Path, *, rows: int, pause: float):
        self.folder, self.rows = folder, rows
        (folder / "spec.yaml").write_text(SPEC)
        (folder / "model.py").write_text(MODEL.replace("PAUSE", str(pause)))
        (folder / "fill.py").write_text(FILL.format(root=str(ROOT), rows=rows))
        self.begun, self.process = 0, None

    def running(self) -> subprocess.Popen:
        """The process, begun again if it has ended: a task whose workers die thrice ends it."""
        if self.process is None or self.process.poll() is not None:
            assert self.process is None or self.process.returncode, "it was done too early"
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                [sys.executable, "fill.py"],
                cwd=self.folder,
                env=environment,
                stderr=subprocess.DEVNULL,
            )
            self.begun += 1
        return self.process

    def there(self) -> int:
        """Rows that are in shards by now."""
        shards = self.folder / "bank" / "shards"
        spans = [span_of(file.name) for file in shards.iterdir()] if shards.is_dir() else []
        return sum(span[1] - span[0] for span in spans if span is not None)

    def until_there_are_more(self) -> None:
        """Wait until the process that runs has kept rows."""
        process, before = self.running(), self.there()
        wait_for(lambda: self.there() > before or process.poll() is not None)

    def a_worker(self, chosen: np.random.Generator) -> int:
        """One of the processes that simulate, as soon as there are any."""
        found: list[int] = []

        def look():
            found[:] = workers_of(self.running().pid)
            return found

        wait_for(look)
        return int(chosen.choice(found))

    def end(self) -> None:
        """The same command once more, which may come to its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None
        assert self.running().wait(300) == 0

    def assert_each_row_is_there_once(self) -> None:
        """As one process makes them that nobody disturbs; no row is in two shards, either."""
        (self.folder / "model.py").write_text(MODEL.replace("PAUSE", "0"))
        work = Work(read_model(self.folder / "spec.yaml").need_simulator(), 1, Purpose.SIMULATE)
        expected = concatenate(work((row, row + 1)).rows for row in range(self.rows))
        bank = Bank.open(self.folder / "bank")
        assert all(piece.rows == piece.holds for piece in bank.pieces)
        assert self.there() == bank.whole() == bank.rows == self.rows
        assert_equal(bank.read(0, self.rows), expected)


def wait_for(look):
    begun = time.monotonic()
    while not look():
        assert time.monotonic() - begun < 120, "it never came"
        time.sleep(0.005)


def workers_of(process):
    """Processes that simulate for a process."""
    try:
        tasks = Path(f"/proc/{process}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        return [
            int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()
        ]
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return []


@pytest.fixture
def filling(tmp_path):
    """Makes a filling, of which nothing is left running."""
    made = []

    def make(**options):
        made.append(Filling(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def kill_main(filling: Filling, moments: list[tuple[str, float]]) -> list[int]:
    """Kill the main process time after time; the rows that were there each time.

    Arguments:
        moments: Whether so many seconds after it was begun, or after it has kept rows.
    """
    there = []
    for phase, seconds in moments:
        process = filling.running()
        if phase == "working":
            filling.until_there_are_more()
        time.sleep(seconds)
        assert process.poll() is None, "it was done too early"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        there.append(filling.there())
    return there


def kill_workers(filling: Filling, moments: list[float], chosen: np.random.Generator) -> list[int]:
    """Kill one of those that simulate, so many seconds after the last time, and so on."""
    there = []
    for seconds in moments:
        filling.a_worker(chosen)
        time.sleep(seconds)
        os.kill(filling.a_worker(chosen), signal.SIGKILL)
        there.append(filling.there())
    return there


def test_the_main_process_is_killed_and_the_same_command_goes_on(filling):
    work = filling(rows=300, pause=0.01)
    there = kill_main(work, [("working", 0.0), ("starting", 0.3), ("working", 0.1)])
    assert 0 < there[0] < there[-1] < 300
    work.end()
    work.assert_each_row_is_there_once()


def test_those_that_simulate_are_killed_and_the_work_goes_on(filling):
    work = filling(rows=400, pause=0.01)
    kill_workers(work, [0.0, 0.2], np.random.default_rng(1))
    assert work.begun == 1
    assert work.process.wait(120) == 0, "nobody had to begin it again"
    work.assert_each_row_is_there_once()


@pytest.mark.soak
def test_the_main_process_is_killed_at_twenty_moments(filling, capsys):
    """Half of them while it starts, which is long, and half while it makes rows."""
    seed = int.from_bytes(os.urandom(3))
    chosen = np.random.default_rng(seed)
    moments = [("starting", chosen.uniform(0, 2)) for _ in range(KILLS // 2)]
    moments += [("working", chosen.uniform(0, 0.5)) for _ in range(KILLS - len(moments))]
    chosen.shuffle(moments)
    work = filling(rows=3_000, pause=0.01)
    there = kill_main(work, moments)
    work.end()
    work.assert_each_row_is_there_once()
    assert len(there) == KILLS
    with capsys.disabled():
        print(
            f"\nkill -9 of the main process, seed {seed}: {KILLS} kills, half in mid-work; rows of "
            f"3,000 there at each: {' '.join(map(str, there))}; all rows as if never killed, once"
        )


@pytest.mark.soak
def test_those_that_simulate_are_killed_at_twenty_moments(filling, capsys):
    seed = int.from_bytes(os.urandom(3))
    chosen = np.random.default_rng(seed)
    work = filling(rows=3_000, pause=0.01)
    there = kill_workers(work, [chosen.uniform(0, 0.6) for _ in range(KILLS)], chosen)
    work.end()
    work.assert_each_row_is_there_once()
    assert len(there) == KILLS
    with capsys.disabled():
        print(
            f"\nkill -9 of processes that simulate, seed {seed}: {KILLS} kills, "
            f"{work.begun - 2} times the work ended by them and was begun again; rows of 3,000 "
            f"there at each: {' '.join(map(str, there))}; all rows as if never killed, once"
        )
