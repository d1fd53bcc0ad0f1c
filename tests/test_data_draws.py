"""Draws: written block by block, read back, summarized."""

import dataclasses
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from abi_cli.data import DrawHeader, Draws, Style, collect, open_draws, read_draws, summarize
from abi_cli.data.record_texts import texts_of
from abi_cli.errors import DataError, OutputError, UsageError
from abi_cli.variables import DrawBlock, Variable
from tests.data_examples import LINE, OF_DRAWS, draw_header, draw_values, in_blocks, some

BLOCKS = {
    "one": {"datasets": 5},
    "several data sets": {"datasets": 2},
    "part of a data set": {"draws": 3},
}


def write(target, header, blocks, *, format=None):
    with open_draws(target, header, format=format) as writer:
        for block in blocks:
            writer.write(block)


def assert_same(actual, labels, values):
    assert actual.labels == labels
    assert list(actual.values) == list(values)
    for name, value in values.items():
        assert actual.values[name].dtype == np.float32
        np.testing.assert_array_equal(actual.values[name], value)


@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("format", OF_DRAWS)
def test_draws_come_back_to_the_last_bit(tmp_path, format, blocks):
    header = draw_header(5, 7)
    values = draw_values(header)
    target = tmp_path / f"draws.{format}"
    write(target, header, in_blocks(values, **blocks))
    assert_same(read_draws(target), header.labels, values)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "npz"])
def test_the_same_draws_give_the_same_bytes_however_they_are_cut(tmp_path, format):
    header = draw_header(5, 7)
    values = draw_values(header)
    contents = set()
    for number, blocks in enumerate(BLOCKS.values()):
        target = tmp_path / f"{number}.{format}"
        write(target, header, in_blocks(values, **blocks))
        contents.add(target.read_bytes())
    assert len(contents) == 1


def test_collected_draws_are_whole():
    header = draw_header(5, 7)
    values = draw_values(header)
    for blocks in BLOCKS.values():
        assert_same(collect(header, in_blocks(values, **blocks)), header.labels, values)


@given(values=arrays(np.float32, (1, 4), elements=st.floats(width=32, allow_nan=False)))
def test_csv_is_exact_for_any_finite_float32(tmp_path_factory, values):
    values[~np.isfinite(values)] = 0
    header = dataclasses.replace(draw_header(1, 4), parameters=LINE.of("parameter")[1:])
    for format in ("csv", "jsonl"):
        target = tmp_path_factory.getbasetemp() / f"exact.{format}"
        write(target, header, in_blocks({"sigma": values}))
        np.testing.assert_array_equal(read_draws(target).values["sigma"], values)


def test_csv_is_the_shortest(tmp_path):
    header = dataclasses.replace(draw_header(2, 1), labels=("I", 'a, "b"'))
    values = {
        "beta": np.array([[[0.1, 2.0]], [[1e-7, -3.25]]], np.float32),
        "sigma": np.array([[1 / 3], [1e10]], np.float32),
    }
    write(tmp_path / "draws.csv", header, in_blocks(values))
    assert (tmp_path / "draws.csv").read_text() == (
        "dataset,draw,beta[0],beta[1],sigma\n"
        "I,0,0.1,2.0,0.33333334\n"
        '"a, ""b""",0,1e-07,-3.25,1e+10\n'
    )
    assert read_draws(tmp_path / "draws.csv").labels == ("I", 'a, "b"')


def test_indices_from_one_are_read_as_such(tmp_path):
    header = draw_header(2, 3, style=Style(base=1))
    values = draw_values(header)
    target = tmp_path / "draws.csv"
    write(target, header, in_blocks(values))
    lines = target.read_text().splitlines()
    assert lines[0] == "dataset,draw,beta[1],beta[2],sigma"
    assert lines[1].startswith("set 0,1,")
    assert_same(read_draws(target), header.labels, values)


def test_rows_of_draws_may_be_in_any_order(tmp_path):
    header = draw_header(3, 4)
    values = draw_values(header)
    target = tmp_path / "draws.csv"
    write(target, header, in_blocks(values))
    first, *rows = target.read_text().splitlines()
    by_draw = sorted(rows, key=lambda row: -int(row.split(",")[1]))  # the last ones first
    target.write_text("\n".join([first, *by_draw]))
    assert_same(read_draws(target), header.labels, values)


def test_jsonl_is_a_data_set_a_line(tmp_path):
    header = draw_header(2, 3)
    values = draw_values(header)
    write(tmp_path / "draws.jsonl", header, in_blocks(values, draws=2))
    lines = [json.loads(line) for line in (tmp_path / "draws.jsonl").read_text().splitlines()]
    assert [line["dataset"] for line in lines] == ["set 0", "set 1"]
    np.testing.assert_array_equal(np.float32(lines[1]["beta"]), values["beta"][1])


