"""A run keeps what the guard needs, and every posterior is looked at."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from abi_cli import run
from abi_cli.data import Loaded
from abi_cli.data.npz import read_arrays
from abi_cli.errors import RunError
from abi_cli.guard.guarding import Scores
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.run.manifest import REFERENCE
from abi_cli.spec import TrainingSection
from abi_cli.training.sources import Fresh
from abi_cli.variables import Ragged, array_of, concatenate, count
from abi_cli.workflow.about_data.statements import likeness
from abi_cli.workflow.opened import guarded
from abi_cli.workflow.opened.guarded import SCORE, Guarding, OnUnlike, guard_of
from abi_cli.workflow.request import read_model
from abi_cli.workflow.session import Session
from tests.cli import ANSCOMBE, SMALL, SPECS, abi

OLD = Path(__file__).parent / "frozen" / "abi.run-1" / "coupling_flow"


class TestTraining:
    def test_it_ends_by_looking_at_fresh_simulations(self, small_training):
        path, said = small_training
        assert "data sets will be held against 500 simulations that it has not seen" in said
        trained = run.open_run(path)
        assert REFERENCE in trained.manifest.hashes
        assert trained.changed() == ()
        guard = guard_of(trained)
        assert guard is not None
        assert len(guard.reference) == 500
        assert guard.reference.look.context.names == ("N",)
        assert "sd of y" in guard.reference.look.statistics.names

    def test_they_are_of_a_stream_of_their_own(self):
        simulator = read_model(SPECS / "regression.yaml").need_simulator()
        training = TrainingSection(epochs=1, num_batches=2, batch_size=64)
        with Workers(0) as workers:
            source = Fresh(simulator, workers, training, seed=3)
            source.begin_reference()
            source.begin_reference()
            kept = concatenate(source.reference())
        alone = simulator.simulate(seed=3, purpose=Purpose.GUARD, start=0, stop=count(kept))
        assert count(kept) == 500
        for name, value in kept.items():
            np.testing.assert_array_equal(array_of(value), array_of(alone[name]))
        for purpose in set(Purpose) - {Purpose.GUARD}:
            other = simulator.simulate(seed=3, purpose=purpose, start=0, stop=64)
            assert not np.isin(array_of(other["x"]), array_of(kept["x"])).any()

    def test_stored_simulations_are_those_held_out(self, tmp_path):
        stored = tmp_path / "simulations.npz"
        abi("simulate", SPECS / "regression.yaml", "-n", 3_000, "-o", stored)
        path = tmp_path / "run"
        result = abi("train", SPECS / "regression.yaml", "--data", stored, "-o", path, *SMALL[:2])
        assert result.exit_code == 0, result.stderr
        guard = guard_of(run.open_run(path))
        assert guard is not None
        assert f"held against {len(guard.reference):,} simulations" in result.stderr
        look = guard.reference.look
        assert len(look) < 1_000
        assert len(np.unique(look.statistics.numbers[:, 0])) == len(look)


X = (0.11, 0.42, -1.03, 1.2, 0.35, -0.28)
Y = (1.4, 1.8, 0.53, 2.02, 0.85, 0.41)

ODD = "dataset,x,y\n" + "".join(
    f"{label},{x},{factor * y}\n"
    for label, factor in (("usual", 1.0), ("odd", 1000.0))
    for x, y in zip(X, Y, strict=True)
)
"""Two data sets, one of them in another unit."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    file = tmp_path_factory.mktemp("odd") / "odd.csv"
    file.write_text(ODD)
    return file


def drawn(small_run, file, *more: object):
    return abi("sample", small_run, file, "-n", 2, "--format", "jsonl", *more)


LINE = "1 of 2 data sets looks unlike the simulations: odd (y = "


