"""Data that are refused: one message each, with file, row, column and the text found."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abi_cli.data import open_draws, read_datasets, read_draws, read_simulations, write_simulations
from abi_cli.errors import DataError, OutputError, UsageError
from tests.data_examples import (
    FIXED,
    LINE,
    OF_DATASETS,
    OF_DRAWS,
    RICH,
    draw_header,
    draw_values,
    in_blocks,
    some,
)


@pytest.fixture
def write(tmp_path):
    """A function from text (or bytes) to a file of it."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


BAD_TABLES = {
    "empty": ("", r"data\.csv: the file is empty"),
    "header only": ("dataset,x,y\n", r"data\.csv: there are no rows below the header"),
    "missing column": ("dataset,x,Y\na,1,2\n", r"row 1: expected the column y; got .*\n.* mean Y"),
    "missing columns": ("a,b\n1,2\n", r"row 1: expected the columns x, y; got a, b"),
    "text": ("x,y\n1,2\nabc,4\n", r"row 3, column x: expected a number; got 'abc'"),
    "empty cell": ("x,y\n1,2\n3,\n", r"row 3, column y: expected a number; got an empty cell"),
    "missing value": ("x,y\n1,NA\n", r"row 2, column y: expected a number; got 'NA', a missing"),
    "NaN": ("x,y\n1,nan\n", r"row 2, column y: expected a number; got 'nan', a missing value"),
    "infinite": ("x,y\n1,inf\n", r"row 2, column y: expected a number; got 'inf'"),
    "underscore": ("x,y\n1,1_000\n", r"row 2, column y: expected a number; got '1_000'"),
    "decimal comma": ('x,y\n1,"2,5"\n', r"got '2,5'\nWrite decimals with a point"),
    "date": ("x,y\n1,2024-01-31\n", r"row 2, column y: expected a number; got '2024-01-31'"),
    "semicolons": ("x;y\n1.234,5;2\n", r"row 2, column x: expected a number; got '1.234,5'"),
    "tabs": ("x\ty\n1\t2\n", r"separated by ','; got '\\t'\nGive the file the extension .tsv"),
    "short row": ("x,y\n1,2\n3\n", r"row 3: expected 2 cells, as in the header; got 1"),
    "twice": ("x,y,x\n1,2,3\n", r"row 1: expected each column once; got 'x' 2 times"),
    "no label": ("dataset,x,y\na,1,2\n,3,4\n", r"row 3, column dataset: expected the label"),
    "quote": ('x,y\n1,"2"3\n', r"line 2: expected delimited text"),
    "not text": (b"x,y\n\xff\xfe,1\n", r"data\.csv: expected UTF-8 text"),
    "other length": ("N,x,y\n2,1,2\n3,4,5\n", r"row 3, column N: expected one value in all rows"),
    "not whole": ("N,x,y\n2.5,1,2\n", r"row 2, column N: expected a whole number.*got 2\.5"),
}


