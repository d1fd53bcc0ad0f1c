"""The main job from the shell: what each command leaves, and what it says where."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import abi_cli
from abi_cli import run as runs
from abi_cli import workflow
from abi_cli.hashing import digest
from abi_cli.run import open_run, room
from abi_cli.spec import parse_spec
from tests.cli import ANSCOMBE, SMALL, SPECS, abi, abi_process, shell

HEADER = "dataset,draw,beta[0],beta[1],sigma\n"


def draws_of(text: str) -> np.ndarray:
    """`(row, 3)`: the parameters in CSV draws."""
    assert text.startswith(HEADER)
    return np.array(
        [[float(cell) for cell in row[2:]] for row in csv.reader(io.StringIO(text[len(HEADER) :]))]
    )


@pytest.fixture(scope="module")
def anscombe_draws(small_run):
    result = abi("sample", small_run, ANSCOMBE, "-n", 200, "--format", "csv", "-q")
    assert result.exit_code == 0
    return result.stdout


def test_a_run_has_everything_that_the_readme_lists(small_run):
    files = {str(file.relative_to(small_run)) for file in small_run.rglob("*") if file.is_file()}
    assert {
        "spec.yaml",
        "spec.orig.yaml",
        "code/regression.py",
        "model.keras",
        "history.csv",
        "reference.npz",
        "manifest.json",
    } <= files
    original = (SPECS / "regression.yaml").read_text()
    assert (small_run / "spec.orig.yaml").read_text() == original
    assert len((small_run / "history.csv").read_text().splitlines()) == 3


def test_training_ends_with_a_receipt(small_training):
    path, said = small_training
    for word in ("run ", "learned ", "time ", "loss ", f"abi diagnose {path}"):
        assert word in said


def test_the_spec_of_a_run_is_complete_and_trains_in_place(small_run, tmp_path):
    spec = parse_spec((small_run / "spec.yaml").read_text())
    assert spec.training.epochs == 2
    assert spec.model.prior == "code/regression.py:prior"
    again = tmp_path / "again"
    result = abi("train", small_run, "-o", again, "-q", "-j", 0, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    receipt = json.loads(result.stdout)
    assert receipt["run"] == str(again)
    assert receipt["simulations"] == 2 * 4 * 64
    assert receipt["seconds"]["total"] >= receipt["seconds"]["training"]
    assert (again / "spec.yaml").read_text() == (small_run / "spec.yaml").read_text()
    losses = [[row["loss"] for row in open_run(path).history()] for path in (small_run, again)]
    assert losses[0] == losses[1]


def test_draws_are_all_that_is_on_standard_output(anscombe_draws):
    draws = draws_of(anscombe_draws)
    assert draws.shape == (4 * 200, 3)
    assert (draws[:, 2] > 0).all()
    assert [line.split(",")[0] for line in anscombe_draws.splitlines()[1::200]] == [
        "I",
        "II",
        "III",
        "IV",
    ]


def test_the_same_command_gives_the_same_bytes(small_run, anscombe_draws, tmp_path):
    for name in ("a", "b"):
        for suffix in ("csv", "jsonl", "npz"):
            file = tmp_path / f"{name}.{suffix}"
            assert abi("sample", small_run, ANSCOMBE, "-n", 200, "-o", file).exit_code == 0
    for suffix in ("csv", "jsonl", "npz"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert (tmp_path / "a.csv").read_text() == anscombe_draws


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "npz", "nc"])
def test_every_format_holds_the_same_draws(suffix, small_run, anscombe_draws, tmp_path):
    file = tmp_path / f"draws.{suffix}"
    result = abi("sample", small_run, ANSCOMBE, "-n", 200, "-o", file)
    assert "seed 1" in result.stderr
    rows = json.loads(abi("summary", file, "--json").stdout)["rows"]
    assert len(rows) == 4 * 3
    expected = draws_of(anscombe_draws)[:200, 0]
    assert rows[0]["mean"] == pytest.approx(expected.mean(), rel=1e-6)
    assert rows[0]["sd"] == pytest.approx(expected.std(ddof=1), rel=1e-5)


def test_draws_of_a_data_set_do_not_depend_on_the_others(small_run, anscombe_draws):
    lines = ANSCOMBE.read_text().splitlines(keepends=True)
    alone = "".join(line for line in lines if line.startswith(("dataset", "I,")))
    result = abi("sample", small_run, "-", "-n", 200, "-q", "--format", "csv", stdin=alone)
    assert draws_of(result.stdout) == pytest.approx(draws_of(anscombe_draws)[:200], rel=1e-4)


def test_order_within_a_set_does_not_matter(small_run, anscombe_draws):
    header, *lines = ANSCOMBE.read_text().splitlines(keepends=True)
    mixed = "".join([header, *sorted(lines, key=lambda line: (line.split(",")[0], line[::-1]))])
    result = abi("sample", small_run, "-", "-n", 200, "-q", "--format", "csv", stdin=mixed)
    assert draws_of(result.stdout) == pytest.approx(draws_of(anscombe_draws), rel=1e-4, abs=1e-4)


def test_simulations_go_through_a_pipe(small_run):
    simulated = abi("simulate", SPECS / "regression.yaml", "-n", 5, "--seed", 7, "-q")
    assert simulated.exit_code == 0
    assert simulated.stdout.startswith("dataset,N,beta[0],beta[1],sigma,x,y\n")
    sampled = abi(
        "sample", small_run, "-", "-n", 2, "-q", "--format", "csv", stdin=simulated.stdout
    )
    assert sampled.exit_code == 0
    assert draws_of(sampled.stdout).shape == (10, 3)


def test_simulations_do_not_depend_on_the_number_of_processes(tmp_path):
    for jobs in (0, 2):
        abi(
            "simulate",
            SPECS / "regression.yaml",
            "-n",
            50,
            "-j",
            jobs,
            "-o",
            tmp_path / f"{jobs}.csv",
        )
    assert (tmp_path / "0.csv").read_text() == (tmp_path / "2.csv").read_text()


def test_force_keeps_what_was_there(tmp_path):
    file = tmp_path / "sims.csv"
    for seed in (1, 2):
        result = abi(
            "simulate", SPECS / "regression.yaml", "-n", 2, "--seed", seed, "-o", file, "--force"
        )
        assert result.exit_code == 0
    assert len({file.read_text(), (tmp_path / "sims.csv.bak").read_text()}) == 2


def test_validation_stops_training_early(tmp_path):
    """At a rate so low that no epoch is better by 1 nat than the first."""
    run = tmp_path / "run"
    stopping = "{early_stopping: {patience: 2, min_delta: 1}}"
    overrides = (
        "training.epochs=6",
        "training.validation=50",
        "training.learning_rate=1e-9",
        f"training.callbacks=[reduce_lr_on_plateau, {stopping}]",
    )
    options = [option for override in overrides for option in ("-s", override)]
    result = abi("train", SPECS / "regression_vectorised.yaml", "-o", run, *SMALL, *options)
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO((run / "history.csv").read_text())))
    assert len(rows) == 3
    assert all(float(row["val_loss"]) for row in rows)


def test_a_callback_is_refused_what_is_not_there(tmp_path):
    run = tmp_path / "run"
    override = "training.callbacks=[early_stopping]"
    result = abi("train", SPECS / "regression.yaml", "-o", run, *SMALL, "-s", override)
    assert result.exit_code == 3
    assert "training.validation" in result.stderr
    assert not run.exists()


def test_a_context_can_be_held_fixed():
    result = abi("simulate", SPECS / "regression.yaml", "-n", 4, "--context", "N=7", "-q")
    assert len(result.stdout.splitlines()) == 1 + 4 * 7


def test_stored_simulations_can_be_learned_from(tmp_path):
    stored = tmp_path / "sims.npz"
    spec = SPECS / "regression_vectorised.yaml"
    assert abi("simulate", spec, "-n", 640, "-o", stored).exit_code == 0
    result = abi("train", spec, "--data", stored, "-o", tmp_path / "run", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "val_loss" in (tmp_path / "run" / "history.csv").read_text()


def test_the_run_of_a_backend_samples_on_another(small_run, anscombe_draws):
    result = abi_process(
        "sample", small_run, ANSCOMBE, "-n", "200", "--backend", "jax", "--format", "csv", "-q"
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert draws_of(result.stdout) == pytest.approx(draws_of(anscombe_draws), rel=1e-3, abs=1e-3)


def test_the_environment_can_choose_the_backend(tmp_path):
    run = tmp_path / "run"
    for arguments in (
        ("train", SPECS / "regression.yaml", "-o", run, *SMALL),
        ("sample", run, ANSCOMBE, "-n", 10, "-o", tmp_path / "draws.csv"),
        ("diagnose", run, "--datasets", 10, "--draws", 20, "-j", 0),
    ):
        result = abi_process(*arguments, KERAS_BACKEND="jax")
        assert result.returncode == 0, result.stderr
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["backend"] == "jax"
    assert "jax" in manifest["versions"]


def test_densities_are_on_the_users_scale(small_run, tmp_path):
    theta = tmp_path / "theta.csv"
    theta.write_text("dataset,beta[0],beta[1],sigma\nIV,7.4,1.4,1.3\nI,7.4,1.4,1.3\nI,7.4,1.4,-1\n")
    result = abi("log-prob", small_run, ANSCOMBE, "--at", theta, "-q")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["dataset"] for row in rows] == ["IV", "I", "I"]
    assert np.isfinite(float(rows[0]["log_prob"]))
    assert rows[2]["log_prob"] == "-inf"
    document = json.loads(abi("log-prob", small_run, ANSCOMBE, "--at", theta, "--json").stdout)
    assert document["log_prob"][2] is None


def test_what_a_run_says_of_itself(small_run):
    document = json.loads(abi("show", small_run, "--json").stdout)
    assert document["seed"] == 1
    assert document["spec"]["name"] == "regression"
    learned = {state["step"]: state["values"] for state in document["adapter"]}
    assert learned["standardize"]["beta.scale"] == pytest.approx([3, 1], rel=0.1)
    assert "counts x, y" in abi("show", small_run).stdout


def test_inference_executes_none_of_the_runs_python(small_run, tmp_path):
    code = small_run / "code" / "regression.py"
    text = code.read_text()
    theta = tmp_path / "theta.csv"
    theta.write_text("dataset,beta[0],beta[1],sigma\nI,7.4,1.4,1.3\n")
    code.write_text("raise SystemExit('executed')\n")
    try:
        for arguments in (
            ("sample", small_run, ANSCOMBE, "-n", 2, "-o", tmp_path / "draws.csv"),
            ("log-prob", small_run, ANSCOMBE, "--at", theta),
            ("show", small_run),
            ("summary", tmp_path / "draws.csv"),
        ):
            assert abi(*arguments).exit_code == 0
    finally:
        code.write_text(text)


def test_python_gets_the_same_draws(small_run, anscombe_draws):
    posterior = abi_cli.load(small_run)
    draws = posterior.sample(ANSCOMBE, draws=200)
    assert draws.labels == ("I", "II", "III", "IV")
    flat = np.concatenate([draws.values["beta"], draws.values["sigma"][..., None]], axis=-1)
    assert flat.reshape(-1, 3) == pytest.approx(draws_of(anscombe_draws))


def test_python_takes_tables(small_run):
    posterior = abi_cli.load(small_run)
    table = {"x": [-1.0, 0, 0.5, 1, 2], "y": np.arange(5.0)}
    beta = posterior.sample(table, draws=10).values["beta"]
    assert beta.shape == (1, 10, 2)
    at = {"beta[0]": beta[0, :, 0], "beta[1]": beta[0, :, 1], "sigma": np.ones(10)}
    assert np.isfinite(posterior.log_prob(table, at)).all()


def test_networks_are_opened_once_and_anew_when_their_file_is_another(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    first = abi_cli.load(run).networks
    assert abi_cli.load(run).networks is first
    from abi_cli.run import archive

    changed = archive.load_approximator(run / "model.keras")
    changed.set_weights([weight + 1 for weight in changed.get_weights()])
    archive.save_approximator(changed, run / "model.keras")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["hashes"]["model.keras"] = digest(run / "model.keras")
    (run / "manifest.json").write_text(json.dumps(manifest))
    again = abi_cli.load(run).networks
    np.testing.assert_array_equal(again.get_weights()[0], first.get_weights()[0] + 1)


def test_python_has_the_commands_as_functions(small_run, tmp_path):
    written = workflow.simulate(small_run, datasets=3, target=workflow.Target(tmp_path / "s.jsonl"))
    assert written.seed == 1
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 3


def test_a_reader_that_goes_away_ends_it_quietly():
    simulate = shell("simulate", SPECS / "regression.yaml", "-n", 3000, "-j", 0, "-q")
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{simulate} | head -1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert result.stdout == "dataset,N,beta[0],beta[1],sigma,x,y\n"
    assert result.stderr == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_anything_is_learned_leaves_a_run_to_begin(number, code, tmp_path):
    spec, run = SPECS / "regression.yaml", tmp_path / "run"
    arguments = ["train", str(spec), "-o", str(run), *SMALL[:-1], "1"]
    with subprocess.Popen(
        [sys.executable, "-c", "from abi_cli.cli import main; main()", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / "run").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "stopped: by " in said
    assert "Traceback" not in said
    assert f"abi train --resume {run} goes on from the start" in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    assert room.is_only_begun(run)
    if number is signal.SIGTERM:  # once is enough
        resumed = abi("train", "--resume", run)
        assert resumed.exit_code == 0, resumed.output
        assert "has saved nothing yet: it begins anew" in resumed.stderr
        assert runs.open_run(run).manifest.trained
