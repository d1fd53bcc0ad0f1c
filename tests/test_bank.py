"""Banks: every row once, the same as anywhere, whatever interrupts the work or shares it out."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import tracemalloc
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest

from abi_cli.bank import Bank, Share, without
from abi_cli.bank.bank import is_bank
from abi_cli.bank.shards import span_of
from abi_cli.errors import DataError
from abi_cli.variables import Layout, Ragged, take
from tests.cli import abi, words
from tests.model_tasks import assert_equal

MODEL = """
import time
import numpy as np

def meta(rng):
    return {"N": int(rng.integers(1, 6))}

def prior(rng):
    return {"mu": rng.normal(size=2), "sigma": rng.gamma(2)}

def likelihood(mu, sigma, N, rng):
    time.sleep(PAUSE)
    return {"x": rng.normal(mu[0], sigma, size=N)}
"""
SPEC = """
name: banked
model:
  meta: model.py:meta
  prior: model.py:prior
  likelihood: model.py:likelihood
observables: {x: {kind: set}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A spec, where commands are run."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "model.py").write_text(MODEL.replace("PAUSE", "0"))
    monkeypatch.chdir(tmp_path)


def simulate(*arguments):
    result = abi("simulate", "spec.yaml", "-j", 0, *arguments)
    assert result.exit_code == 0, result.stderr
    return result


def rows(path):
    """All of a bank, of which each row must be there once."""
    bank = Bank.open(Path(path))
    assert bank.whole() == bank.rows
    return bank.read(0, bank.rows)


def in_shards_of(monkeypatch, size):
    from abi_cli.workflow import banking

    monkeypatch.setattr(banking, "SHARD_BYTES", size)


@pytest.mark.parametrize("suffix", ["npz", "csv", "jsonl", "nc"])
def test_a_bank_exports_what_a_file_gets(monkeypatch, suffix):
    in_shards_of(monkeypatch, 4_000)
    simulate("-n", 200, "-o", f"file.{suffix}")
    simulate("-n", "2e2", "-o", "bank/")
    assert len(Bank.open(Path("bank")).pieces) > 1
    assert abi("convert", "bank/", f"exported.{suffix}").exit_code == 0
    one, other = (Path(f"{name}.{suffix}") for name in ("file", "exported"))
    if suffix == "nc":
        with h5py.File(one) as a, h5py.File(other) as b:
            np.testing.assert_array_equal(a["observed_data/x"], b["observed_data/x"])
    else:
        assert one.read_bytes() == other.read_bytes()


def test_a_file_is_written_as_it_comes():
    """The same bytes from one part and from many, which come one after the other."""
    from abi_cli.data import write_parts
    from abi_cli.model.making import Work
    from abi_cli.model.streams import Purpose
    from abi_cli.workflow.request import read_model

    simulator = read_model(Path("spec.yaml")).need_simulator()
    work = Work(simulator, 1, Purpose.SIMULATE)
    whole = work((0, 100)).rows
    layout = simulator.layout(whole)
    for suffix in ("npz", "csv", "jsonl", "nc"):
        asked = []

        def parts(asked=asked):
            for start in range(0, 100, 30):
                asked.append(start)
                yield work((start, min(start + 30, 100))).rows

        write_parts(Path(f"parts.{suffix}"), parts(), layout)
        write_parts(Path(f"whole.{suffix}"), [whole], layout)
        assert asked == [0, 30, 60, 90]
        assert Path(f"parts.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["npz", "nc"])
def test_a_file_larger_than_memory_can_be_written(suffix):
    """Of 32 MB that come in 64 parts, memory holds little more than one."""
    from abi_cli.data import write_parts

    sizes = np.full(500, 60)

    def parts():
        for number in range(64):
            values = np.full((500, 64), float(number))
            yield {"mu": values, "x": Ragged(np.full(30_000, 1.0), sizes)}

    layout = Layout.of_values(next(parts()), {"mu": "parameter", "x": "observable"}, missing=())
    write_parts(Path(f"warm.{suffix}"), islice(parts(), 1), layout)
    tracemalloc.start()
    try:
        assert write_parts(Path(f"file.{suffix}"), parts(), layout) == 32_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert Path(f"file.{suffix}").stat().st_size > 3e7
    assert most < 1.2e7


def test_a_bank_is_extended_by_what_is_missing(monkeypatch):
    in_shards_of(monkeypatch, 4_000)
    simulate("-n", 100, "-o", "bank/")
    before = {piece.file: piece.file.stat().st_mtime_ns for piece in Bank.open(Path("bank")).pieces}
    said = simulate("-n", 250, "-o", "bank/").stderr
    assert "made   150 data sets" in said
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    simulate("-n", 250, "-o", "whole/")
    assert_equal(rows("bank"), rows("whole"))
    assert "made   0 data sets" in simulate("-n", 200, "-o", "bank/").stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("-s", "seed=2"), ["-seed: 1", "+seed: 2"]),
        (("--context", "N=3"), ["-context: {}", "+context: {N: 3}"]),
        (("-s", "missing={x: 0.1}"), ["-missing: {}", "+missing: {x: 0.1}"]),
        ("code", ['-    return {"mu": rng.normal(size=2), "sigma": rng.gamma(2)}']),
    ],
)
def test_a_changed_model_is_refused_with_the_difference(change, told):
    simulate("-n", 10, "-o", "bank/")
    options = () if change == "code" else change
    if change == "code":
        Path("model.py").write_text(MODEL.replace("PAUSE", "0").replace("gamma(2)", "gamma(3)"))
    result = abi("simulate", "spec.yaml", "-n", 20, "-o", "bank/", "-j", 0, *options)
    assert result.exit_code == 6
    for line in told:
        assert f"\n{line}\n" in result.stderr
    assert "--force begins anew" in result.stderr
    assert Bank.open(Path("bank")).rows == 10
    simulate("-n", 20, "-o", "bank/", "--force", *options)
    assert Bank.open(Path("bank")).rows == 20
    assert Bank.open(Path("bank.bak")).rows == 10


