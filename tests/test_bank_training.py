"""Learning from banks: every row once in a pass, the same on every way, in bounded memory."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from abi_cli.bank import Bank, source
from abi_cli.bank.source import Banked, BankRows
from abi_cli.errors import UserFunctionError
from abi_cli.model.augmenting import Augmentation
from abi_cli.model.functions import UserFunction
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.spec import TrainingSection, parse_spec
from abi_cli.training.contamination import Contamination
from abi_cli.training.mixing import Mixed, share_of
from abi_cli.training.sources import Fresh, Stored
from abi_cli.variables import array_of, concatenate, count, take
from abi_cli.workflow.request import read_model
from tests.cli import SPECS, abi
from tests.model_tasks import assert_equal

SPEC = SPECS / "regression_vectorised.yaml"
ROWS = 1_000


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """A spec in a folder of its own: code beside it that other tests import is no part of it."""
    folder = tmp_path_factory.mktemp("banks") / "spec"
    folder.mkdir()
    for name in (SPEC.name, "regression_vectorised.py"):
        shutil.copy(SPECS / name, folder)
    return folder / SPEC.name


@pytest.fixture(scope="module")
def bank(spec):
    from abi_cli.workflow import banking

    path = spec.parent.parent / "bank"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(banking, "SHARD_BYTES", 30_000)
        result = abi("simulate", spec, "-n", ROWS, "-o", f"{path}/", "-j", 0)
    assert result.exit_code == 0, result.stderr
    assert len(Bank.open(path).pieces) > 3
    return path


class Untouched:
    """An adapter that leaves all as it is."""

    def forward(self, datasets):
        return datasets


def banked(bank, monkeypatch, *, pool=1 << 27, block=1 << 22, augmented=None):
    monkeypatch.setattr(source, "POOL_BYTES", pool)
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    rows = BankRows(Bank.open(bank), ROWS)
    return rows, Banked(rows, TrainingSection(batch_size=32), seed=3, augmented=augmented)


SIZES = {"one pool": {}, "many pools": {"pool": 30_000, "block": 3_000}}


def stream(banked, rows, start=0):
    """The first rows that are learned from a row on, in single precision."""
    parts, done = [], 0
    for part in banked.parts(Untouched(), start=start):
        parts.append(part)
        done += count(part)
        if done >= rows:
            break
    return take(concatenate(parts), slice(0, rows))


@pytest.mark.parametrize("size", SIZES)
def test_a_pass_has_every_row_once_but_those_held_out(bank, monkeypatch, size):
    rows, learning = banked(bank, monkeypatch, **SIZES[size])
    assert (learning._pools > 3) == (size == "many pools")
    held_out = learning.validation(Untouched())
    learned = ROWS - count(held_out)
    assert count(held_out) == 100
    assert learning.num_batches == learned // 32
    whole = np.asarray(rows.read(0, ROWS)["sigma"], np.float32)
    both = stream(learning, 2 * learned)["sigma"]
    passes = both[:learned], both[learned:]
    for one in passes:
        np.testing.assert_array_equal(np.sort(one), np.sort(whole[100:]))
    assert (passes[0] != passes[1]).mean() > 0.9
    place = np.argsort(whole[100:])[np.searchsorted(np.sort(whole[100:]), passes[0])]
    assert abs(np.corrcoef(place, np.arange(learned))[0, 1]) < 0.2


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_found_again_and_gone_on_with(bank, monkeypatch, size):
    _, learning = banked(bank, monkeypatch, **SIZES[size])
    whole = stream(learning, 2_500)
    for start in (0, 1, 517, 899, 900, 901, 1_800):
        _, later = banked(bank, monkeypatch, **SIZES[size])
        assert_equal(stream(later, 300, start), take(whole, slice(start, start + 300)))
    index = np.sort(np.random.default_rng(1).choice(2_500, 70, replace=False))
    assert_equal(learning.rows(Untouched(), index), take(whole, index))


AUGMENT = """
def shifted(x, N, rng):
    assert len(x) == N
    return {"x": x + rng.normal()}

