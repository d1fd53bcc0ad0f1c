"""A training goes on with the code and the spec that it was begun with, or with none unsaid."""

from __future__ import annotations

import json
import shutil

import pytest

from abi_cli.run import MANIFEST, Run
from abi_cli.run.manifest import Manifest
from abi_cli.workflow import Compute
from abi_cli.workflow.resuming import as_begun
from tests.cli import abi
from tests.interruptions import lay_out, manifest

MOMENT = ("--max-time", "0.01s")
"""One block, saved."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    lay_out(folder)
    stopped = abi("train", folder / "spec.yaml", "-o", folder / "run", "-j", 0, *MOMENT)
    assert stopped.exit_code == 75, stopped.output
    assert "stopped: by --max-time" in stopped.stderr
    return folder / "run"


@pytest.fixture
def run(begun, tmp_path):
    """Unfinished, with a state."""
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"


def edited(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def refused(run, file, *arguments):
    """The training does not go on, because of a file; nothing is entered into the run."""
    before = (run / MANIFEST).read_bytes()
    result = abi("train", "--resume", run, *MOMENT, *arguments)
    assert result.exit_code == 6, result.output
    assert str(file) in result.stderr
    assert (run / MANIFEST).read_bytes() == before
    return result.stderr


def goes_on(run, *arguments):
    result = abi("train", "--resume", run, *MOMENT, *arguments)
    assert result.exit_code == 75, result.output
    return result.stderr


def test_changed_code_is_refused_before_it_is_executed(run):
    file = run / "code" / "model.py"
    file.write_text(f"open({str(run / 'executed')!r}, 'w')\n{file.read_text()}")
    said = refused(run, file)
    assert f"To go on with it: abi train --resume {run} --accept-changed-code" in said
    assert not (run / "executed").exists()


def test_code_that_was_added_is_refused(run):
    (run / "code" / "numpy.py").touch()
    refused(run, run / "code" / "numpy.py")


@pytest.mark.parametrize(
    ("old", "new"),
    [("shape: 3", "shape: 4"), ("batch_size: 8", "batch_size: 16"), ("seed: 1", "seed: 2")],
)
def test_an_edited_spec_is_refused(old, new, run):
    refused(run, edited(run / "spec.yaml", old, new))


def test_how_real_files_call_things_may_change(run):
    edited(run / "spec.yaml", "dataset: dataset", "dataset: subject")
    goes_on(run)


def test_accepted_code_is_entered_into_the_manifest_once(run):
    before = manifest(run)["hashes"]
    file = edited(run / "code" / "model.py", "rng.normal(mu", "rng.normal(1 + mu")
    (run / "code" / "other.py").write_text("x = 1\n")
    assert "changed since the training was begun: code/model.py, code/other.py" in goes_on(
        run, "--accept-changed-code"
    )
    (accepted,) = manifest(run)["accepted"]
    assert accepted["files"] == {"code/model.py": before["code/model.py"], "code/other.py": ""}
    assert accepted["when"] <= manifest(run)["resumed"][0]
    goes_on(run)  # it is this code now
    assert len(manifest(run)["accepted"]) == 1
    assert f"accepted {accepted['when']}" in abi("show", run).stdout
    refused(run, edited(file, "1 + mu", "2 + mu"))


def test_nothing_is_accepted_where_nothing_has_changed(run):
    goes_on(run, "--accept-changed-code")
    assert manifest(run)["accepted"] == []


def test_another_model_can_be_accepted_and_no_other_network(run):
    spec = edited(run / "spec.yaml", "shape: 3", "shape: 4")
    goes_on(run, "--accept-changed-code")
    assert [*manifest(run)["accepted"][0]["files"]] == ["spec.yaml"]
    goes_on(run)
    said = refused(run, edited(spec, "summary_dim: 4", "summary_dim: 5"), "--accept-changed-code")
    assert "by more than its `data:`, `diagnostics:` or `model:`" in said


def test_code_with_other_variables_is_refused(run):
    file = edited(run / "code" / "model.py", "sigma, N)}", "sigma, (N, 2))}")
    said = refused(run, run, "--accept-changed-code")
    assert "x: observable of shape members × (2,), not observable of shape members × ()" in said, (
        file
    )


def test_a_finished_run_accepts_no_code_that_it_has_not_learned_from(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    with (run / "code" / "regression.py").open("a") as code:
        code.write("\n")
    ended = abi("train", "--resume", run, "--accept-changed-code")
    assert ended.exit_code == 2
    assert "has been trained to its end" in ended.stderr
    assert manifest(run)["accepted"] == []


def test_code_is_accepted_only_where_a_training_goes_on():
    anew = abi("train", "spec.yaml", "--accept-changed-code")
    assert anew.exit_code == 2
    assert "Expected SPEC, or --resume RUN with --accept-changed-code" in anew.stderr


DEFAULTS = {
    "ABI_SEED": "7",
    "ABI_BACKEND": "jax",
    "ABI_JOBS": "1",
    "ABI_DEVICE": "cpu",
    "ABI_PROGRESS": "plain",
    "ABI_JSON": "1",
    "ABI_VERBOSE": "1",
    "ABI_TRACEBACK": "1",
    "ABI_QUIET": "1",
}


def test_the_environment_holds_defaults_which_keep_no_training_from_going_on(run, monkeypatch):
    for name, value in DEFAULTS.items():
        monkeypatch.setenv(name, value)
    goes_on(run)
    after = manifest(run)
    assert (after["seed"], after["jobs"], after["backend"]) == (1, 0, "tensorflow")


def _begun(tmp_path, **fields):
    usual = {"name": "toy", "seed": 1, "command": (), "created": "", "versions": {}}
    return Run(tmp_path, Manifest(**{**usual, "backend": "jax", "device": "default", **fields}))


@pytest.mark.parametrize(
    ("asked", "defaults", "begun", "chosen"),
    [
        (("jax", "cpu", 2), (), {}, ("jax", "cpu", 2)),
        (("jax", "cpu", 2), (), {"device": "gpu", "jobs": 0}, ("jax", "cpu", 2)),
        ((None, None, None), (), {"device": "gpu", "jobs": 0}, ("jax", "gpu", 0)),
        (
            ("torch", "cpu", 2),
            ("backend", "device", "jobs"),
            {"device": "gpu", "jobs": 0},
            ("jax", "gpu", 0),
        ),
        (("torch", "cpu", 2), ("backend", "device", "jobs"), {}, ("jax", "cpu", 2)),
        ((None, "cpu", 0), ("device",), {"device": "gpu", "jobs": 3}, ("jax", "gpu", 0)),
    ],
)
def test_a_wish_goes_before_what_was_begun_with_and_that_before_a_default(
    asked, defaults, begun, chosen, tmp_path
):
    compute = as_begun(_begun(tmp_path, **begun), Compute(*asked, defaults=frozenset(defaults)))
    assert (compute.backend, compute.device, compute.jobs) == chosen


def test_a_verdict_for_a_pipeline_goes_before_the_json_of_the_environment(
    small_run, tmp_path, monkeypatch
):
    draws, truth = tmp_path / "draws.csv", tmp_path / "truth.csv"
    rows = [f"{dataset},{draw},{draw}" for dataset in range(20) for draw in range(100)]
    draws.write_text("\n".join(["dataset,draw,mu", *rows, ""]))
    truth.write_text("\n".join(["dataset,mu", *(f"{dataset},{dataset}" for dataset in range(20))]))
    arguments = ("--draws", draws, "--truth", truth, "--format", "junit", "-o", tmp_path / "out")
    for name, value in {"ABI_JSON": "1", "ABI_BACKEND": "jax", "ABI_JOBS": "2"}.items():
        monkeypatch.setenv(name, value)
    judged = abi("diagnose", *arguments)
    assert judged.exit_code == 0, judged.output
    assert judged.stdout.startswith("<")
    with_jobs = abi("diagnose", *arguments, "--force", "-j", 2)
    assert with_jobs.exit_code == 2
    assert "alone; got --jobs, too" in with_jobs.stderr
    both = abi("diagnose", small_run, "--format", "junit", "--json")
    assert both.exit_code == 2
    json.loads((tmp_path / "out" / "metrics.json").read_text())
