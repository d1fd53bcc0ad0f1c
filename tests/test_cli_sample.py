"""`abi sample` and what it can be asked for: several files, other tables, statistics, CmdStan."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import warnings

import numpy as np
import pytest

from tests.cli import ANSCOMBE, abi, shell


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def split(tmp_path):
    """Anscombe's columns in two tables, the data sets of the second in another order."""
    rows = rows_of(ANSCOMBE.read_text())
    for column, labels in (("x", ("I", "II", "III", "IV")), ("y", ("IV", "II", "I", "III"))):
        cells = [f"{n},{row[column]}" for n in labels for row in rows if row["dataset"] == n]
        (tmp_path / f"{column}.csv").write_text("\n".join([f"dataset,{column}", *cells]) + "\n")


@pytest.fixture(scope="module")
def plain(small_run):
    return abi("sample", small_run, ANSCOMBE, "-n", 50, "-q").stdout


def test_two_tables_are_joined_by_data_set(small_run, plain, tmp_path):
    split(tmp_path)
    result = abi("sample", small_run, tmp_path / "x.csv", tmp_path / "y.csv", "-n", 50, "-q")
    assert result.stdout == plain
    named = abi(
        "sample", small_run, f"x={tmp_path / 'x.csv'}", f"y={tmp_path / 'y.csv'}", "-n", 50, "-q"
    )
    assert named.stdout == plain


def test_files_must_hold_the_same_data_sets(small_run, tmp_path):
    split(tmp_path)
    text = (tmp_path / "y.csv").read_text()
    (tmp_path / "y.csv").write_text(text.replace("IV,", "V,"))
    result = abi("sample", small_run, tmp_path / "x.csv", tmp_path / "y.csv", "-q")
    assert result.exit_code == 4
    assert "got none called IV" in result.stderr


def test_each_file_is_a_data_set(small_run, tmp_path):
    header, *lines = ANSCOMBE.read_text().splitlines()
    files = []
    for label in ("II", "I"):
        own = [line.partition(",")[2] for line in lines if line.startswith(f"{label},")]
        files.append(tmp_path / f"{label}.csv")
        files[-1].write_text("\n".join([header.partition(",")[2], *own]) + "\n")
    result = abi("sample", small_run, *files, "--each", "-n", 3, "-q")
    assert [row["dataset"] for row in rows_of(result.stdout)] == ["II"] * 3 + ["I"] * 3
    twice = abi("sample", small_run, files[0], files[0], "--each", "-n", 3, "-q")
    assert twice.exit_code == 4
    assert "files of different names" in twice.stderr


def test_statistics_instead_of_draws(small_run, plain, tmp_path):
    draws = np.array([[float(row[n]) for n in ("beta[0]", "sigma")] for row in rows_of(plain)])
    asked = ("--points", "mean,sd,mcse,median,q2.5,hdi90_low,hdi90_high", "-n", 50)
    result = abi("sample", small_run, ANSCOMBE, *asked, "-q")
    first, _, third, *_ = rows_of(result.stdout)
    assert (first["parameter"], third["parameter"]) == ("beta[0]", "sigma")
    for row, own in ((first, draws[:50, 0]), (third, draws[:50, 1])):
        assert float(row["mean"]) == pytest.approx(own.mean(), rel=1e-6)
        assert float(row["sd"]) == pytest.approx(own.std(ddof=1), rel=1e-5)
        assert float(row["mcse"]) == pytest.approx(own.std(ddof=1) / np.sqrt(50), rel=1e-5)
        assert float(row["median"]) == pytest.approx(np.median(own), rel=1e-6)
        assert float(row["q2.5"]) == pytest.approx(np.quantile(own, 0.025), rel=1e-6)
        inside = (own >= float(row["hdi90_low"])) & (own <= float(row["hdi90_high"]))
        assert 0.88 <= inside.mean() <= 0.94
    for suffix in ("tsv", "jsonl", "json", "npz", "parquet"):
        target = tmp_path / f"points.{suffix}"
        assert abi("sample", small_run, ANSCOMBE, *asked, "-q", "-o", target).exit_code == 0
    document = json.loads((tmp_path / "points.json").read_text())
    assert document[0]["sigma"]["mean"] == pytest.approx(float(third["mean"]), rel=1e-6)


