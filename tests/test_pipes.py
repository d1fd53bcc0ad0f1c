"""Commands in the shell's pipelines, as other programs use them; none fails under `pipefail`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import ANSCOMBE, ROOT, SPECS, shell

SPEC = SPECS / "regression_vectorised.yaml"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with `data.csv`, `data.jsonl`, and `abi` on the path."""
    folder = tmp_path_factory.mktemp("pipes")
    (folder / "data.csv").write_bytes(ANSCOMBE.read_bytes())
    lines = ANSCOMBE.read_text().splitlines()[1:]
    sets: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        label, x, y = line.split(",")
        own = sets.setdefault(label, {"x": [], "y": []})
        own["x"].append(float(x))
        own["y"].append(float(y))
    text = "".join(json.dumps({"dataset": label, **own}) + "\n" for label, own in sets.items())
    (folder / "data.jsonl").write_text(text)
    command = folder / "bin" / "abi"
    command.parent.mkdir()
    command.write_text(
        f'#!/usr/bin/env bash\nexport PYTHONPATH={shlex.quote(str(ROOT))}\nexec {shell()} "$@"\n'
    )
    command.chmod(0o755)
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return folder, {**usual, "PATH": f"{command.parent}:{os.environ['PATH']}"}


def bash(here, line, **variables):
    folder, environment = here
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"IFS=\n{line}"],  # paths may have spaces
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment, **{name: str(value) for name, value in variables.items()}},
        check=False,
        timeout=300,
    )


def test_a_reader_of_one_line_has_enough(here, small_run):
    result = bash(
        here, "cat data.csv | abi sample $RUN - -n 2000 --format csv | head -1", RUN=small_run
    )
    assert (result.returncode, result.stdout) == (0, "dataset,draw,beta[0],beta[1],sigma\n")
    assert "Traceback" not in result.stderr


def test_a_shell_reads_answers_line_by_line(here, small_run):
    result = bash(
        here,
        "abi sample $RUN data.jsonl -n 20 --format jsonl -q | "
        'while read -r l; do echo "$l" | cut -c 1-15; done',
        RUN=small_run,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        '{"dataset": "I"',
        '{"dataset": "II',
        '{"dataset": "II',
        '{"dataset": "IV',
    ]


@pytest.mark.skipif(
    subprocess.run(["which", "jq"], capture_output=True, check=False).returncode != 0,
    reason="jq is not installed",
)
def test_simulations_are_sampled_summarized_and_queried(here, small_run):
    result = bash(
        here,
        "abi simulate $SPEC -n 1000 -o - --format jsonl | abi sample $RUN - --points mean,sd | "
        "abi summary - --json | jq '.rows | length'",
        RUN=small_run,
        SPEC=SPEC,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "3000\n"


@pytest.mark.filterwarnings("ignore")  # of what ArviZ imports
def test_arviz_takes_the_draws(here, small_run):
    """The ArviZ that this Python takes: 0.23 on 3.11, 1 and later on others."""
    result = bash(here, "abi sample $RUN data.csv -n 400 -o draws.nc -q", RUN=small_run)
    assert (result.returncode, result.stderr) == (0, "")
    import matplotlib as mpl

    mpl.use("Agg")
    import arviz
    import matplotlib.pyplot as plt

    inference = arviz.from_netcdf(here[0] / "draws.nc")
    table = arviz.summary(inference, kind="stats")
    assert len(table) == 4 * 3
    posterior = inference["posterior"]
    means = posterior["beta"].mean(("chain", "draw")).to_numpy()
    assert float(table["mean"].iloc[0]) == pytest.approx(float(means[0, 0]), rel=0.01)
    assert {"x", "y", "row_size"} <= set(inference["observed_data"].data_vars)
    assert posterior["beta"].dims == ("chain", "draw", "dataset", "beta_dim_0")
    arviz.plot_pair(inference, var_names=["beta", "sigma"], coords={"dataset": ["II"]})
    plt.close("all")
    inference.close()


def test_answers_leave_before_the_last_data_set_is_there(here, small_run):
    """A second line is only written when the first has been answered."""
    folder, environment = here
    first, second = (folder / "data.jsonl").read_text().splitlines(keepends=True)[:2]
    process = subprocess.Popen(
        ["abi", "sample", str(small_run), "-", "-n", "5", "--format", "jsonl", "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(first)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["dataset"] == "I"
    process.stdin.write(second)
    process.stdin.close()
    assert json.loads(process.stdout.readline())["dataset"] == "II"
    assert process.wait() == 0
    process.stdout.close()


def test_a_stream_answers_each_line_by_itself(here, small_run):
    folder, environment = here
    lines = (folder / "data.jsonl").read_text().splitlines(keepends=True)
    process = subprocess.Popen(
        ["abi", "stream", str(small_run), "--points", "mean,sd"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    for line in [*lines, '{"x": [1]}\n', *lines]:
        process.stdin.write(line)
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "error" in answer:
            assert answer["error"] == "line 5: expected the key y; got x"
        else:
            assert len(answer["beta"]["mean"]) == 2
    process.stdin.close()
    assert process.wait() == 4  # a line was none
    told = process.stderr.read()
    assert "1 line is no data set" in told
    assert told.count("ready: ") == 1  # networks and compiled code are at hand
    process.stdout.close()
    process.stderr.close()


@pytest.mark.soak
def test_ten_thousand_data_sets_stay_small(here, small_run, capsys):
    """10,000 data sets from CSV × 1,000 draws to netCDF, under 2 GB, with progress."""
    folder, environment = here
    measured = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)\n"
    )
    simulate = ["abi", "simulate", str(SPEC), "-n", "10000", "-o", "many.csv", "-q"]
    subprocess.run(simulate, cwd=folder, env=environment, check=True)
    sample = ["abi", "sample", str(small_run), "many.csv", "-o", "many.nc", "--progress", "plain"]
    begun = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", measured, *sample],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=True,
    )
    code, gibibytes = result.stdout.split()
    size = Path(folder / "many.nc").stat().st_size / 2**20
    with capsys.disabled():
        print(
            f"\n10,000 × 1,000 draws from CSV to netCDF: {float(gibibytes):.2f} GiB at most, "
            f"{time.perf_counter() - begun:.0f} s, {size:.0f} MiB"
        )
    assert code == "0"
    assert float(gibibytes) * 2**30 < 2e9
    assert "sampling" in result.stderr
