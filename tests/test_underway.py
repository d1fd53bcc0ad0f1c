"""Units of work under way: told of, stopped at their limit, ended; and what ends a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from abi_cli import underway
from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.failures import SLOW_ATTEMPTS, drawn_again
from abi_cli.model.stage import Origin
from abi_cli.model.streams import Purpose, Streams
from tests.cli import ROOT
from tests.model_tasks import simulator


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
