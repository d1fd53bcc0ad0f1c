"""A run keeps what the guard needs, and every posterior is looked at."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from abi_cli import run
from abi_cli.data.npz import read_arrays
from abi_cli.errors import RunError
from abi_cli.manifest import REFERENCE
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.spec import TrainingSection
from abi_cli.training.sources import Fresh
from abi_cli.variables import array_of, concatenate, count
from abi_cli.workflow.guarded import guard_of
from abi_cli.workflow.request import read_model
from tests.cli import SMALL, SPECS, abi


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
        old = Path(__file__).parent / "frozen" / "abi.run-1" / "coupling_flow"
        assert guard_of(run.open_run(old)) is None

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
    def test_a_damaged_archive_is_refused(self, content, tmp_path):
        file = tmp_path / "a.npz"
        file.write_bytes(content)
        with pytest.raises(ValueError, match="expected arrays"):
            read_arrays(file)
