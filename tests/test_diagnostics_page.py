"""report.html: what a reader gets, and what a hostile label can't do."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from abi_cli.diagnostics import Inputs, Outcome, Provenance, diagnose
from abi_cli.diagnostics.advice import _MEANINGS, Means, advice, settled
from abi_cli.diagnostics.challenge import Challenge, Proof
from abi_cli.diagnostics.faults import Kind
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.listener import Listener
from tests.diagnostics_examples import metrics_of_one, posterior, student_as_normal

HOSTILE = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def page(folder, **changes) -> str:
    draws, truth = posterior(datasets=60, draws=50, width=0.5)
    inputs = Inputs(
        {"theta": draws},
        {"theta": truth},
        data={"y": draws.mean(1)},
        labels={"theta": [HOSTILE]},
        source=Provenance(
            HOSTILE, {"seed": "7", "command": HOSTILE}, spec=f"name: {HOSTILE}", methods="We did."
        ),
    )
    diagnose(replace(inputs, **changes), folder, listener=Listener())
    return (folder / "report.html").read_text(encoding="utf-8")


def test_it_is_one_file_that_asks_for_nothing(tmp_path):
    text = page(tmp_path)
    read = Reader(text)
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object"}
    images = [attributes for tag, attributes in read.tags if tag == "img"]
    assert len(images) == len(list((tmp_path / "figures").glob("*.png"))) >= 9
    for attributes in images:
        assert attributes["src"].startswith("data:image/png;base64,")
        assert len(attributes["alt"]) > 20
    assert "http" not in re.sub(r"http-equiv", "", text.split("</head>")[0])
    assert HOSTILE not in text
    assert read.text.count(HOSTILE) >= 4  # shown as text


def test_the_verdict_comes_first_then_what_it_means(tmp_path):
    text = Reader(page(tmp_path)).text
    places = [
        text.index(word)
        for word in (
            "Posteriors can't be trusted",
            "intervals are too short",
            "What to try",
            "exact posteriors give",
            "We did. Posteriors were validated on 60 simulated data sets",
            "arXiv:1804.06788",
            "name: ",
        )
    ]
    assert places == sorted(places)


def test_numbers_of_figures_stand_beside_them(tmp_path):
    page(tmp_path)
    figures = tmp_path / "figures"
    assert {f.stem for f in figures.glob("*.csv")} == {f.stem for f in figures.glob("*.png")}
    counts = np.genfromtxt(
        figures / "calibration_histogram.csv", delimiter=",", names=True, dtype=None
    )
    assert counts["datasets"].sum() == 60
    curve = np.genfromtxt(figures / "coverage.csv", delimiter=",", names=True, dtype=None)
    assert curve["covered"][-1] == 1.0
    assert (np.diff(curve["covered"]) >= 0).all()


def test_figures_are_pdf_too_where_wanted(tmp_path):
    draws, truth = posterior(datasets=30, draws=20)
    diagnose(Inputs({"theta": draws}, {"theta": truth}), tmp_path, listener=Listener(), pdf=True)
    files = list((tmp_path / "figures").glob("*.pdf"))
    assert len(files) == len(list((tmp_path / "figures").glob("*.png")))
    assert all(file.read_bytes().startswith(b"%PDF") for file in files)


def test_every_fault_has_a_meaning_and_remedies():
    assert _MEANINGS.keys() == set(Kind)
    assert all(meaning and remedies for meaning, remedies in _MEANINGS.values())
    for _, remedies in _MEANINGS.values():
        assert any(remedy(Means()) for remedy in remedies)


def test_remedies_are_of_what_a_run_has_not():
    tails = metrics_of_one(*student_as_normal())
    (one,) = advice(tails.verdict, datasets=2_000, means=Means("coupling_flow", "affine", "normal"))
    assert "base: student_t" in one.remedies[0]
    assert "transform: spline" in one.remedies[1]
    has = Means("coupling_flow", "spline", "student_t", large=True, settled=True)
    (one,) = advice(tails.verdict, datasets=2_000, means=has)
    assert one.remedies == ()


def test_a_loss_that_has_come_to_rest_is_told_from_one_that_falls():
    rng = np.random.default_rng(0)
    rest = 1 + np.exp(-np.arange(60) / 5) + 0.02 * rng.normal(size=60)
    assert settled([{"loss": value} for value in rest])
    assert not settled([{"loss": value} for value in rest - 0.02 * np.arange(60)])
    assert not settled([{"loss": 1.0}])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 0.6}, "valley"),
        ({"width": 1.6}, "hill"),
        ({"shift": 0.5}, "falls to the right"),
        ({"shift": -0.5}, "rises to the right"),
        ({}, "What this does and does not say"),
    ],
)
def test_advice_fits_the_fault(change, said):
    metrics = metrics_of_one(*posterior(datasets=4_000, draws=100, **change))
    (one,) = advice(metrics.verdict, datasets=metrics.datasets)
    assert said in f"{one.title} {one.meaning}"
    few = metrics_of_one(*posterior(datasets=100, draws=100))
    assert few.verdict.outcome is Outcome.CANNOT_TELL
    (one,) = advice(few.verdict, datasets=few.datasets)
    assert "--datasets 2000" in one.remedies[0]


def tables(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Of each table the titles of its columns, and the labels of the cells of each row."""
    found = []
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        head, _, body = table.partition("</thead>")
        titles = re.findall(r"<th(?: [^>]*)?>(.*?)</th>", head)
        rows = re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
        found.append((titles, [re.findall(r'<td[^>]*data-label="(.*?)"', row) for row in rows]))
    return found


def test_every_cell_says_what_it_is_where_rows_are_cards(tmp_path):
    """On a phone rows stand below each other, without the titles of columns."""
    draws, truth = posterior(datasets=500, draws=50)
    nats = np.random.default_rng(0).normal(0.1, 1, 500)
    text = page(
        tmp_path,
        estimates={"theta": draws},
        truths={"theta": truth},
        data={"y": draws.mean(1)},
        context={"N": np.arange(500) % 2},
        near=True,
        joined={"a joined with 3 replicated members": {"theta": np.linspace(0.01, 0.99, 99)}},
        summaries=Summaries(np.stack([truth, truth**2], 1), {"a": np.zeros(2)}, {"a": 0.5}),
        challenge=Challenge("a rival", Proof(nats, 0.5), Proof(nats, 0.5), {"theta": draws}, 60, 1),
    )
    found = tables(text)
    titles = [first for (first, *_), _ in found]
    assert titles == ["parameter", "quantity", "data set", "near", "where", "where"]
    for columns, rows in found:
        assert rows
        assert all(row == columns for row in rows)
    read = Reader(text).text
    assert "joined with 3 replicated members" in read
    assert "Challenged by rivals" in read
    assert "by rivals" in read
