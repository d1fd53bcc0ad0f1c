"""A block of batches, learned in one compiled call.

A block is a dict of arrays whose leading axis is that of the steps, with `rate (step,)`, the
learning rate relative to the optimizer's own, and `steps ()`, how many of them are to be run: the
compiled program is the same for a full, a short and an empty block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from abi_cli.backend.choice import name


class FlatWeights:
    """All trainable weights of a model as one vector, for the optimizer.

    An optimizer step costs a dozen operations for each array of weights: small in time, but most
    of the compilation. On one vector it costs a dozen. What an optimizer does to arrays as a whole
    (clipping by the norm of each) is done to the gradients before they are joined.

    Arguments:
        model: A `keras.Model` with `batch_loss(batch)`.
        clip: Given the gradient of each array, those to follow.

    Attributes:
        variable: The vector, `(weights,)`, a `keras.Variable` that no model owns.
    """

    def __init__(self, model: Any, clip: Callable[[list[Any]], list[Any]]):
        import keras

        self._model, self._clip = model, clip
        self.shapes = [tuple(weight.shape) for weight in model.trainable_variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.variable = keras.Variable(np.zeros(sum(self.sizes), np.float32), name="weights")

    def join(self, arrays: Sequence[Any]) -> Any:
        """The vector that joins arrays of the weights' shapes."""
        from keras import ops

        return ops.concatenate([ops.reshape(array, (-1,)) for array in arrays])

    def part(self, vector: Any) -> list[Any]:
        """The arrays, of the weights' shapes, that a vector joins."""
        from keras import ops

        parts = ops.split(vector, np.cumsum(self.sizes)[:-1].tolist())
        return [ops.reshape(x, shape) for x, shape in zip(parts, self.shapes, strict=True)]

    def loss(self, weights: Sequence[Any], fixed: Sequence[Any], batch: dict[str, Any]) -> Any:
        """The loss of the batch, with these weights in place of the model's."""
        import keras

        model = self._model
        mapping = [
            *zip(model.trainable_variables, weights, strict=True),
            *zip(model.non_trainable_variables, fixed, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping):
            return model.batch_loss(batch)

    def gradient(self, loss: Any, gradients: list[Any]) -> tuple[Any, Any]:
        """The loss, not a number where a gradient is not finite, and the clipped gradients joined.

        A finite loss may have a gradient that is not, and the weights would be lost one step later.
        """
        from keras import ops

        vector = self.join(gradients)
        checked = ops.where(ops.isfinite(ops.sum(vector)), loss, math.nan)
        return checked, self.join(self._clip(gradients))


def train_block(model: Any, *arguments: Any) -> Any:
    """Do Keras's `train_step` for a block of batches, all its steps in one compiled call.

    `model` is a `keras.Model` with `flat`, its `FlatWeights`, for whose variable its `optimizer`
    was built. The logs are the mean `loss` over the steps that were run, the `lowest` of them, and
    `failed`, the first step whose loss was not finite (−1 where all were).

    Arguments:
        arguments: What Keras hands to `train_step`: the state, on JAX only, and a tuple with the
            block as its only element.
    """
    return _TRAINERS[name()](model, *arguments)


def _batches(block: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    return (
        {key: value for key, value in block.items() if key not in ("rate", "steps")},
        block["rate"],
        block["steps"],
    )


def _logs(losses: Any, steps: Any) -> dict[str, Any]:
    from keras import ops

    done = ops.arange(losses.shape[0]) < steps
    run = ops.maximum(ops.cast(steps, "float32"), 1.0)
    bad = ops.logical_and(done, ops.logical_not(ops.isfinite(losses)))
    first = ops.argmax(ops.cast(bad, "int32"))
    return {
        "loss": ops.sum(ops.where(done, losses, 0.0)) / run,
        "lowest": ops.min(ops.where(done, losses, math.inf)),
        "failed": ops.where(ops.any(bad), ops.cast(first, "int32"), -1),
    }


def _train_tensorflow(model: Any, data: Any) -> dict[str, Any]:
    import tensorflow as tf

    batches, rates, steps = _batches(data[0])
    optimizer, flat, weights = model.optimizer, model.flat, model.trainable_variables
    base = tf.identity(optimizer.learning_rate)
    fixed = [tf.identity(variable.value) for variable in model.non_trainable_variables]
    flat.variable.assign(flat.join(weights))

    def step(index: Any, losses: Any) -> tuple[Any, Any]:
        parts = flat.part(tf.identity(flat.variable.value))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(parts)
            loss = flat.loss(parts, fixed, {key: value[index] for key, value in batches.items()})
        loss, gradient = flat.gradient(loss, tape.gradient(loss, parts))
        optimizer.learning_rate = base * rates[index]
        optimizer.apply([gradient], [flat.variable])
        return index + 1, tf.tensor_scatter_nd_update(losses, [[index]], [loss])

    _, losses = tf.while_loop(
        lambda index, _: index < steps, step, (tf.constant(0), tf.zeros_like(rates))
    )
    optimizer.learning_rate = base
    for variable, value in zip(weights, flat.part(flat.variable.value), strict=True):
        variable.assign(value)
    return _logs(losses, steps)


def _train_jax(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    import jax

    batches, rates, steps = _batches(data[0])
    weights, fixed, optimizer_state, metrics = state
    optimizer, flat = model.optimizer, model.flat
    rate = [variable is optimizer._learning_rate for variable in optimizer.variables].index(True)
    base = optimizer_state[rate]

    def with_rate(optimizer_state: Sequence[Any], value: Any) -> list[Any]:
        return [*optimizer_state[:rate], value, *optimizer_state[rate + 1 :]]

    def step(index: Any, carry: Any) -> Any:
        vector, optimizer_state, losses = carry
        batch = {key: value[index] for key, value in batches.items()}
        loss, gradients = jax.value_and_grad(flat.loss)(flat.part(vector), fixed, batch)
        loss, gradient = flat.gradient(loss, gradients)
        (vector,), optimizer_state = optimizer.stateless_apply(
            with_rate(optimizer_state, base * rates[index]), [gradient], [vector]
        )
        return vector, list(optimizer_state), losses.at[index].set(loss)

    carry = (flat.join(weights), list(optimizer_state), jax.numpy.zeros_like(rates))
    vector, optimizer_state, losses = jax.lax.fori_loop(0, steps, step, carry)
    optimizer_state = with_rate(optimizer_state, base)
    return _logs(losses, steps), (flat.part(vector), fixed, optimizer_state, metrics)


def _train_torch(model: Any, data: Any) -> dict[str, Any]:
    import torch

    batches, rates, steps = _batches(data[0])
    optimizer, flat, weights = model.optimizer, model.flat, model.trainable_variables
    base = float(optimizer.learning_rate)
    fixed = [variable.value for variable in model.non_trainable_variables]
    losses = torch.zeros_like(rates)
    flat.variable.assign(flat.join([weight.value for weight in weights]))
    for index in range(int(steps)):
        parts = [x.detach().requires_grad_() for x in flat.part(flat.variable.value)]
        loss = flat.loss(parts, fixed, {key: value[index] for key, value in batches.items()})
        loss, gradient = flat.gradient(loss, list(torch.autograd.grad(loss, parts)))
        optimizer.learning_rate = base * float(rates[index])
        with torch.no_grad():
            optimizer.apply([gradient], [flat.variable])
        losses[index] = loss.detach()
    optimizer.learning_rate = base
    for variable, value in zip(weights, flat.part(flat.variable.value), strict=True):
        variable.assign(value.detach())
    return _logs(losses, steps)


_TRAINERS: dict[str, Callable[..., Any]] = {
    "tensorflow": _train_tensorflow,
    "jax": _train_jax,
    "torch": _train_torch,
}


def feed(blocks: Iterator[dict[str, np.ndarray]], example: dict[str, np.ndarray]) -> Any:
    """The input of Keras's `fit`: each block as the only element of a tuple.

    The axis of members may differ from block to block; all others are those of `example`, so that
    TensorFlow traces the training once, and for no shape twice.
    """
    elements = ((block,) for block in blocks)
    if name() != "tensorflow":
        return elements
    import tensorflow as tf

    def signature(key: str, value: np.ndarray) -> Any:
        shape = list(value.shape)
        _, summarized, member = key.rpartition("summary_variables")
        if key.startswith("summary_mask") or (summarized and f"summary_mask{member}" in example):
            shape[2] = None
        return tf.TensorSpec(shape, value.dtype)

    spec = ({key: signature(key, value) for key, value in example.items()},)
    options = tf.data.Options()
    # The thread that tunes buffers sleeps ever longer, and `fit` would wait for it to wake.
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(lambda: elements, output_signature=spec)
    return dataset.with_options(options)


def synchronize(model: Any) -> None:
    """Let the variables of a model in training hold their current values, and heed changes."""
    if name() == "jax":
        model.jax_state_sync()


def out_of_memory(error: BaseException) -> bool:
    """True if an error says that there was too little memory, of the machine or of a GPU."""
    if isinstance(error, MemoryError):
        return True
    kind = type(error)
    theirs = kind.__module__.partition(".")[0] in ("tensorflow", "jax", "jaxlib", "torch")
    message = str(error).lower()
    words = ("resource_exhausted", "out of memory", "oom when allocating")
    named = kind.__name__ in ("ResourceExhaustedError", "OutOfMemoryError")
    return theirs and (named or any(word in message for word in words))
