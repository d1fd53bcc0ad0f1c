"""`data:` of a spec means the same wherever a file is read, in every format."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.data import Asked, Naming, read_datasets, read_shapes, read_simulations
from abi_cli.data.meanings import Missing
from abi_cli.data.requests import Line, read_requests
from abi_cli.errors import DataError
from abi_cli.variables import Layout, Variable
from tests.cli import abi

LAYOUT = Layout(
    (
        Variable("theta", "parameter", ragged=False, event=()),
        Variable("y", "observable", ragged=True, event=(), missing=True),
        Variable("choice", "observable", ragged=True, event=(), integer=True),
    )
)
NAMING = Naming(
    dataset="subject",
    columns={"y": ("response",), "theta": ("truth",)},
    categories={"choice": ("no", "yes")},
    missing=Missing.of(["-999", "lost"]),
    prepare={"y": "centre_within"},
)


def table(gap: str) -> str:
    return (
        "subject,truth,response,choice\n"
        f"A,0.5,1,yes\nB,1.5,4,no\nA,0.5,{gap},no\nA,0.5,3,no\nB,1.5,6,yes\n"
    )


def objects(gap) -> list[dict]:
    return [
        {"subject": "A", "truth": 0.5, "response": [1, gap, 3], "choice": ["yes", "no", "no"]},
        {"subject": "B", "truth": 1.5, "response": [4, 6], "choice": ["no", "yes"]},
    ]


def written(folder, kind: str, gap: str):
    """The same two data sets, one value of which is missing, in a format."""
    file = folder / f"data.{kind}"
    number = float(gap) if gap[0] == "-" else gap
    if kind in ("csv", "tsv"):
        file.write_text(table(gap).replace(",", "\t" if kind == "tsv" else ","))
    elif kind == "jsonl":
        file.write_text("".join(f"{json.dumps(one)}\n" for one in objects(number)))
    elif kind == "json":
        file.write_text(json.dumps(objects(number)))
    elif kind == "npz":
        np.savez(
            file,
            subject=np.array(["A", "B"]),
            truth=[0.5, 1.5],
            response=np.array([1, number, 3, 4, 6], np.float32),
            row_size_response=[3, 2],
            choice=np.array(["yes", "no", "no", "no", "yes"]),
            row_size_choice=[3, 2],
        )
    else:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        rows = [line.split(",") for line in table(gap).splitlines()]
        columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
        columns["response"] = [float(cell) for cell in columns["response"]]
        columns["truth"] = [float(cell) for cell in columns["truth"]]
        parquet.write_table(arrow.table(columns), file)
    return file


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "npz", "parquet"])
@pytest.mark.parametrize("gap", ["-999", "-999.0", "-9.99e2"])
@pytest.mark.parametrize("read", [read_datasets, read_simulations])
def test_every_reader_of_every_format_takes_the_names_of_the_spec(kind, gap, read, tmp_path):
    loaded = read(written(tmp_path, kind, gap), LAYOUT, naming=NAMING)
    assert loaded.labels == ["A", "B"]
    np.testing.assert_array_equal(loaded.datasets["y"].values, [-1, np.nan, 1, -1, 1])
    np.testing.assert_array_equal(loaded.datasets["choice"].values, [1, 0, 0, 0, 1])
    if read is read_simulations:
        np.testing.assert_array_equal(loaded.datasets["theta"], [0.5, 1.5])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_words_may_stand_for_a_missing_value(kind, tmp_path):
    loaded = read_datasets(written(tmp_path, kind, "lost"), LAYOUT, naming=NAMING)
    np.testing.assert_array_equal(loaded.datasets["y"].values, [-1, np.nan, 1, -1, 1])


@pytest.mark.parametrize("gap", ["-999", "-999.0", '"-999"', '"LOST"'])
def test_a_stream_reads_as_files_are_read(gap):
    text = f'{{"subject": "A", "response": [1, {gap}, 3], "choice": ["yes", "no", "no"]}}\n'
    loaded = read_requests([Line(1, text.encode())], LAYOUT, NAMING).loaded
    assert loaded is not None
    np.testing.assert_array_equal(loaded.datasets["y"].values, [-1, np.nan, 1])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npz", "parquet"])
def test_what_is_missing_is_refused_where_nothing_may_be(kind, tmp_path):
    whole = Layout(tuple(Variable(v.name, v.role, v.ragged, v.event) for v in LAYOUT.variables))
    with pytest.raises(DataError) as error:
        read_datasets(written(tmp_path, kind, "-999.0"), whole, naming=NAMING)
    assert "got -999, which `data:` says is a missing value" in str(error.value)
    assert "missing: {y: 0.1}" in str(error.value.hint)


@pytest.mark.parametrize("kind", ["csv", "json", "npz"])
def test_shapes_are_those_of_the_models_variables(kind, tmp_path):
    shapes = read_shapes(
        written(tmp_path, kind, "-999"), Asked(ragged={"y", "choice"}, naming=NAMING)
    )
    assert shapes == {"theta": (), "y": (), "choice": ()}


SIMULATED = """\
name: q
parameters: {theta: {}}
observables: {x: {kind: fixed}, y: {kind: set}}
missing: {y: null}
data:
  dataset: subject
  columns: {theta: [theta.1, theta.2], x: [a, b]}
  categories: {y: [low, high]}
  missing: [-999]
"""


def simulated(rows: int) -> str:
    rng = np.random.default_rng(0)
    lines = ["subject,theta.1,theta.2,a,b,y"]
    for subject in range(rows):
        theta = rng.normal(size=2).round(3)
        a, b = (theta + rng.normal(size=2)).round(3)
        words = rng.choice(["low", "high", "-999.0"], 3)
        lines += [f"s{subject},{theta[0]},{theta[1]},{a},{b},{word}" for word in words]
    return "\n".join(lines) + "\n"


def test_check_reads_simulations_as_the_spec_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.yaml").write_text(SIMULATED)
    (tmp_path / "sims.csv").write_text(simulated(200))
    result = abi("check", "q.yaml", "--data", "sims.csv")
    assert result.exit_code == 0, result.output
    assert "-999" not in result.stdout
    assert "theta[1]" in result.stdout
    assert "missing" in result.stdout


def test_a_design_is_read_as_the_spec_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.py").write_text(
        "def like(b, x, arm, rng):\n    return {'y': b * x + arm + rng.normal(size=len(x))}\n"
    )
    (tmp_path / "d.yaml").write_text(
        "name: d\n"
        "model:\n"
        "  prior: {b: {normal: {}}}\n"
        "  given: {file: design.csv}\n"
        "  likelihood: d.py:like\n"
        "observables: {x: {kind: set}, arm: {kind: set}, y: {kind: set}}\n"
        "data: {dataset: subject, columns: {x: dose}, categories: {arm: [old, new]},\n"
        "  prepare: {x: centre_within}}\n"
    )
    (tmp_path / "design.csv").write_text(
        "subject,dose,arm\n1,1,old\n1,3,new\n2,10,new\n2,20,old\n2,30,new\n"
    )
    result = abi("simulate", "d.yaml", "-n", "20", "-o", "sims.jsonl")
    assert result.exit_code == 0, result.output
    seen = [json.loads(line) for line in (tmp_path / "sims.jsonl").read_text().splitlines()]
    assert {tuple(one["x"]) for one in seen} == {(-1, 1), (-10, 0, 10)}
    assert {tuple(one["arm"]) for one in seen} == {(0, 1), (1, 0, 1)}
