"""The page about a user's own data: what it says, what it holds, what labels can't do to it."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from abi_cli.data import Loaded
from abi_cli.diagnostics import Provenance
from abi_cli.diagnostics.posterior_page import Page, Part, Tone, page_text
from abi_cli.diagnostics.predictive import Check
from abi_cli.workflow import reporting
from abi_cli.workflow.about_data.scoring import Scored
from abi_cli.workflow.about_data.shown import Shown
from abi_cli.workflow.about_data.statements import Heard, fit, likeness
from abi_cli.workflow.opened.guarded import OnUnlike
from tests.cli import ANSCOMBE, abi
from tests.test_diagnostics_page import HOSTILE, Reader


@pytest.fixture(scope="module")
def page(small_run, tmp_path_factory):
    """A report of Anscombe's data, one of them with a label that is HTML."""
    folder = tmp_path_factory.mktemp("report")
    run = folder / "regression"  # without a diagnosis, which other tests leave in theirs
    shutil.copytree(small_run, run, ignore=shutil.ignore_patterns("diagnostics"))
    rows = list(csv.reader(ANSCOMBE.read_text().splitlines()))
    data = folder / "data.csv"
    with data.open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [HOSTILE if cell == "IV" else cell for cell in row] for row in rows
        )
    result = abi("report", run, data, "-n", 100, "-o", folder / "report.html")
    assert result.exit_code == 0, result.output
    assert "executes" in result.stderr
    return (folder / "report.html").read_text(encoding="utf-8"), data


def test_it_is_one_file_that_asks_for_nothing(page):
    read = Reader(page[0])
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object"}
    assert HOSTILE in read.text
    images = [attributes for tag, attributes in read.tags if tag == "img"]
    assert len(images) == 1 + 2 * 4  # the forest; of each data set the posterior and the data
    for attributes in images:
        assert attributes["src"].startswith("data:image/png;base64,")
        assert len(attributes["alt"]) > 20
    anchors = {attributes["href"] for tag, attributes in read.tags if tag == "a"}
    assert anchors <= {f"#{attributes['id']}" for _, attributes in read.tags if "id" in attributes}


def test_it_begins_with_what_can_be_said(page):
    text = Reader(page[0]).text
    assert text.index("Calibration is not known") < text.index("All data sets")
    assert "The posteriors of 4 data sets were described by 100 draws each (seed 1)" in text
    assert "seed of diagnosis" not in text


def test_its_numbers_are_those_of_estimate(page, small_run):
    _, data = page
    rows = csv.DictReader(abi("estimate", small_run, data, "-n", 100, "-q").stdout.splitlines())
    expected = next(rows)
    short = f"{float(expected['median']):.4g}".replace("-", "−")
    assert short in Reader(page[0]).text