def test_a_table_of_statistics_can_be_summarized(small_run, tmp_path):
    target = tmp_path / "points.csv"
    abi("sample", small_run, ANSCOMBE, "--points", "mean,q5", "-n", 50, "-q", "-o", target)
    rows = json.loads(abi("summary", target, "--json").stdout)["rows"]
    assert len(rows) == 12
    assert list(rows[0]) == ["dataset", "parameter", "mean", "q5"]


def test_tables_for_r(small_run, plain):
    result = abi("sample", small_run, ANSCOMBE, "-n", 50, "-q", "--index", 1, "--names", "dots")
    header, first, *_ = result.stdout.splitlines()
    assert header == "dataset,draw,beta.1,beta.2,sigma"
    assert first == plain.splitlines()[1].replace("I,0,", "I,1,")


def test_long_tables(small_run, plain):
    result = abi("sample", small_run, ANSCOMBE, "-n", 50, "-q", "--long")
    long = rows_of(result.stdout)
    wide = rows_of(plain)
    assert list(long[0]) == ["dataset", "draw", "parameter", "value"]
    assert len(long) == 3 * len(wide)
    for at, row in enumerate(wide):
        for element, name in enumerate(("beta[0]", "beta[1]", "sigma")):
            cells = long[3 * at + element]
            assert (cells["parameter"], cells["value"]) == (name, row[name])
            assert (cells["dataset"], cells["draw"]) == (row["dataset"], row["draw"])


def test_a_long_table_is_told_apart_from_statistics(small_run, tmp_path):
    target = tmp_path / "long.csv"
    abi("sample", small_run, ANSCOMBE, "-n", 5, "-q", "--long", "-o", target)
    result = abi("summary", target)
    assert result.exit_code == 4
    assert "hint: abi sample writes them so without --long." in result.stderr


REFUSED = {
    ("--points", "mean,mode"): "expected some of mean, sd, mcse, median, and quantiles",
    ("--points", "mean,mean"): "expected each statistic once",
    ("--points", "mean", "--long"): "expected --long or --points; got both",
    ("--long", "--format", "npz"): "expected one of the formats csv, tsv; got 'npz'",
    ("--index", "1", "--format", "jsonl"): "expected one of the formats csv, tsv, parquet; got",
    ("--format", "stan"): "expected one data set for CmdStan's CSV",
    ("--grouped", "--each"): "expected one file with --grouped; got several, or --each",
}


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_does_not_go_together_is_refused(options, small_run):
    result = abi("sample", small_run, ANSCOMBE, "-n", 5, "-q", *options)
    assert result.exit_code == 2
    assert REFUSED[options] in result.stderr
    assert result.stdout == ""