def test_npz_holds_seed_and_labels(tmp_path):
    header = draw_header(2, 3)
    write(tmp_path / "draws.npz", header, in_blocks(draw_values(header)))
    with np.load(tmp_path / "draws.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == {
            "dataset": (2,),
            "seed": (),
            "beta": (2, 3, 2),
            "sigma": (2, 3),
        }
        assert arrays["seed"] == 7


@pytest.mark.parametrize("format", OF_DRAWS)
def test_standard_output_gets_the_same_bytes_as_a_file(tmp_path, capfdbinary, format):
    header = draw_header(2, 3)
    values = draw_values(header)
    write(None, header, in_blocks(values), format=format)
    piped = tmp_path / f"piped.{format}"
    piped.write_bytes(capfdbinary.readouterr().out)
    assert_same(read_draws(piped), header.labels, values)


@pytest.mark.parametrize("format", OF_DRAWS)
def test_a_failure_leaves_what_was_there(tmp_path, format):
    header = draw_header(4, 3)
    target = tmp_path / f"draws.{format}"
    target.write_text("as it was")

    def interrupted():
        yield next(in_blocks(draw_values(header)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(target, header, interrupted())
    assert target.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [target]


def test_missing_draws_are_a_failure(tmp_path):
    header = draw_header(4, 3)
    first, second, *_ = in_blocks(draw_values(header))
    with pytest.raises(ValueError, match=r"up to \(4, 0\); got them up to \(1, 0\)"):
        write(tmp_path / "draws.npz", header, [first])
    with pytest.raises(ValueError, match=r"the block of draws at \(0, 0\); got \(1, 0\)"):
        write(tmp_path / "draws.npz", header, [second])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", OF_DRAWS)
def test_a_full_disk_is_an_output_error(format):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    header = draw_header(20, 300)
    with pytest.raises(OutputError, match="can't write /dev/full: No space left"):
        write(Path("/dev/full"), header, in_blocks(draw_values(header)), format=format)


def test_a_broken_pipe_stays_one():
    program = """
import os, sys
from abi_cli.data import open_draws
from abi_cli.variables import DrawBlock, Variable
from tests.data_examples import draw_header, draw_values, in_blocks

header = draw_header(200, 300)
try:
    with open_draws(None, header) as writer:
        for block in in_blocks(draw_values(header)):
            writer.write(block)
except BrokenPipeError:
    sys.stderr.write("broken pipe")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to flush
"""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout.readline() == b"dataset,draw,beta[0],beta[1],sigma\n"
        process.stdout.close()
        assert process.stderr.read() == b"broken pipe"


@pytest.mark.parametrize("format", ["npz", "nc"])
def test_memory_holds_blocks_not_draws(tmp_path, format):
    header = draw_header(400, 2_000)
    values = {v.name: np.ones((20, 2_000, *v.event), np.float32) for v in header.parameters}
    whole = sum(4 * np.prod(header.shape(v)) for v in header.parameters)
    tracemalloc.start()
    write(
        tmp_path / f"draws.{format}", header, (DrawBlock(i, 0, values) for i in range(0, 400, 20))
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < whole / 2


BAD_DRAWS = {
    "csv": ("x,y\n1,2\n", "expected draws, with columns dataset and draw; got x, y"),
    "unequal": ("dataset,draw,mu\na,0,1\na,1,1\nb,0,1\n", "expected 2 draws of data set b"),
    "gap": ("dataset,draw,b[0],b[2]\na,0,1,1\n", "expected all elements of b; got 2 of them"),
    "huge index": ("dataset,draw,b[99999999999]\na,0,1\n", "expected all elements of b; got 1"),
    "npz": (b"nothing", "expected arrays of numbers in NPZ"),
    "nc": (b"nothing", "expected draws in netCDF, in a group posterior"),
    "jsonl": ('{"dataset": 1, "mu": 2}\n', r"line 1, mu: expected a list of draws; got 2"),
}


@pytest.mark.parametrize(("content", "message"), BAD_DRAWS.values(), ids=BAD_DRAWS)
def test_other_files_are_refused(tmp_path, content, message, request):
    format = request.node.callspec.id
    path = tmp_path / f"draws.{format if format in OF_DRAWS else 'csv'}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_draws(path)


def test_an_unknown_format_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(
        UsageError, match="formats csv, tsv, jsonl, json, npz, nc, parquet, stan; got"
    ):
        write(tmp_path / "draws.xls", draw_header(1, 1), [])
    assert not list(tmp_path.iterdir())


def test_netcdf_is_inference_data(tmp_path):
    xarray = pytest.importorskip("xarray")
    arviz_stats = pytest.importorskip("arviz_stats")
    data = some(LINE, [5, 9, 14])
    header = DrawHeader.of(
        data,
        LINE,
        labels=["set 0", "set 1", "set 2"],
        draws=50,
        seed=7,
        provenance={"run": "regression"},
    )
    values = draw_values(header)
    write(tmp_path / "draws.nc", header, in_blocks(values, datasets=2))

    with xarray.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as tree:
        assert tree.attrs == {"run": "regression", "seed": 7}
        beta = tree["posterior"]["beta"]
        assert beta.dims == ("chain", "draw", "dataset", "beta_dim_0")
        assert beta.dtype == np.float32
        picked = beta.sel(dataset="set 2", chain=0, draw=49, beta_dim_0=1)
        assert picked == values["beta"][2, 49, 1]
        observed = tree["observed_data"]
        assert observed["row_size"].attrs == {"sample_dimension": "obs"}
        np.testing.assert_array_equal(observed["row_size"], [5, 9, 14])
        np.testing.assert_array_equal(observed["y"], data["y"].values)
        np.testing.assert_array_equal(tree["constant_data"]["N"], [5, 9, 14])

        table = arviz_stats.summary(tree, var_names=["sigma"], kind="stats", round_to="none")
        np.testing.assert_allclose(table["mean"], values["sigma"].mean(axis=1), rtol=1e-5)


def test_arviz_plots_draws_our_files(tmp_path):
    xarray = pytest.importorskip("xarray")
    try:
        arviz_plots = pytest.importorskip("arviz_plots")
    except AttributeError as error:  # its last version for Python 3.11, beside a newer matplotlib
        pytest.skip(f"arviz_plots can't be imported: {error}")
    data = some(LINE, [5, 9])
    header = DrawHeader.of(data, LINE, labels=["a", "b"], draws=60, seed=7)
    write(tmp_path / "draws.nc", header, in_blocks(draw_values(header), datasets=2))
    with xarray.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as tree:
        own = tree["posterior"].to_dataset().sel(dataset="b")
        one = xarray.DataTree.from_dict({"posterior": own})
        for plot, drawn in (
            (arviz_plots.plot_dist, one),
            (arviz_plots.plot_forest, one),
            (arviz_plots.plot_forest, tree),
        ):
            file = tmp_path / f"{plot.__name__}.png"
            plot(drawn, backend="matplotlib").savefig(file)
            assert file.read_bytes().startswith(b"\x89PNG")
            file.unlink()


def test_summaries_are_the_textbook_ones():
    values = np.array([[1, 2, 3, 4, 5], [10, 10, 10, 10, 60]], np.float32)
    summary = summarize(Draws(("a", "b"), {"mu": values, "theta": values[..., np.newaxis] * 2}))
    assert list(summary.elements()) == ["mu", "theta[0]"]
    rows = {(label, element): statistics for label, element, statistics in summary.rows()}
    assert rows["a", "mu"] == pytest.approx(
        {"mean": 3, "sd": 2.5**0.5, "mcse": 0.5**0.5, "median": 3, "q5": 1.2, "q95": 4.8}
    )
    assert rows["b", "theta[0]"] == pytest.approx(
        {"mean": 40, "sd": 2000**0.5, "mcse": 20, "median": 20, "q5": 20, "q95": 100}
    )


def test_a_single_draw_has_no_spread():
    summary = summarize(Draws(("a",), {"mu": np.ones((1, 1), np.float32)}))
    statistics = dict(zip(summary.names, summary.values["mu"][0], strict=True))
    assert statistics["mean"] == 1
    assert np.isnan(statistics["sd"])


def test_draws_of_others_that_are_not_finite_are_json_all_the_same():
    """Python's own `nan` and `inf` are words that no reader of JSON knows."""
    values = np.array([[1.5, np.nan, np.inf, -np.inf]], np.float32)
    parameter = Variable("a", "parameter", ragged=False, event=())
    header = DrawHeader(labels=["x"], parameters=(parameter,), draws=4, seed=None)
    texts = list(texts_of(header)(DrawBlock(0, 0, {"a": values})))
    assert texts == ['{"dataset": "x", "a": [1.5, null, 1e999, -1e999]}']
    assert json.loads(texts[0])["a"] == [1.5, None, np.inf, -np.inf]
