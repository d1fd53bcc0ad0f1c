"""The folder that a diagnosis leaves, and the pictures in it."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from abi_cli.diagnostics import (
    Inputs,
    diagnose,
    element_labels,
    layout,
    plots_loss,
    plots_truths,
    report,
    style,
)
from abi_cli.diagnostics.page import Image, image
from abi_cli.diagnostics.pictures import Picture
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


NOTHING = Image("", "", "", 1)


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
        pixels = imread(path)[:, :, :3]
        assert pixels.min() < 0.5  # something is drawn,
        for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
            assert (edge == 1).all()  # and nothing is cut off


@pytest.mark.parametrize("with_legend", [True, False])
def test_a_page_has_the_heading_of_a_picture_as_text(tmp_path, with_legend):
    def draw():
        labels = [r"\$D", "b"]
        grid = layout.grid(
            labels, title="What", subtitle=["Long. " * 40, r"Of \$D."], x_label="x", y_label="y"
        )
        for axes in grid.axes:
            axes.plot([0, 1], [0, 1], color="red")
        layout.legend(grid.figure, grid.axes[0].lines if with_legend else [])
        return grid.figure

    file = tmp_path / "what.png"
    made = image(Picture("what", "What", "alt", draw, lambda: iter(())), file)
    assert made.title == "What"
    assert made.text == " ".join(["Long."] * 40) + " Of $D."
    whole, below = imread(file), imread(BytesIO(b64decode(made.base64)))
    assert below.shape[1] == made.width == whole.shape[1]
    assert below.shape[0] < whole.shape[0]
    axes = slice(-300, None)
    np.testing.assert_array_equal(below[axes], whole[axes])  # nothing else has changed
    for edge in (below[:4], below[-4:], below[:, :4], below[:, -4:]):
        assert (edge == 1).all()  # nothing is cut off
    assert not with_legend or (below[:45, :300, :3] < 0.9).any()  # the legend is at the left


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

    def drawn(picture, *_files):
        if picture.name == "recovery":
            picture.draw()
        return NOTHING

    monkeypatch.setattr(report, "image", drawn)
    monkeypatch.setattr(
        plots_truths,
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
    monkeypatch.setattr(report, "image", lambda *_: NOTHING)
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
    style.save(lambda: plots_loss.loss(history), tmp_path / "loss.png")


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
    columns = {panels: layout.grid_columns(panels) for panels in (1, 3, 4, 6, 8, 12, 30, 36)}
    assert columns == {1: 1, 3: 3, 4: 4, 6: 3, 8: 3, 12: 4, 30: 6, 36: 6}


def test_metrics_need_no_matplotlib():
    code = "import sys, abi_cli.diagnostics; sys.exit('matplotlib' in sys.modules)"
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
