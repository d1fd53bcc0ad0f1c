"""Pictures of posteriors: whose, of what, where to; what can't be drawn is refused before work."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.diagnostics import plots_pairs, plots_posteriors, plots_replicas, style
from abi_cli.diagnostics.plots_posteriors import Intervals
from abi_cli.diagnostics.plots_replicas import Replicas
from abi_cli.variables import Ragged
from abi_cli.workflow import plot
from abi_cli.workflow.about_data.shown import Shown
from abi_cli.workflow.plotting import Wish
from tests.cli import ANSCOMBE, abi

LABELS = ["A", "<b>B</b>", "../C", "$D"]
BEGINS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture
def draws(tmp_path):
    """Draws of four data sets, one with a label that no file may have; two parameters."""
    rng = np.random.default_rng(1)
    lines = ["dataset,draw,beta[0],beta[1],sigma"]
    for at, label in enumerate(LABELS):
        for draw, row in enumerate(rng.normal(at, 1, size=(30, 3)).round(3)):
            lines.append(f"{label},{draw},{row[0]},{row[1]},{abs(row[2])}")
    file = tmp_path / "draws.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def truth(tmp_path):
    file = tmp_path / "truth.csv"
    file.write_text("dataset,sigma,beta[0],beta[1]\n" + "".join(f"{x},1,2,3\n" for x in LABELS))
    return file


@pytest.mark.parametrize("kind", ["pairs", "marginals", "intervals"])
def test_draws_of_any_tool_are_drawn(kind, draws, truth, tmp_path):
    result = abi("plot", draws, "--kind", kind, "--truth", truth, "-o", tmp_path / "figures")
    assert result.exit_code == 0, result.output
    names = {"A", "b_B_b", "C", "D"}
    expected = {f"{kind}-{name}.png" for name in names} if kind != "intervals" else {f"{kind}.png"}
    assert {file.name for file in (tmp_path / "figures").iterdir()} == expected
    for name in expected:
        assert (tmp_path / "figures" / name).read_bytes().startswith(BEGINS["png"])
        assert f"figures/{name}" in result.stderr


@pytest.mark.parametrize("extension", BEGINS)
def test_the_extension_says_the_format(extension, draws, tmp_path):
    file = tmp_path / f"one.{extension}"
    wanted = ("plot", draws, "--datasets", "A", "-o", file)
    assert abi(*wanted).exit_code == 0
    first = file.read_bytes()
    assert first.startswith(BEGINS[extension])
    assert abi(*wanted).exit_code == 74  # it is there already
    assert abi(*wanted, "--force").exit_code == 0
    assert file.read_bytes() == first


def test_without_a_place_it_says_where(draws, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = abi("plot", draws, "--datasets", "A", "--parameters", "sigma", "--json")
    assert json.loads(result.stdout)["path"] == "draws-pairs.png"
    assert (tmp_path / "draws-pairs.png").exists()


def test_several_have_their_names_in_that_of_the_file(draws, tmp_path):
    abi("plot", draws, "--datasets", "A,$D", "--kind", "pairs,intervals", "-o", tmp_path / "f.svg")
    assert {file.name for file in tmp_path.glob("f*")} == {
        "f-intervals.svg",
        "f-pairs-A.svg",
        "f-pairs-D.svg",
    }


def test_of_a_run_data_stand_beside_replicated_data(small_run, tmp_path):
    result = abi(
        *("plot", small_run, ANSCOMBE, "--kind", "predictive,pairs", "--prior"),
        *("--datasets", "IV", "-n", 40, "-o", tmp_path / "f.png"),
    )
    assert result.exit_code == 0, result.output
    assert {file.name for file in tmp_path.iterdir()} == {"f-predictive-IV.png", "f-pairs-IV.png"}
    assert "regression.py" in result.stderr  # it was executed


def test_the_draws_are_those_of_sample(small_run, tmp_path, monkeypatch):
    from abi_cli.workflow import plotting

    found = {}
    of = plotting.Shown.of

    def remembered(draws, *rest, **more):
        found["draws"] = draws
        return of(draws, *rest, **more)

    monkeypatch.setattr(plotting.Shown, "of", remembered)
    target = plotting.Target(tmp_path / "one.png")
    data = plotting.DataFiles([ANSCOMBE])
    plot(small_run, data, wish=Wish(datasets=["IV"]), draws=5, target=target)
    sampled = plotting.Session.open(small_run).sample(ANSCOMBE, draws=5)
    np.testing.assert_array_equal(found["draws"].values["beta"], sampled.values["beta"])


REFUSED = {
    "kind": (["--kind", "pears"], 2, "expected --kind pairs|marginals|intervals|predictive"),
    "predictive": (["--kind", "predictive"], 2, "abi plot RUN DATA --kind predictive"),
    "dataset": (["--datasets", "a"], 4, "Did you mean A?"),
    "parameter": (["--parameters", "sigmo"], 2, "Did you mean sigma?"),
    "prior": (["--prior"], 2, "expected --run RUN with --prior"),
    "extension": (["-o", "x.jpg"], 2, "expected a picture, .png, .pdf, .svg, or a folder"),
    "stdout": (["-o", "-"], 2, "got -, standard output"),
    "seed": (["--seed", "3"], 2, "expected --seed with RUN DATA"),
    "draws": (["-n", "30"], 2, "expected --draws with RUN DATA"),
    "data": ([ANSCOMBE], 2, "expected a run folder with data, or draws alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_drawn_is_refused(name, draws, tmp_path, monkeypatch):
    options, code, said = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    result = abi("plot", draws, *options)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.stderr.split())
    assert not list(tmp_path.glob("*.png"))


def test_draws_of_another_model_are_refused_beside_a_run(draws, small_run, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(draws.read_text().replace("sigma", "tau"))
    wanted = ("--datasets", "A", "-o", tmp_path / "f.png", "--run", small_run)
    assert abi("plot", draws, *wanted).exit_code == 0
    result = abi("plot", other, *wanted, "--force")
    assert result.exit_code == 4
    said = " ".join(result.stderr.split())
    assert "got beta[0], beta[1], tau, without sigma" in said
    assert said.count("error:") == 1


@pytest.mark.parametrize("command", ["plot", "report"])
def test_one_draw_of_a_run_and_data_of_another_model_are_refused(command, small_run, tmp_path):
    result = abi(command, small_run, ANSCOMBE, "-n", 1, "-o", tmp_path / "f")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "expected 2 draws of each data set at least, with -n; got 1" in result.stderr
    other = tmp_path / "other.csv"
    other.write_text("dataset,counts\nA,1\nA,2\n")
    result = abi(command, small_run, other, "-o", tmp_path / "f.png")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.count("error:") == 1
    assert "other.csv" in result.stderr
    assert not list(tmp_path.glob("f*"))


def test_what_is_known_of_some_parameters_is_shown_of_these():
    rng = np.random.default_rng(1)
    shown = Shown(
        ("A", "B"),
        {"a": rng.normal(size=(2, 50)), "b": rng.normal(size=(2, 50))},
        truth={"b": np.array([5.0, 6.0])},
        prior={"a": rng.normal(size=90)},
    )
    with style.styled():
        figure = shown.pairs(1).draw()
        figure.canvas.draw()
    a, _, _, b = figure.axes
    assert b.get_xlim()[1] > 6  # the truth is within
    assert [len(ax.patches) for ax in (a, b)] == [2, 1]  # posterior, and prior
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["posterior", "truth", "prior"]


def test_data_sets_without_a_parameter_leave_no_gap_in_the_others():
    draws = np.random.default_rng(1).normal(size=(3, 50))
    draws[1] = np.nan
    with style.styled():
        figure = Shown(("A", "B", "C"), {"a": draws}).forest([0, 1, 2]).draw()
    assert np.isfinite(figure.axes[0].get_xlim()).all()


def test_nobody_looks_at_ten_thousand_pictures(tmp_path):
    file = tmp_path / "many.csv"
    rows = "".join(f"{i},{draw},{draw}.5\n" for i in range(10_000) for draw in range(2))
    file.write_text("dataset,draw,mu\n" + rows)
    for kind in ("pairs", "intervals"):
        result = abi("plot", file, "--kind", kind, "-o", tmp_path / "f.png")
        assert result.exit_code == 2
        assert "--datasets 0,1" in result.stderr


def test_one_draw_is_no_posterior(tmp_path):
    (tmp_path / "one.csv").write_text("dataset,draw,mu\nA,0,1\n")
    result = abi("plot", tmp_path / "one.csv", "-o", tmp_path / "f.png")
    assert result.exit_code == 4
    assert "expected 2 draws of each data set at least; got one" in result.stderr


def test_intervals_are_the_quantiles():
    quantiles = np.quantile(np.arange(1000.0), plots_posteriors.LEVELS)[:, None] * [1, 2]
    own = Intervals("μ", quantiles, truth=np.array([1.0, 5.0]), prior=(0.0, 9.0))
    with style.styled():
        figure = plots_posteriors.forest([own], ["A", "B"])
    wide, narrow = (lines.get_segments() for lines in figure.axes[0].collections[:2])
    np.testing.assert_allclose([line[:, 0] for line in wide], quantiles[[0, 4]].T)
    np.testing.assert_allclose([line[:, 0] for line in narrow], quantiles[[1, 3]].T)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["A", "B"]


def test_each_kind_of_data_has_a_panel():
    rng = np.random.default_rng(1)
    size = np.full(20, 6)

    def sets(*event):
        own = Ragged(rng.normal(size=(6, *event)), size[:1])
        return own, Ragged(rng.normal(size=(120, *event)), size)

    x, new_x = sets()
    y, new_y = sets(2)
    s, new_s = sets()
    s.values[2] = np.nan
    v, new_v = rng.normal(size=(1, 3)), rng.normal(size=(20, 3))
    k, new_k = rng.normal(size=1), rng.normal(size=20)
    one = Replicas(
        "A",
        {"x": x, "y": y, "s": s, "v": v, "k": k},
        {"x": new_x, "y": new_y, "s": new_s, "v": new_v, "k": new_k},
        series=frozenset({"s"}),
    )
    with style.styled():
        figure = plots_replicas.predictive(one)
        titles = [axes.get_title() for axes in figure.axes]
        assert titles == ["y[0]", "y[1]", "s", "v", "k"]
        assert [axes.get_xlabel() for axes in figure.axes] == ["x", "x", "step", "element", "k"]
        figure.canvas.draw()


def test_cells_of_counts_have_as_many_whole_numbers_each():
    counts, few = np.random.default_rng(1).poisson(300, 4_000) * 1.0, np.array([290.0, 310.0])
    low, high = counts.min(), counts.max()
    edges, coarse = plots_replicas._edges(low, high, few, counts)
    assert len(set(np.diff(edges))) == 1
    assert np.diff(edges)[0] == round(np.diff(edges)[0])
    assert edges[0] < low < high < edges[-1]
    assert (edges % 1 == 0.5).all()
    np.testing.assert_array_equal(edges, coarse)
    edges, coarse = plots_replicas._edges(low, high, few, counts + 0.25)
    assert len(coarse) < len(edges) <= 25


def test_no_draws_are_made_of_those_at_an_edge():
    counts = np.zeros((48, 48))
    counts[0, 3] = counts[20, 47] = 1
    assert plots_pairs.smoothed(counts).sum() == pytest.approx(2)