def test_without_code_it_says_what_is_missing(small_run, tmp_path):
    result = abi(
        *("report", small_run, ANSCOMBE, "-n", 20, "--no-code", "--datasets", "II"),
        *("--parameters", "sigma", "-o", tmp_path / "r.html"),
    )
    assert result.exit_code == 0, result.output
    assert "executes" not in result.stderr
    read = Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "The model was not held against the data" in read.text
    assert "Data set II" in read.text
    assert "Data set IV" not in read.text
    assert "Of 4 data sets 1 is shown in full." in read.text
    assert abi("report", small_run, ANSCOMBE, "-o", tmp_path / "r.html").exit_code == 74


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--datasets", "iv"], 4, "Did you mean IV?"),
        (["--parameters", "sigmo"], 2, "Did you mean sigma?"),
        (["-o", "-"], 2, "got -, standard output"),
    ],
)
def test_what_is_not_there_is_refused(options, code, said, small_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = abi("report", small_run, ANSCOMBE, *options, "-n", 10)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_what_a_run_has_not_is_refused_before_anything_is_drawn(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting.Session, "read_all", None)  # nor are data read
    result = abi("report", small_run, ANSCOMBE, "--parameters", "sigmo", "-o", tmp_path / "r.html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean sigma?" in result.stderr


def test_of_many_data_sets_some_are_shown(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "IN_FULL", 2)
    monkeypatch.setattr(reporting, "MOST_ROWS", 70)
    monkeypatch.setattr(reporting, "MOST_IN_ONE", 80)
    rng = np.random.default_rng(1)
    rows = [f"s{i},{x:.3f},{y:.3f}" for i in range(90) for x, y in rng.normal(size=(6, 2))]
    data = tmp_path / "many.csv"
    data.write_text("\n".join(["dataset,x,y", *rows]) + "\n")
    result = abi("report", small_run, data, "-n", 20, "-o", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    read = Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Of 90 data sets 2 are shown in full: the oddest." in read.text
    assert "The table has the first 70; abi estimate has all of them." in read.text
    assert sum(tag == "img" for tag, _ in read.tags) == 1 + 2 * 2
    said = " ".join(read.text.split())
    assert "80 data sets. The first is at the top. They are the first of 90." in said
    assert str(data) in read.text


def test_many_parameters_stand_below_each_other():
    own = {"median": 1.0, "q5": 0.0, "q95": 2.0}
    for number, head in ((8, "data set p0 p1"), (9, "data set parameter median")):
        names = [f"p{i}" for i in range(number)]
        table = [(label, [own] * number) for label in "AB"]
        page = Page("t", [], [], names, table, [], "", Provenance("t", {}))
        read = Reader(page_text(page, {}).replace("<th>", " "))
        assert head in read.text
        assert sum(tag == "tr" for tag, _ in read.tags) == 1 + 2 * (1 if number == 8 else 9)


def part_of(p):
    checks = [Check("A", f"T{i}", 1, 0, 1, 2, own, replicas=200) for i, own in enumerate(p)]
    return Part("A", [], [], checks)


def test_no_more_rare_statistics_than_chance_gives_say_nothing():
    usual = [0.3] * 30
    (few,) = fit([part_of([*usual, 0.0, 0.5])], replicated=True, failed=[])
    assert few.tone is Tone.OPEN
    assert "1 of 32 is rare among replicated data, no more than chance gives" in few.text
    assert "T30 of data set A (p < 0.005)" in few.text
    (many,) = fit([part_of([*usual, 0.0, 1.0])], replicated=True, failed=[])
    assert many.tone is Tone.WARNING
    assert "2 of 32 statistics are rare" in many.text
    (none,) = fit([part_of(usual)], replicated=True, failed=[])
    assert none.tone is Tone.GOOD


def test_one_data_set_is_spoken_of_as_one():
    loaded = Loaded(["a"], {}, (), str, lambda *_: "", scores={"guard": np.array([0.6])})
    (like,) = likeness(loaded, OnUnlike.WARN, warned=False)
    assert like.text == "The data set is as usual as simulated ones are (p = 0.600)."
    (exact,) = Scored({0: {}}, asked=1).statements()
    assert exact.title == "The posterior is exact"
    assert exact.text.startswith("It was refined by")
    (several,) = Scored({0: {}, 1: {}}, asked=3).statements()
    assert several.title == "Some posteriors are exact"
    assert several.text.startswith("Those of 2 of 3 data sets shown in full were refined by")


def test_the_oddest_are_those_far_from_the_others():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(50, 40))
    draws[[7, 31]] += [[5], [-4]]
    shown = Shown(tuple(map(str, range(50))), {"a": rng.normal(size=(50, 40)), "b": draws})
    loaded = Loaded(list(shown.labels), {}, (), str, lambda *_: "")
    assert reporting.oddest(shown, loaded, 2) == [7, 31]
    p = np.linspace(1, 0, 50)
    assert reporting.oddest(shown, replace(loaded, scores={"guard": p}), 2) == [48, 49]


def test_warnings_are_kept_and_passed_on():
    from abi_cli.listener import Listener

    class Told(Listener):
        said = ""

        def warn(self, text, *, hint=None):
            Told.said = f"{text} {hint}"

    heard = Heard(Told())
    heard.warn("it is far off", hint="Look.")
    assert heard.warnings == [("it is far off", "Look.")]
    assert Told.said == "it is far off Look."
    heard.warn("so is that.", hint="Look.")
    heard.warn("other\nthings")
    found = [(one.text, one.remedy) for one in heard.statements()]
    assert found == [("It is far off. So is that.", "Look."), ("Other. Things.", None)]
