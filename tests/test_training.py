"""Blocks, schedules, steps and guards of training, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from abi_cli import backend, registry
from abi_cli.adapter import network_inputs
from abi_cli.errors import Diverged, UserFunctionError
from abi_cli.listener import Listener
from abi_cli.training.blocks import Ahead, BlockPlan, gathered
from abi_cli.training.divergence import DivergenceGuard
from abi_cli.training.state import values_of
from abi_cli.training.watch import EpochLog, Meters, Start
from abi_cli.variables import take
from tests import engine


def plan(**changes):
    usual = {
        "epochs": 2,
        "num_batches": 5,
        "batch_size": 4,
        "buckets": (4, 8),
        "seed": 3,
        "rate": lambda step: 1.0 / (1 + step),
    }
    return BlockPlan(**{**usual, **changes})


@pytest.fixture(scope="module")
def adapted():
    made = engine.approximator()
    return made.adapter.forward(engine.normal_sets(400, seed=9))


@pytest.fixture(scope="module")
def learner():
    return engine.Learner()


def parts(adapted, rows):
    for first in range(0, 400, rows):
        yield take(adapted, slice(first, min(first + rows, 400)))


def same(one, other):
    return all((one[name] == other[name]).all() for name in one)


def test_blocks_do_not_depend_on_how_rows_are_divided(adapted):
    made = [list(gathered(parts(adapted, rows), plan())) for rows in (400, 64, 7)]
    assert len(made[0]) == 2 * plan().blocks_per_epoch
    for blocks in made[1:]:
        assert len(blocks) == len(made[0])
        assert all(same(one, other) for one, other in zip(blocks, made[0], strict=True))


def test_a_block_holds_sets_of_one_bucket_and_the_rates_of_its_steps(adapted):
    blocks = list(gathered(parts(adapted, 50), plan(num_batches=40)))
    sizes = {block["summary_mask"].shape[2] for block in blocks}
    assert sizes == {4, 8}
    assert [int(block["steps"]) for block in blocks] == [16, 16, 8] * 2
    for block in blocks:
        members = block["summary_mask"].sum(-1)
        assert (members <= 4).all() or (members > 4).all()
    np.testing.assert_allclose(blocks[1]["rate"], 1.0 / (1 + np.arange(16, 32)), rtol=1e-6)


def test_no_data_set_is_learned_twice(adapted):
    blocks = list(gathered(parts(adapted, 50), plan(num_batches=40, buckets=(8,))))
    seen = np.concatenate(
        [block["inference_variables"][: int(block["steps"])].reshape(-1, 2) for block in blocks]
    )
    assert len(np.unique(seen, axis=0)) == len(seen) == 2 * 40 * 4


def test_a_block_is_shuffled_in_an_order_of_its_own(adapted):
    few = take(adapted, slice(0, 20))
    given = few["inference_variables"].astype(np.float32)
    orders = [
        plan(buckets=(8,)).make(number, few, 8)["inference_variables"].reshape(-1, 2)
        for number in (0, 1)
    ]
    for one, other in ((given, orders[0]), (given, orders[1]), orders):
        assert (one != other).any(axis=1).mean() > 0.5
        np.testing.assert_array_equal(np.unique(one, axis=0), np.unique(other, axis=0))


def test_an_error_of_the_feeding_thread_is_raised_where_blocks_are_used():
    def failing():
        yield {"a": np.zeros(1)}
        raise ValueError("from the thread")

    ahead = Ahead(failing())
    blocks = iter(ahead)
    next(blocks)
    with pytest.raises(ValueError, match="from the thread"):
        next(blocks)
    ahead.stop()


@pytest.mark.parametrize("word", registry.names("schedule"))
def test_schedules_peak_at_one(word):
    part = registry.get("schedule", word)
    required = part.shorthand()
    schedule = part(**({required: 1e-3} if required else {}))
    rates = schedule.relative(np.arange(1000), 1000)
    assert rates.max() == pytest.approx(1.0, abs=1e-3)
    assert (rates > 0).all()
    assert schedule.peak > 0
    if "alpha" in part.model_fields:
        ends = schedule.model_copy(update={"alpha": 0.3}).relative(np.array([999, 1000]), 1000)
        np.testing.assert_allclose(ends, 0.3, atol=1e-4)


def test_patience_begins_anew_where_a_training_is_extended():
    stopped = {"wait": 5, "best": 1.5, "stopped_epoch": 9, "best_epoch": 4}
    ready = registry.get("callback", "early_stopping")().extended(stopped)
    assert (ready["wait"], ready["best"], ready["best_epoch"]) == (0, 1.5, 4)


def test_clipnorm_limits_the_gradient_of_each_array_and_keeps_its_direction():
    gradients = [np.full((2, 3, 4), 5.0, "float32"), np.full(3, 0.1, "float32")]
    adam = registry.get("optimizer", "adam")
    long, short = (backend.to_numpy(g) for g in adam(clipnorm=1.0).clip(gradients))
    assert np.linalg.norm(long) == pytest.approx(1.0, rel=1e-5)
    assert np.ptp(long) == 0
    np.testing.assert_allclose(short, gradients[1])
    assert adam(clipnorm=1.0).global_clipnorm is None
    assert adam().clip(gradients) is gradients


def block_of(adapted, steps, *, room=6):
    inputs = network_inputs(take(adapted, slice(0, room * 4)), size=8)
    block = {name: x.reshape(room, 4, *x.shape[1:]) for name, x in inputs.items()}
    return {**block, "rate": np.ones(room, "float32"), "steps": np.asarray(steps, np.int32)}


def test_a_block_runs_as_many_steps_as_it_says(learner, adapted):
    """Six steps at once, as three and three, and none."""
    made = learner.fresh()
    start = engine.weights(made)
    whole = block_of(adapted, 6)
    engine.learn(made, [{**whole, "steps": np.asarray(0, np.int32)}])
    assert all((a == b).all() for a, b in zip(engine.weights(made), start, strict=True))
    engine.learn(made, [whole])
    full = engine.weights(made)
    first = {**whole, "steps": np.asarray(3, np.int32)}
    rolled = {name: np.roll(x, -3, axis=0) if x.ndim else x for name, x in first.items()}
    engine.learn(learner.fresh(), [first, rolled])
    for one, other in zip(full, engine.weights(made), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_step_is_that_of_the_optimizer_on_the_mean_loss(learner, adapted):
    """The first step of Adam moves every weight by its rate against the sign of the gradient."""
    made = learner.fresh(learning_rate=1e-3)
    engine.disturb(made.inference_network)
    before = engine.weights(made)
    block = block_of(adapted, 1)
    engine.learn(made, [{**block, "rate": np.full(6, 0.5, "float32")}])
    moved = np.concatenate(
        [(b - a).ravel() for a, b in zip(before, engine.weights(made), strict=True)]
    )
    np.testing.assert_allclose(np.abs(moved[moved != 0]).max(), 5e-4, rtol=0.02)
    assert float(backend.to_numpy(made.optimizer.learning_rate)) == pytest.approx(1e-3)


def test_within_five_steps_every_weight_has_changed(learner, adapted):
    made = learner.fresh()
    before = engine.weights(made)
    engine.learn(made, [block_of(adapted, 5)])
    for weight, a, b in zip(made.trainable_variables, before, engine.weights(made), strict=True):
        assert (a != b).any(), weight.path


def test_the_loss_falls(learner, adapted):
    made = learner.fresh(learning_rate=3e-3)
    block = block_of(adapted, 6)
    losses = engine.learn(made, [block] * 15)
    assert np.mean(losses[-5:]) < losses[0] - 0.3


class Heard(Listener):
    def __init__(self):
        self.warnings = []

    def warn(self, text, *, hint=None):  # noqa: ARG002  # the contract
        self.warnings.append(text)


def guarded(made, blocks, heard, *, good=None, callbacks=lambda _: ()):
    """Learn an epoch under a guard; gives it."""
    guard = DivergenceGuard(heard, blocks.__getitem__, Start())
    guard.go_on({"first": None, "rollbacks": 0}, good)
    made.fit(
        backend.feed(iter(blocks), blocks[0]),
        steps_per_epoch=len(blocks),
        shuffle=False,
        verbose=0,
        callbacks=[guard, *callbacks(guard)],
    )
    return guard


def with_parameter(block, step, value):
    poisoned = {**block, "inference_variables": block["inference_variables"].copy()}
    poisoned["inference_variables"][step, 1] = value
    return poisoned


def test_a_loss_that_is_not_finite_rolls_back_and_halves_the_rate(learner, adapted):
    made = learner.fresh(learning_rate=1e-3)
    block = block_of(adapted, 6)
    poisoned, heard = with_parameter(block, 2, np.nan), Heard()
    start = engine.weights(made)
    guard = guarded(made, [block, poisoned], heard)
    assert (guard.rollbacks, guard.rolled_back) == (1, True)
    assert len(heard.warnings) == 1
    assert "was not finite in epoch 1, block 2, step 3" in heard.warnings[0]
    assert all((a == b).all() for a, b in zip(engine.weights(made), start, strict=True))
    assert float(backend.to_numpy(made.optimizer.learning_rate)) == pytest.approx(5e-4)


def test_a_training_that_was_resumed_within_an_epoch_goes_back_to_its_start(learner, adapted):
    start = values_of(learner.fresh())
    block = block_of(adapted, 6)
    engine.learn(learner.made, [block])
    guarded(learner.made, [with_parameter(block, 2, np.nan)], Heard(), good=start)
    weights = start[: len(learner.made.variables)]
    for a, b in zip(weights, values_of(learner.made), strict=False):
        np.testing.assert_array_equal(a, b)


def test_rollbacks_are_counted_in_the_history_where_there_are_any(learner, adapted):
    block, rows = block_of(adapted, 6), []

    def logs(guard):
        meters = Meters(
            steps=lambda _: 6,
            relative_rate=lambda _: 1.0,
            waited=lambda: 0.0,
            simulated=lambda: 0.0,
            rollbacks=lambda: guard.rollbacks,
            rolled_back=lambda: guard.rolled_back,
            validate=None,
        )
        with Listener().task("training") as progress:
            log = EpochLog(meters, progress, Start())
        rows.append(log.rows)
        return [log]

    guarded(learner.fresh(), [block, block], Heard(), callbacks=logs)
    guarded(learner.fresh(), [block, with_parameter(block, 1, np.nan)], Heard(), callbacks=logs)
    (good,), (bad,) = rows
    assert "rollbacks" not in good
    assert bad["rollbacks"] == 1
    assert np.isfinite(bad["loss"])
    assert bad["learning_rate"] == pytest.approx(0.5 * good["learning_rate"])


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps():
    """The last block of an epoch may be short."""
    told = []
    meters = Meters(
        **dict.fromkeys(("waited", "simulated", "rollbacks"), lambda: 0.0),
        steps=[24, 8].__getitem__,
        relative_rate=lambda _: 1.0,
        rolled_back=lambda: False,
        validate=None,
    )
    progress = SimpleNamespace(advance=lambda steps, *, loss: told.append((steps, loss)))
    log = EpochLog(meters, progress, Start())
    log.on_epoch_begin(0)
    for batch, loss in enumerate((1.0, 5.0)):
        log.on_train_batch_end(batch, {"loss": loss})
    assert told == [(24, 1.0), (8, 2.0)]


def test_what_diverges_again_and_again_is_given_up_and_its_batch_named(learner, adapted):
    made = learner.fresh()
    start = engine.weights(made)
    poisoned = with_parameter(block_of(adapted, 6), 2, 1e30)
    with pytest.raises(Diverged, match="again in epoch 1, block 4, step 3 of it") as caught:
        guarded(made, [poisoned] * 5, Heard())
    assert "after 3 rollbacks" in caught.value.message
    assert re.search(r"inference_variables from -\d\S* to 1e\+30", caught.value.message)
    assert re.search(r"summary_variables from -\d", caught.value.message)
    assert "summary_mask" not in caught.value.message
    assert "learning_rate" in caught.value.hint
    assert all((a == b).all() for a, b in zip(engine.weights(made), start, strict=True))


def test_losses_that_explode_are_rolled_back_but_not_a_batch_that_is_odd(learner, adapted):
    """A wild parameter in one step is an odd batch; in every step the training has exploded."""
    block, heard = block_of(adapted, 6), Heard()
    odd = with_parameter(block, 2, 1e7)
    assert not guarded(learner.fresh(), [block, odd], heard).rolled_back
    wild = with_parameter(block, slice(None), 3e6)
    made = learner.fresh()
    start = engine.weights(made)
    assert guarded(made, [block, wild], heard).rolled_back
    assert "exploded" in heard.warnings[0]
    assert all((a == b).all() for a, b in zip(engine.weights(made), start, strict=True))
    assert not guarded(learner.fresh(), [wild, block], heard).rolled_back  # it began so


def test_the_same_seed_learns_the_same_weights(learner, adapted):
    one, other = engine.approximator(seed=4), engine.approximator(seed=4)
    pairs = zip(engine.weights(one), engine.weights(other), strict=True)
    assert all((a == b).all() for a, b in pairs)
    learned = []
    for _ in range(2):
        engine.learn(learner.fresh(), [block_of(adapted, 6)] * 2)
        learned.append(engine.weights(learner.made))
    assert all((a == b).all() for a, b in zip(*learned, strict=True))


def test_errors_of_the_feeder_leave_as_themselves():
    own = UserFunctionError("own")

    def blocks():
        raise own
        yield {}

    ahead = Ahead(blocks())

    def backend():
        try:
            next(iter(ahead))
        except UserFunctionError as error:
            raise RuntimeError(f"a backend's words for {error}") from None

    with pytest.raises(UserFunctionError) as caught, ahead.own_errors():
        backend()
    assert caught.value is own
    with pytest.raises(UserFunctionError), ahead.own_errors():
        pass  # a backend that takes the error for the end of the data
    with pytest.raises(KeyError), Ahead(iter(())).own_errors():
        raise KeyError