class TestSample:
    def test_what_looks_unlike_the_simulations_is_told_and_scores_go_with_the_draws(
        self, small_run, odd
    ):
        result = drawn(small_run, odd)
        assert result.exit_code == 0
        assert f"warning: {LINE}" in result.stderr
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        usual, strange = (row["sample_stats"]["guard"] for row in rows)
        assert usual > 0.01
        assert strange < 1e-4

    def test_it_may_be_refused(self, small_run, odd, tmp_path):
        result = drawn(small_run, odd, "--guard", "fail", "-o", tmp_path / "draws.jsonl")
        assert result.exit_code == 4
        assert f"error: {LINE}" in result.stderr
        assert not (tmp_path / "draws.jsonl").exists()

    def test_it_may_be_skipped(self, small_run, odd, tmp_path):
        result = drawn(small_run, odd, "--guard", "skip")
        assert result.exit_code == 0
        assert [json.loads(line)["dataset"] for line in result.stdout.splitlines()] == ["usual"]
        assert "warning: skipped 1 data set: odd" in result.stderr
        alone = tmp_path / "alone.csv"
        alone.write_text("\n".join(line for line in ODD.splitlines() if "usual" not in line))
        nothing = drawn(small_run, alone, "--guard", "skip")
        assert nothing.exit_code == 4
        assert "all data sets were skipped" in nothing.stderr

    def test_nobody_looks_where_it_is_off(self, small_run, odd):
        result = drawn(small_run, odd, "--guard", "off")
        assert result.exit_code == 0
        assert "unlike" not in result.stderr
        assert "sample_stats" not in result.stdout

    def test_draws_are_the_same_with_it(self, small_run, odd):
        draws = [
            [{**json.loads(line), "sample_stats": 0} for line in result.stdout.splitlines()]
            for result in (drawn(small_run, odd), drawn(small_run, odd, "--guard", "off"))
        ]
        assert draws[0] == draws[1]

    @pytest.mark.parametrize("suffix", ["npz", "nc", "jsonl"])
    def test_scores_are_read_back(self, suffix, small_run, odd, tmp_path):
        from abi_cli.data import read_draws

        target, again = tmp_path / f"draws.{suffix}", tmp_path / "again.npz"
        assert abi("sample", small_run, odd, "-n", 3, "-o", target).exit_code == 0
        read = read_draws(target)
        assert list(read.values) == ["beta", "sigma"]
        if suffix != "jsonl":  # whose reader passes them over
            assert read.scores["guard"][1] < 1e-4
            assert abi("convert", target, again).exit_code == 0
            np.testing.assert_array_equal(read_draws(again).scores["guard"], read.scores["guard"])

    def test_parts_that_come_are_told_of_together(self, small_run, tmp_path):
        rng = np.random.default_rng(1)
        lines = [
            json.dumps({"dataset": i, "x": x.tolist(), "y": (factor * (1 + x + e)).tolist()})
            for i, (x, e, factor) in enumerate(
                (rng.normal(size=8), rng.normal(size=8), 1000.0 if i == 290 else 1.0)
                for i in range(300)
            )
        ]
        file = tmp_path / "many.jsonl"
        file.write_text("\n".join(lines))
        result = drawn(small_run, file)
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 300
        assert result.stderr.count("unlike the simulations") == 1
        assert "of 300 data sets" in result.stderr
        assert "290 (" in result.stderr

    def test_many_are_looked_at_in_parts(self, small_run, monkeypatch):
        simulator = read_model(SPECS / "regression.yaml").need_simulator()
        data = simulator.simulate(seed=2, purpose=Purpose.SIMULATE, start=0, stop=50)
        y = data["y"]
        data["y"] = Ragged(
            np.where(np.arange(len(y.values)) < y.row_size[0], 1e4, y.values), y.row_size
        )
        loaded = Loaded([str(i) for i in range(50)], data, (), lambda _: "", lambda *_: "")
        session = Session.open(small_run)
        whole = session.guarding().look(loaded)
        seen = []
        monkeypatch.setattr(guarded, "TOGETHER", 20)
        guarding = replace(session.guarding(), summaries=lambda d: seen.append(count(d)) or told(d))
        told = session.networks.summaries
        parts = guarding.look(loaded)
        assert seen == [20, 20, 10]
        np.testing.assert_allclose(parts.p, whole.p, rtol=1e-6)
        np.testing.assert_allclose(parts.looks, whole.looks, rtol=1e-6)
        assert parts.reasons == whole.reasons
        assert "1e+04" in parts.reasons[0]

    def test_a_run_of_before_says_once_that_it_has_nothing_to_compare_with(self):
        result = drawn(OLD, ANSCOMBE)
        assert result.exit_code == 0
        assert result.stderr.count("this run has kept no simulations") == 1
        assert "sample_stats" not in result.stdout
        assert "has kept" not in drawn(OLD, ANSCOMBE, "--guard", "off").stderr


