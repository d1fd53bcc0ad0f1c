"""A training that is stopped goes on to the same end, on the backend that KERAS_BACKEND names."""

import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from abi_cli import backend, registry
from abi_cli.adapter import Adapter
from abi_cli.errors import Diverged, OutOfMemory, OutputError, RunError, StoppedEarly
from abi_cli.spec import parse_spec
from abi_cli.training import keeping, loop, stopping
from abi_cli.training.blocks import BlockPlan, Ledger, gathered
from abi_cli.training.checkpoints import (
    Checkpoint,
    Writer,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from abi_cli.training.parts import Callback
from abi_cli.training.sources import Stored
from abi_cli.training.state import State
from abi_cli.training.watch import Start
from abi_cli.variables import count, take
from tests import engine
from tests.cli import light

SPEC = """
name: toy
parameters: {mu: {}, sigma: {}}
observables: {x: {kind: set}}
adapter:
  - as_set: x
  - constrain: {keys: sigma, lower: 0}
  - standardize: {include: [mu, sigma, x]}
  - concatenate: {keys: [mu, sigma], into: inference_variables}
  - rename: {from: x, to: summary_variables}
networks:
  summary: {deep_set: {summary_dim: 4, width: 16}}
  inference: {gaussian_mixture: {components: 1}}
training:
  epochs: 4
  num_batches: 50
  batch_size: 16
  callbacks:
    - early_stopping: {patience: 1, min_delta: 10}
    - reduce_lr_on_plateau: {patience: 1, min_delta: 1}
"""
"""Two blocks an epoch; the first epoch stays the best of all."""

STOP = stopping.Reason("the test", StoppedEarly)


class StopAt(stopping.Stop):
    """Asks for the end when it has been asked so many times: once after each block and epoch."""

    def __init__(self, asked):
        super().__init__()
        self._left = asked

    def asked(self):
        self._left -= 1
        return STOP if self._left == 0 else None


def training_of(folder, *, stop=None, go_on=True, epochs=None, text=SPEC, every=1e9):
    """Train, or go on from what a folder holds."""
    spec = parse_spec(text)
    sets = engine.normal_sets(900, seed=5, sizes=(3, 40))
    state = None
    if go_on and has_checkpoint(folder):
        state = State.from_checkpoint(read_checkpoint(folder))
    if epochs is not None:
        parts = [registry.expected(part, Callback) for part in spec.training.callbacks]
        state = state and state.extended(epochs, parts)
        training = spec.training.model_copy(update={"epochs": epochs})
        spec = spec.model_copy(update={"training": training})
    plan = loop.Plan(
        spec=spec,
        source=Stored(sets, spec.training, seed=7),
        describe=lambda _: engine.LAYOUT,
        seed=7,
        keeping=keeping.Keeping(folder, every=every, history=lambda _: None),
        state=state,
        stop=stop or stopping.Stop(),
    )
    with light():
        return loop.train(plan)


def without_seconds(history):
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in history]


def everything(made):
    return [np.array(backend.to_numpy(variable.value)) for variable in made.variables]


