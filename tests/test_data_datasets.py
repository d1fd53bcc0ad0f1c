"""Data sets and simulations, read and written."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abi_cli.data import (
    oddities,
    read_datasets,
    read_parameters,
    read_simulations,
    write_simulations,
)
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Layout, Ragged, Variable, array_of
from tests.data_examples import FIXED, LINE, OF_DATASETS, RICH, assert_same, some

LONG = """dataset,x,site,y
b,1,paris,10
a,2,rome,20
b,3,,30
b,4,oslo,40
"""


@pytest.fixture
def write(tmp_path):
    """A function from text (or bytes) to a file of it."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def stdin(monkeypatch):
    """A function that makes text (or bytes) standard input, as a pipe: it can't be rewound."""

    with ExitStack() as stack:

        def feed(content):
            read, written = os.pipe()
            with os.fdopen(written, "wb") as pipe:
                pipe.write(content if isinstance(content, bytes) else content.encode())
            monkeypatch.setattr(sys, "stdin", stack.enter_context(os.fdopen(read)))

        yield feed


def without_parameters(datasets, layout):
    kept = {variable.name for variable in layout.of("context", "observable")}
    return {name: value for name, value in datasets.items() if name in kept}


@pytest.mark.parametrize("format", OF_DATASETS)
@pytest.mark.parametrize("layout", [LINE, RICH], ids=["line", "rich"])
def test_simulations_come_back_to_the_last_bit(tmp_path, layout, format):
    simulations = some(layout, [5, 14, 1, 9])
    target = tmp_path / f"sims.{format}"
    write_simulations(target, simulations, layout)
    assert_same(read_simulations(target, layout).datasets, simulations)


@pytest.mark.parametrize("format", OF_DATASETS)
def test_data_without_sets_come_back(tmp_path, format):
    simulations = some(FIXED, [1, 1, 1])
    target = tmp_path / f"sims.{format}"
    write_simulations(target, simulations, FIXED)
    assert_same(read_simulations(target, FIXED).datasets, simulations)


@pytest.mark.parametrize("format", OF_DATASETS)
def test_simulations_serve_as_data_without_a_note(tmp_path, format):
    simulations = some(LINE, [5, 14])
    target = tmp_path / f"sims.{format}"
    write_simulations(target, simulations, LINE, labels=["a", "b, c"])
    loaded = read_datasets(target, LINE)
    assert loaded.labels == ["a", "b, c"]
    assert loaded.notes == ()
    assert_same(loaded.datasets, without_parameters(simulations, LINE))
    truths = read_datasets(target, LINE, truths=True)
    assert_same(truths.datasets, simulations)


@pytest.mark.parametrize("format", OF_DATASETS)
def test_a_pipe_carries_simulations_to_the_reader(format, stdin, capfdbinary):
    simulations = some(LINE, [5, 14])
    write_simulations(None, simulations, LINE, format=format)
    stdin(capfdbinary.readouterr().out)
    loaded = read_datasets(None, LINE, format=format)
    assert_same(loaded.datasets, without_parameters(simulations, LINE))


def test_standard_input_is_csv_unless_told_otherwise(stdin):
    stdin("x,y\n1,2\n")
    assert read_datasets(None, LINE).datasets["N"] == [1]


@pytest.mark.parametrize("format", ["jsonl", "npz"])
def test_observables_of_different_length_come_back(tmp_path, format):
    layout = Layout(
        (
            Variable("a", "observable", True, ()),
            Variable("b", "observable", True, (2,)),
            Variable("mu", "parameter", False, ()),
        )
    )
    rng = np.random.default_rng(0)
    simulations = {
        "a": Ragged(rng.normal(size=5), np.array([2, 3])),
        "b": Ragged(rng.normal(size=(7, 2)), np.array([6, 1])),
        "mu": rng.normal(size=2),
    }
    target = tmp_path / f"sims.{format}"
    write_simulations(target, simulations, layout)
    assert_same(read_simulations(target, layout).datasets, simulations)
    with pytest.raises(UsageError, match=r"as many members of b as of a in a table; got 6 and 2"):
        write_simulations(tmp_path / "sims.csv", simulations, layout)
    assert not (tmp_path / "sims.csv").exists()


