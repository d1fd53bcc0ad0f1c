"""Files as R, spreadsheets, pandas and shells hand them over: read, or told what to do."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from abi_cli.data import Naming, read_datasets
from abi_cli.errors import DataError
from abi_cli.variables import Layout, Variable
from tests.cli import ROOT, abi, shell

LAYOUT = Layout(
    (
        Variable("N", "context", ragged=False, event=(), integer=True, length_of=("x", "y")),
        Variable("dose", "context", ragged=False, event=()),
        Variable("x", "observable", ragged=True, event=()),
        Variable("y", "observable", ragged=True, event=()),
    )
)


def read(tmp_path, text: str, name: str = "data.csv", layout: Layout = LAYOUT, **naming):
    (tmp_path / name).write_text(text)
    return read_datasets(tmp_path / name, layout, naming=Naming(**naming))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("subject", ["007", "007", "7", "7"]),
        ("subject", ["b", "a", "a", "b"]),
        ("Dataset", ["1", "1", "1", "2"]),
        ("id", ["1", "1", "2", "2"]),
        ("subj_idx", ["1", "1", "2", "2"]),
        ("mouse", ["x", "x", "y", "y"]),
        ("session_nr", ["3", "3", "1", "1"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_column_that_repeats_like_a_label_is_not_passed_over(column, cells, kind, tmp_path):
    rows = [{column: cell, "dose": 1, "x": i, "y": i} for i, cell in enumerate(cells)]
    if kind == "csv":
        text = f"{column},dose,x,y\n" + "".join(f"{','.join(map(str, r.values()))}\n" for r in rows)
        (tmp_path / "data.csv").write_text(text)
    elif kind == "json":
        (tmp_path / "data.json").write_text(json.dumps(rows))
    else:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "data.parquet")
    with pytest.raises(DataError) as error:
        read_datasets(tmp_path / f"data.{kind}", LAYOUT)
    assert f"`data: {{dataset: {column}}}`" in str(error.value.hint)
    loaded = read_datasets(tmp_path / f"data.{kind}", LAYOUT, naming=Naming(dataset=column))
    assert sorted(loaded.labels) == sorted(set(cells))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("trial", "1234"),  # never again
        ("condition", ["a", "b", "a", "b"]),  # comes back
        ("weight", ["1.5", "1.5", "2.5", "2.5"]),  # a measurement
        ("subject", "1111"),  # one data set
        ("wave", ["1", "2", "2", "2"]),
    ],
)
def test_other_columns_are_passed_over_with_a_note(column, cells, tmp_path):
    rows = "".join(f"{cell},1,{i},{i}\n" for i, cell in enumerate(cells))
    loaded = read(tmp_path, f"{column},dose,x,y\n{rows}")
    assert loaded.labels == ["0"]
    assert f"no use for the column {column}" in loaded.notes[0]


def test_row_names_are_passed_over_without_a_word(tmp_path):
    for name in ('""', "Unnamed: 0"):
        loaded = read(tmp_path, f"{name},dose,x,y\n1,5,1,2\n2,5,3,4\n")
        assert loaded.notes == ()
        np.testing.assert_array_equal(loaded.datasets["x"].values, [1, 3])


def test_row_names_without_a_header_are_told(tmp_path):
    with pytest.raises(DataError, match=r"use write\.csv"):
        read(tmp_path, "dose,x,y\n1,5,1,2\n2,5,3,4\n")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["EASY", "HARD", "EASY"], "categories: {x: [EASY, HARD]}"),
        (["TRUE", "FALSE", "TRUE"], "categories: {x: ['FALSE', 'TRUE']}"),
        (["2024-01-01", "2024-01-02", "2024-01-03"], "A date is no number"),
        (["1", "2", "three"], "Correct the cell"),
        (["1", "2", "3,5"], "Write decimals with a point"),
        (["1", "2", "NA"], "This model has no place for missing values"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_advice_is_for_what_the_cell_is(cells, said, kind, tmp_path):
    text = "dose,x,y\n" + "".join(f'1,"{cell}",1\n' for cell in cells)
    if kind == "jsonl":
        values = [float(cell) if cell.isdecimal() else cell for cell in cells]
        text = json.dumps({"dose": 1, "x": values, "y": [1, 1, 1]})
        if said == "Correct the cell":
            return  # a word among numbers is told with its place there
    with pytest.raises(DataError) as error:
        read(tmp_path, text, f"data.{kind}")
    assert said in str(error.value.hint)


def test_the_advice_for_words_holds(tmp_path):
    text = "dose,x,y\n1,FALSE,1\n1,TRUE,2\n"
    loaded = read(tmp_path, text, categories={"x": ("FALSE", "TRUE")})
    np.testing.assert_array_equal(loaded.datasets["x"].values, [0, 1])


def test_what_r_writes_as_json_is_read(tmp_path):
    boxed = '{"dataset": ["A"], "N": [2], "dose": [0.5], "x": [1, 2], "y": [3, 4]}'
    loaded = read(tmp_path, boxed, "data.json")
    assert loaded.labels == ["A"]
    np.testing.assert_array_equal(loaded.datasets["dose"], [0.5])
    rows = [{"dose": 0.5, "x": 1, "y": 3}, {"dose": 0.5, "x": 2, "y": 4}]
    again = read(tmp_path, json.dumps(rows), "data.json")
    for name in ("x", "y"):
        np.testing.assert_array_equal(again.datasets[name].values, loaded.datasets[name].values)
    labelled = [{**row, "dataset": label} for label in "AB" for row in rows]
    assert read(tmp_path, json.dumps(labelled), "data.json").labels == ["A", "B"]


def test_rows_may_lack_what_is_missing(tmp_path):
    layout = Layout((Variable("y", "observable", ragged=True, event=(), missing=True),))
    loaded = read(tmp_path, '[{"y": 1}, {}, {"y": 3}]', "data.json", layout)
    np.testing.assert_array_equal(loaded.datasets["y"].values, [1, np.nan, 3])


def test_lines_of_rows_are_told_what_to_become(tmp_path):
    with pytest.raises(DataError) as error:
        read(tmp_path, '{"dose": 1, "x": 1, "y": 2}\n{"dose": 1, "x": 2, "y": 2}\n', "data.jsonl")
    assert "Rows of a table are read as CSV" in str(error.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        '"";"dataset";"dose";"x";"y"\n"1";"A";1,5;-1,2;3\n"2";"A";1,5;2;4e-1\n',
        "dataset;dose;x;y\nA;1.5;-1.2;3\nA;1.5;2;0.4\n",
    ],
)
def test_semicolons_and_decimal_commas_are_read(text, tmp_path):
    loaded = read(tmp_path, text)
    assert loaded.labels == ["A"]
    np.testing.assert_array_equal(loaded.datasets["dose"], [1.5])
    np.testing.assert_array_equal(loaded.datasets["x"].values, [-1.2, 2])
    np.testing.assert_array_equal(loaded.datasets["y"].values, [3, 0.4])


def test_thousands_are_not_taken_for_decimals(tmp_path):
    with pytest.raises(DataError, match=r"got '1\.234,5'"):
        read(tmp_path, "dose;x;y\n1;1.234,5;3\n")


@pytest.mark.parametrize(
    ("text", "y"),
    [
        ("dose,x,y\n1,2,3\n1,3,4\n", [3, 4]),
        ('{"dose": 1, "x": [2, 3], "y": [3, 4]}\n', [3, 4]),
        ('[{"dose": 1, "x": 2, "y": 3}]', [3]),
        ("dose\tx\ty\n1\t2\t3\n", [3]),
    ],
)
def test_a_pipe_is_read_by_what_comes_and_as_often_as_needed(text, y, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=(text,), daemon=True).start()
    for _ in range(2):
        loaded = read_datasets(pipe, LAYOUT)
        np.testing.assert_array_equal(loaded.datasets["y"].values, y)


@pytest.mark.skipif(not Path("/dev/fd/0").exists(), reason="no /dev/fd")
def test_a_shell_may_put_pipes_in_the_place_of_files(tmp_path):
    (tmp_path / "data.csv").write_text("dataset,x\nA,1\nA,2\n")
    script = (
        f"set -e; {shell('convert')} <(cat data.csv) out.jsonl --kind data -q\n"
        f"{shell('convert')} data.csv >(gzip > out.gz) --kind data -q\n"
        f"{shell('convert')} data.csv >(cat > out.txt) --kind data -q\n"
        f"cat data.csv | {shell('convert')} /dev/stdin in.jsonl --kind data -q\n"
        "for i in 1 2 3 4 5 6 7 8 9; do [ -s out.gz ] && [ -s out.txt ] && break; sleep 0.2; done\n"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    for name in ("out.jsonl", "in.jsonl"):
        assert json.loads((tmp_path / name).read_text()) == {"dataset": "A", "x": [1, 2]}
    assert (tmp_path / "out.txt").read_text().splitlines()[0] == "dataset,x"
    unpacked = subprocess.run(
        ["gzip", "-dc", tmp_path / "out.gz"], capture_output=True, text=True, check=True
    )
    assert unpacked.stdout.splitlines()[1:] == ["A,1", "A,2"] or "A,1.0" in unpacked.stdout


def test_a_label_column_of_another_name_is_asked_for(small_run, tmp_path):
    rows = "".join(f"{s},0.{i},{i}\n" for s in (1, 2) for i in range(1, 7))
    (tmp_path / "data.csv").write_text(f"subject,x,y\n{rows}")
    result = abi("sample", small_run, tmp_path / "data.csv", "-n", 2, "--format", "csv")
    assert result.exit_code == 4
    assert "subject, which repeats over rows as labels do" in result.stderr
