"""Data sets that come one by one: the answers are those of `abi sample`."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from abi_cli import workflow
from abi_cli.errors import DataError
from tests.cli import ANSCOMBE, ROOT, SPECS, abi


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    file = tmp_path_factory.mktemp("stream") / "data.jsonl"
    simulate = ("simulate", SPECS / "regression_vectorised.yaml", "-n", 300, "-q", "-j", 0)
    assert abi(*simulate, "-o", file).exit_code == 0
    return file


def test_answers_are_those_of_sample(small_run, lines):
    asked = ("-n", 5, "-q")
    answers = abi("stream", small_run, *asked, stdin=lines.read_text()).stdout.splitlines()
    sampled = abi("sample", small_run, lines, *asked, "--format", "jsonl")
    assert sampled.exit_code == 0, sampled.stderr
    drawn = sampled.stdout.splitlines()
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
    assert "2 lines are no data sets" in result.stderr
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
    (told,) = second["warnings"]
    assert told.startswith("data set few looks unlike the simulations (p = ")
    assert told.endswith("N = 2, trained on 5 to 14")


def test_from_python(small_run, lines):
    streaming = workflow.stream(small_run, draws=4, points="median")
    batches = list(streaming.answers(io.BytesIO(lines.read_bytes())))
    assert sum(map(len, batches)) == 300
    streaming.refuse_if_refused()
    streaming = workflow.stream(small_run, draws=4)
    list(streaming.answers(io.BytesIO(b"nothing\n")))
    with pytest.raises(DataError, match="1 line is no data set"):
        streaming.refuse_if_refused()


MAIN = "from abi_cli.cli import main; main()"
GOOD = '{"dataset": "a", "x": [0.1, 0.2, 0.3, 0.5, 0.9], "y": [1, 2, 2, 3, 4]}'


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GOOD.replace("3, 4]", "1e39, 4]"), r"line 2, y\[3\]: expected .* got 1e\+39: data set a "),
        (GOOD.replace("3, 4]", "1e25, 4]"), r"line 2, y\[3\]: expected .* got 1e\+25: data set a "),
        (GOOD.replace('"a"', r'"\ud800"'), r"line 2: expected text; got half of a surrogate pair"),
        (GOOD.replace("3, 4]", r'"\ud800", 4]'), "half of a surrogate pair"),
    ],
    ids=["float32", "network", "label", "cell"],
)
def test_the_error_of_a_line_is_its_answer_alone(small_run, bad, said):
    """The others have the answers that they have without it, also if it comes first."""
    for order in ([GOOD, bad, GOOD], ["", bad, GOOD]):
        result = abi("stream", small_run, "-n", 3, "-q", stdin="\n".join(order))
        assert result.exit_code == 4, result.output
        *_, refused, last = map(json.loads, result.stdout.splitlines())
        assert re.search(said, refused["error"])
        assert refused["line"] == 2
        assert np.isfinite(last["beta"]).all()


def test_a_bug_is_the_answer_of_its_line_and_is_told_in_the_end(small_run, monkeypatch):
    """Whatever it is: the answers that are due are given before."""
    from abi_cli.approximator import Approximator

    sample = Approximator.sample

    def fails(self, datasets, **options):
        if (datasets["y"].values == 7).any():
            raise ZeroDivisionError("of ours")
        return sample(self, datasets, **options)

    monkeypatch.setattr(Approximator, "sample", fails)
    lines = "\n".join([GOOD, GOOD.replace("3, 4]", "7, 4]"), GOOD])
    result = abi("stream", small_run, "-n", 3, "-q", stdin=lines)
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert second == {"line": 2, "error": "line 2: a bug in abi: ZeroDivisionError: of ours"}
    assert len(first["beta"]) == len(third["beta"]) == 3
    assert first["beta"] != third["beta"]  # each has noise of its own
    assert result.exit_code == 70


def test_a_line_without_end_is_refused_and_passed_over(small_run, monkeypatch):
    from abi_cli.data import requests

    monkeypatch.setattr(requests, "LONGEST_LINE", 200)
    endless = GOOD.replace("[0.1", "[" + 100 * "0.1, " + "0.1")
    result = abi("stream", small_run, "-n", 3, "-q", stdin=f"{endless}\n{GOOD}\n")
    refused, answer = map(json.loads, result.stdout.splitlines())
    assert refused["error"] == "line 1: expected an object; got a line of more than 200 bytes"
    assert answer["dataset"] == "a"


def test_text_is_utf8_in_every_locale(small_run, tmp_path):
    (tmp_path / "in.jsonl").write_text(GOOD.replace('"a"', '"β🙂"'), encoding="utf-8")
    for encoding in ("ascii", "latin-1"):
        result = subprocess.run(
            [sys.executable, "-c", MAIN, "stream", small_run, "-n", "3"],
            input=(tmp_path / "in.jsonl").read_bytes(),
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout.decode("utf-8"))["dataset"] == "β🙂"


def test_statistics_of_too_few_draws_are_refused(small_run):
    """They would be NaN, which is no JSON."""
    for command in (("stream", small_run), ("sample", small_run, ANSCOMBE)):
        result = abi(*command, "-n", 1, "--points", "mean,sd", stdin=GOOD)
        assert result.exit_code == 2
        assert "expected 2 draws at least, for mean, sd; got 1" in result.stderr