numbers = st.floats(allow_nan=False, allow_infinity=False)
labels = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
    .map(str.strip)
    .filter(bool),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(data=st.data(), labels=labels, format=st.sampled_from(OF_DATASETS))
def test_any_number_and_label_come_back(tmp_path_factory, data, labels, format):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=len(labels), max_size=len(labels)))
    total = sum(sizes)
    x, y = (data.draw(st.lists(numbers, min_size=total, max_size=total)) for _ in "xy")
    simulations = {
        "N": np.array(sizes),
        "x": Ragged(np.array(x), np.array(sizes)),
        "y": Ragged(np.array(y), np.array(sizes)),
    }
    target = tmp_path_factory.getbasetemp() / f"any.{format}"
    write_simulations(target, simulations, LINE, labels=labels)
    loaded = read_datasets(target, LINE)
    assert loaded.labels == labels
    assert_same(loaded.datasets, simulations)


def test_rows_of_a_data_set_may_be_anywhere(write):
    loaded = read_datasets(write(LONG), LINE)
    assert loaded.labels == ["b", "a"]  # first seen first
    assert_same(
        loaded.datasets,
        {
            "N": np.array([3, 1]),
            "x": Ragged(np.array([1.0, 3, 4, 2]), np.array([3, 1])),
            "y": Ragged(np.array([10.0, 30, 40, 20]), np.array([3, 1])),
        },
    )


def test_columns_without_a_use_get_one_note(write):
    path = write(LONG.replace("site", "beta[0]"))
    assert read_datasets(path, LINE).notes == ()  # a parameter, which is known
    (note,) = read_datasets(write(LONG), LINE).notes
    assert note.endswith("data.csv: no use for the column site")


def test_without_labels_all_rows_are_one_data_set(write):
    loaded = read_datasets(write("x,y\n1,2\n3,4\n"), LINE)
    assert loaded.labels == ["0"]
    np.testing.assert_array_equal(loaded.datasets["x"].values, [1, 3])


def test_without_sets_and_labels_each_row_is_a_data_set(write):
    loaded = read_datasets(write("s[0],s[1]\n1,2\n3,4\n"), FIXED)
    assert loaded.labels == ["0", "1"]
    np.testing.assert_array_equal(loaded.datasets["s"], [[1, 2], [3, 4]])


def test_what_spreadsheets_add_is_ignored(write):
    text = "\ufeffdataset, x ,y\r\nA, 1,2\r\n\r\n'B',\"3\",4\r\n,,\r\n"
    loaded = read_datasets(write(text), LINE)
    assert loaded.labels == ["A", "'B'"]
    np.testing.assert_array_equal(loaded.datasets["x"].values, [1, 3])


def test_a_count_in_the_file_is_verified(write):
    assert read_datasets(write("N,x,y\n2,1,2\n2,3,4\n"), LINE).datasets["N"] == [2]
    with pytest.raises(DataError, match=r"row 2: expected the length of x, 1, .* got N = 3"):
        read_datasets(write("N,x,y\n3,1,2\n"), LINE)


def test_blocks_of_rows_leave_no_seam(write):
    n = 5_000
    rows = "".join(f"{i % 7},{i},{-i}\n" for i in range(n))
    loaded = read_datasets(write(f"dataset,x,y\n{rows}"), LINE)
    assert loaded.labels == list("0123456")
    order = np.argsort(np.arange(n) % 7, kind="stable")
    np.testing.assert_array_equal(loaded.datasets["x"].values, order)


