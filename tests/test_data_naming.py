"""Files of real data that call things otherwise than the model does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from abi_cli.data import Naming, read_datasets, read_parameters
from abi_cli.errors import DataError
from abi_cli.spec import InvalidSpecError, parse_spec
from abi_cli.variables import Layout, Variable
from tests.cli import SMALL, SPECS, abi

LAYOUT = Layout(
    (
        Variable("N", "context", ragged=False, event=(), integer=True, length_of=("x",)),
        Variable("theta", "parameter", ragged=False, event=()),
        Variable("x", "observable", ragged=True, event=()),
        Variable("z", "observable", ragged=True, event=(2,)),
        Variable("choice", "observable", ragged=True, event=(), integer=True),
    )
)
NAMING = Naming(
    dataset="subject",
    columns={"x": ("dose",), "z": ("age", "weight"), "choice": ("answer",)},
    categories={"choice": ("no", "yes")},
)
TABLE = "subject,dose,age,weight,answer\nA,1,30,70,yes\nB,3,40,80, no\nA,2,31,71,no\n"


def written(folder, text, name="data.csv"):
    path = folder / name
    path.write_text(text)
    return path


def check(loaded):
    assert loaded.labels == ["A", "B"]
    np.testing.assert_array_equal(loaded.datasets["x"].values, [1, 2, 3])
    np.testing.assert_array_equal(loaded.datasets["z"].values, [[30, 70], [31, 71], [40, 80]])
    np.testing.assert_array_equal(loaded.datasets["choice"].values, [1, 0, 0])
    np.testing.assert_array_equal(loaded.datasets["N"], [2, 1])
    assert loaded.notes == ()


def test_columns_are_found_under_their_names_in_files(tmp_path):
    check(read_datasets(written(tmp_path, TABLE), LAYOUT, naming=NAMING))


def test_the_models_own_names_will_do_too(tmp_path):
    text = "dataset,x,z[0],z[1],choice\nA,1,30,70,1\nA,2,31,71,0\nB,3,40,80,0\n"
    check(read_datasets(written(tmp_path, text), LAYOUT, naming=NAMING))


def test_jsonl_and_npz_follow(tmp_path):
    naming = Naming("subject", {"x": ("dose",), "choice": ("answer",)}, NAMING.categories)
    rows = [
        {"subject": "A", "dose": [1, 2], "z": [[30, 70], [31, 71]], "answer": ["yes", "no"]},
        {"subject": "B", "dose": [3], "z": [[40, 80]], "answer": ["no"]},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    check(read_datasets(written(tmp_path, text, "data.jsonl"), LAYOUT, naming=naming))
    np.savez(
        tmp_path / "data.npz",
        subject=np.array(["A", "B"]),
        dose=[1.0, 2, 3],
        z=[[30.0, 70], [31, 71], [40, 80]],
        answer=[1, 0, 0],
        row_size=[2, 1],
    )
    check(read_datasets(tmp_path / "data.npz", LAYOUT, naming=naming))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("yes", "maybe", "row 2, column answer: expected a number; got 'maybe'"),
        ("1,30", "one,30", "row 2, column dose: expected a number; got 'one'"),
        ("dose", "x,dose", "expected dose or x, which the spec says are the same; got both"),
        ("dose", "does", "expected the column x"),
    ],
)
def test_what_is_wrong_is_told_in_the_names_of_the_file(old, new, said, tmp_path):
    text = TABLE.replace(old, new)
    if new == "x,dose":
        text = text.replace("A,", "A,0,").replace("B,", "B,0,")
    with pytest.raises(DataError) as error:
        read_datasets(written(tmp_path, text), LAYOUT, naming=NAMING)
    assert said in str(error.value)


def test_points_are_labelled_in_the_files_way_too(tmp_path):
    path = written(tmp_path, "subject,theta\nB,1\nA,2\n")
    index, values = read_parameters(path, LAYOUT, ["A", "B"], naming=NAMING)
    np.testing.assert_array_equal(index, [1, 0])
    np.testing.assert_array_equal(values["theta"], [1, 2])


def test_data_can_be_put_on_the_scale_of_each_data_set(tmp_path):
    naming = Naming(
        NAMING.dataset,
        NAMING.columns,
        NAMING.categories,
        prepare={"x": "standardize_within", "z": "centre_within"},
    )
    rows = "A,1,30,70,yes\nA,3,32,70,no\nB,5,1,2,no\nB,9,3,6,no\n"
    path = written(tmp_path, TABLE.partition("\n")[0] + "\n" + rows)
    data = read_datasets(path, LAYOUT, naming=naming).datasets
    np.testing.assert_allclose(data["x"].values, [-1, 1, -1, 1])
    np.testing.assert_allclose(data["z"].values, [[-1, 0], [1, 0], [-1, -2], [1, 2]])
    path.write_text(path.read_text().replace("B,9", "B,5"))
    with pytest.raises(DataError, match="differ within data set B"):
        read_datasets(path, LAYOUT, naming=naming)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.columns={x: dose, y: dose}", "'dose' for x and for y"),
        ("data.columns={x: dataset}", "'dataset' for dataset and for x"),
        ("data.categories={x: [a, a]}", "different words"),
        ("data.categories={x: [a]}", "2 or more"),
        ("data.prepare={x: scale}", "scale"),
        ("data.colums={x: dose}", "Did you mean 'columns'"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(override, said):
    with pytest.raises(InvalidSpecError) as error:
        parse_spec((SPECS / "regression.yaml").read_text(), overrides=[override])
    assert said in str(error.value)


def test_the_names_of_a_spec_are_used_when_its_run_is_given_data(tmp_path):
    mapped = ("-s", "data.dataset=group", "-s", "data.columns={x: dose, y: response}")
    taken = Path("runs", "regression")  # where it would be trained into, as `make run` does
    taken.mkdir(parents=True)
    (taken / "manifest.json").touch()
    refused = abi("train", SPECS / "regression.yaml", "-s", "data.columns={z: dose}")
    shutil.rmtree("runs")
    assert refused.exit_code == 3
    assert "E202: Expected variables of the model, N, beta, sigma, x, y; got z" in refused.stderr
    run = tmp_path / "run"
    trained = abi("train", SPECS / "regression.yaml", "-o", run, *SMALL, *mapped)
    assert trained.exit_code == 0, trained.output
    data = written(tmp_path, "group,dose,response\nI,1,2\nI,2,3\nII,0,1\n")
    sampled = abi("sample", run, data, "-n", 2, "--format", "csv")
    assert sampled.exit_code == 0, sampled.output
    assert [line.split(",")[0] for line in sampled.stdout.splitlines()[1:]] == [
        "I",
        "I",
        "II",
        "II",
    ]
