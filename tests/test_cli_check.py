"""`abi check` from the shell: the way of every variable, the networks, the problems."""

from __future__ import annotations

import io
import json
import re
import subprocess
import zipfile

import h5py

from abi_cli import workflow
from tests.cli import SPECS, abi, shell


def test_a_check_shows_the_way_of_every_variable():
    result = abi("check", SPECS / "regression.yaml")
    assert result.exit_code == 0, result.stderr
    for word in (
        "regression.py",
        "context, counts x, y",
        "constrain",
        "inference_variables",
        "ok: ",
    ):
        assert word in result.stdout
    document = json.loads(abi("check", SPECS / "regression.yaml", "--json").stdout)
    assert [step["title"] for step in document["steps"]][:3] == ["simulated", "broadcast", "as_set"]
    assert document["findings"] == []


def test_a_check_shows_the_way_up_to_a_step_that_fails():
    wrong = ["adapter.5.concatenate.keys=[beta, sgma]"]
    found = workflow.check(SPECS / "regression.yaml", overrides=wrong)
    titles = [step.title for step in found.steps]
    assert titles == ["simulated", "broadcast", "as_set", "constrain", "standardize", "sqrt"]
    (error,) = found.errors
    assert error.code == "E201"


def test_a_check_can_build_the_networks(small_run):
    """They are those that a training makes: as many weights are in a run's model."""
    result = abi("check", SPECS / "regression.yaml", "--build", "--json")
    assert result.exit_code == 0, result.stderr
    built = json.loads(result.stdout)["built"]
    assert built["inputs"] == {
        "inference_variables": [3],
        "inference_conditions": [1],
        "summary_variables": [None, 2],
    }
    with zipfile.ZipFile(small_run / "model.keras") as archive:
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        in_file: list[int] = []
        stored.visititems(lambda _, item: in_file.append(getattr(item, "size", 0)))
    assert sum(built["weights"].values()) == sum(in_file)
    assert built["memory"] > 1e8
    assert all(seconds > 0 for seconds in built["seconds"].values())


def test_a_verdict_counts_also_when_its_reader_has_gone():
    spec = SPECS / "regression.yaml"
    check = shell("check", spec, "-s", "training.epochs=many", "-q", "--format", "concise")
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{check} | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (3, "")


def test_problems_of_a_spec_can_be_had_a_line_each(tmp_path):
    spec = tmp_path / "spec.yaml"
    text = (SPECS / "regression.yaml").read_text(encoding="utf-8")
    spec.write_text(text.replace("epochs: 30", "epoch: 30").replace("as_set", "as_sets"), "utf-8")
    done = abi("check", spec, "--format", "concise")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, code in zip(lines, ("E104", "E103"), strict=True):
        assert re.fullmatch(rf"{re.escape(str(spec))}:\d+:\d+: {code} .*", line)