def test_grouped_tables_are_answered_as_they_come_and_the_same(small_run, plain, tmp_path):
    grouped = abi("sample", small_run, ANSCOMBE, "--grouped", "-n", 50, "-q")
    assert grouped.stdout == plain
    header, *lines = ANSCOMBE.read_text().splitlines(keepends=True)
    (tmp_path / "mixed.csv").write_text("".join([header, *lines[::-1][5:], *lines[::-1][:5]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("abi_cli.data.batches.DATASETS", 1)
        one_by_one = abi("sample", small_run, ANSCOMBE, "--grouped", "-n", 50, "-q")
        mixed = abi("sample", small_run, tmp_path / "mixed.csv", "--grouped", "-n", 50, "-q")
    assert one_by_one.exit_code == 0
    numbers = [
        np.array([list(map(float, line.split(",")[1:])) for line in text.splitlines()[1:]])
        for text in (one_by_one.stdout, plain)
    ]
    np.testing.assert_allclose(*numbers, rtol=1e-4, atol=1e-5)
    assert mixed.exit_code == 4
    assert "expected each data set once; got IV here" in mixed.stderr
    assert "leave it out to have them put together" in mixed.stderr


def test_small_tables_that_are_not_grouped_are_refused_too(small_run, tmp_path):
    header, *lines = ANSCOMBE.read_text().splitlines(keepends=True)
    (tmp_path / "mixed.csv").write_text("".join([header, *lines[1:], lines[0]]))
    result = abi("sample", small_run, tmp_path / "mixed.csv", "--grouped", "-q")
    assert result.exit_code == 4
    assert "mixed.csv, row 45: expected each data set once; got I here again" in result.stderr


def test_closed_streams_are_no_bugs(small_run):
    command = shell("show", small_run)
    for closed, code in (("<&-", 0), (">&-", 74)):
        result = subprocess.run(
            ["bash", "-c", f"{command} {closed}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == code
        assert "bug" not in result.stderr


def test_cmdstanpy_reads_the_draws_of_one_data_set(small_run, plain, tmp_path):
    cmdstanpy = pytest.importorskip("cmdstanpy")
    text = ANSCOMBE.read_text().splitlines(keepends=True)
    (tmp_path / "one.csv").write_text("".join(text[:12]))
    target = tmp_path / "chain.csv"
    command = ("sample", small_run, tmp_path / "one.csv", "-n", 50, "-q", "--format", "stan")
    assert abi(*command, "-o", target).exit_code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cmdstanpy.from_csv(str(target), method="sample")
        beta = fit.stan_variable("beta")
    expected = [[float(row[n]) for n in ("beta[0]", "beta[1]")] for row in rows_of(plain)[:50]]
    np.testing.assert_allclose(beta, expected, rtol=1e-6)


def test_a_minus_is_standard_output(small_run, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = abi("sample", small_run, ANSCOMBE, "-n", 50, "-q", "-o", "-")
    assert result.stdout == plain
    assert not list(tmp_path.iterdir())
    assert abi("diagnose", small_run, "-o", "-").exit_code == 2


def test_summaries_in_other_formats(small_run, tmp_path):
    draws = tmp_path / "draws.csv"
    abi("sample", small_run, ANSCOMBE, "-n", 200, "-q", "-o", draws)
    columns = ["dataset", "parameter", "mean", "sd", "mcse", "median"]
    for kind, ends in (("eti", ["q5.5", "q94.5"]), ("hdi", ["hdi89_low", "hdi89_high"])):
        result = abi("summary", draws, "--ci", 0.89, "--kind", kind, "--format", "csv")
        assert list(rows_of(result.stdout)[0]) == [*columns, *ends]
    markdown = abi("summary", draws, "--format", "markdown").stdout.splitlines()
    assert markdown[1] == "| --- | --- |" + " ---: |" * 6
    assert len(markdown) == 2 + 12
    latex = abi("summary", draws, "--format", "latex").stdout
    assert latex.count(r"\\") == 13
    assert r"5 \%" in latex
    target = tmp_path / "table.tex"
    assert abi("summary", draws, "-o", target, "-q").exit_code == 0
    assert target.read_text() == latex
    refused = abi("summary", draws, "-o", tmp_path / "table.docx")
    assert refused.exit_code == 2
    assert "expected one of the extensions" in refused.stderr
    assert abi("summary", draws, "--ci", 1.5).exit_code == 2


def test_options_come_from_the_environment_too(small_run, plain, monkeypatch):
    monkeypatch.setenv("ABI_SEED", "7")
    other = abi("sample", small_run, ANSCOMBE, "-n", 50, "-q").stdout
    assert other != plain
    assert abi("sample", small_run, ANSCOMBE, "-n", 50, "-q", "--seed", 1).stdout == plain
    monkeypatch.setenv("ABI_SEDE", "7")
    said = abi("show", small_run).stderr
    assert "ABI_SEDE in the environment has no effect: ABI_SEED would have" in said
