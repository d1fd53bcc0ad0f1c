"""Elements of vectors, and members of sets, as other programs name them."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.data import Naming, read_datasets, read_draws, read_parameters, read_simulations
from abi_cli.data.spelling import elements_among, meant
from abi_cli.errors import DataError
from abi_cli.variables import Layout, Ragged, Variable
from tests.cli import abi

LAYOUT = Layout(
    (
        Variable("beta", "parameter", ragged=False, event=(2,)),
        Variable("S", "parameter", ragged=False, event=(2, 2)),
        Variable("sigma", "parameter", ragged=False, event=()),
    )
)
WAYS = {
    "ours": "beta[0],beta[1],S[0,0],S[0,1],S[1,0],S[1,1]",
    "from one": "beta[1],beta[2],S[1,1],S[1,2],S[2,1],S[2,2]",
    "dots": "beta.0,beta.1,S.0.0,S.0.1,S.1.0,S.1.1",
    "dots from one": "beta.1,beta.2,S.1.1,S.1.2,S.2.1,S.2.2",
    "R's names": "beta.1.,beta.2.,S.1.1.,S.1.2.,S.2.1.,S.2.2.",
    "underscores": "beta_1,beta_2,S_1_1,S_1_2,S_2_1,S_2_2",
    "digits": "beta1,beta2,S.1.1,S.1.2,S.2.1,S.2.2",
    "digits from zero": 'beta0,beta1,"S[0,0]","S[0,1]","S[1,0]","S[1,1]"',
}


def quoted(header: str) -> str:
    """Names with commas in double quotes, as CSV needs them."""
    import re

    return re.sub(r'"?(S\[\d,\d\])"?', r'"\1"', header)


def points(tmp_path, header: str, values: str = "1,2,3,4,5,6"):
    file = tmp_path / "at.csv"
    file.write_text(f"{quoted(header)},sigma\n{values},7\n")
    return read_parameters(file, LAYOUT, ["A"])[1]


@pytest.mark.parametrize("header", WAYS.values(), ids=WAYS)
def test_elements_are_understood_where_all_are_there(header, tmp_path):
    values = points(tmp_path, header)
    np.testing.assert_array_equal(values["beta"], [[1, 2]])
    np.testing.assert_array_equal(values["S"], [[[3, 4], [5, 6]]])
    np.testing.assert_array_equal(values["sigma"], [7])


def test_the_order_of_the_columns_does_not_count(tmp_path):
    values = points(tmp_path, "beta.2,beta.1,S.2.2,S.1.2,S.2.1,S.1.1", "2,1,6,4,5,3")
    np.testing.assert_array_equal(values["beta"], [[1, 2]])
    np.testing.assert_array_equal(values["S"], [[[3, 4], [5, 6]]])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("beta[1],beta[3]", "elements of beta, beta[0], beta[1]; got beta[1], beta[3]"),
        ("beta[0],beta[1],beta[2]", "got beta[0], beta[1], beta[2]"),
        ("beta[1],beta[2],beta[3]", "got beta[1], beta[2], beta[3]"),
        ("beta.1,beta.2,beta1,beta2", "once; got beta.1, beta.2 and beta1, beta2"),
        ("beta", "expected the columns beta[0], beta[1]; got"),
        ("gamma.1,gamma.2", "expected the columns beta[0], beta[1]; got"),
    ],
)
def test_others_are_refused_with_what_was_understood(names, said, tmp_path):
    header = f"{names},S.1.1,S.1.2,S.2.1,S.2.2"
    with pytest.raises(DataError) as error:
        points(tmp_path, header, ",".join(["1"] * (header.count(",") + 1)))
    assert said in str(error.value)
    assert "Rename" not in (error.value.hint or "")


def test_no_element_is_advised_to_become_another():
    assert meant("beta[0]", ["beta[1]", "beta[2]"]) is None
    assert meant("y", ["y1", "y2"]) is None
    assert meant("beta[0]", ["betta[0]", "beta[1]"]) == "betta[0]"
    assert meant("sigma", ["sgima", "mu"]) == "sgima"
    assert meant("x", ["X"]) == "X"


def test_a_variable_may_end_in_a_digit(tmp_path):
    layout = Layout(
        (
            Variable("b", "parameter", ragged=False, event=(2,)),
            Variable("b1", "parameter", ragged=False, event=()),
        )
    )
    file = tmp_path / "at.csv"
    file.write_text("b.1,b.2,b1\n1,2,3\n")
    values = read_parameters(file, layout, ["A"])[1]
    np.testing.assert_array_equal(values["b"], [[1, 2]])
    np.testing.assert_array_equal(values["b1"], [3])


def test_a_second_column_of_rs_is_no_element():
    assert elements_among(["x", "x.1", "y"]) == []


SETS = Layout(
    (
        Variable("N", "context", ragged=False, event=(), integer=True, length_of=("x", "y")),
        Variable("mu", "parameter", ragged=False, event=()),
        Variable("x", "observable", ragged=True, event=()),
        Variable("y", "observable", ragged=True, event=(), integer=True),
    )
)


@pytest.mark.parametrize(
    "header", ["x1,x2,x3,y1,y2,y3", "x.1,x.2,x.3,y_1,y_2,y_3", "x0,x1,x2,y[0],y[1],y[2]"]
)
@pytest.mark.parametrize("label", ["dataset,", "", "subject,"])
def test_wide_tables_have_a_data_set_a_row(header, label, tmp_path):
    file = tmp_path / "data.csv"
    names = ("B,", "A,") if label else ("", "")
    file.write_text(f"{label}{header}\n{names[0]}1.5,2,3,4,5,6\n{names[1]}7,8,,9,10,\n")
    naming = Naming(dataset="subject") if label == "subject," else Naming()
    loaded = read_datasets(file, SETS, naming=naming)
    assert loaded.labels == (["B", "A"] if label else ["0", "1"])
    x, y = loaded.datasets["x"], loaded.datasets["y"]
    assert isinstance(x, Ragged)
    assert isinstance(y, Ragged)
    np.testing.assert_array_equal(x.values, [1.5, 2, 3, 7, 8])
    np.testing.assert_array_equal(y.values, [4, 5, 6, 9, 10])
    assert y.values.dtype.kind == "i"
    np.testing.assert_array_equal(loaded.datasets["N"], [3, 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x1,x2,y\n1,2,3\n", "columns of members of y, too"),
        ("x1,x2,y1,y2\n,2,3,4\n", "row 2, column x1: expected a number; got a missing value"),
        ("x1,x2,y1,y2\n1,2,3,4.5\n", "row 2, column y2: expected a whole number"),
        ("x1,x2,x4,y1,y2\n1,2,3,4,5\n", "columns of members of x, too"),
        ("dataset,x1,x2,y1,y2\nA,1,2,3,4\nA,5,6,7,8\n", "expected one value in all rows"),
    ],
)
def test_wide_tables_that_are_not_whole_are_refused_at_their_cell(text, said, tmp_path):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read_datasets(tmp_path / "data.csv", SETS)
    assert said in str(error.value)
    assert "Rename" not in (error.value.hint or "")


def test_simulations_have_the_same_names(tmp_path):
    file = tmp_path / "sims.csv"
    file.write_text("mu,x1,x2,y1,y2\n1,2,3,4,5\n2,3,4,5,6\n")
    loaded = read_simulations(file, SETS)
    np.testing.assert_array_equal(loaded.datasets["mu"], [1, 2])
    assert any("x1, x2" in note for note in loaded.notes)


def test_draws_in_any_style_are_read_as_vectors(tmp_path):
    for header in ("beta[0],beta[1]", "beta[1],beta[2]", "beta.1,beta.2", "beta.0,beta.1"):
        file = tmp_path / "draws.csv"
        file.write_text(f"dataset,draw,{header},sigma\nA,1,1,2,3\nA,2,4,5,6\n")
        draws = read_draws(file)
        np.testing.assert_array_equal(draws.values["beta"], [[[1, 2], [4, 5]]])


def test_log_prob_reads_what_sample_writes(small_run, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("dataset,x,y\n" + "".join(f"A,0.{i},{i}\n" for i in range(1, 8)))
    answers = []
    for file in ("a.csv", "b.csv", "c.npz", "d.jsonl", "e.nc"):
        style = ("--index", 1, "--names", "dots") if file == "b.csv" else ()
        written = abi("sample", small_run, data, "-n", 4, "-o", tmp_path / file, "-q", *style)
        assert written.exit_code == 0, written.output
        result = abi("log-prob", small_run, data, "--at", tmp_path / file, "-q")
        assert result.exit_code == 0, result.output
        answers.append([float(line.split(",")[-1]) for line in result.stdout.split()[1:]])
    assert len(answers[0]) == 4
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], rtol=1e-3)
