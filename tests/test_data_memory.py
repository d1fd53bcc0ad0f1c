"""A table in memory is read as a file with the same cells is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from abi_cli.data import (
    Naming,
    read_datasets,
    read_frame,
    read_frame_of_parameters,
    read_parameters,
)
from abi_cli.data.meanings import Missing
from abi_cli.errors import DataError
from abi_cli.variables import Layout, Variable, array_of
from tests.data_examples import FIXED, LINE

WORDS = Layout(
    (
        Variable("theta", "parameter", ragged=False, event=()),
        Variable("y", "observable", ragged=True, event=(), missing=True),
        Variable("choice", "observable", ragged=True, event=(), integer=True),
    )
)
NAMING = Naming(
    dataset="subject",
    columns={"y": ("response",)},
    categories={"choice": ("no", "yes")},
    missing=Missing.of(["-999"]),
)

TABLES = {
    "single precision": (LINE, Naming(), {"x": [0.5, 1], "y": np.array([0.1, 2], np.float32)}),
    "rows anywhere": (LINE, Naming(), {"dataset": [*"abab"], "x": [1, 2, 3, 4], "y": [4, 3, 2, 1]}),
    "number as label": (LINE, Naming(), {"dataset": [7, 7], "x": [1, 2], "y": [3.5, 4]}),
    "row numbers": (LINE, Naming(), {"": [1, 2], "x": [1, 2], "y": [3, 4]}),
    "rows of nothing": (LINE, Naming(), {"x": [1, None, 2], "y": [3, "", 4]}),
    "elements": (FIXED, Naming(), {"s.1": [1.0, 2.0], "s.2": [3.0, 4.0]}),
    "words and gaps": (
        WORDS,
        NAMING,
        {
            "subject": ["A", "A", "B"],
            "response": [-999, np.nan, 2.5],
            "choice": ["yes", "no", "yes"],
        },
    ),
}


def written(folder: Path, table) -> Path:
    """The same as CSV."""
    file = folder / "table.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(table)
        rows.writerows(zip(*table.values(), strict=True))
    return file


@pytest.mark.parametrize("name", TABLES)
def test_it_is_what_a_file_of_its_cells_is(name, tmp_path):
    layout, naming, table = TABLES[name]
    file = written(tmp_path, table)
    expected = read_datasets(file, layout, naming=naming)
    got = read_frame(table, layout, naming=naming)
    assert got.labels == expected.labels
    assert list(got.datasets) == list(expected.datasets)
    for variable, value in expected.datasets.items():
        own = got.datasets[variable]
        assert array_of(own).tobytes() == array_of(value).tobytes()
        assert array_of(own).dtype == array_of(value).dtype
    assert got.place(0) == expected.place(0).replace(str(file), "the table")
    assert [note.replace("the table", str(file)) for note in got.notes] == list(expected.notes)


def test_labels_are_what_they_are():
    """No mark keeps a spreadsheet from running them: none is looked for."""
    labels = ["=1+1", "'=1+1", "'a", "-b"]
    table = {"dataset": labels, "x": [1, 2, 3, 4], "y": [1, 2, 3, 4]}
    assert read_frame(table, LINE).labels == labels


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"x": [1, 2], "y": [1, "t"]},
            "the table, row 3, column y: expected a number; got 't'",
        ),
        (
            {"x": [1, 2], "y": [1]},
            "the table: expected columns of one length; got x with 2, y with 1",
        ),
        ({"x": [], "y": []}, "the table: there are no rows below the header"),
        ({"x": [1]}, "the table, row 1: expected the column y; got x"),
        ({}, "the table: the file is empty"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_wrong_is_said_with_its_place(table, said):
    with pytest.raises(DataError) as error:
        read_frame(table, LINE)
    assert f"{error.value.place}: {error.value.message}" == said


def test_so_are_parameters(tmp_path):
    table = {"dataset": ["b", "a"], "beta[0]": [0.1, 1], "beta[1]": [2, 3], "sigma": [1, 1.5]}
    expected = read_parameters(written(tmp_path, table), LINE, ["a", "b"])
    index, parameters = read_frame_of_parameters(table, LINE, ["a", "b"])
    np.testing.assert_array_equal(index, expected[0])
    for name, value in expected[1].items():
        np.testing.assert_array_equal(parameters[name], value)
    with pytest.raises(DataError, match="expected the label of a data set: a; got b"):
        read_frame_of_parameters(table, LINE, ["a"])


def test_some_of_the_data_sets_know_where_they_are(tmp_path):
    _, _, table = TABLES["rows anywhere"]
    loaded = read_datasets(written(tmp_path, table), LINE)
    some = loaded.of(np.array([1, 1, 0]))
    assert some.labels == ["b", "b", "a"]
    assert some.place(2) == loaded.place(0)
    assert some.cell("y", (3,)) == loaded.cell("y", (3,))
    assert some.cell("y", (4,)) == loaded.cell("y", (0,))