@pytest.mark.parametrize(("content", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_table_is_refused_with_its_place(write, content, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_datasets(write(content), LINE)


def test_a_vector_needs_all_its_columns(write):
    with pytest.raises(DataError, match=r"expected the column s\[1\]; got s\[0\]"):
        read_datasets(write("s[0]\n1\n"), FIXED)


BAD_LINES = {
    "empty": ("\n", r"data\.jsonl: there is no data set in it"),
    "not JSON": ("[1,\n", r"line 1: expected JSON"),
    "no object": ("[1]\n", r"line 1: expected an object; got \[1\]"),
    "missing key": ('{"x": [1]}\n', r"line 1: expected the key y; got x"),
    "key gone": (
        '{"x": [1], "y": [1]}\n{"x": [1]}\n',
        r"line 2: expected the key y, as in those before",
    ),
    "key twice": ('{"x": [1], "x": [2], "y": [1]}\n', r"line 1: .*got the key 'x' twice"),
    "text": ('{"x": [1, "a"], "y": [1, 2]}\n', r'line 1, x\[1\]: expected a number; got "a"'),
    "null": ('{"x": [1, null], "y": [1, 2]}\n', r"line 1, x\[1\]: .*got null, a missing value"),
    "NaN": ('{"x": [1, NaN], "y": [1, 2]}\n', r"line 1, x\[1\]: expected a number; got a missing"),
    "number": ('{"x": 1, "y": [1]}\n', r"line 1, x: expected a list of numbers; got 1"),
    "nested": ('{"x": [[1, 2], [3]], "y": [1]}\n', r"line 1, x: expected a list of numbers"),
    "huge": (f'{{"x": [1{"0" * 400}], "y": [1]}}\n', r"line 1, x: expected a list of numbers"),
    "no members": ('{"x": [], "y": []}\n', r"line 1: expected at least one member of x"),
    "lengths": ('{"x": [1], "y": [1, 2]}\n', r"line 1: expected the length of x, 1, .*of y, 2"),
    "label gone": (
        '{"dataset": 1, "x": [1], "y": [1]}\n{"x": [1], "y": [1]}\n',
        r"line 2: expected a label as dataset, text or a number; got none",
    ),
    "label twice": (
        '{"dataset": 1, "x": [1], "y": [1]}\n{"dataset": "1", "x": [1], "y": [1]}\n',
        r"line 2: expected each data set once; got 1 here and in .*line 1",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_is_refused_with_its_place(write, content, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_datasets(write(content, "data.jsonl"), LINE)


BAD_DOCUMENTS = {
    "empty": ("", r"data\.json: expected JSON"),
    "no list": ("3", r"data\.json: expected an object; got 3"),
    "empty list": ("[]", r"data\.json: there is no data set in it"),
    "number in list": ('[{"x": [1], "y": [1]}, 2]', r"data\.json, item 2: expected an object"),
    "text": ('{"x": [1, "a"], "y": [1, 2]}', r'data\.json, x\[1\]: expected a number; got "a"'),
    "key twice": ('{"x": [1], "x": [2], "y": [1]}', r"got the key 'x' twice"),
    "deep": ("[" * 100_000, r"data\.json: expected JSON"),
}


@pytest.mark.parametrize(("content", "message"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_document_is_refused_with_its_place(write, content, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_datasets(write(content, "data.json"), LINE)


BAD_COLUMNS = {
    "null": ({"x": [1.0, None], "y": [1, 2]}, r"column x, row 2: expected a number; got an empty"),
    "NaN": ({"x": [1.0, np.nan], "y": [1, 2]}, r"row 2, column x: .*missing value"),
    "date": ({"x": [datetime(2020, 1, 1)] * 2, "y": [1, 2]}, r"column x, row 1: .*got datetime"),
    "text": ({"x": ["1", "2"], "y": [1, 2]}, r"column x, row 1: expected a number; got '1'"),
    "missing": ({"x": [1.0]}, r"expected the column y; got x"),
    "no rows": ({"x": [], "y": []}, r"there are no rows"),
    "label": ({"dataset": ["a", None], "x": [1, 2], "y": [1, 2]}, r"row 2, column dataset"),
}


@pytest.mark.parametrize(("columns", "message"), BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_columns_of_parquet_are_refused_with_their_place(tmp_path, columns, message):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_datasets(tmp_path / "data.parquet", LINE)


X = np.arange(3.0)
BAD_ARRAYS = {
    "text": ({"x": np.array(["a"]), "y": X}, r"npz, x: expected numbers; got <U1"),
    "objects": ({"x": np.array([None, 1]), "y": X}, r"expected arrays of numbers in NPZ"),
    "NaN": ({"x": np.array([0, np.nan]), "y": X}, r"npz, x\[1\]: .*missing value \(NaN\)"),
    "rank": ({"x": np.zeros((2, 2, 1)), "y": X}, r"x: expected shape \(obs,\); got \(2, 2, 1\)"),
    "sum": ({"x": X, "y": X, "row_size": np.array([1, 1])}, r"as row_size sums to, 2; got 3"),
    "sizes": ({"x": X, "y": X, "row_size": np.array([-1, 4])}, r"row_size: expected whole"),
    "labels": ({"x": X, "y": X, "dataset": np.array(["a", "b"])}, r"1 in x and 2 in dataset"),
    "missing": ({"x": X}, r"expected the array y; got x"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_are_refused_with_their_names(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_datasets(tmp_path / "data.npz", LINE)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_datasets(tmp_path / "data.csv", LINE)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="expected a file; got a folder"):
        read_datasets(tmp_path / "folder.csv", LINE)


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="formats csv, tsv, jsonl, json, npz, nc, parquet; got"):
        read_datasets(tmp_path / "data.xlsx", LINE)


def test_output_into_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        write_simulations(tmp_path / "no" / "sims.csv", some(LINE, [3]), LINE)


@given(content=st.binary(max_size=200), format=st.sampled_from(OF_DATASETS))
def test_any_bytes_give_data_or_one_message(tmp_path_factory, content, format):
    path = tmp_path_factory.getbasetemp() / f"bytes.{format}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"bytes\.{format}"):
        read_datasets(path, LINE)


tokens = st.sampled_from(
    ["dataset", "x", "y", "N", "1", "-2.5", "1e400", "a", "", "NA", " ", '"', ",", "\n", "\r\n"]
)


@given(tail=st.lists(tokens, max_size=30).map("".join))
def test_any_table_gives_data_or_one_message(tmp_path_factory, tail):
    path = tmp_path_factory.getbasetemp() / "tokens.csv"
    path.write_text(f"dataset,x,y\na,1,2\n{tail}", newline="")
    try:
        outcome = str(read_datasets(path, LINE).datasets["x"].values.sum())
    except DataError as error:
        outcome = str(error)
    assert "tokens.csv" in outcome or np.isfinite(float(outcome))


damages = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4
)
"""Where in a file, and the bytes that take the place of as many (of three for none)."""


def damage(content, damages):
    for where, text in damages:
        at = int(where * len(content))
        content = content[:at] + text + content[at + (len(text) or 3) :]
    return content


@pytest.fixture(scope="module", params=OF_DATASETS)
def data_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / f"data.{request.param}"
    write_simulations(path, some(RICH, [3, 2]), RICH)
    return path, path.read_bytes()


@pytest.fixture(scope="module", params=OF_DRAWS)
def draws_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / f"draws.{request.param}"
    header = draw_header(2, 3)
    with open_draws(path, header) as writer:
        for block in in_blocks(draw_values(header)):
            writer.write(block)
    return path, path.read_bytes()


def read_or_refuse(read, path):
    try:
        read(path)
    except DataError as error:
        return path.name in str(error)
    return True


@settings(max_examples=40)
@given(damages=damages)
def test_a_damaged_file_of_data_is_read_or_refused(data_file, damages):
    path, content = data_file
    path.write_bytes(damage(content, damages))
    assert read_or_refuse(lambda path: read_simulations(path, RICH), path)


@settings(max_examples=40)
@given(damages=damages)
def test_a_damaged_file_of_draws_is_read_or_refused(draws_file, damages):
    path, content = draws_file
    path.write_bytes(damage(content, damages))
    assert read_or_refuse(read_draws, path)
