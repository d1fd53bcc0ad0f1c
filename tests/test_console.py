"""What the console says, where, and what it keeps to itself."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from abi_cli.console import Console, figures, progress
from abi_cli.console.terminal import to_json
from abi_cli.data import Statistics
from abi_cli.digits import duration
from abi_cli.errors import DataError, UserFunctionError


def test_json_has_no_numbers_that_readers_refuse():
    content = {"a": math.nan, "b": [1, -math.inf], 3: (0.5, None, "σ")}
    assert to_json(content) == '{"a": null, "b": [1, null], "3": [0.5, null, "σ"]}'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7384, "2 h 3 min"),
    ],
)
def test_durations_are_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_an_error_says_what_where_and_what_to_do(capsys):
    Console().error(DataError("Expected a number; got 'abc'", place="d.csv, row 3", hint="Fix it."))
    assert capsys.readouterr() == (
        "",
        "error: d.csv, row 3: Expected a number; got 'abc'\nhint: Fix it.\n",
    )


def test_an_error_of_a_users_function_shows_their_frames(capsys):
    error = UserFunctionError("prior raised ValueError: no", frames=('  File "m.py", line 3\n',))
    Console().error(error)
    assert capsys.readouterr().err == (
        'error: prior raised ValueError: no\n  File "m.py", line 3\n'
    )


def test_square_brackets_are_not_markup(capsys):
    Console().warn("beta[0] is [bold] off")
    assert capsys.readouterr().err == "warning: beta[0] is [bold] off\n"


def test_quiet_says_nothing_but_errors(capsys):
    console = Console(quiet=True)
    console.note("a")
    console.warn("b")
    console.facts({"c": "d"}, aside=True)
    console.stopped("e")
    with console.task("work", 3) as work:
        work.advance(3)
    console.error(DataError("no"))
    assert capsys.readouterr() == ("", "error: no\n")


def test_progress_as_json_is_one_object_a_line(capsys):
    console = Console(progress="json")
    with console.task("training", 2, "steps") as work:
        work.advance(1, loss=0.5)
    console.warn("odd")
    console.error(DataError("no"))
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == [
        "begin",
        "progress",
        "end",
        "warning",
        "error",
    ]
    assert events[1]["loss"] == 0.5
    assert events[1]["done"] == 1


def test_plain_progress_is_a_line_at_every_tenth(capsys, monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(now)))
    console = Console(progress="plain")
    with console.task("training", 100, "steps") as work:
        for step in range(100):
            work.advance(loss=step)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "training: 10/100 steps, loss 9, 1 steps/s, 1 min 30 s left"
    assert lines[-1].startswith("training: 100/100 steps, loss 99, done in ")


def test_short_work_is_not_worth_a_line(capsys):
    with Console(progress="plain").task("reading", 100, "files") as work:
        work.advance(100)
    assert capsys.readouterr().err == ""


def test_tables_are_whole_in_a_pipe(capsys):
    words = "word " * 20
    Console().table(("name", "value"), [("a", "1.5"), (words, "−20")])
    out = capsys.readouterr().out
    assert words.strip() in out
    assert "  1.5" in out
    assert "\x1b" not in out


def test_verbose_ends_with_time_and_memory(capsys):
    Console(verbose=True).farewell()
    assert "in all, at most" in capsys.readouterr().err


def test_labels_are_for_people_and_names_for_machines(capsys):
    values = {"beta": np.array([[[1.0]]]), "sigma": np.array([[2.0]])}
    summary = Statistics(("A",), ("mean",), values, {"beta[0]": "intercept"})
    figures.show_summary(Console(), summary)
    assert "intercept (beta[0])" in capsys.readouterr().out
    figures.show_summary(Console(), summary, format="markdown")
    assert "intercept (beta[0])" in capsys.readouterr().out
    figures.show_summary(Console(), summary, format="csv")
    assert "A,beta[0],1.0" in capsys.readouterr().out