def test_comments_and_networks_change_no_model():
    simulate("-n", 10, "-o", "bank/")
    Path("model.py").write_text("# a comment\n" + MODEL.replace("PAUSE", "0"))
    simulate("-n", 20, "-o", "bank/", "-s", "training.epochs=3", "-s", "name=other")
    assert Bank.open(Path("bank")).rows == 20


def test_what_the_files_do_not_show_is_found_by_the_first_row():
    Path("model.py").write_text(
        MODEL.replace("PAUSE", "0").replace(
            "rng.gamma(2)", "rng.gamma(float(__import__('pathlib').Path('k').read_text()))"
        )
    )
    Path("k").write_text("2")
    simulate("-n", 10, "-o", "bank/")
    Path("k").write_text("3")
    result = abi("simulate", "spec.yaml", "-n", 20, "-o", "bank/", "-j", 0)
    assert result.exit_code == 6
    assert "row 0 of bank is another when it is simulated now" in result.stderr


@pytest.mark.parametrize("unit", [1, 32])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("rows", [1, 31, 1000, 4097])
def test_machines_share_all_rows_and_no_row_twice(rows, parts, unit):
    spans = [Share(k, parts).of_rows(rows, unit=unit) for k in range(1, parts + 1)]
    seen = np.concatenate([np.arange(*span) for own in spans for span in own])
    assert sorted(seen.tolist()) == list(range(rows))
    assert all(start % unit == 0 for own in spans for start, _ in own)
    if rows > 20 * unit * parts:
        sizes = [sum(stop - start for start, stop in own) for own in spans]
        assert max(sizes) < 1.3 * min(sizes) + 2 * unit


def test_what_is_there_is_taken_out():
    random.seed(1)
    for _ in range(200):
        cuts = sorted(random.sample(range(60), 8))
        there = list(zip(cuts[::2], cuts[1::2], strict=True))
        wanted = [(5, 25), (30, 55)]
        left = {row for span in without(wanted, there) for row in range(*span)}
        assert left == {r for s in wanted for r in range(*s)} - {
            r for s in there for r in range(*s)
        }


