"""The choice of backend, and the only code that differs between backends.

`select` must run before Keras is first imported. Everything else assumes that it has.

What differs: how a loop over stacked weights is written (`scan_layers`), how a block of batches is
learnt in one compiled call (`BlockTrainer`), how blocks are fed (`feed`), how an inference function
is compiled (`compiled`). A block is a dict of arrays whose leading axis is that of the steps, with
`rate (step,)`, the learning rate relative to the optimizer's own, and `steps ()`, how many of them
are to be run: the compiled program is the same for a full, a short and an empty block.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.errors import UsageError

BACKENDS = ("tensorflow", "jax", "torch")
_MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def select(
    name: str | None = None, *, spec_backend: str | None = None, device: str | None = None
) -> str:
    """Choose the backend: `name` > KERAS_BACKEND > the spec's > tensorflow; and where it runs.

    A user's Keras configuration file is not read, and TensorFlow's own log lines are turned off.

    Arguments:
        device: `cpu`, `gpu`, `gpu:1`, or None for what the backend prefers.

    Errors:
        UsageError: For an unknown backend or device, or a backend that is not installed.
    """
    from importlib.util import find_spec

    backend = name or os.environ.get("KERAS_BACKEND") or spec_backend or "tensorflow"
    if backend not in BACKENDS:
        raise UsageError(f"Expected a backend of {', '.join(BACKENDS)}; got {backend!r}")
    if find_spec(_MODULES[backend]) is None:
        raise UsageError(
            f"The backend {backend} is not installed",
            hint=f"pip install 'abi-cli[{backend}]'"
            if backend != "tensorflow"
            else "pip install tensorflow",
        )
    os.environ["KERAS_BACKEND"] = backend
    os.environ["KERAS_HOME"] = str(Path(tempfile.gettempdir()) / "abi-keras-home-unused")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    _choose_device(backend, device)
    return backend


def _choose_device(backend: str, device: str | None) -> None:
    if device is None:
        return
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "gpu") or (index and not index.isdigit()):
        raise UsageError(f"Expected a device such as cpu, gpu or gpu:1; got {device!r}")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    else:
        if index:
            os.environ["CUDA_VISIBLE_DEVICES"] = index
        if backend == "jax":
            os.environ["JAX_PLATFORMS"] = "cuda"


def name() -> str:
    """The backend in use."""
    import keras

    backend: str = keras.config.backend()
    return backend


def to_numpy(x: Any) -> np.ndarray:
    """A backend's tensor as a NumPy array."""
    import keras

    array: np.ndarray = keras.ops.convert_to_numpy(x)
    return array


def scan_layers(
    layer: Callable[[Any, Sequence[Any]], Any], carry: Any, stacked: Sequence[Any], depth: int
) -> Any:
    """Apply `carry = layer(carry, [w[l] for w in stacked])` for l = 0 … depth − 1.

    The weights of all layers are stacked on a leading axis, so that the program holds one layer,
    whatever the depth: it compiles several times faster than the unrolled network. The gradient
    flows through. A dict or tuple of tensors as `carry` keeps its structure and shapes.
    """
    backend = name()
    if backend == "jax":
        import jax

        return jax.lax.scan(lambda c, w: (layer(c, w), None), carry, tuple(stacked))[0]
    if backend == "tensorflow":
        import tensorflow as tf

        stacked = [tf.convert_to_tensor(w) for w in stacked]
        return tf.while_loop(
            lambda index, _: index < depth,
            lambda index, c: (index + 1, layer(c, [w[index] for w in stacked])),
            (tf.constant(0), carry),
            maximum_iterations=depth,
        )[1]
    for index in range(depth):
        carry = layer(carry, [w[index] for w in stacked])
    return carry


def compiles() -> bool:
    """Whether training is compiled; PyTorch runs as it is."""
    return name() != "torch"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of tensors, compiled once per combination of argument shapes."""
    backend = name()
    if backend == "jax":
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]  # JAX is skipped by the type check
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)  # type: ignore[no-any-return]  # as above

    import torch

    def without_gradient(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*arguments)

    return without_gradient


def train_block(model: Any, *arguments: Any) -> Any:
    """Keras's `train_step` for a block of batches, all its steps in one compiled call.

    `model` is a `keras.Model` with an `optimizer` and `batch_loss(batch)`. The logs are the mean
    `loss` over the steps that were run and `failed`, the first step whose loss was not finite
    (−1 where all were).

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
        "failed": ops.where(ops.any(bad), ops.cast(first, "int32"), -1),
    }