def assert_same(one, other):
    assert without_seconds(one.history) == without_seconds(other.history)
    for a, b in zip(everything(one.approximator), everything(other.approximator), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "state"
    return training_of(folder), folder


def test_the_training_is_ended_by_its_callback_which_goes_back_to_the_best(uninterrupted):
    """What the tests below rely on: there is a state of callbacks to be lost."""
    trained, folder = uninterrupted
    assert 1 < len(trained.history) < 4
    rates = [row["learning_rate"] for row in trained.history]
    state = State.from_checkpoint(read_checkpoint(folder))
    assert state.finished
    best, now = state.callbacks[0]["best_weights"], state.values
    assert any((a != b).any() for a, b in zip(best, now, strict=False))
    assert rates[-1] < rates[0]


def test_a_training_that_is_interrupted_again_and_again_goes_on_to_the_same_end(
    tmp_path, monkeypatch, uninterrupted
):
    """By a full disk within an epoch, then after the last block of the next, before it ends."""
    folder, written = tmp_path / "state", []

    def fails_later(place, checkpoint):
        if written:
            raise OutputError("disk full")
        write_checkpoint(place, checkpoint)
        written.append(checkpoint.step)

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_checkpoint", fails_later)
        with pytest.raises(OutputError, match="disk full"):
            training_of(folder, every=1e-9)
    state = State.from_checkpoint(read_checkpoint(folder))
    assert (state.epoch, state.blocks, written) == (0, 1, [32])
    assert sum(map(len, state.position.waiting.values())) > 0
    with pytest.raises(StoppedEarly, match="by the test, saved after 1 of 4 epochs and 2 of 2"):
        training_of(folder, stop=StopAt(4))
    assert read_checkpoint(folder).step == 100
    assert_same(training_of(folder), uninterrupted[0])


def test_what_diverges_after_it_was_resumed_goes_back_to_where_its_epoch_began(
    tmp_path, monkeypatch
):
    """Not to where it was interrupted: the last of four blocks is poisoned, the third was saved."""
    text, make = SPEC.replace("epochs: 4", "epochs: 2").partition("  callbacks:")[0], BlockPlan.make

    def poisoned(plan, number, adapted, bucket):
        block = make(plan, number, adapted, bucket)
        if number == 3:
            block["inference_variables"][:] = np.nan
        return block

    monkeypatch.setattr(BlockPlan, "make", poisoned)
    with pytest.raises(StoppedEarly, match="saved after 1 of 2 epochs and 1 of 2 blocks"):
        training_of(tmp_path / "state", text=text, stop=StopAt(4))
    first, second = training_of(tmp_path / "state", text=text).history
    assert (second["rollbacks"], second["val_loss"]) == (1, first["val_loss"])


def test_what_was_interrupted_after_its_last_epoch_is_only_written_down(uninterrupted, monkeypatch):
    def nothing(*_arguments, **_options):
        raise AssertionError("nothing more is to be learned")
        yield

    monkeypatch.setattr(Stored, "parts", nothing)
    again = training_of(uninterrupted[1])
    assert_same(again, uninterrupted[0])


def test_a_finished_training_is_extended_at_the_rates_of_the_longer_one(tmp_path, uninterrupted):
    trained, folder = uninterrupted
    done = len(trained.history)
    write_checkpoint(tmp_path / "state", read_checkpoint(folder))
    longer = training_of(tmp_path / "state", epochs=done + 1)
    assert without_seconds(longer.history[:done]) == without_seconds(trained.history)
    assert longer.history[done]["epoch"] == done + 1
    schedule = registry.get("schedule", "warmup_cosine")()
    total = (done + 1) * 50
    last = schedule.relative(np.array([total - 1]), total)[0] * schedule.peak
    assert 0 < longer.history[done]["learning_rate"] <= last * 1.001
    state = State.from_checkpoint(read_checkpoint(tmp_path / "state"))
    assert (state.finished, state.planned, state.epoch) == (True, done + 1, done + 1)


def fitted():
    steps = [registry.from_config("step", step) for step in engine.STEPS]
    return Adapter.fit(steps, engine.normal_sets(512))


def test_blocks_go_on_where_they_were_left():
    """From what waits in the pools and the rows after it, whatever the parts were."""
    sets = fitted().forward(engine.normal_sets(900, sizes=(3, 40)))
    plan = BlockPlan(
        epochs=9, num_batches=5, batch_size=4, buckets=(8, 16, 64), seed=3, rate=np.ones_like
    )

    def parts(rows, start=0):
        for first in range(start, 900, rows):
            yield take(sets, slice(first, min(first + rows, 900)))

    ledger = Ledger()
    whole = list(gathered(parts(100), plan, ledger=ledger))
    assert len(whole) == 9
    for number in (0, 3, 8):
        position = ledger.learned(number)
        pools = {
            bucket: loop.Pool(take(sets, rows), rows) for bucket, rows in position.waiting.items()
        }
        beginning = loop.Beginning(number + 1, position.seen, pools)
        rest = list(gathered(parts(33, position.seen), plan, beginning=beginning))
        assert len(rest) == 8 - number
        for one, other in zip(rest, whole[number + 1 :], strict=True):
            assert all((one[name] == other[name]).all() for name in one)


def test_stored_simulations_are_found_again_by_their_rows():
    spec = parse_spec(SPEC)
    source = Stored(engine.normal_sets(100, seed=2), spec.training, seed=7)
    adapter = fitted()
    given = source.parts(adapter)
    first, second = next(given), next(given)
    learned = count(first)
    index = np.array([3, learned - 1, learned, learned + 5])
    again = source.rows(adapter, index)["inference_variables"]
    passes = np.concatenate([first["inference_variables"], second["inference_variables"]])
    np.testing.assert_array_equal(again, passes[index])
    later = next(source.parts(adapter, start=learned + 5))["inference_variables"]
    np.testing.assert_array_equal(later, passes[learned + 5 :])


def test_stored_simulations_that_validate_are_never_learned_from():
    sets, adapter = engine.normal_sets(100, seed=2), fitted()
    source = Stored(sets, parse_spec(SPEC).training, seed=7)
    validated, given = source.validation(adapter)["inference_variables"], source.parts(adapter)
    for learned in (next(given)["inference_variables"] for _ in range(3)):
        both = np.concatenate([learned, validated])
        assert (len(learned), len(validated), len(np.unique(both, axis=0))) == (90, 10, 100)


CHECKPOINT = Checkpoint(3, {"epoch": 1}, {"values/0": np.arange(3.0)})


def test_a_checkpoint_is_read_back_and_the_one_before_goes(tmp_path):
    folder = tmp_path / "state"
    for step in (3, 3, 6):
        write_checkpoint(folder, Checkpoint(step, CHECKPOINT.facts, CHECKPOINT.arrays))
        read = read_checkpoint(folder)
        assert (read.step, read.facts["epoch"]) == (step, 1)
        np.testing.assert_array_equal(read.arrays["values/0"], np.arange(3.0))
        assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("place", ["mkdir", "savez", "write_text", "rename", "replace", "fsync"])
def test_a_writer_that_fails_leaves_the_state_before(tmp_path, monkeypatch, place):
    folder = tmp_path / "state"
    write_checkpoint(folder, CHECKPOINT)

    def fails(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    owner = {"savez": np, "fsync": os}.get(place, Path)
    with monkeypatch.context() as patched:
        patched.setattr(owner, place, fails)
        with pytest.raises(OutputError, match="No space left"):
            write_checkpoint(folder, Checkpoint(9, {}, {}))
    assert read_checkpoint(folder).step == 3
    write_checkpoint(folder, Checkpoint(12, {}, {}))
    assert [entry.name for entry in sorted(folder.iterdir())] == ["00000012", "latest"]


def test_a_run_that_was_removed_is_not_made_again(tmp_path):
    with pytest.raises(OutputError, match="no longer there"):
        write_checkpoint(tmp_path / "run" / "state", CHECKPOINT)
    assert not (tmp_path / "run").exists()


def _cut(folder):
    arrays = folder / "00000003" / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-10])


