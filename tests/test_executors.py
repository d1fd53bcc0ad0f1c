"""Workers that die, clusters that lose some of them: rows stay what they are."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abi_cli.bank import Bank
from abi_cli.errors import WorkerDied
from abi_cli.model.failures import Allowed
from abi_cli.model.making import Work, surviving
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.variables import concatenate
from tests.cli import ROOT, abi
from tests.model_tasks import assert_equal, simulator

MODEL = """
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

def prior(rng):
    return {"mu": rng.normal()}

def likelihood(mu, rng):
    if mu > 1:
        FAIL
    time.sleep(PAUSE)
    return {"x": rng.normal(mu, size=3)}
"""
RAISE = "raise ValueError('too large')"
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
DIE_ONCE = """marker = Path(__file__).with_name("died")
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)"""
SPEC = """
name: mortal
model: {prior: model.py:prior, likelihood: model.py:likelihood}
observables: {x: {kind: set}}
"""


def work(folder, fail, **options):
    code = MODEL.replace("FAIL", fail).replace("PAUSE", "0")
    model = simulator(folder, code, ragged=frozenset(), repeats=False, **options)
    return Work(model, 1, Purpose.SIMULATE)


def made(pool, work, first=0):
    ranges = [(start, start + 8) for start in range(first, 24, 8)]
    parts = surviving(
        pool,
        work,
        ranges,
        ahead=3,
        again=lambda span, error: work.in_spite_of_deaths(pool, span, error),
    )
    parts = list(parts)
    return concatenate(part.rows for part in parts), [f for p in parts for f in p.failures.kept]


def test_a_worker_that_dies_costs_its_task_alone(tmp_path):
    with Workers(2) as pool:
        rows, failures = made(pool, work(tmp_path, DIE_ONCE))
    assert (tmp_path / "died").exists()
    assert failures == []
    calm = tmp_path / "calm"
    calm.mkdir()
    with Workers(0) as pool:
        assert_equal(rows, made(pool, work(calm, "pass"))[0])


def test_rows_over_which_workers_die_are_drawn_again_as_those_that_raise(tmp_path):
    (tmp_path / "raising").mkdir()
    with Workers(0) as pool:
        raising = work(tmp_path / "raising", RAISE, max_failures=Allowed(99))
        expected, failed = made(pool, raising, first=16)
    with Workers(2) as pool:
        rows, died = made(pool, work(tmp_path, DIE, max_failures=Allowed(99)), first=16)
    assert len(failed) > 0
    assert_equal(rows, expected)
    assert [(f.row, f.attempt, f.values) for f in died] == [
        (f.row, f.attempt, f.values) for f in failed
    ]
    assert "SIGKILL" in died[0].message


def test_where_none_may_fail_three_deaths_end_the_work(tmp_path):
    with Workers(1) as pool, pytest.raises(WorkerDied, match=r"killed \(SIGKILL\) \(row \d+ of"):
        made(pool, work(tmp_path, DIE))


def test_where_simulations_fail_is_told(tmp_path):
    failing = work(tmp_path, RAISE, max_failures=Allowed(99_999))
    part = failing((0, 400))
    told = failing.where_they_fail(part.failures)
    found = re.match(r"they fail most where mu > ([\d.]+): (\d+)% of those that failed", told)
    assert found, told
    assert float(found[1]) == pytest.approx(1, abs=0.1)
    assert int(found[2]) > 95
    one = replace(part.failures, kept=part.failures.kept[:1])
    assert "all over" in failing.where_they_fail(one)


@pytest.mark.parametrize(
    ("said", "rows", "most"),
    [(7, 10, 7), ("1 %", 100_000, 1_000), ("1 %", 8, 10), ("2.5%", 4_000, 100), ("0 %", 10, 0)],
)
def test_a_share_may_fail(said, rows, most):
    assert Allowed.of(said).most(rows) == most


def test_what_fails_is_kept_in_the_bank_and_can_be_replayed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL.replace("FAIL", RAISE).replace("PAUSE", "0"))
    Path("spec.yaml").write_text(SPEC)
    options = ("-n", 2_000, "-j", 0, "-o", "bank/")
    refused = abi("simulate", "spec.yaml", *options, "-s", "model.max_failures=1 %")
    assert refused.exit_code == 5
    assert "more than model.max_failures, 1 %; the first: likelihood raised" in refused.stderr
    assert "they fail most where mu > " in refused.stderr
    filled = abi("simulate", "spec.yaml", *options, "-s", "model.max_failures=30 %")
    assert filled.exit_code == 0, filled.stderr
    assert "they fail most where mu > " in filled.stderr
    bank = Bank.open(Path("bank"))
    failures = list(bank.failures())
    assert bank.rows == 2_000
    assert 0.1 * 2_000 < len(failures) < 0.3 * 2_000
    assert all(failure["values"]["mu"][0] > 1 for failure in failures)
    assert bank.read(0, 2_000)["mu"].max() <= 1
    row = next(failure["row"] for failure in failures)
    replayed = abi("simulate", "spec.yaml", "--replay", row)
    assert replayed.exit_code == 5
    assert f"too large (row {row} of seed 1, simulate, mu = " in replayed.stderr
    good = next(row for row in range(99) if row not in {failure["row"] for failure in failures})
    shown = abi("simulate", "spec.yaml", "--replay", good, "--json")
    assert shown.exit_code == 0
    assert str(bank.read(good, good + 1)["mu"][0]) in shown.stdout
    assert str(bank.read(good, good + 1)["x"].values[0]) in shown.stdout
    assert "row" in abi("bank", "ls", "bank").stdout
    refused = abi("simulate", "spec.yaml", "--replay", 3, "-n", 5)
    assert refused.exit_code == 2
    bad = abi("check", "spec.yaml", "-s", "model.max_failures=most")
    assert "a whole number, or a share such as 1 %" in bad.stderr


@pytest.mark.parametrize("name", ["dusk", "dask:8786", "mpi:3"])
def test_an_executor_that_is_none_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL.replace("FAIL", "pass").replace("PAUSE", "0"))
    Path("spec.yaml").write_text(SPEC)
    result = abi("simulate", "spec.yaml", "-n", 5, "--executor", name)
    assert result.exit_code == 2
    assert "local, dask, dask:tcp://HOST:PORT or mpi" in result.stderr or "needs" in result.stderr


def there(*modules):
    return all(importlib.util.find_spec(module) for module in modules)


def lay_out(folder, rows):
    (folder / "model.py").write_text(MODEL.replace("FAIL", "pass").replace("PAUSE", "0.005"))
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "same").mkdir()
    return work(folder / "same", "pass")((0, rows)).rows


def command(*words, folder):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.Popen([*map(str, words)], cwd=folder, env=environment)


@pytest.mark.soak
@pytest.mark.skipif(not there("distributed"), reason="the extra dask is not installed")
def test_dask_loses_a_worker_and_no_row(tmp_path):
    expected, rows = lay_out(tmp_path, 2_000), 2_000
    file = tmp_path / "scheduler.json"
    module = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    started = [
        command(
            *(*module, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--scheduler-file", file),
            folder=tmp_path,
        )
    ]
    try:
        wait_for(file.exists)
        address = re.search(r"tcp://[\d.:]+", file.read_text())[0]
        worker = (sys.executable, "-m", "distributed.cli.dask_worker", address)
        workers = [
            command(*worker, "--nthreads", 1, "--no-nanny", "--no-dashboard", folder=tmp_path)
            for _ in range(2)
        ]
        started += workers
        time.sleep(8)
        abi = (sys.executable, "-m", "abi_cli", "simulate", "spec.yaml", "-n", rows, "-o", "bank/")
        simulating = command(*abi, "--executor", f"dask:{address}", folder=tmp_path)
        started.append(simulating)
        time.sleep(6)
        workers[0].send_signal(signal.SIGKILL)
        assert simulating.wait(300) == 0
    finally:
        for process in started:
            process.kill()
            process.wait()
    found = Bank.open(tmp_path / "bank").read(0, rows)
    np.testing.assert_array_equal(found["mu"], expected["mu"])
    np.testing.assert_array_equal(found["x"].values, expected["x"].ravel())


@pytest.mark.soak
@pytest.mark.skipif(
    not (there("mpi4py") and shutil.which("mpiexec")), reason="the extra mpi is not installed"
)
def test_ranks_of_mpi_make_the_same_rows(tmp_path):
    expected, rows = lay_out(tmp_path, 400), 400
    ranks = ("mpiexec", "-n", 2, sys.executable, "-m", "mpi4py.futures", "-m", "abi_cli")
    simulating = command(
        *(*ranks, "simulate", "spec.yaml", "-n", rows, "-o", "bank/", "--executor", "mpi"),
        folder=tmp_path,
    )
    assert simulating.wait(300) == 0
    found = Bank.open(tmp_path / "bank").read(0, rows)
    np.testing.assert_array_equal(found["mu"], expected["mu"])


def wait_for(look):
    for _ in range(3_000):
        if look():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")
