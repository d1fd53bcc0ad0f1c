"""The choice of backend, and the only code that differs between backends.

`select` must run before Keras is first imported: it imports it. Everything else assumes that.

What differs: how a loop over stacked weights is written (`scan_layers`), how a block of batches is
learnt in one compiled call (`train_block`), how blocks are fed (`feed`), how an inference function
is compiled (`compiled`). A block is a dict of arrays whose leading axis is that of the steps, with
`rate (step,)`, the learning rate relative to the optimizer's own, and `steps ()`, how many of them
are to be run: the compiled program is the same for a full, a short and an empty block.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from abi_cli.errors import UsageError

BACKENDS = ("tensorflow", "jax", "torch")
_MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def select(
    name: str | None = None,
    *,
    spec_backend: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> str:
    """Choose the backend: `name` > KERAS_BACKEND > the spec's > tensorflow.

    A user's Keras configuration file is not read, TensorFlow's own log lines are turned off, and
    what JAX compiles is kept between runs in the user's cache. (TensorFlow's compiled code is not:
    it gains little, and warns of features of the processor.)

    Arguments:
        device: `cpu`, `gpu`, `gpu:1`, or None for what the backend prefers.
        threads: For one operation of TensorFlow, where other processes need the cores too: its idle
            threads wait busily. None for all cores.

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
    if threads is not None:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abi" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    _choose_device(backend, device)
    with _quiet():
        import keras

        keras.ops.convert_to_tensor(0.0)  # looks for devices, which is logged once more
    return backend


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the error stream what libraries write past Python, unless loading them fails.

    TensorFlow logs which processors it found whatever its log level is.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        shown = os.dup(2)
        own = sys.stderr
        sys.stderr = os.fdopen(os.dup(shown), "w", buffering=1, encoding="utf-8")
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            meanwhile, sys.stderr = sys.stderr, own
            _hand_over(meanwhile, own)
            meanwhile.close()
            logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _hand_over(meanwhile: TextIO, own: TextIO) -> None:
    """Loggers that were made while libraries were loaded write to the stream that stays."""
    loggers = [logging.getLogger(name) for name in (None, "absl", "tensorflow", "jax")]
    for handler in [handler for logger in loggers for handler in logger.handlers]:
        if isinstance(handler, logging.StreamHandler) and handler.stream is meanwhile:
            handler.setStream(own)


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


Layer = Callable[[Any, Sequence[Any], Any], Any]
"""`carry, weights, shared → carry`, of tensors: one layer of a stack."""


def scan_layers(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    """Apply `carry = layer(carry, [w[l] for w in stacked], shared)` for l = 0, 1, ….

    The weights of all layers are stacked on a leading axis, so that the program holds one layer,
    whatever the depth: it compiles several times faster than the unrolled network. The gradient
    flows to all three arguments, once; the backward pass keeps only the carries and recomputes
    what is within a layer.

    Arguments:
        carry: A tuple of tensors; a layer gives back the same structure and shapes.
        stacked: Tensors `(layer, …)`.
        shared: A tensor that all layers are given, such as the conditions.
    """
    return _SCANS[name()](layer, carry, stacked, shared)


def _scan_jax(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    import jax

    def body(carry: Any, weights: Any) -> tuple[Any, None]:
        return layer(carry, weights, shared), None

    return jax.lax.scan(body, carry, tuple(stacked))[0]


def _scan_tensorflow(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    # TensorFlow's own gradient of a loop keeps every tensor within a layer and adds the gradients
    # of a whole stack at each of its layers: half again as long to compile, and slower.
    import tensorflow as tf

    depth, many = stacked[0].shape[0], len(carry)

    def of(index: Any, stack: Sequence[Any]) -> list[Any]:
        return [w[index] for w in stack]

    def stacks(like: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(tf.zeros((depth, *tf.unstack(tf.shape(x))), x.dtype) for x in like)

    def put(stack: Sequence[Any], index: Any, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            tf.tensor_scatter_nd_update(s, [[index]], [v])
            for s, v in zip(stack, values, strict=True)
        )

    @tf.custom_gradient
    def run(*tensors: Any) -> Any:
        carry, stacked, shared = tensors[:many], tensors[many:-1], tensors[-1]

        def forward(index: Any, carry: Any, kept: Any) -> Any:
            following = tuple(layer(carry, of(index, stacked), shared))
            return index + 1, following, put(kept, index, carry)

        _, out, kept = tf.while_loop(
            lambda index, *_: index < depth,
            forward,
            (tf.constant(0), carry, stacks(carry)),
            maximum_iterations=depth,
        )

        def gradient(*upstream: Any) -> Any:
            def backward(index: Any, up: Any, down: Any, down_shared: Any) -> Any:
                inputs = (*of(index, kept), *of(index, stacked), shared)
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    y = layer(inputs[:many], inputs[many:-1], inputs[-1])
                gradients = tape.gradient(
                    y, inputs, up, unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                return (
                    index - 1,
                    tuple(gradients[:many]),
                    put(down, index, gradients[many:-1]),
                    down_shared + gradients[-1],
                )

            _, down_carry, down, down_shared = tf.while_loop(
                lambda index, *_: index >= 0,
                backward,
                (
                    tf.constant(depth - 1),
                    tuple(upstream),
                    tuple(tf.zeros_like(w) for w in stacked),
                    tf.zeros_like(shared),
                ),
                maximum_iterations=depth,
            )
            return (*down_carry, *down, down_shared)

        return out, gradient

    out = run(*carry, *(tf.convert_to_tensor(w) for w in stacked), shared)
    return tuple(out) if many > 1 else (out[0] if isinstance(out, (list, tuple)) else out,)


def _scan_torch(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    for weights in zip(*stacked, strict=True):
        carry = layer(carry, weights, shared)
    return carry


_SCANS = {"tensorflow": _scan_tensorflow, "jax": _scan_jax, "torch": _scan_torch}


def compiles() -> bool:
    """Whether training is compiled; PyTorch runs as it is."""
    return name() != "torch"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of tensors, compiled once per combination of argument shapes.

    On TensorFlow it becomes a graph and not XLA's: 200 × 1,000 draws take as long on two cores, and
    the first call 1.7 instead of 4 s of processor time.
    """
    backend = name()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)

    import torch

    def without_gradient(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*arguments)

    return without_gradient


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
        """Arrays of the weights' shapes as one vector."""
        from keras import ops

        return ops.concatenate([ops.reshape(array, (-1,)) for array in arrays])

    def part(self, vector: Any) -> list[Any]:
        """One vector as arrays of the weights' shapes."""
        from keras import ops

        parts = ops.split(vector, np.cumsum(self.sizes)[:-1].tolist())
        return [ops.reshape(x, shape) for x, shape in zip(parts, self.shapes, strict=True)]

    def loss(self, weights: Sequence[Any], fixed: Sequence[Any], batch: dict[str, Any]) -> Any:
        """The batch's loss with these weights in place of the model's."""
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
    """Keras's `train_step` for a block of batches, all its steps in one compiled call.

    `model` is a `keras.Model` with `flat`, its `FlatWeights`, for whose variable its `optimizer`
    was built. The logs are the mean `loss` over the steps that were run and `failed`, the first
    step whose loss was not finite (−1 where all were).

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
    options = tf.data.Options()
    # The thread that tunes buffers sleeps ever longer, and `fit` would wait for it to wake.
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(lambda: elements, output_signature=spec)
    return dataset.with_options(options)


def synchronize(model: Any) -> None:
    """Let the variables of a model in training hold their current values, and heed changes."""
    if name() == "jax":
        model.jax_state_sync()