def _older(folder):
    facts = folder / "00000003" / "state.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "schema": "abi.state/0"}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "not what training saved"),
        (_older, "schema"),
        (lambda folder: (folder / "latest").write_text("gone\n"), "can't be read"),
        (lambda folder: (folder / "00000003" / "state.json").write_text("[]"), "can't be read"),
    ],
)
def test_a_state_that_is_damaged_is_refused(tmp_path, damage, said):
    folder = tmp_path / "state"
    write_checkpoint(folder, CHECKPOINT)
    damage(folder)
    with pytest.raises(RunError, match=said) as caught:
        read_checkpoint(folder)
    assert caught.value.hint


def test_a_failure_of_the_writing_thread_is_raised_where_training_is():
    def fails(_checkpoint):
        raise OutputError("disk full")

    writer = Writer(fails)
    writer.begin(CHECKPOINT)
    while writer.busy:
        time.sleep(0.001)
    with pytest.raises(OutputError, match="disk full"):
        writer.look()
    writer.look()
    writer.close()


def test_training_does_not_wait_for_the_writer():
    free = threading.Event()
    writer = Writer(lambda _: free.wait(10))
    writer.begin(CHECKPOINT)
    assert writer.busy
    writer.look()
    free.set()
    writer.wait()
    assert not writer.busy
    writer.close()


def test_too_little_memory_is_said(monkeypatch, tmp_path):
    def fails(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(loop, "build", fails)
    with pytest.raises(OutOfMemory, match="too little memory") as caught:
        training_of(tmp_path / "state")
    assert "batch_size" in caught.value.hint


def test_weights_that_are_not_finite_never_reach_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "values_of", lambda _: [np.full(3, np.nan)])
    where = keeping.Keeping(tmp_path / "state", every=1.0, history=lambda _: None)
    watched = SimpleNamespace(plan=SimpleNamespace(epochs=1), position=None)
    keeper = keeping.Keeper(watched, where, stopping.Stop(), Start())
    keeper.set_model(SimpleNamespace(stop_training=False))
    with pytest.raises(Diverged):
        keeper.on_epoch_end(0)
    keeper.end()
    assert not has_checkpoint(tmp_path / "state")


def test_a_stop_is_heeded_once_and_only_while_something_is_learned():
    stop = stopping.Stop()
    assert not stop.request(STOP)
    with stop.heeded():
        assert stop.asked() is None
        assert stop.request(STOP)
        assert not stop.request(STOP)
        assert stop.asked() == STOP
    limited = stopping.Stop(limit=0.0)
    assert limited.asked().words == "--max-time"