class TestOthers:
    def test_estimates_are_looked_at_too(self, small_run, odd):
        result = abi("estimate", small_run, odd, "-n", 5)
        assert result.exit_code == 0
        assert f"warning: {LINE}" in result.stderr
        assert abi("estimate", small_run, odd, "-n", 5, "--guard", "fail").exit_code == 4

    def test_reports_and_plots_do_what_is_asked_for_too(self, small_run, odd, tmp_path):
        page, picture = tmp_path / "page.html", tmp_path / "intervals.png"
        wanted = {
            "report": ("-o", page, "--no-code"),
            "plot": ("--kind", "intervals", "-o", picture),
        }
        for command, options in wanted.items():
            refused = abi(command, small_run, odd, "-n", 20, *options, "--guard", "fail")
            assert refused.exit_code == 4
            assert f"error: {LINE}" in refused.stderr
            result = abi(command, small_run, odd, "-n", 20, *options, "--guard", "skip", "--force")
            assert result.exit_code == 0, result.stderr
            assert "warning: skipped 1 data set: odd" in result.stderr
        text = page.read_text()
        assert "Data set usual" in text
        assert "Data set odd" not in text
        off = abi("report", small_run, odd, "-n", 20, "--no-code", "-o", page, "--force")
        assert LINE in off.stderr
        off = abi(
            *("report", small_run, odd, "-n", 20, "--no-code", "-o", page, "--force"),
            *("--guard", "off"),
        )
        assert off.exit_code == 0
        assert "unlike" not in off.stderr
        assert "It was asked for: --guard off." in page.read_text()

    def test_draws_of_a_file_can_not_be_looked_at(self, small_run, odd, tmp_path):
        file = tmp_path / "draws.csv"
        assert abi("sample", small_run, odd, "-n", 20, "-o", file).exit_code == 0
        result = abi("plot", file, "--guard", "skip", "-o", tmp_path / "figures")
        assert result.exit_code == 2
        assert "expected --guard with RUN DATA" in result.stderr

    def test_a_stream_tells_of_each_line(self, small_run):
        lines = [{"x": X, "y": [factor * y for y in Y]} for factor in (1, 1000)]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        result = abi("stream", small_run, "--points", "mean", stdin=text)
        assert result.exit_code == 0, result.stderr
        usual, strange = map(json.loads, result.stdout.splitlines())
        assert usual["sample_stats"]["guard"] > 0.01
        assert "warnings" not in usual
        assert any("looks unlike the simulations" in told for told in strange["warnings"])
        refused = abi("stream", small_run, "--points", "mean", "--guard", "skip", stdin=text)
        assert refused.exit_code == 4
        assert "looks unlike the simulations" in refused.stdout.splitlines()[1]
        assert "error" not in refused.stdout.splitlines()[0]

    def test_from_python(self, small_run, odd):
        import abi_cli

        draws = abi_cli.load(small_run).sample(odd, draws=2)
        assert draws.scores["guard"].shape == (2,)


class TestFile:
    def test_one_that_is_not_the_one_that_was_written_is_refused(self, small_run, tmp_path):
        copied = tmp_path / "run"
        shutil.copytree(small_run, copied)
        (copied / REFERENCE).write_bytes(b"PK")
        with pytest.raises(RunError, match=r"reference\.npz is not the file"):
            guard_of(run.open_run(copied))
        (copied / REFERENCE).unlink()
        with pytest.raises(RunError, match=r"holds no reference\.npz"):
            guard_of(run.open_run(copied))

    def test_a_run_of_before_has_none(self):
        assert guard_of(run.open_run(OLD)) is None

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
    def test_a_damaged_archive_is_refused(self, content, tmp_path):
        file = tmp_path / "a.npz"
        file.write_bytes(content)
        with pytest.raises(ValueError, match="expected arrays"):
            read_arrays(file)


def usual(*p: float) -> tuple[Loaded, Guarding]:
    """Data sets labelled 0, 1, … that have these p-values, and a guard that says so."""
    scores = Scores(np.array(p), np.array(p)[:, None], ("",) * len(p))
    labels = [str(i) for i in range(len(p))]
    loaded = Loaded(labels, {}, (), str, lambda name, _at: name, {SCORE: scores.p})
    guarding = Mock(guard=Mock(reference=range(5_000)), look=lambda _loaded: scores)
    return loaded, guarding


@pytest.mark.parametrize(
    ("p", "said", "page"),
    [
        (
            (0.9995, 0.9999, 1.0),
            "the least usual of 3 is data set 0, p = 1",
            "The least usual of 3 is data set 0 (p > 0.999): no more than chance gives.",
        ),
        (
            (0.4, 0.03),
            "the least usual of 2 is data set 1, p = 0.03",
            "The least usual of 2 is data set 1 (p = 0.030): no more than chance gives.",
        ),
        ((0.4,), "p = 0.4", "The data set is as usual as simulated ones are (p = 0.400)."),
    ],
)
def test_data_like_the_simulations_are_told_in_a_line(p, said, page):
    loaded, guarding = usual(*p)
    assert Guarding.judged(guarding, loaded)[1] == (
        f"Observed data are like the simulations ({said})."
    )
    (statement,) = likeness(loaded, OnUnlike.WARN, warned=False)
    assert statement.text == page
