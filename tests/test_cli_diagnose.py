"""`abi diagnose` from the shell: its files, its gate, its report."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from abi_cli.diagnostics.challenge import Challenge, Proof
from tests.cli import abi

FIGURES = {
    "calibration_ecdf",
    "calibration_histogram",
    "coverage",
    "intervals",
    "joint",
    "loss",
    "posterior_pairs",
    "prior_pairs",
    "rank_ecdf",
    "recovery",
    "summary_map",
    "z_score_contraction",
}


def test_a_diagnosis_leaves_metrics_pictures_and_a_report(small_run):
    result = abi("diagnose", small_run, "--datasets", 30, "--draws", 50, "-j", 0)
    assert result.exit_code == 0, result.stderr
    assert "code/regression.py" in result.stderr
    for word in ("NRMSE", "contraction", "z-score", "calibration error", "SBC", "β₀ (beta[0])"):
        assert word in result.stdout
    folder = small_run / "diagnostics"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["parameters"]) == {"beta[0]", "beta[1]", "sigma"}
    for kind in ("png", "csv"):
        assert {file.stem for file in (folder / "figures").glob(f"*.{kind}")} == FIGURES
    page = (folder / "report.html").read_text()
    for word in ("regression", "seed of training", "num_batches: ", "deep set network", "arXiv"):
        assert word in page
    assert metrics["verdict"]["sentence"] in abi("show", small_run).stdout


def test_a_gate_shuts_and_pipelines_are_told(small_run, tmp_path):
    """Two epochs of training teach little: the verdict of this run is fail."""
    arguments = ("diagnose", small_run, "--datasets", 300, "--draws", 50, "-j", 0, "--force")
    shut = abi(*arguments, "-o", tmp_path / "a", "--gate")
    assert shut.exit_code == 1, shut.stderr
    assert "can't be trusted" in shut.stderr
    told = abi(*arguments, "-o", tmp_path / "b", "--format", "github")
    assert told.exit_code == 0
    assert told.stdout.startswith("::")
    suite = abi(*arguments, "-o", tmp_path / "c", "--format", "junit").stdout
    assert suite.startswith("<?xml")
    loose = {"sd_ratio": 1e3, "mean_score": 1e3, "joint_warning": 1e3, "joint_failure": 1e3}
    loose |= {"loss_warning": 1e3, "loss_failure": 1e3}
    spec = small_run / "spec.yaml"
    text = spec.read_text()
    changed = text.partition("\ndiagnostics:")[0] + f"\ndiagnostics: {json.dumps(loose)}\n"
    spec.write_text(changed)
    try:
        open_gate = abi(*arguments, "-o", tmp_path / "d", "--gate")
    finally:
        spec.write_text(text)
    assert open_gate.exit_code == 0, open_gate.stderr


def test_the_context_can_be_held_fixed_and_a_data_set_shown(small_run, tmp_path):
    arguments = ("diagnose", small_run, "--datasets", 20, "--draws", 20, "-j", 0)
    result = abi(*arguments, "-o", tmp_path / "a", "--context", "N=7", "--show", 3)
    assert result.exit_code == 0, result.stderr
    shown = (tmp_path / "a" / "report.html").read_text()
    assert "data set 3" in shown
    refused = abi(*arguments, "-o", tmp_path / "b", "--show", 20)
    assert refused.exit_code == 2
    assert "--show 0 to 19" in refused.stderr
    assert not (tmp_path / "b").exists()


def test_the_methods_paragraph_says_what_was_done(small_run):
    """Written from the manifest: versions, networks, fresh simulations and how many."""
    if not (small_run / "diagnostics" / "report.html").exists():
        assert abi("diagnose", small_run, "--datasets", 10, "--draws", 20, "-j", 0).exit_code == 0
    page = (small_run / "diagnostics" / "report.html").read_text()
    manifest = json.loads((small_run / "manifest.json").read_text())
    rows = len((small_run / "history.csv").read_text().splitlines()) - 1
    assert manifest["stored"] == 0
    assert f"(abi {manifest['versions']['abi']}, keras {manifest['versions']['keras']}" in page
    assert f"({rows} epochs of" in page
    assert "none used twice" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--challenge", "soon"), "length of time such as 30 s"),
        (("--challenge", "0"), "length of time such as 30 s"),
        (("--draws", "a.csv", "--truth", "b.csv", "--challenge", "5m"), "got --challenge"),
    ],
)
def test_a_challenge_takes_a_time_and_a_run(small_run, arguments, said):
    run = () if "--draws" in arguments else (small_run,)
    refused = abi("diagnose", *run, *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_what_is_lost_to_rivals_is_told_everywhere(small_run, tmp_path):
    """Two epochs teach little: what rivals prove is on the terminal, in numbers, on the page."""
    stand_in = Challenge(
        "the run's own networks, told more",
        Proof(np.random.default_rng(1).normal(2, 1, 300), 1e-9),
        Proof(np.zeros(300), 1.0),
        {},
        300.0,
        4_096,
    )

    class Rivals:
        def __init__(self, *arguments):
            self.seconds = arguments[2]

        def against(self, simulated):
            assert self.seconds == 300
            estimates = {name: simulated[name][:, None] for name in ("beta", "sigma")}
            rng = np.random.default_rng(2)
            noisy = {
                name: value + rng.normal(size=(300, 50, *value.shape[2:]))
                for name, value in estimates.items()
            }
            return replace(stand_in, estimates=noisy)

    with patch("abi_cli.workflow.diagnosing.Challenging", Rivals):
        arguments = ("--datasets", 300, "--draws", 50, "-j", 0, "--challenge", "5 min")
        result = abi("diagnose", small_run, *arguments, "-o", tmp_path / "a")
    assert result.exit_code == 0, result.stderr
    assert "challenged, nats lost, at least: 1.9" in result.stdout
    assert "(ranks, data and challenge; no likelihood)" in result.stdout
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["schema"] == "abi.metrics/3"
    assert metrics["tested"] == ["ranks", "data", "challenge"]
    own = metrics["challenge"]
    assert own["interval"][0] < own["nats"] < own["interval"][1]
    assert (own["seconds"], own["simulations"]) == (300, 4_096)
    assert own["detectable"] > 0
    assert metrics["verdict"]["joint"]["challenge"]["outcome"] == "fail"
    page = (tmp_path / "a" / "report.html").read_text()
    assert "Challenged by rivals" in page
    assert "the run&#39;s own networks, told more" in page
