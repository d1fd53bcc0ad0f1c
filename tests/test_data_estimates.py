"""Estimates are read in every format in which they are written."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.data import Statistics, read_answers, write_estimates
from abi_cli.errors import DataError
from tests.cli import abi
from tests.data_examples import OF_ESTIMATES

WRITTEN = OF_ESTIMATES
NAMES = ("mean", "sd", "q5")


def some() -> Statistics:
    rng = np.random.default_rng(0)
    return Statistics(
        ("A", "=B"),
        NAMES,
        {
            "beta": rng.normal(size=(2, 3, 2)).astype(np.float32),
            "sigma": rng.normal(size=(2, 3)).astype(np.float32),
        },
    )


@pytest.mark.parametrize("kind", WRITTEN)
def test_estimates_come_back(kind, tmp_path):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    file, estimates = tmp_path / f"e.{kind}", some()
    write_estimates(file, NAMES, [estimates], format=None)
    found = read_answers(file)
    assert isinstance(found, Statistics)
    assert (found.labels, found.names) == (estimates.labels, estimates.names)
    assert list(found.values) == ["beta", "sigma"]
    for name, values in estimates.values.items():
        np.testing.assert_array_equal(found.values[name].astype(np.float32), values)


@pytest.mark.parametrize("kind", WRITTEN)
def test_commands_read_them(kind, tmp_path):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"e.{kind}"
    write_estimates(file, NAMES, [some()], format=None)
    shown = abi("show", file)
    assert shown.exit_code == 0, shown.output
    assert "estimates" in shown.output
    summary = abi("summary", file, "--format", "csv")
    assert summary.exit_code == 0, summary.output
    assert summary.stdout.splitlines()[0] == "dataset,parameter,mean,sd,q5"
    converted = abi("convert", file, tmp_path / "again.csv")
    assert converted.exit_code == 0, converted.output
    assert len((tmp_path / "again.csv").read_text().splitlines()) == 7
    piped = abi("summary", "-", "--format", "csv", stdin=file.read_bytes())
    assert piped.stdout == summary.stdout, piped.output


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("dataset,parameter,mean\nA,b,1\nA,b,2\n", "e.csv", "row 3: expected each parameter"),
        (
            "dataset,parameter,mean\nA,b,x\n",
            "e.csv",
            "row 2, column mean: expected a number; got 'x'",
        ),
        ("dataset,parameter,mean\nA,b,1\nB,c,2\n", "e.csv", "expected each parameter"),
        ("dataset,parameter,draw,value\nA,b,0,1\n", "e.csv", "without --long"),
        ('{"dataset": "A", "b": {"mean": 1}, "c": 2}\n', "e.jsonl", "line 1, c: expected est"),
        ('{"dataset": "A", "b": {"mean": "x"}}\n', "e.jsonl", "line 1, b: expected numbers"),
        (
            '{"dataset": "A", "b": {"mean": 1}, "c": {"sd": 1}}\n',
            "e.jsonl",
            "line 1: expected each",
        ),
    ],
)
def test_what_is_no_table_of_estimates_is_refused_with_its_place(text, name, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        read_answers(tmp_path / name)
    assert said in str(error.value)