def test_a_line_of_jsonl_is_a_data_set(write):
    text = '{"x": [1, 2], "y": [3, 4], "dataset": 5}\n\n{"y": [6], "x": [5.5], "dataset": "b"}\n'
    loaded = read_datasets(write(text, "data.jsonl"), LINE)
    assert loaded.labels == ["5", "b"]
    np.testing.assert_array_equal(loaded.datasets["x"].values, [1, 2, 5.5])
    np.testing.assert_array_equal(loaded.datasets["N"], [2, 1])


def test_rectangular_arrays_are_read(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "data.npz", x=x, y=-x, dataset=np.array([4, 2]))
    loaded = read_datasets(tmp_path / "data.npz", LINE)
    assert loaded.labels == ["4", "2"]
    np.testing.assert_array_equal(loaded.datasets["N"], [3, 3])
    np.testing.assert_array_equal(loaded.datasets["y"].values, -np.arange(6))


def test_arrays_without_row_size_are_one_data_set(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.arange(3), y=np.arange(3.0), extra=np.zeros(9))
    loaded = read_datasets(tmp_path / "data.npz", LINE)
    assert loaded.labels == ["0"]
    assert loaded.datasets["N"] == [3]
    assert loaded.notes[0].endswith("no use for the array extra")


def test_points_are_read_in_any_order_and_number(write):
    path = write("sigma,dataset,beta[1],beta[0]\n1,b,2,3\n4,a,5,6\n7,b,8,9\n")
    index, parameters = read_parameters(path, LINE, ["a", "b", "c"])
    np.testing.assert_array_equal(index, [1, 0, 1])
    np.testing.assert_array_equal(parameters["beta"], [[3, 2], [6, 5], [9, 8]])
    np.testing.assert_array_equal(parameters["sigma"], [1, 4, 7])


def test_points_need_labels_unless_there_is_one_data_set(write):
    path = write("sigma,beta[1],beta[0]\n1,2,3\n4,5,6\n")
    index, _ = read_parameters(path, LINE, ["a"])
    np.testing.assert_array_equal(index, [0, 0])
    with pytest.raises(DataError, match="expected a column dataset, as there are 2 data sets"):
        read_parameters(path, LINE, ["a", "b"])


def test_points_of_unknown_data_sets_are_refused(write):
    path = write("dataset,sigma,beta[1],beta[0]\na,1,2,3\nz,4,5,6\n")
    with pytest.raises(DataError, match=r"row 3: expected the label of a data set: a, b; got z"):
        read_parameters(path, LINE, ["a", "b"])


def test_context_outside_the_simulations_is_said():
    sizes = [4, 5, 14, 15, 20]
    row_size = np.array(sizes)
    (warning,) = oddities({"N": row_size}, list("abcde"), LINE).values()
    assert warning == "N is 4 to 20 in data sets a, d, e: outside the simulated 5 to 14"
    (warning,) = oddities({"N": row_size[3:4]}, ["d"], LINE).values()
    assert warning == "N is 15 in data set d: outside the simulated 5 to 14"
    assert oddities({"N": row_size[1:3]}, ["b", "c"], LINE) == {}


def test_a_value_other_than_the_constant_of_training_is_said():
    """Which variable, element and data set, the value and the constant."""
    n = Variable(
        "n", "observable", ragged=False, event=(3,), constants=((0, 7999e3, 7999e3), (2, 0.1, 0.1))
    )
    layout = Layout((n,))
    same = np.array([[7999000, 5, np.float32(0.1)], [np.nan, 6, 0.1]])
    assert oddities({"n": same}, ["a", "b"], layout) == {}  # the second is not there
    other = np.array([[7999001, 5, 0.1], [7999000, 6, 0.1], [8e6, 6, 0.1]])
    (told,) = oddities({"n": other}, ["a", "b", "c"], layout).values()
    assert told == (
        "n[0] is 7999001 to 8000000 in data sets a, c: it was 7999000 in all simulations"
    )
    other[1, 2] = 0.2
    (told,) = oddities({"n": other}, ["a", "b", "c"], layout).values()
    assert told.endswith("in all simulations; so of 1 more elements of it")