def _train_tensorflow(model: Any, data: Any) -> dict[str, Any]:
    import tensorflow as tf

    batches, rates, steps = _batches(data[0])
    optimizer, weights = model.optimizer, model.trainable_variables
    base = tf.identity(optimizer.learning_rate)

    def step(index: Any, losses: Any) -> tuple[Any, Any]:
        batch = {key: value[index] for key, value in batches.items()}
        with tf.GradientTape() as tape:
            loss = model.batch_loss(batch)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        optimizer.learning_rate = base * rates[index]
        optimizer.apply(gradients, weights)
        return index + 1, tf.tensor_scatter_nd_update(losses, [[index]], [loss])

    _, losses = tf.while_loop(
        lambda index, _: index < steps, step, (tf.constant(0), tf.zeros_like(rates))
    )
    optimizer.learning_rate = base
    return _logs(losses, steps)


def _train_jax(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    import jax
    import keras

    batches, rates, steps = _batches(data[0])
    trainable, fixed, optimizer_state, metrics = state
    optimizer = model.optimizer
    rate_index = [id(v) for v in optimizer.variables].index(id(optimizer._learning_rate))
    base = optimizer_state[rate_index]

    def loss_of(weights: Any, batch: Any) -> Any:
        mapping = [
            *zip(model.trainable_variables, weights, strict=True),
            *zip(model.non_trainable_variables, fixed, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping):
            return model.batch_loss(batch)

    def step(index: Any, carry: Any) -> Any:
        weights, optimizer_state, losses = carry
        batch = {key: value[index] for key, value in batches.items()}
        loss, gradients = jax.value_and_grad(loss_of)(weights, batch)
        optimizer_state = list(optimizer_state)
        optimizer_state[rate_index] = base * rates[index]
        weights, optimizer_state = optimizer.stateless_apply(optimizer_state, gradients, weights)
        return weights, optimizer_state, losses.at[index].set(loss)

    carry = (list(trainable), list(optimizer_state), jax.numpy.zeros_like(rates))
    trainable, optimizer_state, losses = jax.lax.fori_loop(0, steps, step, carry)
    optimizer_state = list(optimizer_state)
    optimizer_state[rate_index] = base
    return _logs(losses, steps), (trainable, fixed, optimizer_state, metrics)


def _train_torch(model: Any, data: Any) -> dict[str, Any]:
    import torch

    batches, rates, steps = _batches(data[0])
    optimizer, weights = model.optimizer, model.trainable_variables
    base = float(optimizer.learning_rate)
    losses = torch.zeros_like(rates)
    for index in range(int(steps)):
        model.zero_grad()
        loss = model.batch_loss({key: value[index] for key, value in batches.items()})
        loss.backward()
        optimizer.learning_rate = base * float(rates[index])
        with torch.no_grad():
            optimizer.apply([weight.value.grad for weight in weights], weights)
        losses[index] = loss.detach()
    optimizer.learning_rate = base
    return _logs(losses, steps)


_TRAINERS = {"tensorflow": _train_tensorflow, "jax": _train_jax, "torch": _train_torch}


def feed(blocks: Iterator[dict[str, np.ndarray]], example: dict[str, np.ndarray]) -> Any:
    """What Keras's `fit` takes: each block as the only element of a tuple.

    The axis of members may differ from block to block; all others are those of `example`, so that
    TensorFlow traces the training once, and for no shape twice.
    """
    elements = ((block,) for block in blocks)
    if name() != "tensorflow":
        return elements
    import tensorflow as tf

    def signature(key: str, value: np.ndarray) -> Any:
        shape = list(value.shape)
        if key in ("summary_variables", "summary_mask"):
            shape[2] = None
        return tf.TensorSpec(shape, value.dtype)

    spec = ({key: signature(key, value) for key, value in example.items()},)
    return tf.data.Dataset.from_generator(lambda: elements, output_signature=spec)


def synchronize(model: Any) -> None:
    """Let the variables of a model in training hold their current values, and heed changes."""
    if name() == "jax":
        model.jax_state_sync()