def test_shards_of_several_machines_merge_to_the_whole(monkeypatch):
    in_shards_of(monkeypatch, 4_000)
    for part in (3, 1, 2):
        simulate("-n", 300, "-o", f"part-{part}/", "--shard", f"{part}/3")
    simulate("-n", 120, "-o", "early/")  # overlaps with all of them
    incomplete = abi("bank", "merge", "merged/", "part-1/", "early/")
    assert incomplete.exit_code == 0, incomplete.stderr
    assert "are missing" in incomplete.stderr
    assert abi("bank", "verify", "merged/").exit_code == 1
    assert abi("bank", "merge", "merged/", "part-1/", "part-2/", "part-3/").exit_code == 0
    simulate("-n", 300, "-o", "whole/")
    assert_equal(rows("merged"), rows("whole"))
    assert abi("bank", "verify", "merged/").exit_code == 0


def test_rows_that_are_in_two_shards_are_read_once():
    """As where two machines fill a folder on a disk that knows no locks."""
    simulate("-n", 60, "-o", "bank/")
    bank, whole = Bank.open(Path("bank")), rows("bank")
    for start, stop in ((10, 30), (20, 60), (0, 15)):
        bank.add(start, [take(whole, slice(start, stop))])
    (piece,) = bank.pieces
    piece.file.unlink()
    assert Bank.open(Path("bank")).spans == [(0, 15), (15, 30), (30, 60)]
    assert_equal(rows("bank"), whole)


def test_machines_may_fill_one_folder():
    for part in (2, 1):
        simulate("-n", 300, "-o", "bank/", "--shard", f"{part}/2")
    simulate("-n", 300, "-o", "whole/")
    assert_equal(rows("bank"), rows("whole"))


def test_banks_of_other_models_do_not_merge():
    simulate("-n", 10, "-o", "one/")
    simulate("-n", 10, "-o", "other/", "--seed", 2)
    result = abi("bank", "merge", "one/", "other/")
    assert result.exit_code == 6
    assert "+seed: 2" in result.stderr
    assert abi("bank", "merge", "one/").exit_code == 2


def test_damage_is_found_and_mended(monkeypatch):
    in_shards_of(monkeypatch, 4_000)
    simulate("-n", 200, "-o", "bank/")
    expected, piece = rows("bank"), Bank.open(Path("bank")).pieces[0]
    content = bytearray(piece.file.read_bytes())
    content[content.index(expected["mu"][0].tobytes())] ^= 255
    piece.file.write_bytes(content)
    result = abi("bank", "verify", "bank/", "--json")
    assert result.exit_code == 1
    assert piece.file.name in json.loads(result.stdout)["faults"][0]
    with pytest.raises(DataError, match="damaged"):
        rows("bank")
    piece.file.unlink()
    gap = abi("convert", "bank/", "file.npz")
    assert gap.exit_code == 4
    assert f"row {span_of(piece.file.name)[0]} is not there" in gap.stderr
    simulate("-n", 200, "-o", "bank/")
    assert_equal(rows("bank"), expected)


def test_numbers_of_rows_are_written_as_people_write_them():
    assert "wrote 20 simulated data sets" in simulate("-n", "2e1", "-o", "f.csv").stderr
    for wrong in ("0", "2.5", "many"):
        result = abi("simulate", "spec.yaml", "-n", wrong, "-o", "g.csv")
        assert result.exit_code == 2


def test_a_dry_run_writes_nothing():
    result = simulate("-n", "1e6", "-o", "bank/", "--dry-run")
    assert "1,000,000 data sets of N, mu, sigma, x" in result.stdout
    assert not Path("bank").exists()
    assert json.loads(simulate("-n", "1e6", "--dry-run", "--json").stdout)["bytes"] > 4e7


def test_folders_of_others_are_left_alone():
    Path("mine").mkdir()
    Path("mine/file").touch()
    result = abi("simulate", "spec.yaml", "-n", 10, "-o", "mine/", "--force")
    assert result.exit_code == 2
    assert "that abi did not make" in result.stderr
    assert not is_bank(Path("mine"))
    assert abi("bank", "ls", "mine").exit_code == 4