def test_a_constant_context_is_told_of_once():
    size = Variable("N", "context", False, (), low=8e6, high=8e6, constants=((0, 8e6, 8e6),))
    (told,) = oddities({"N": np.array([81e5])}, ["a"], Layout((size,))).values()
    assert told == "N is 8100000 in data set a: it was 8000000 in all simulations"


def test_a_layout_knows_constants_by_element_and_keeps_them():
    rng = np.random.default_rng(1)
    n = np.stack([np.full(50, 0.1), rng.normal(size=50), 10 + 1e-8 * rng.normal(size=50)], axis=1)
    layout = Layout.of_values({"n": n}, {"n": "observable"}, missing=())
    first, third = layout["n"].constants
    assert first == (0, 0.1, 0.1)
    assert third == (2, n[:, 2].min(), n[:, 2].max())
    assert Layout.from_config(json.loads(json.dumps(layout.to_config()))) == layout


def test_a_named_pipe_is_written_to_in_place(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        text = pool.submit(pipe.read_text)
        write_simulations(pipe, some(LINE, [3]), LINE)
        assert text.result(timeout=10).startswith("dataset,N,")
    assert pipe.is_fifo()


def test_jsonl_is_plain_json(tmp_path):
    write_simulations(tmp_path / "sims.jsonl", some(RICH, [2, 1]), RICH)
    first, second = map(json.loads, (tmp_path / "sims.jsonl").read_text().splitlines())
    assert list(first) == ["dataset", "dose", "theta", "noise", "counts", "place", "moments"]
    assert np.shape(first["theta"]) == (2, 2)
    assert np.shape(second["place"]) == (1, 2)


def test_a_json_object_is_a_data_set_and_a_list_has_many(write):
    """Stan's programs read the first."""
    one = read_datasets(write('{"N": 2, "x": [1, 2], "y": [3, 4]}', "one.json"), LINE)
    assert one.labels == ["0"]
    np.testing.assert_array_equal(array_of(one.datasets["y"]), [3, 4])
    text = '[{"dataset": "a", "x": [1], "y": [2]}, {"dataset": "b", "x": [1, 5], "y": [2, 6]}]'
    two = read_datasets(write(text, "two.json"), LINE)
    assert two.labels == ["a", "b"]
    np.testing.assert_array_equal(two.datasets["N"], [1, 2])


def test_netcdf_of_other_programs_is_read(tmp_path):
    """ArviZ's observed_data of one data set, a rectangle, and CF's ragged arrays by any name."""
    import xarray

    path = tmp_path / "data.nc"
    one = xarray.Dataset({"x": ("obs_id", [1.0, 2.0]), "y": ("obs_id", [3.0, 4.0])})
    one.to_netcdf(path, group="observed_data", engine="h5netcdf")
    loaded = read_datasets(path, LINE)
    np.testing.assert_array_equal(array_of(loaded.datasets["y"]), [3, 4])
    assert loaded.labels == ["0"]

    axes = ("dataset", "obs")
    rectangle = xarray.Dataset(
        {"x": (axes, np.arange(6.0).reshape(2, 3)), "y": (axes, np.arange(6.0).reshape(2, 3))},
        coords={"dataset": ["a", "b"]},
    )
    rectangle.to_netcdf(path, engine="h5netcdf", mode="w")
    loaded = read_datasets(path, LINE)
    assert loaded.labels == ["a", "b"]
    np.testing.assert_array_equal(loaded.datasets["N"], [3, 3])

    ragged = xarray.Dataset(
        {
            "x": ("member", np.arange(5.0)),
            "y": ("member", np.arange(5.0)),
            "how_many": ("dataset", [2, 3], {"sample_dimension": "member"}),
        },
        coords={"dataset": [7, 8]},
    )
    ragged.to_netcdf(path, engine="h5netcdf", mode="w")
    loaded = read_datasets(path, LINE)
    assert loaded.labels == ["7", "8"]
    np.testing.assert_array_equal(loaded.datasets["N"], [2, 3])