def spoilt(x):
    return {"x": x[0]}

def other(y):
    return {"z": y}
"""


def augmentation(folder, name):
    (folder / "more.py").write_text(AUGMENT)
    return Augmentation(UserFunction.load(f"more.py:{name}", folder), 5)


@pytest.mark.parametrize("size", SIZES)
def test_augmented_rows_follow_from_their_place_alone(bank, monkeypatch, tmp_path, size):
    augmented = augmentation(tmp_path, "shifted")
    plain = stream(banked(bank, monkeypatch, **SIZES[size])[1], 2_000)
    _, learning = banked(bank, monkeypatch, **SIZES[size], augmented=augmented)
    whole = stream(learning, 2_000)
    shift = whole["x"].values - plain["x"].values
    first = shift[whole["x"].starts()]
    np.testing.assert_allclose(shift, np.repeat(first, whole["x"].row_size), atol=1e-4)
    assert abs(first.mean()) < 0.1
    assert first.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(whole["y"].values, plain["y"].values)
    assert_equal(stream(learning, 300, 950), take(whole, slice(950, 1_250)))
    index = np.array([3, 17, 903, 1_999])
    assert_equal(learning.rows(Untouched(), index), take(whole, index))


def test_rows_of_a_file_are_augmented_in_the_same_way(bank, tmp_path):
    datasets = Bank.open(bank).read(0, 400)
    training = TrainingSection(batch_size=32)
    options = {"seed": 3, "augmented": augmentation(tmp_path, "shifted")}
    whole = stream(Stored(datasets, training, **options), 800)
    plain = stream(Stored(datasets, training, seed=3), 800)
    assert (whole["x"].values != plain["x"].values).all()
    again = stream(Stored(datasets, training, **options), 100, 500)
    assert_equal(again, take(whole, slice(500, 600)))


@pytest.mark.parametrize("size", SIZES)
def test_errors_follow_from_the_place_and_those_held_out_have_none(bank, monkeypatch, size):
    rows, learning = banked(bank, monkeypatch, **SIZES[size])
    plain = stream(learning, 2_000)
    held_out = learning.validation(Untouched())
    noise = Contamination.of({"y": 1}, rows.read(0, ROWS), rows.bank.record.layout, seed=3)
    learning.contaminate(noise)
    whole = stream(learning, 2_000)
    errors = whole["y"].values != plain["y"].values
    assert errors.mean() == pytest.approx(0.05, abs=0.01)
    assert_equal(stream(learning, 300, 950), take(whole, slice(950, 1_250)))
    index = np.array([3, 17, 903, 1_999])
    assert_equal(learning.rows(Untouched(), index), take(whole, index))
    assert_equal(learning.validation(Untouched()), held_out)


@pytest.mark.parametrize(
    ("name", "message"),
    [("spoilt", "x "), ("other", "returns z, which is no variable of the data sets")],
)
def test_an_augmentation_that_misfits_is_refused(bank, tmp_path, name, message):
    with pytest.raises(UserFunctionError, match=message):
        augmentation(tmp_path, name)(Bank.open(bank).read(0, 5), np.arange(5))


def test_fresh_simulations_are_not_augmented(tmp_path):
    (tmp_path / "more.py").write_text(AUGMENT)
    for file in ("regression_vectorised.yaml", "regression_vectorised.py"):
        (tmp_path / file).write_text((SPECS / file).read_text())
    spec = tmp_path / "regression_vectorised.yaml"
    option = "training.augment=more.py:shifted"
    result = abi("train", spec, "-o", tmp_path / "run", "-s", option)
    assert result.exit_code == 3
    assert "these are fresh ones" in result.stderr


MIXED = {"half": 0.5, "a fifth": 0.2, "most": 0.9}


def mixed(bank, monkeypatch, share, *, size="many pools", augmented=None, again=None):
    """Rows of the bank with fresh ones among them; the two sources, too."""
    _, stored = banked(bank, monkeypatch, **SIZES[size], augmented=augmented)
    model = read_model(spec_of(bank))
    fresh = Fresh(
        model.need_simulator(), Workers(0), TrainingSection(batch_size=32), seed=3, augmented=again
    )
    return Mixed(stored, fresh, share_of(share)), stored, fresh


def spec_of(bank):
    """The spec that a bank was made from lies in a folder beside it."""
    return bank.parent / "spec" / SPEC.name


@pytest.mark.parametrize("share", MIXED.values(), ids=MIXED)
def test_fresh_simulations_are_spread_evenly_and_none_comes_twice(bank, monkeypatch, share):
    learning, stored, _ = mixed(bank, monkeypatch, share)
    rows = 4_000
    whole = stream(learning, rows)["sigma"]
    fresh = np.diff(np.floor(np.arange(rows + 1) * Fraction(str(share)))) > 0
    assert abs(fresh.mean() - share) < 1e-3
    assert all(abs(part.mean() - share) < 0.04 for part in np.split(fresh, rows // 40))
    expected = read_model(spec_of(bank)).need_simulator()
    simulated = expected.simulate(seed=3, purpose=Purpose.TRAIN, start=0, stop=int(fresh.sum()))
    np.testing.assert_array_equal(whole[fresh], np.float32(simulated["sigma"]))
    np.testing.assert_array_equal(whole[~fresh], stream(stored, int((~fresh).sum()))["sigma"])
    assert learning.num_batches == int(stored.num_batches / (1 - Fraction(str(share))))
    assert_equal(learning.validation(Untouched()), stored.validation(Untouched()))


@pytest.mark.parametrize("share", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize("changed", [False, True], ids=["as they are", "augmented"])
def test_mixed_rows_are_found_again_and_gone_on_with(bank, monkeypatch, tmp_path, share, changed):
    options = {}
    if changed:
        one = augmentation(tmp_path, "shifted")
        options = {"augmented": one, "again": replace(one, purpose=Purpose.AUGMENT_FRESH)}
    whole = stream(mixed(bank, monkeypatch, share, **options)[0], 3_000)
    for start in (0, 1, 517, 1_024, 2_001):
        later = mixed(bank, monkeypatch, share, **options)[0]
        assert_equal(stream(later, 300, start), take(whole, slice(start, start + 300)))
    learning = mixed(bank, monkeypatch, share, **options)[0]
    index = np.sort(np.random.default_rng(1).choice(3_000, 70, replace=False))
    assert_equal(learning.rows(Untouched(), index), take(whole, index))
    of_one_kind = np.arange(0, 3_000, 2)[:20] if share == 0.5 else np.arange(1)
    for some in (of_one_kind, of_one_kind + 1):
        assert_equal(learning.rows(Untouched(), some), take(whole, some))


def test_fresh_ones_are_augmented_too_with_draws_of_their_own(bank, monkeypatch, tmp_path):
    one = augmentation(tmp_path, "shifted")
    plain = stream(mixed(bank, monkeypatch, 0.5)[0], 400)["x"]
    learning, *_ = mixed(
        bank, monkeypatch, 0.5, augmented=one, again=replace(one, purpose=Purpose.AUGMENT_FRESH)
    )
    shift = (stream(learning, 400)["x"].values - plain.values)[plain.starts()]
    stored, fresh = shift[::2], shift[1::2]
    for own in (stored, fresh):
        assert own.std() == pytest.approx(1, abs=0.2)
    assert abs(np.corrcoef(stored, fresh)[0, 1]) < 0.3


def test_fresh_simulations_need_stored_ones_of_the_same_model(bank, tmp_path):
    spec = spec_of(bank)
    alone = abi("train", spec, "-o", tmp_path / "run", "--online")
    assert (alone.exit_code, "--online with --data" in alone.stderr) == (2, True)
    said = abi("train", spec, "-o", tmp_path / "run", "-s", "training.online=0.5")
    assert (said.exit_code, "there are none" in said.stderr) == (3, True)
    for wrong in ("0", "1", "half"):
        option = f"training.online={wrong}"
        refused = abi("train", spec, "--data", f"{bank}/", "-o", tmp_path / "run", "-s", option)
        assert refused.exit_code == 3, wrong
    other = tmp_path / "other"
    shutil.copytree(spec.parent, other)
    code = other / "regression_vectorised.py"
    code.write_text(code.read_text() + "\nMORE = 1\n")
    options = ("--data", f"{bank}/", "-o", tmp_path / "run", "--online")
    refused = abi("train", other / SPEC.name, *options)
    assert refused.exit_code == 6
    assert "+MORE = 1" in refused.stderr
    assert not (tmp_path / "run").exists()
    modelless = tmp_path / "spec.yaml"
    modelless.write_text("name: stored\nparameters: {beta: {}, sigma: {}}\n")
    assert abi("train", modelless, *options).exit_code == 3


def test_reading_holds_no_more_than_two_pools(bank, monkeypatch):
    """Of the rows read and not given out yet, whatever is asked for."""
    rows, learning = banked(bank, monkeypatch, pool=30_000, block=3_000)
    read = []
    monkeypatch.setattr(
        type(rows), "read", lambda self, a, b: (read.append(b - a), self.bank.read(a, b))[1]
    )
    given, largest = 0, max(len(learning._ordered(0, pool)) for pool in range(learning._pools))
    for part in islice(learning.parts(Untouched()), 30):
        given += count(part)
        assert sum(read) - given <= 2 * largest + learning._block * learning._pools


def test_a_bank_is_learned_from_with_validation_and_the_best_weights(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "POOL_BYTES", 30_000)
    run = tmp_path / "run"
    (tmp_path / "more.py").write_text(AUGMENT)
    for file in ("regression_vectorised.yaml", "regression_vectorised.py"):
        (tmp_path / file).write_text((SPECS / file).read_text())
    options = ("-s", "training.epochs=2", "-s", "training.augment=more.py:shifted")
    spec = tmp_path / SPEC.name
    result = abi("train", spec, "--data", f"{bank}/", "-o", run, *options)
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert all(float(row["val_loss"]) for row in rows)
    (stopping,) = parse_spec((run / "spec.yaml").read_text()).training.callbacks
    assert (stopping.name, stopping.patience) == ("early_stopping", 10)
    assert parse_spec((run / "spec.yaml").read_text()).training.augment == "code/more.py:shifted"
    assert (run / "code" / "more.py").is_file()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["stored"] == ROWS
    assert manifest["data"][0] == str(bank)
    diagnosed = abi("diagnose", run, "--data", f"{bank}/", "--datasets", 50, "-n", 50)
    assert diagnosed.exit_code == 0, diagnosed.stderr
    assert abi("check", spec, "--data", f"{bank}/").exit_code == 0


def test_a_bank_of_another_model_is_told(bank, tmp_path):
    elsewhere = tmp_path / "spec.yaml"
    elsewhere.write_text(SPEC.read_text())
    code = (SPECS / "regression_vectorised.py").read_text()
    (tmp_path / "regression_vectorised.py").write_text(code + "\nMORE = 1\n")
    result = abi("check", elsewhere, "--data", f"{bank}/")
    assert "is a bank of another model than the spec's" in result.stderr
    assert "+MORE = 1" in result.stderr


def test_a_model_of_its_own_need_not_be_there(bank, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: stored\nparameters: {beta: {}, sigma: {}}\ncontext: {N: {length_of: [x, y]}}\n"
        "observables: {x: {kind: set}, y: {kind: set}}\n"
    )
    assert abi("check", spec, "--data", f"{bank}/").exit_code == 0
    spec.write_text(spec.read_text().replace("sigma", "tau"))
    refused = abi("check", spec, "--data", f"{bank}/")
    assert refused.exit_code == 4
    assert "expected tau in the bank; it has N, beta, sigma, x, y" in refused.stderr
    assert array_of(Bank.open(Path(bank)).read(0, 3)["x"]).ndim == 1
