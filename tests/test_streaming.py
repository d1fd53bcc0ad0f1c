"""Data sets that come one by one: the answers are those of `abi sample`."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from abi_cli import workflow
from abi_cli.errors import DataError
from tests.cli import SPECS, abi


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    file = tmp_path_factory.mktemp("stream") / "data.jsonl"
    simulate = ("simulate", SPECS / "regression_vectorised.yaml", "-n", 300, "-q", "-j", 0)
    assert abi(*simulate, "-o", file).exit_code == 0
    return file


def test_answers_are_those_of_sample(small_run, lines):
    asked = ("-n", 5, "-q")
    answers = abi("stream", small_run, *asked, stdin=lines.read_text()).stdout.splitlines()
    drawn = abi("sample", small_run, lines, *asked, "--format", "jsonl").stdout.splitlines()
    assert len(answers) == len(drawn) == 300
    for answer, expected in zip(map(json.loads, answers), map(json.loads, drawn), strict=True):
        assert answer["dataset"] == expected["dataset"]
        np.testing.assert_allclose(answer["beta"], expected["beta"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(answer["sigma"], expected["sigma"], rtol=1e-3)


def test_a_line_that_is_none_leaves_the_others_alone(small_run, lines):
    good = lines.read_text().splitlines()[:3]
    mixed = [good[0], "", "nonsense", good[1], '{"x": [1, "a"], "y": [1, 2]}', good[2]]
    result = abi("stream", small_run, "--points", "mean", "-q", stdin="\n".join(mixed))
    answers = list(map(json.loads, result.stdout.splitlines()))
    assert [answer.get("dataset", answer.get("line")) for answer in answers] == [
        "0",
        3,
        "1",
        5,
        "2",
    ]
    assert answers[3]["error"] == 'line 5, x[1]: expected a number; got "a"'
    assert result.exit_code == 4
    assert "2 lines were no data sets" in result.stderr
    alone = abi("stream", small_run, "--points", "mean", "-q", stdin="\n".join(good)).stdout
    for answer, expected in zip(
        (answers[0], answers[2], answers[4]), map(json.loads, alone.splitlines()), strict=True
    ):
        np.testing.assert_allclose(answer["beta"]["mean"], expected["beta"]["mean"], rtol=1e-4)


def test_labels_may_come_again_and_be_missing(small_run):
    line = '{"x": [0.1, 0.2, 0.3, 0.5, 0.9], "y": [1, 2, 2, 3, 4]}'
    named = line.replace("{", '{"dataset": "a", ')
    result = abi("stream", small_run, "-n", 3, "-q", stdin="\n".join([named, named, line]))
    answers = list(map(json.loads, result.stdout.splitlines()))
    assert [answer["dataset"] for answer in answers] == ["a", "a", "3"]
    assert answers[0]["beta"] != answers[1]["beta"]  # noise of its own for each line


def test_what_is_outside_the_simulations_is_told_in_its_answer(small_run):
    inside = '{"x": [0.1, 0.2, 0.3, 0.5, 0.9], "y": [1, 2, 2, 3, 4]}'
    outside = '{"dataset": "few", "x": [1, 2], "y": [1, 2]}'
    result = abi("stream", small_run, "-n", 3, "-q", stdin=f"{inside}\n{outside}")
    first, second = map(json.loads, result.stdout.splitlines())
    assert "warnings" not in first
    assert second["warnings"] == ["N is 2 in data set few: outside the simulated 5 to 14"]


def test_from_python(small_run, lines):
    streaming = workflow.stream(small_run, draws=4, points="median")
    batches = list(streaming.answers(io.BytesIO(lines.read_bytes())))
    assert sum(map(len, batches)) == 300
    streaming.refuse_if_refused()
    streaming = workflow.stream(small_run, draws=4)
    list(streaming.answers(io.BytesIO(b"nothing\n")))
    with pytest.raises(DataError, match="1 lines were no data sets"):
        streaming.refuse_if_refused()
