"""Shards: rows that come in parts, sums of their chunks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from abi_cli.bank.shards import name_of, read_shard, write_shard
from abi_cli.errors import DataError
from abi_cli.variables import Ragged, array_of, concatenate, take
from tests.model_tasks import assert_equal


@pytest.mark.parametrize("sizes", [[1], [7, 1, 40_000], [33_000, 33_000], [5] * 40])
def test_a_shard_holds_what_comes_in_parts_and_finds_damage_anywhere(tmp_path, sizes):
    """Chunks, which are summed, end elsewhere than parts do."""
    rng = np.random.default_rng(1)
    parts = [
        {
            "n": rng.integers(2**40, size=rows),
            "mu": rng.normal(size=(rows, 3)),
            "x": Ragged(rng.normal(size=rows * 2), np.full(rows, 2)),
            "empty": np.zeros((rows, 0)),
        }
        for rows in sizes
    ]
    folder = tmp_path / "shards"
    folder.mkdir()
    write_shard(folder, 0, parts)
    (file,), rows, whole = folder.iterdir(), sum(sizes), concatenate(parts)
    assert_equal(read_shard(file, (0, rows), (0, rows)), whole)
    for first in {0, rows // 3, max(0, rows - 11_000)}:
        some = read_shard(file, (0, rows), (first, rows))
        assert_equal(some, take(whole, slice(first, rows)))
    content = file.read_bytes()
    for name in ("n", "mu", "x"):
        for number in {0, len(array_of(whole[name])) - 1}:
            place = content.index(array_of(whole[name])[number : number + 3].tobytes())
            spoilt = bytearray(content)
            spoilt[place] ^= 1
            file.write_bytes(spoilt)
            with pytest.raises(DataError, match="is not as it was written"):
                read_shard(file, (0, rows), (0, rows))


def test_shards_of_before_are_read(tmp_path):
    """They have sums of HDF5's own."""
    mu = np.random.default_rng(1).normal(size=(50, 3))
    file = tmp_path / name_of((0, 50))
    with h5py.File(file, "w") as root:
        root.create_dataset("rows/mu", data=mu, chunks=(9, 3), fletcher32=True)
    assert_equal(read_shard(file, (0, 50), (10, 30)), {"mu": mu[10:30]})
    content = bytearray(file.read_bytes())
    content[content.index(mu[12].tobytes())] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_shard(file, (0, 50), (10, 30))