def test_interrupted_it_keeps_what_is_there_and_says_so():
    Path("model.py").write_text(MODEL.replace("PAUSE", "0.01"))
    process = subprocess.Popen(
        words("simulate", "spec.yaml", "-n", 2_000, "-o", "bank/", "-j", 0, "--progress", "none"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "take about" in process.stderr.readline()  # rows are there by now
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "data sets are kept: the same command goes on" in said
    assert Bank.open(Path("bank")).rows > 10


def test_ragged_rows_of_a_shard_are_those_that_are_asked_for():
    simulate("-n", 50, "-o", "bank/")
    bank = Bank.open(Path("bank"))
    whole = bank.read(0, 50)
    part = bank.read(7, 23)
    assert isinstance(part["x"], Ragged)
    np.testing.assert_array_equal(part["x"].row_size, whole["x"].row_size[7:23])
    start, stop = np.cumsum(whole["x"].row_size)[[6, 22]]
    np.testing.assert_array_equal(part["x"].values, whole["x"].values[start:stop])


def test_a_shape_that_varies_from_part_to_part_is_refused():
    Path("model.py").write_text(
        MODEL.replace("PAUSE", "0")
        .replace("sigma, N, rng", "sigma, N, batch_size, rng")
        .replace("mu[0], sigma, size=N", "size=(batch_size, N)")
        .replace("integers(1, 6)", "integers(1, 9_999)")
    )
    plain = SPEC.replace("observables: {x: {kind: set}}", "")
    Path("spec.yaml").write_text(plain)
    for target in ("bank/", "file.npz"):
        refused = abi("simulate", "spec.yaml", "-n", 64, "-o", target, "-j", 0)
        assert refused.exit_code == 5, refused.stderr
        assert "in row 0 and (" in refused.stderr
        assert "observables: {x: {kind: set}}" in refused.stderr


def test_show_shows_a_bank_and_others_say_what_it_is():
    simulate("-n", 10, "-o", "bank/")
    shown = abi("show", "bank")
    assert shown.exit_code == 0
    assert shown.stdout == abi("bank", "ls", "bank").stdout
    assert "10 of 10 data sets in 1 shard," in shown.stdout
    assert json.loads(abi("show", "bank", "--json").stdout)["banks"][0]["rows"] == 10
    refused = abi("sample", "bank", "data.csv")
    assert refused.exit_code == 6
    assert "It is a bank of simulations: abi bank ls bank" in refused.stderr


def test_code_of_other_specs_beside_it_is_no_part_of_a_bank():
    """In a session of Python, where both were read; what its own code imports is."""
    model = MODEL.replace("PAUSE", "0")
    late = model.replace("import time\n", "import time\nimport helpers\n").replace(
        "    time.sleep", "    from part import inner\n    time.sleep"
    )
    Path("model.py").write_text(late)
    Path("helpers.py").write_text("import shared\n")
    Path("part").mkdir()
    Path("part/__init__.py").touch()
    Path("part/inner.py").write_text("from . import deeper\n")
    Path("part/deeper.py").touch()
    Path("shared.py").touch()
    Path("alone.py").touch()
    Path("other.py").write_text("import alone, shared\n" + model)
    Path("other.yaml").write_text(SPEC.replace("model.py", "other.py"))
    assert abi("simulate", "other.yaml", "-n", 10, "-o", "other/", "-j", 0).exit_code == 0
    simulate("-n", 10, "-o", "bank/")
    parts = (f"part/{name}.py" for name in ("__init__", "inner", "deeper"))
    own = {"model.py", "helpers.py", "shared.py", *parts}
    assert set(Bank.open(Path("bank")).record.hashes) == {
        "model.yaml",
        *(f"code/{name}" for name in own),
    }
    others = {"code/other.py", "code/alone.py", "code/shared.py", "model.yaml"}
    assert set(Bank.open(Path("other")).record.hashes) == others
    assert abi("simulate", "other.yaml", "-n", 20, "-o", "other/", "-j", 0).exit_code == 0
