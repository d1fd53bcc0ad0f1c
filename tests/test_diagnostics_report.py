"""The folder that a diagnosis leaves, and the pictures in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from abi_cli.diagnostics import (
    Inputs,
    diagnose,
    element_labels,
    plots,
    style,
)
from abi_cli.errors import DataError, OutputError
from abi_cli.listener import Listener
from tests.diagnostics_examples import posterior, prior_as_posterior

PICTURES = {
    "calibration_ecdf",
    "calibration_histogram",
    "coverage",
    "intervals",
    "loss",
    "posterior_pairs",
    "prior_pairs",
    "rank_ecdf",
    "recovery",
    "z_score_contraction",
}


def inputs(parameters: int, *, datasets: int = 30, draws: int = 40) -> Inputs:
    cases = [posterior(datasets=datasets, draws=draws, seed=seed) for seed in range(parameters)]
    return Inputs(
        estimates={"theta": np.stack([case[0] for case in cases], axis=-1)},
        truths={"theta": np.stack([case[1] for case in cases], axis=-1)},
        prior={"theta": np.random.default_rng(1).standard_normal((100, parameters))},
        labels={"theta": ["θ"]},
        history=[
            {"epoch": 1.0, "loss": 90.0, "val_loss": 80.0, "learning_rate": 1e-3},
            {"epoch": 2.0, "loss": 2.0, "val_loss": 2.1, "learning_rate": 5e-4},
            {"epoch": 3.0, "loss": 1.9, "learning_rate": 5e-4, "rollbacks": 1.0},
        ],
    )


@pytest.mark.parametrize("parameters", [1, 3, 9])
def test_a_diagnosis_is_metrics_pictures_and_a_report(tmp_path, parameters):
    metrics = diagnose(inputs(parameters), tmp_path, listener=Listener())
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(metrics.to_config()))
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "figures", "report.html"}
    pictures = list((tmp_path / "figures").glob("*.png"))
    joint = {"joint"} if parameters > 1 else set()
    assert {path.stem for path in pictures} == PICTURES | joint
    for path in pictures:
        pixels = image.imread(path)[:, :, :3]
        assert pixels.min() < 0.5  # something is drawn,
        for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
            assert (edge == 1).all()  # and nothing is cut off


def test_pictures_and_metrics_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        diagnose(inputs(1), tmp_path / name, listener=Listener())
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_what_is_not_known_has_no_picture(tmp_path):
    draws, truth = posterior(datasets=20, draws=30)
    diagnose(Inputs({"theta": draws}, {"theta": truth}), tmp_path, listener=Listener())
    pictures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert pictures == PICTURES - {"loss", "prior_pairs"}


def test_of_too_many_parameters_the_least_uniform_are_shown(tmp_path, monkeypatch):
    shown: list[list[str]] = []

    def saved(draw, file):
        file.write_bytes(b"")
        if file.stem == "recovery":
            draw()

    monkeypatch.setattr(style, "save", saved)
    monkeypatch.setattr(
        plots,
        "recovery",
        lambda summary, labels, remark: shown.append([remark, len(summary.truth), *labels]),
    )
    many = inputs(50)
    many.estimates["theta"][:, :, 44] -= 3.0
    diagnose(many, tmp_path, listener=Listener())
    ((remark, rows, *labels),) = shown
    assert remark.startswith("Shown are the 36 of 50 parameters")
    assert rows == len(labels) == 36
    assert "θ₄₄" in labels
    assert labels == [label for label in element_labels("theta", (50,), ["θ"]) if label in labels]


class Recorder(Listener):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_network_that_reads_nothing_is_said_aloud(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "save", lambda draw, file: file.write_bytes(b""))  # noqa: ARG005
    draws, truth = prior_as_posterior(datasets=200, draws=50)
    listener = Recorder()
    diagnose(Inputs({"theta": draws}, {"theta": truth}), tmp_path, listener=listener)
    assert "as wide as the prior" in listener.notes[0]


def test_a_data_set_that_is_not_there_is_refused(tmp_path):
    draws, truth = posterior(datasets=20, draws=30)
    with pytest.raises(DataError, match="between 0 and 19; got 20"):
        diagnose(Inputs({"t": draws}, {"t": truth}, shown=20), tmp_path, listener=Listener())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_written_is_said(tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(OutputError, match="can't write "):
        diagnose(inputs(1), tmp_path, listener=Listener())


@pytest.mark.parametrize("losses", [[2.0], [2.0, 2.0], [np.nan, np.nan], [3.0, np.nan]])
def test_losses_of_every_kind_can_be_drawn(tmp_path, losses):
    history = [{"epoch": float(i + 1), "loss": loss} for i, loss in enumerate(losses)]
    style.save(lambda: plots.loss(history), tmp_path / "loss.png")


@pytest.mark.parametrize(
    ("label", "drawn"),
    [
        ("σ", "σ"),
        (r"$\beta_0$", r"$\beta_0$"),
        (r"$\frac$", r"\$\frac\$"),
        ("a_very_long_parameter_name_indeed", "a_very_long…ame_indeed"),
    ],
)
def test_labels_can_be_drawn(label, drawn):
    assert style.printable(label) == drawn


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.25, "−0.25"), (1200, "1200"), (3e6, "3e6"), (2e12, "2e12"), (-1e-9, "−1e−9"), (0, "0")],
)
def test_tick_labels_are_short(value, text):
    assert style.short(value) == text


def test_panels_fill_their_grid():
    columns = {panels: style.grid_columns(panels) for panels in (1, 3, 4, 6, 8, 12, 30, 36)}
    assert columns == {1: 1, 3: 3, 4: 4, 6: 3, 8: 3, 12: 4, 30: 6, 36: 6}


def test_metrics_need_no_matplotlib():
    code = "import sys, abi_cli.diagnostics; sys.exit('matplotlib' in sys.modules)"
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
